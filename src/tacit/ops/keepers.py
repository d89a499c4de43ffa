"""Who must forget what is erased: everything above the journal that keeps something of it. The one place to add to."""

from __future__ import annotations

from collections.abc import Sequence

from tacit.experience.erasing.episodes import EpisodeKeeper
from tacit.experience.erasing.memories import MemoryKeeper
from tacit.journal.forgetting import Keeper
from tacit.learning.forgetting import LearningKeeper
from tacit.recall.keeper import RecallKeeper


def keepers() -> Sequence[Keeper]:
    """All of them, in the order in which they forget: what reads a payload or a view comes before that is removed."""
    return (EpisodeKeeper(), RecallKeeper(), MemoryKeeper(), LearningKeeper())
