"""Reading memories back, as they are or as they were at an earlier position of the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec
from sqlalchemy import ColumnElement, bindparam, func, or_, select

from tacit.errors import InvalidInput, NotFound, shown
from tacit.experience.memory.episodes import no_such_memory
from tacit.experience.memory.fold import IMPORTANCE_PARTS, MemoryRow
from tacit.experience.memory.memory import EPISODE, MEMORY_KINDS, RECALLED_KINDS, Memory, MemoryKind, RecalledKind, Said
from tacit.experience.views import NOW
from tacit.ids import format_id
from tacit.journal.read import event_at
from tacit.stores import schema
from tacit.stores.port import Snapshot

_memory = schema.memory
_held = (
    _memory.c.kind != EPISODE,
    _memory.c.mind == bindparam("mind"),
    _memory.c.since <= bindparam("position"),
    or_(_memory.c.until.is_(None), _memory.c.until > bindparam("position")),
)
_by_id = select(*_memory.c).where(*_held, _memory.c.id == bindparam("id"))
_forgotten = (
    select(*_memory.c)
    .where(_memory.c.mind == bindparam("mind"), _memory.c.ending == "forgotten")
    .order_by(_memory.c.until.desc(), _memory.c.since.desc())
    .limit(bindparam("most"))
)
_number = select(func.max(_memory.c.since)).where(
    _memory.c.mind == bindparam("mind"),
    _memory.c.id == bindparam("id"),
    _memory.c.since <= bindparam("position"),
    _memory.c.kind != EPISODE,
)
_history = (
    select(*_memory.c)
    .where(
        _memory.c.mind == bindparam("mind"),
        _memory.c.id == bindparam("id"),
        _memory.c.since <= bindparam("position"),
        _memory.c.kind != EPISODE,
    )
    .order_by(_memory.c.since)
)


class MemoryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which memories are meant; empty fields do not narrow. All given ones must hold. Times are µs since 1970 UTC."""

    kinds: tuple[RecalledKind, ...] = ()
    user: str = ""
    session: str = ""
    agent: str = ""
    speaker: str = ""
    subject: str = ""
    source_id: str = ""
    occurred_after: int | None = None
    occurred_before: int | None = None


def check_memory_filter(wanted: MemoryFilter, *, episodes: bool = False) -> None:
    """Refuse conditions that no memory could meet; nor, with ``episodes``, an episode."""
    known = RECALLED_KINDS if episodes else MEMORY_KINDS
    for kind in wanted.kinds:
        if kind not in known:
            hint = "; 'episodes' (tacit episode list) lists episodes" if kind == EPISODE else ""
            raise InvalidInput(
                f"{shown(kind)} is no kind of memory; use one of {', '.join(known)}{hint}", field="kinds"
            )
    for field in ("user", "session", "agent", "speaker", "subject", "source_id"):
        value = getattr(wanted, field)
        if not isinstance(value, str):
            raise InvalidInput(f"{field} must be a text, not {type(value).__name__}", field=field)
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidInput(f"{field} holds a character that no stored text has", field=field)


def said_at(snapshot: Snapshot, mind: bytes, since: int) -> Said:
    """What the event at a position said.

    Raises:
        NotFound: it was erased.
    """
    recorded = event_at(snapshot, mind, since)
    if recorded.payload is None:
        raise NotFound("what was said there was erased", position=since)
    return msgspec.convert(recorded.payload["memory"], Said)


def load_memory(snapshot: Snapshot, mind: bytes, id: bytes, position: int = NOW) -> Memory:
    """A memory as of a position.

    Raises:
        NotFound: there was none of that id, or it held no longer.
    """
    row = snapshot.row(_by_id, mind=mind, id=id, position=position)
    if row is None:
        if snapshot.row(_history, mind=mind, id=id, position=position) is not None:
            told = format_id(id)
            raise NotFound(f"the memory {told} is no longer remembered; its history tells how it ended", memory=told)
        raise no_such_memory(snapshot, mind, id)
    return memory_of(snapshot, MemoryRow(*row), position)


def memory_history(snapshot: Snapshot, mind: bytes, id: bytes, position: int = NOW) -> list[Memory]:
    """Every wording that a memory has had up to a position, oldest first.

    Raises:
        NotFound: there was none of that id.
    """
    rows = snapshot.rows(_history, mind=mind, id=id, position=position)
    if not rows:
        raise no_such_memory(snapshot, mind, id)
    return [memory_of(snapshot, MemoryRow(*row), position) for row in rows]


def number_of(snapshot: Snapshot, mind: bytes, id: bytes, position: int = NOW) -> int:
    """The number of the newest wording that a memory has had up to a position.

    Raises:
        NotFound: there was none of that id.
    """
    row = snapshot.row(_number, mind=mind, id=id, position=position)
    if row is None or row[0] is None:
        raise no_such_memory(snapshot, mind, id)
    return int(row[0])


def list_memories(
    snapshot: Snapshot, mind: bytes, wanted: MemoryFilter, *, limit: int, after: int = NOW, position: int = NOW
) -> list[Memory]:
    """Memories that match and hold at a position, newest first, and came in before the one of number ``after``."""
    statement = (
        select(*_memory.c)
        .where(*_held, _memory.c.since < bindparam("after"), *conditions(wanted))
        .order_by(_memory.c.since.desc())
        .limit(limit)
    )
    rows = snapshot.rows(statement, mind=mind, position=position, after=after)
    return [memory_of(snapshot, MemoryRow(*row), position) for row in rows]


def list_forgotten(snapshot: Snapshot, mind: bytes, limit: int) -> list[Memory]:
    """Memories that were forgotten and not erased, the last to go first."""
    return [memory_of(snapshot, MemoryRow(*row)) for row in snapshot.rows(_forgotten, mind=mind, most=limit)]


def conditions(wanted: MemoryFilter) -> Sequence[ColumnElement[bool]]:
    """A filter, as conditions on the table of memories."""
    columns = _memory.c
    found: list[ColumnElement[bool]] = [
        columns[name] == value
        for name in ("user", "session", "agent", "speaker", "subject", "source_id")
        if (value := getattr(wanted, name))
    ]
    if wanted.kinds:
        found.append(or_(*(columns.kind == kind for kind in wanted.kinds)))
    when = func.coalesce(columns.occurred_at, columns.recorded_at)
    if wanted.occurred_after is not None:
        found.append(when >= wanted.occurred_after)
    if wanted.occurred_before is not None:
        found.append(when < wanted.occurred_before)
    return found


def memory_of(snapshot: Snapshot, row: MemoryRow, position: int = NOW) -> Memory:
    """A row as people read it, as of a position: what ended later had not ended then."""
    ended = row.until is not None and row.until <= position
    return Memory(
        id=format_id(row.id),
        mind=format_id(row.mind),
        text=row.text,
        kind=cast(MemoryKind, row.kind),  # not an episode's: none is read here
        user=row.user,
        session=row.session,
        agent=row.agent,
        speaker=row.speaker,
        subject=row.subject,
        source_id=row.source_id,
        occurred_at_micros=row.occurred_at,
        valid_from_micros=row.valid_from,
        valid_to_micros=row.valid_to,
        importance=None if row.importance is None else row.importance / IMPORTANCE_PARTS,
        metadata=said_at(snapshot, row.mind, row.since).metadata,
        recorded_at_micros=row.recorded_at,
        ending=row.ending if ended else "",
        superseded_by=format_id(row.superseded_by) if ended and row.superseded_by is not None else "",
    )
