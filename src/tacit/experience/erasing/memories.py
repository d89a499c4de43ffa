"""What rests on a memory in its view: every wording, and what a memory had closed, which holds again without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, select, update

from tacit.experience.memory.fold import MemoryRow
from tacit.journal.forgetting import Doomed, Fresh, Rows
from tacit.journal.minds import MindInfo
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

_memory = schema.memory
_of_id = select(*_memory.c).where(_memory.c.mind == bindparam("mind"), _memory.c.id == bindparam("id"))
_closed_by = select(_memory.c.user, _memory.c.subject).where(
    _memory.c.mind == bindparam("mind"), _memory.c.superseded_by == bindparam("id")
)
_group = (
    select(*_memory.c)
    .where(
        _memory.c.mind == bindparam("mind"),
        _memory.c.user == bindparam("user"),
        _memory.c.subject == bindparam("subject"),
    )
    .order_by(_memory.c.since)
)
_end = (
    update(_memory)
    .where(_memory.c.mind == bindparam("of"), _memory.c.since == bindparam("version"))
    .values(until=bindparam("position"), ending=bindparam("why"), superseded_by=bindparam("newer"))
)
_rows = Rows(_memory, "id")


class MemoryKeeper:
    """The view of memories."""

    def follow(self, snapshot: Snapshot, mind: MindInfo, fresh: Fresh, doomed: Doomed) -> None:
        for id in fresh.memories:
            for row in wordings(snapshot, mind.id, id):
                positions = [row.since]
                if row.until is not None and row.ending in ("corrected", "forgotten"):
                    positions.append(row.until)  # the event that ended it tells of this memory, too
                doomed.add_at(snapshot, mind.id, positions)

    def count(self, snapshot: Snapshot, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        return Counter({_rows.table: _rows.count(snapshot, mind.id, [(id,) for id in doomed.memories])})

    def forget(self, transaction: Transaction, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        ids = sorted(doomed.memories)
        removed = _rows.forget(transaction, mind.id, [(id,) for id in ids])
        groups = {(row[0], row[1]) for id in ids for row in transaction.rows(_closed_by, mind=mind.id, id=id)}
        for user, subject in sorted(groups):
            self._refold(transaction, mind.id, user, subject)
        return Counter({_rows.table: removed})

    def _refold(self, transaction: Transaction, mind: bytes, user: str, subject: str) -> None:
        """Fold what is left of a subject again, as if what was erased had never come in."""
        before = [MemoryRow(*row) for row in transaction.rows(_group, mind=mind, user=user, subject=subject)]
        for old, new in zip(before, folded(before), strict=True):
            if old == new:
                continue
            transaction.execute(
                _end, of=mind, version=new.since, position=new.until, why=new.ending, newer=new.superseded_by
            )


def wordings(snapshot: Snapshot, mind: bytes, id: bytes) -> list[MemoryRow]:
    """Every wording that a memory has had."""
    return [MemoryRow(*row) for row in snapshot.rows(_of_id, mind=mind, id=id)]


def folded(rows: Sequence[MemoryRow]) -> list[MemoryRow]:
    """The wordings of one subject, in order, each closed by what is among them: see ``MemoryProjection``.

    A correction and a forgetting are events of the memory itself, so they stay where they were.
    """
    done: list[MemoryRow] = []
    for row in rows:
        if row.ending not in ("corrected", "forgotten"):
            row = msgspec.structs.replace(row, until=None, ending="", superseded_by=None)
        newer: MemoryRow | None = None
        for place, other in enumerate(done):
            if other.until is not None and other.until <= row.since:
                continue
            if other.moment > row.moment:
                newer = other
            else:
                done[place] = msgspec.structs.replace(other, until=row.since, ending="superseded", superseded_by=row.id)
        if newer is not None:
            row = msgspec.structs.replace(row, until=row.since, ending="superseded", superseded_by=newer.id)
        done.append(row)
    return done
