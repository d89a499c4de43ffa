"""How useful a memory is to keep: by how fresh it is, how often it was found, and what it is worth. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tacit.clock import MICROS_PER_SECOND
from tacit.experience.memory.memory import STANDING_KINDS

MICROS_PER_DAY = 86_400 * MICROS_PER_SECOND
_UNJUDGED = 0.5
"""The worth of a memory whose importance nobody judged."""


class Known(msgspec.Struct, frozen=True):
    """What usefulness depends on. ``last_at`` is when it came in or was last found, whichever is later; µs since 1970
    UTC. ``uses`` counts how often it was among the hits of a recall. ``bytes`` is the length of its text in UTF-8."""

    id: bytes
    kind: str
    last_at: int
    uses: int
    importance: float | None
    bytes: int


def usefulness(known: Known, now: int, half_life_days: float) -> float:
    """0 … 1: the mean of freshness, use and worth.

    Freshness halves with every half-life since the memory came in or was last found. Use is 1 − 1 / (1 + uses): the
    first time that a memory is found counts as much as all that follow. Worth is its importance, ½ when nobody judged
    it; a standing instruction or preference is worth 1, since it holds though nobody asks for it.
    """
    age = max(0, now - known.last_at) / MICROS_PER_DAY
    fresh = math.exp2(-age / half_life_days)
    used = 1.0 - 1.0 / (1 + known.uses)
    judged = _UNJUDGED if known.importance is None else known.importance
    worth = 1.0 if known.kind in STANDING_KINDS else judged
    return (fresh + used + worth) / 3.0


def least_useful(
    memories: Sequence[Known], *, most: int | None, most_bytes: int | None, now: int, half_life_days: float
) -> list[tuple[Known, float]]:
    """Those that have to go so that no more than ``most`` with no more than ``most_bytes`` of text are left.

    The least useful goes first; of equally useful ones the one that was found longest ago. None is no bound.
    """
    ranked = sorted(
        ((usefulness(known, now, half_life_days), known.last_at, known.id, known) for known in memories),
        key=lambda row: row[:3],
    )
    left, left_bytes = len(ranked), sum(known.bytes for known in memories)
    gone = []
    for value, _, _, known in ranked:
        if (most is None or left <= most) and (most_bytes is None or left_bytes <= most_bytes):
            break
        gone.append((known, value))
        left, left_bytes = left - 1, left_bytes - known.bytes
    return gone
