"""What rests on a memory in its view: every wording, and what a memory had closed, which holds again without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, select, update

from tacit.experience import kinds
from tacit.experience.memory.episodes import without_reflections
from tacit.experience.memory.fold import MemoryRow, index_wording, wordings
from tacit.journal.forgetting import Doomed, Fresh, Rows
from tacit.journal.minds import MindInfo
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

_memory = schema.memory
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
_rows, _wording = Rows(_memory, "id"), Rows(_memory, "since")
_reflections = select(schema.reflection.c.position).where(
    schema.reflection.c.mind == bindparam("mind"), schema.reflection.c.episode == bindparam("episode")
)


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
        found = _rows.count(snapshot, mind.id, [(id,) for id in doomed.memories | doomed.episodes])
        found += sum(after is None for _, after in retold_episodes(snapshot, mind.id, doomed))
        return Counter({_rows.table: found})

    def forget(self, transaction: Transaction, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        ids = sorted(doomed.memories)
        removed = self._tell_anew(transaction, mind.id, doomed)
        removed += _rows.forget(transaction, mind.id, [(id,) for id in sorted(doomed.memories | doomed.episodes)])
        groups = {(row[0], row[1]) for id in ids for row in transaction.rows(_closed_by, mind=mind.id, id=id)}
        for user, subject in sorted(groups):
            self._refold(transaction, mind.id, user, subject)
        return Counter({_rows.table: removed})

    def _tell_anew(self, transaction: Transaction, mind: bytes, doomed: Doomed) -> int:
        """Tell episodes that stay without the reflections that go; how many wordings fewer there are."""
        fewer = 0
        for before, after in retold_episodes(transaction, mind, doomed):
            _wording.forget(transaction, mind, [(before.since,)])
            if after is None:
                fewer += 1
                continue
            transaction.insert(_memory, (msgspec.structs.astuple(after),))
            if after.text != before.text:
                index_wording(transaction, after)
        return fewer

    def _refold(self, transaction: Transaction, mind: bytes, user: str, subject: str) -> None:
        """Fold what is left of a subject again, as if what was erased had never come in."""
        before = [MemoryRow(*row) for row in transaction.rows(_group, mind=mind, user=user, subject=subject)]
        for old, new in zip(before, folded(before), strict=True):
            if old == new:
                continue
            transaction.execute(
                _end, of=mind, version=new.since, position=new.until, why=new.ending, newer=new.superseded_by
            )


def retold_episodes(snapshot: Snapshot, mind: bytes, doomed: Doomed) -> list[tuple[MemoryRow, MemoryRow | None]]:
    """Wordings of episodes that stay, of which some reflections go: as they are, and as they are to be."""
    found: list[tuple[MemoryRow, MemoryRow | None]] = []
    gone: dict[bytes, set[int]] = {}
    for place in doomed.of_kinds(frozenset({kinds.REFLECTION_RECORDED})):
        if place.causation is not None and place.causation not in doomed.episodes:
            gone.setdefault(place.causation, set()).add(place.position)
    for episode, positions in sorted(gone.items()):
        before = wordings(snapshot, mind, episode)
        kept = {int(at) for (at,) in snapshot.rows(_reflections, mind=mind, episode=episode)} - positions
        after = without_reflections(before, positions, kept)
        found += [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    return found


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
