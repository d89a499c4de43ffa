"""How long an answer of recall is the same: as long as its mind stands where it stood, and time changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tacit.cache import ALWAYS
from tacit.experience.memory.fold import MemoryRow
from tacit.journal.erasing import last_erasure
from tacit.journal.read import head_position
from tacit.recall.memory_vectors import reached_by_models
from tacit.recall.recipe import Recipe
from tacit.recall.serving import Served
from tacit.stores.port import Snapshot


class Stand(NamedTuple):
    """Where a mind stands: its newest event, its last erasure, and how many events each model has seen. An answer is
    the same as long as this is, but for what time itself changes."""

    head: int
    erasure: int
    reached: tuple[tuple[str, int], ...]


def stand_of(snapshot: Snapshot, mind: bytes) -> Stand:
    """Where a mind stands in a snapshot."""
    reached = tuple(sorted(reached_by_models(snapshot, mind).items()))
    return Stand(head_position(snapshot, mind), last_erasure(snapshot, mind), reached)


def next_change(rows: Iterable[MemoryRow], now: int) -> int:
    """When the first of these memories becomes true, or ceases to be, by the passing of time alone."""
    moments = (moment for row in rows for moment in (row.valid_from, row.valid_to))
    return min((moment for moment in moments if moment is not None and moment > now), default=ALWAYS[1])


def lacks_vectors(served: Served, recipe: Recipe, there: bool) -> bool:
    """Whether the embedder was away, so that the answer is another one when it is back.

    Args:
        there: whether there are vectors of the question.
    """
    return not there and served.meaning is not None and bool(recipe.weights.get("meaning"))
