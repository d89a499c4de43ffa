"""The total order in which views fold a mind's events: by clock, then origin, then sequence."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from tacit.journal.event import Event
from tacit.stores import schema
from tacit.stores.port import Snapshot

_event = schema.event
_READ_AHEAD = 500
_first_origin = select(_event.c.origin).where(_event.c.mind == bindparam("mind")).order_by(_event.c.origin).limit(1)
_next_origin = _first_origin.where(_event.c.origin > bindparam("after"))
_behind = (
    select(*_event.c)
    .where(
        _event.c.mind == bindparam("mind"),
        _event.c.origin == bindparam("origin"),
        _event.c.sequence > bindparam("after"),
    )
    .order_by(_event.c.sequence)
    .limit(_READ_AHEAD)
)


class TotalOrder:
    """Merges the chains of one mind. Along a chain the clock only grows, so each is in order already."""

    def __init__(self, snapshot: Snapshot, mind: bytes) -> None:
        self._mind = mind
        self._waiting: dict[bytes, list[Event]] = {}  # for each origin, its next events, the very next one last
        for origin in _origins(snapshot, mind):
            self._refill(snapshot, origin, 0)

    def take(self, snapshot: Snapshot, most: int) -> list[Event]:
        """The next events, up to ``most``; none when all were taken. Each call may bring another snapshot."""
        taken: list[Event] = []
        while self._waiting and len(taken) < most:
            origin = min(self._waiting, key=self._place)
            event = self._waiting[origin].pop()
            taken.append(event)
            if not self._waiting[origin]:
                self._refill(snapshot, origin, event.sequence)
        return taken

    def _place(self, origin: bytes) -> tuple[int, bytes]:
        return self._waiting[origin][-1].clock, origin

    def _refill(self, snapshot: Snapshot, origin: bytes, after: int) -> None:
        rows = snapshot.rows(_behind, mind=self._mind, origin=origin, after=after)
        if rows:
            self._waiting[origin] = [Event(*row) for row in reversed(rows)]
        else:
            self._waiting.pop(origin, None)


def _origins(snapshot: Snapshot, mind: bytes) -> list[bytes]:
    found: list[bytes] = []
    row = snapshot.row(_first_origin, mind=mind)
    while row is not None:
        found.append(bytes(row[0]))
        row = snapshot.row(_next_origin, mind=mind, after=found[-1])
    return found
