"""Reading what recall ranks: rows of memories by their numbers, and the numbers of those beside them in a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ScalarSelect, bindparam, or_, select

from tacit.experience.memory.fold import MemoryRow
from tacit.experience.memory.views import MemoryFilter, conditions
from tacit.recall.pool import OFFSETS
from tacit.stores import schema
from tacit.stores.port import Snapshot

_TIMES = ("since", "recorded_at", "occurred_at", "valid_from", "valid_to")
_AT_ONCE = 128
"""Memories that one statement reads."""

_memory = schema.memory
_PLACES = tuple(f"number{place}" for place in range(_AT_ONCE))
_some: list[BindParameter[int]] = [bindparam(name) for name in _PLACES]
_held = select(_memory.c.until, *[_memory.c[name] for name in _TIMES]).where(
    _memory.c.mind == bindparam("mind"), _memory.c.since.in_(_some)
)
_rows = select(*_memory.c).where(_memory.c.mind == bindparam("mind"), _memory.c.since.in_(_some))


def _beside(offset: int) -> ScalarSelect[Any]:
    """The number of the memory so many places from another one in its session, of those that hold at a position."""
    other = _memory.alias(f"beside{offset + len(OFFSETS)}")
    before = offset < 0
    nearest = other.c.since.desc() if before else other.c.since
    return (
        select(other.c.since)
        .where(
            other.c.mind == _memory.c.mind,
            other.c.session == _memory.c.session,
            other.c.user == _memory.c.user,
            other.c.since < _memory.c.since if before else other.c.since > _memory.c.since,
            other.c.since <= bindparam("position"),
            or_(other.c.until.is_(None), other.c.until > bindparam("position")),
        )
        .order_by(nearest)
        .limit(1)
        .offset(abs(offset) - 1)
        .correlate(_memory)
        .scalar_subquery()
    )


_around = select(_memory.c.since, *[_beside(offset) for offset in OFFSETS]).where(
    _memory.c.mind == bindparam("mind"), _memory.c.since.in_(_some)
)


class Held(NamedTuple):
    """A memory that holds: its number and its times, µs since 1970 UTC."""

    since: int
    recorded_at: int
    occurred_at: int | None
    valid_from: int | None
    valid_to: int | None


def read_held(snapshot: Snapshot, mind: bytes, numbers: Iterable[int], position: int) -> dict[int, Held]:
    """Those of the memories of some numbers that hold at a position, without their texts."""
    found: dict[int, Held] = {}
    for values in _shares(sorted(set(numbers))):
        for until, *fields in snapshot.rows(_held, mind=mind, **values):
            held = Held(*fields)
            if held.since <= position and (until is None or until > position):
                found[held.since] = held
    return found


def newest_of_the_time(
    snapshot: Snapshot, mind: bytes, wanted: MemoryFilter, valid_at: int | None, position: int, most: int
) -> list[int]:
    """The numbers of the newest memories that hold at a position, meet a filter, and are true at a time, if one is
    given. It may read all that a mind remembers."""
    columns = _memory.c
    true_then = (
        or_(columns.valid_from.is_(None), columns.valid_from <= bindparam("valid_at")),
        or_(columns.valid_to.is_(None), columns.valid_to > bindparam("valid_at")),
    )
    statement = (
        select(columns.since)
        .where(
            columns.mind == bindparam("mind"),
            columns.since <= bindparam("position"),
            or_(columns.until.is_(None), columns.until > bindparam("position")),
            *conditions(wanted),
            *(() if valid_at is None else true_then),
        )
        .order_by(columns.since.desc())
        .limit(most)
    )
    moment = {} if valid_at is None else {"valid_at": valid_at}
    return [int(number) for (number,) in snapshot.rows(statement, mind=mind, position=position, **moment)]


def read_rows(snapshot: Snapshot, mind: bytes, numbers: Iterable[int], position: int) -> dict[int, MemoryRow]:
    """The memories of those numbers that hold at a position, by number. What was erased is not among them."""
    found: dict[int, MemoryRow] = {}
    for values in _shares(sorted(set(numbers))):
        for fields in snapshot.rows(_rows, mind=mind, **values):
            row = MemoryRow(*fields)
            if row.since <= position and (row.until is None or row.until > position):
                found[row.since] = row
    return found


def read_around(
    snapshot: Snapshot, mind: bytes, numbers: Iterable[int], position: int
) -> dict[int, tuple[int | None, ...]]:
    """The numbers of the neighbours, by OFFSETS, of memories that are in a session each; None: no neighbour."""
    found: dict[int, tuple[int | None, ...]] = {}
    for values in _shares(sorted(set(numbers))):
        for number, *beside in snapshot.rows(_around, mind=mind, position=position, **values):
            found[int(number)] = tuple(beside)
    return found


def _shares(numbers: Sequence[int]) -> Iterator[dict[str, int]]:
    """Numbers as the values of a statement; the last one fills the places left."""
    for first in range(0, len(numbers), _AT_ONCE):
        part = numbers[first : first + _AT_ONCE]
        yield dict(zip(_PLACES, chain(part, repeat(part[-1])), strict=False))
