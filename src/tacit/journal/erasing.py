"""Erasing, as the journal knows it: the event that says what was erased, what it leaves behind, and what it refuses.

Erasing removes the payloads (salt and body) of events; their headers stay, so every chain still verifies. What was
erased is said by one event, with opaque ids alone: no text, no name, nothing that a guess could be tested against.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, select

from tacit.ids import format_id, parse_id
from tacit.journal import canonical
from tacit.journal.event import Event, Recorded
from tacit.journal.minds import MIND_CREATED
from tacit.journal.read import event_by_id
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

CONTENT_ERASED = "content.erased"
KEPT_KINDS = frozenset({MIND_CREATED, CONTENT_ERASED})
"""Never erased: without them nobody could tell what was, nor recognise it when it comes again."""

_event, _payload, _erasure, _tombstone = schema.event, schema.payload, schema.erasure, schema.tombstone
_bodies = (
    select(_payload.c.body)
    .select_from(_event.join(_payload, (_payload.c.mind == _event.c.mind) & (_payload.c.position == _event.c.position)))
    .where(_event.c.mind == bindparam("mind"), _event.c.kind == bindparam("kind"))
)
_last = select(func.max(_erasure.c.position)).where(_erasure.c.mind == bindparam("mind"))
_of_request = (
    select(_erasure.c.id)
    .where(_erasure.c.mind == bindparam("mind"), _erasure.c.request == bindparam("request"))
    .order_by(_erasure.c.position)
)
_of_mind = select(_erasure.c.id).where(_erasure.c.mind == bindparam("mind")).order_by(_erasure.c.position)
_any_mark = select(_tombstone.c.position).where(_tombstone.c.mind == bindparam("mind")).limit(1)
_mark = select(_tombstone.c.position).where(
    _tombstone.c.mind == bindparam("mind"), _tombstone.c.mark == bindparam("mark")
)
_drop_payload = delete(_payload).where(_payload.c.mind == bindparam("of"), _payload.c.position == bindparam("at"))
_there = select(_payload.c.position).where(
    _payload.c.mind == bindparam("mind"), _payload.c.position == bindparam("position")
)


class Erasure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The payload of the event. Ids are UUIDs; marks and hashes are in hex."""

    what: str
    """What was asked for: an episode, a memory, a user, a session, a source, or everything."""
    request: str
    """The mark of that request, by which it is found when it is made again."""
    episodes: tuple[str, ...] = ()
    memories: tuple[str, ...] = ()
    exposures: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    """Every event whose payload was removed."""
    marks: tuple[str, ...] = ()
    """The tombstones: what bears one of them is refused from now on."""
    counts: dict[str, int] = {}
    """How many rows were removed, by table."""
    again: str = ""
    """Of an erasure that was applied anew to a restored store: the hash that its event had at first."""


def erasure_of(payload: dict[str, Any]) -> Erasure:
    """The payload as what it is."""
    return msgspec.convert(payload, Erasure)


class ErasureProjection:
    """Keeps the views of erasures and tombstones."""

    kinds = frozenset({CONTENT_ERASED})

    def apply(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        erasure = erasure_of(payload)
        request = bytes.fromhex(erasure.request)
        transaction.insert(_erasure, ((event.mind, event.position, event.id, request),))
        marks = new_marks(transaction, event.mind, map(bytes.fromhex, erasure.marks))
        if marks:
            transaction.insert(_tombstone, [(event.mind, mark, event.position) for mark in sorted(marks)])


def new_marks(snapshot: Snapshot, mind: bytes, marks: Iterable[bytes]) -> set[bytes]:
    """Those of the marks that no tombstone bears yet."""
    return {mark for mark in marks if snapshot.row(_mark, mind=mind, mark=mark) is None}


def has_tombstones(snapshot: Snapshot, mind: bytes) -> bool:
    """Whether anything of a mind was ever erased."""
    return snapshot.row(_any_mark, mind=mind) is not None


def is_refused(snapshot: Snapshot, mind: bytes, marks: Iterable[bytes]) -> bool:
    """Whether any of the marks is that of a tombstone."""
    return any(snapshot.row(_mark, mind=mind, mark=mark) is not None for mark in marks)


def last_erasure(snapshot: Snapshot, mind: bytes) -> int:
    """The position of the newest erasure; 0 when nothing was ever erased. What was read before it is not to be used."""
    row = snapshot.row(_last, mind=mind)
    return int(row[0] or 0) if row else 0


def erased_events(snapshot: Snapshot, mind: bytes) -> frozenset[bytes]:
    """The ids of all events whose payloads were erased, from the journal alone."""
    found: set[bytes] = set()
    for (body,) in snapshot.rows(_bodies, mind=mind, kind=CONTENT_ERASED):
        found.update(map(parse_id, erasure_of(canonical.decode(bytes(body))).events))
    return frozenset(found)


def erasures(snapshot: Snapshot, mind: bytes, request: bytes | None = None) -> list[Recorded]:
    """The events of erasures, oldest first: all of a mind, or those of one request."""
    rows = (
        snapshot.rows(_of_mind, mind=mind)
        if request is None
        else snapshot.rows(_of_request, mind=mind, request=request)
    )
    found = (event_by_id(snapshot, mind, bytes(id)) for (id,) in rows)
    return [recorded for recorded in found if recorded is not None and recorded.payload is not None]


def has_payload(snapshot: Snapshot, mind: bytes, position: int) -> bool:
    """Whether the payload at a position is there."""
    return snapshot.row(_there, mind=mind, position=position) is not None


def remove_payloads(transaction: Transaction, mind: bytes, positions: Iterable[int]) -> int:
    """Remove salt and body of events; how many were still there."""
    return sum(transaction.execute(_drop_payload, of=mind, at=position) for position in sorted(positions))


def hex_of(marks: Iterable[bytes]) -> tuple[str, ...]:
    """Marks as the payload holds them."""
    return tuple(sorted(mark.hex() for mark in marks))


def ids_of(raw: Iterable[bytes]) -> tuple[str, ...]:
    """Ids as the payload holds them."""
    return tuple(sorted(map(format_id, raw)))
