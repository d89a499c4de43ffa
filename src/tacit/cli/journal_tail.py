"""The newest events of a mind. What they say stays out of it: headers name no people and hold no contents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, bindparam, select

from tacit.ids import format_id
from tacit.journal.read import head_position
from tacit.stores import schema
from tacit.stores.port import Snapshot

_event = schema.event.c
_headers = select(
    _event.position, _event.id, _event.kind, _event.recorded_at, _event.occurred_at, _event.actor, _event.causation
).where(_event.mind == bindparam("mind"))
_newest = _headers.order_by(_event.position.desc()).limit(bindparam("most"))
_since = _headers.where(_event.position > bindparam("after"), _event.position <= bindparam("last")).order_by(
    _event.position
)


class Line(msgspec.Struct, frozen=True):
    """The header of an event; ids are UUIDs, times are µs since 1970 UTC."""

    position: int
    id: str
    kind: str
    recorded_at: int
    occurred_at: int
    actor: str
    causation: str


def newest(snapshot: Snapshot, mind: bytes, count: int, kind: str) -> tuple[list[Line], int]:
    """The newest events, oldest of them first, and the position of the head."""
    rows = snapshot.rows(_of_kind(_newest, kind), mind=mind, most=count, **_named(kind))
    return [_line(row) for row in reversed(rows)], head_position(snapshot, mind)


def since(snapshot: Snapshot, mind: bytes, position: int, kind: str) -> tuple[list[Line], int]:
    """The events behind a position, and the position of the head."""
    head = head_position(snapshot, mind)
    rows = snapshot.rows(_of_kind(_since, kind), mind=mind, after=position, last=head, **_named(kind))
    return [_line(row) for row in rows], head


def _of_kind(statement: Select[Any], kind: str) -> Select[Any]:
    return statement.where(_event.kind == bindparam("kind")) if kind else statement


def _named(kind: str) -> dict[str, str]:
    return {"kind": kind} if kind else {}


def _line(row: Sequence[Any]) -> Line:
    position, id, kind, recorded_at, occurred_at, actor, causation = row
    cause = "" if causation is None else format_id(bytes(causation))
    return Line(position, format_id(bytes(id)), kind, recorded_at, occurred_at, actor, cause)
