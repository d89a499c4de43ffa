"""Reading events back, in the order in which this store received them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, or_, select

from tacit.errors import IntegrityError
from tacit.journal import canonical
from tacit.journal.event import Event, Recorded
from tacit.stores import schema
from tacit.stores.port import Snapshot

_event, _payload = schema.event, schema.payload
_with_payload = _event.outerjoin(
    _payload, (_payload.c.mind == _event.c.mind) & (_payload.c.position == _event.c.position)
)
_after = (
    select(*_event.c)
    .where(_event.c.mind == bindparam("mind"), _event.c.position > bindparam("after"))
    .order_by(_event.c.position)
    .limit(bindparam("most"))
)
_after_with_payload = (
    select(*_event.c, _payload.c.body)
    .select_from(_with_payload)
    .where(_event.c.mind == bindparam("mind"), _event.c.position > bindparam("after"))
    .order_by(_event.c.position)
    .limit(bindparam("most"))
)
_by_id = (
    select(*_event.c, _payload.c.body)
    .select_from(_with_payload)
    .where(_event.c.mind == bindparam("mind"), _event.c.id == bindparam("id"))
)
_at = (
    select(*_event.c, _payload.c.body)
    .select_from(_with_payload)
    .where(_event.c.mind == bindparam("mind"), _event.c.position == bindparam("position"))
)
_recorded_at = select(_event.c.recorded_at).where(
    _event.c.mind == bindparam("mind"), _event.c.position == bindparam("position")
)
_still_there = select(_payload.c.position).where(
    _payload.c.mind == bindparam("mind"),
    _payload.c.position >= bindparam("first"),
    _payload.c.position <= bindparam("last"),
)
_head_position = select(schema.head.c.position).where(schema.head.c.mind == bindparam("mind"))


def _recorded(row: Sequence[Any]) -> Recorded:
    body = row[-1]
    return Recorded(Event(*row[:-1]), None if body is None else canonical.decode(bytes(body)))


def events_after(
    snapshot: Snapshot, mind: bytes, position: int, most: int, kinds: frozenset[str] | None = None
) -> list[Event]:
    """Up to ``most`` events behind ``position``, of these kinds (or of all), in order, without their payloads."""
    statement = _after if kinds is None else _after_of(kinds)
    return [Event(*row) for row in snapshot.rows(statement, mind=mind, after=position, most=most)]


@lru_cache
def _after_of(kinds: frozenset[str]) -> Select[Any]:
    return _after.where(or_(*(_event.c.kind == kind for kind in sorted(kinds))))


def all_events(snapshot: Snapshot, mind: bytes, *, batch: int = 1_000) -> Iterator[Recorded]:
    """Every event of a mind with its payload, in order, read in batches."""
    position = 0
    while found := snapshot.rows(_after_with_payload, mind=mind, after=position, most=batch):
        yield from map(_recorded, found)
        position = found[-1][1]


def event_by_id(snapshot: Snapshot, mind: bytes, id: bytes) -> Recorded | None:
    """The event with that id, or None."""
    row = snapshot.row(_by_id, mind=mind, id=id)
    return None if row is None else _recorded(row)


def event_at(snapshot: Snapshot, mind: bytes, position: int) -> Recorded:
    """The event at a position that a view refers to.

    Raises:
        IntegrityError: there is none, so the view does not match the journal.
    """
    row = snapshot.row(_at, mind=mind, position=position)
    if row is None:
        raise IntegrityError(
            f"a view refers to event {position}, which the journal does not hold; run 'tacit journal verify'",
            position=position,
        )
    return _recorded(row)


def still_there(snapshot: Snapshot, mind: bytes, first: int, last: int) -> set[int]:
    """The positions from ``first`` to ``last`` whose payload has not been erased."""
    return {row[0] for row in snapshot.rows(_still_there, mind=mind, first=first, last=last)}


def head_position(snapshot: Snapshot, mind: bytes) -> int:
    """The position of the newest event; 0 when there is none."""
    row = snapshot.row(_head_position, mind=mind)
    return int(row[0]) if row else 0


def position_at(snapshot: Snapshot, mind: bytes, moment: int) -> int:
    """The position of the last event recorded at or before ``moment`` (µs UTC); 0 when there is none.

    ``recorded_at`` never goes back along positions, so this is a binary search of some twenty point reads.
    """
    low, high = 0, head_position(snapshot, mind)
    while low < high:
        middle = (low + high + 1) // 2
        row = snapshot.row(_recorded_at, mind=mind, position=middle)
        if row is not None and row[0] <= moment:
            low = middle
        else:
            high = middle - 1
    return low
