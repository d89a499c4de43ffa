"""Walking through all that is remembered, the oldest first, so that what is exported comes in again in its order."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import bindparam, func, select

from tacit.experience.memory.fold import MemoryRow
from tacit.experience.memory.memory import EPISODE, Memory
from tacit.experience.memory.views import memory_of
from tacit.stores import schema
from tacit.stores.port import Snapshot

_PAGE = 500
_memory = schema.memory
_is_remembered = (_memory.c.mind == bindparam("mind"), _memory.c.until.is_(None), _memory.c.kind != EPISODE)
_page = (
    select(*_memory.c)
    .where(*_is_remembered, _memory.c.since > bindparam("after"))
    .order_by(_memory.c.since)
    .limit(_PAGE)
)
_count = select(func.count()).select_from(_memory).where(*_is_remembered)


def every_memory(snapshot: Snapshot, mind: bytes) -> Iterator[Memory]:
    """What is remembered now, by when its wording came in."""
    after = 0
    while rows := [MemoryRow(*row) for row in snapshot.rows(_page, mind=mind, after=after)]:
        for row in rows:
            yield memory_of(snapshot, row)
        after = rows[-1].since


def count_memories(snapshot: Snapshot, mind: bytes) -> int:
    """How many memories hold now."""
    row = snapshot.row(_count, mind=mind)
    return int(row[0]) if row else 0
