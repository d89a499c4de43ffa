"""Folds the events of memories into their view, in the transaction that appends them."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import bindparam, select, update

from tacit.errors import NotFound
from tacit.experience.memory import kinds
from tacit.experience.memory.memory import EPISODE, Ending, RecalledKind, Said
from tacit.ids import format_id
from tacit.journal.event import Event
from tacit.stores import schema
from tacit.stores.port import Snapshot, TextEntry, Transaction
from tacit.stores.terms import terms_of_memory

_memory = schema.memory
IMPORTANCE_PARTS = 1_000_000
"""An importance is kept as a whole number of these parts of one: floats stay out of what is digested."""

_is_current = (_memory.c.mind == bindparam("mind"), _memory.c.until.is_(None), _memory.c.kind != EPISODE)
_wordings = (
    select(*_memory.c)
    .where(_memory.c.mind == bindparam("mind"), _memory.c.id == bindparam("id"))
    .order_by(_memory.c.since)
)
_current = select(*_memory.c).where(_memory.c.id == bindparam("id"), *_is_current)
_of_source = select(*_memory.c).where(
    *_is_current,
    _memory.c.source_id == bindparam("source_id"),
    _memory.c.source_id != "",  # else SQLite does not see that the index of those with a source will do
    _memory.c.user == bindparam("user"),
)
_of_subject = (
    select(*_memory.c)
    .where(
        *_is_current,
        _memory.c.subject == bindparam("subject"),
        _memory.c.subject != "",
        _memory.c.user == bindparam("user"),
    )
    .order_by(_memory.c.since)
)
_end = (
    update(_memory)
    .where(_memory.c.mind == bindparam("of"), _memory.c.since == bindparam("version"))
    .values(until=bindparam("position"), ending=bindparam("why"), superseded_by=bindparam("newer"))
)


class MemoryRow(msgspec.Struct, frozen=True, gc=False):
    """One wording of a memory, in the order of its table.

    ``since`` is the position of the event that holds it, and its number in every index of the mind. Empty texts and
    None are what nobody told. ``importance`` is in millionths.
    """

    mind: bytes
    since: int
    until: int | None
    id: bytes
    kind: RecalledKind
    text: str
    user: str
    session: str
    agent: str
    speaker: str
    subject: str
    source_id: str
    recorded_at: int
    occurred_at: int | None
    valid_from: int | None
    valid_to: int | None
    importance: int | None
    ending: Ending
    superseded_by: bytes | None

    @property
    def moment(self) -> int:
        """Since when it is so, as far as that was told; µs since 1970 UTC."""
        told = self.valid_from if self.valid_from is not None else self.occurred_at
        return self.recorded_at if told is None else told


class MemoryProjection:
    """Keeps the view of memories."""

    kinds = frozenset({kinds.MEMORY_REMEMBERED, kinds.MEMORY_CORRECTED, kinds.MEMORY_FORGOTTEN})

    def apply(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        if event.kind == kinds.MEMORY_REMEMBERED:
            self._write(transaction, _row(event, event.id, payload))
            return
        assert event.causation is not None
        row = _require(transaction, event.mind, event.causation)
        if event.kind == kinds.MEMORY_FORGOTTEN:
            close_wording(transaction, row, event.position, "forgotten")
            return
        close_wording(transaction, row, event.position, "corrected")
        self._write(transaction, _row(event, row.id, payload))

    def _write(self, transaction: Transaction, row: MemoryRow) -> None:
        """Add a wording. Of two memories with one subject only the later is what is remembered."""
        newer: MemoryRow | None = None
        for other in _rivals(transaction, row) if row.subject else ():
            if other.moment > row.moment:
                newer = other
            else:
                close_wording(transaction, other, row.since, "superseded", row.id)
        if newer is not None:
            row = msgspec.structs.replace(row, until=row.since, ending="superseded", superseded_by=newer.id)
        transaction.insert(_memory, (msgspec.structs.astuple(row),))
        index_wording(transaction, row)


def index_wording(transaction: Transaction, row: MemoryRow) -> None:
    """Put a wording into the index of words."""
    transaction.index_terms(row.mind, (_entry(row),))


def unindex_memory(transaction: Transaction, row: MemoryRow) -> None:
    """Take a wording out of the index of words, to the last term: for one that is erased.

    One that was corrected, superseded or forgotten stays in it, as the past is searched too; whoever searches looks at
    ``since`` and ``until``.
    """
    transaction.unindex_terms(row.mind, (_entry(row),))


def _entry(row: MemoryRow) -> TextEntry:
    return row.since, terms_of_memory(msgspec.structs.asdict(row))


def current_memory(snapshot: Snapshot, mind: bytes, id: bytes) -> MemoryRow | None:
    """What a memory says now; None when there is none, or it holds no longer."""
    row = snapshot.row(_current, mind=mind, id=id)
    return None if row is None else MemoryRow(*row)


def wordings(snapshot: Snapshot, mind: bytes, id: bytes) -> list[MemoryRow]:
    """Every wording that a memory or a finished episode has had, the oldest first."""
    return [MemoryRow(*row) for row in snapshot.rows(_wordings, mind=mind, id=id)]


def memory_of_source(snapshot: Snapshot, mind: bytes, user: str, source_id: str) -> MemoryRow | None:
    """The memory that came from a source, for a user."""
    row = snapshot.row(_of_source, mind=mind, user=user, source_id=source_id)
    return None if row is None else MemoryRow(*row)


def no_memory(id: bytes) -> NotFound:
    return NotFound(f"there is no memory {format_id(id)} in this mind", memory=format_id(id))


def _require(transaction: Transaction, mind: bytes, id: bytes) -> MemoryRow:
    row = current_memory(transaction, mind, id)
    if row is None:
        raise no_memory(id)
    return row


def _rivals(transaction: Transaction, row: MemoryRow) -> list[MemoryRow]:
    found = transaction.rows(_of_subject, mind=row.mind, user=row.user, subject=row.subject)
    return [MemoryRow(*each) for each in found]


def close_wording(
    transaction: Transaction, row: MemoryRow, position: int, why: Ending, newer: bytes | None = None
) -> None:
    """Say until when a wording held, and why it ended."""
    transaction.execute(_end, of=row.mind, version=row.since, position=position, why=why, newer=newer)


def _row(event: Event, id: bytes, payload: dict[str, Any]) -> MemoryRow:
    said = msgspec.convert(payload["memory"], Said)
    importance = None if said.importance is None else round(said.importance * IMPORTANCE_PARTS)
    return MemoryRow(
        event.mind, event.position, None, id, said.kind, said.text, said.user, said.session, said.agent, said.speaker,
        said.subject, said.source_id, event.recorded_at, said.occurred_at, said.valid_from, said.valid_to, importance,
        "", None,
    )  # fmt: skip
