"""Who must forget what is erased: everything above the journal that keeps something of it. The one place to add to."""

from __future__ import annotations

from collections.abc import Sequence

from tacit.experience.erasing.episodes import EpisodeKeeper
from tacit.experience.erasing.memories import MemoryKeeper
from tacit.journal.forgetting import Keeper
from tacit.learning.forgetting import LearningKeeper


def keepers() -> Sequence[Keeper]:
    """All of them, in the order in which they forget: what reads a payload to do so comes before it is removed.

    An index of memories is handed to ``MemoryKeeper`` as hooks: ``unindex`` takes a wording (its row, whose ``since``
    is its number) out of it, ``reopened`` takes one in again that an erased memory had superseded.
    """
    return (EpisodeKeeper(), MemoryKeeper(), LearningKeeper())
