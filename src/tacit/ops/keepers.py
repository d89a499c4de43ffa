"""Who must forget what is erased: everything above the journal that keeps something of it. The one place to add to."""

from __future__ import annotations

from collections.abc import Sequence

from tacit.experience.erasing.episodes import EpisodeKeeper
from tacit.experience.erasing.memories import MemoryKeeper
from tacit.journal.forgetting import Keeper
from tacit.learning.forgetting import LearningKeeper


def keepers() -> Sequence[Keeper]:
    """All of them. An index of memories is handed to ``MemoryKeeper`` as a hook that takes one wording out of it."""
    return (EpisodeKeeper(), MemoryKeeper(), LearningKeeper())
