"""Forgetting by usefulness: which memories go when there are more than a mind may keep, and which have gone."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, func, select

from tacit.experience.memory.fold import IMPORTANCE_PARTS
from tacit.experience.memory.memory import EPISODE
from tacit.ids import format_id
from tacit.recall.usefulness import MICROS_PER_DAY, Known, least_useful, usefulness
from tacit.recall.uses import Use, uses_of
from tacit.stores import schema
from tacit.stores.port import Row, Snapshot

_memory = schema.memory
_bytes = func.octet_length(_memory.c.text)
_kept = select(_memory.c.id, _memory.c.kind, _memory.c.recorded_at, _memory.c.importance, _bytes).where(
    _memory.c.mind == bindparam("mind"), _memory.c.until.is_(None), _memory.c.kind != EPISODE
)


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How much a mind keeps; None and an empty ``days`` are no bound.

    Args:
        memories: how many memories at most; the least useful are forgotten.
        memory_bytes: how many bytes of their texts at most.
        days: by kind, how long memories are kept after they came in or were last found.
        half_life_days: how fast freshness halves; see ``usefulness``.
    """

    memories: int | None = None
    memory_bytes: int | None = None
    days: dict[str, float] = {}
    half_life_days: float = 90.0


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that is forgotten: why ("age" or "capacity"), and how useful it was (0 … 1)."""

    id: str
    why: str
    usefulness: float


def due(snapshot: Snapshot, mind: bytes, retention: Retention, now: int) -> list[Forgotten]:
    """Which memories are to be forgotten now, in the order in which they go."""
    if retention.memories is None and retention.memory_bytes is None and not retention.days:
        return []
    uses = uses_of(snapshot, mind)
    kept = [_known(row, uses.get(bytes(row[0]))) for row in snapshot.rows(_kept, mind=mind)]
    old = [known for known in kept if _is_old(known, retention, now)]
    rest = [known for known in kept if not _is_old(known, retention, now)]
    crowded = least_useful(
        rest,
        most=retention.memories,
        most_bytes=retention.memory_bytes,
        now=now,
        half_life_days=retention.half_life_days,
    )
    return [_told(known, "age", now, retention) for known in old] + [
        _told(known, "capacity", now, retention) for known, _ in crowded
    ]


def _known(row: Row, use: Use | None) -> Known:
    id, kind, recorded_at, importance, size = row
    last_at = recorded_at if use is None else max(recorded_at, use.last_at)
    judged = None if importance is None else importance / IMPORTANCE_PARTS
    return Known(bytes(id), kind, last_at, 0 if use is None else use.uses, judged, size)


def _is_old(known: Known, retention: Retention, now: int) -> bool:
    days = retention.days.get(known.kind)
    return days is not None and now - known.last_at > days * MICROS_PER_DAY


def _told(known: Known, why: str, now: int, retention: Retention) -> Forgotten:
    return Forgotten(id=format_id(known.id), why=why, usefulness=usefulness(known, now, retention.half_life_days))
