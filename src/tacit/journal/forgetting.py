"""Who must forget: every keeper of something that is made of events says what rests on them, and lets go of it.

The journal knows none of them. They are handed to whoever erases, as a list (``tacit.ops.keepers``); what is to be
erased grows until no keeper knows of anything more that rests on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Table, bindparam, delete, func, select

from tacit.journal.minds import MindInfo
from tacit.stores import schema
from tacit.stores.port import Row, Snapshot, Transaction

_event = schema.event
PLACE = (_event.c.id, _event.c.position, _event.c.kind, _event.c.causation)
"""The columns of an event that make a place of it; see ``Doomed.add``."""
_by_position = select(*PLACE).where(_event.c.mind == bindparam("mind"), _event.c.position == bindparam("position"))
_by_id = select(*PLACE).where(_event.c.mind == bindparam("mind"), _event.c.id == bindparam("id"))


class Place(NamedTuple):
    """Where an event stands in its mind's journal, and what it is."""

    position: int
    kind: str
    causation: bytes | None


class Fresh(NamedTuple):
    """What was added since the keepers were asked last."""

    episodes: list[bytes]
    memories: list[bytes]
    exposures: list[bytes]
    events: list[bytes]


class Doomed:
    """What is to be erased: nouns and events, by their ids, and the marks by which they are recognised afterwards."""

    def __init__(self) -> None:
        self.episodes: set[bytes] = set()
        self.memories: set[bytes] = set()
        self.exposures: set[bytes] = set()
        self.events: dict[bytes, Place] = {}
        self.marks: set[bytes] = set()
        self._fresh = Fresh([], [], [], [])

    def episode(self, id: bytes) -> None:
        """Add an episode; its keeper adds what it is made of."""
        _add(id, self.episodes, self._fresh.episodes)

    def memory(self, id: bytes) -> None:
        _add(id, self.memories, self._fresh.memories)

    def exposure(self, id: bytes) -> None:
        _add(id, self.exposures, self._fresh.exposures)

    def add(self, rows: Iterable[Row]) -> None:
        """Add events, from the columns of ``PLACE``."""
        for id, position, kind, causation in rows:
            id = bytes(id)
            if id not in self.events:
                self.events[id] = Place(int(position), kind, None if causation is None else bytes(causation))
                self._fresh.events.append(id)

    def add_at(self, snapshot: Snapshot, mind: bytes, positions: Iterable[int]) -> None:
        """Add the events at these positions."""
        for position in positions:
            self.add(snapshot.rows(_by_position, mind=mind, position=position))

    def add_ids(self, snapshot: Snapshot, mind: bytes, ids: Iterable[bytes]) -> None:
        """Add the events of these ids, as far as the journal holds them."""
        for id in ids:
            if id not in self.events:
                self.add(snapshot.rows(_by_id, mind=mind, id=id))

    def take_fresh(self) -> Fresh | None:
        """What was added since the last call; None when that is nothing."""
        fresh, self._fresh = self._fresh, Fresh([], [], [], [])
        return fresh if any(fresh) else None

    def of_kinds(self, kinds: frozenset[str]) -> list[Place]:
        """The events of some kinds, in order."""
        return sorted(place for place in self.events.values() if place.kind in kinds)


def _add(id: bytes, known: set[bytes], fresh: list[bytes]) -> None:
    if id not in known:
        known.add(id)
        fresh.append(id)


class Keeper(Protocol):
    """Keeps something of what may be erased: views, statistics, caches, indexes."""

    def follow(self, snapshot: Snapshot, mind: MindInfo, fresh: Fresh, doomed: Doomed) -> None:
        """Add all that rests on what was just added: the events of a noun, and whatever was derived from an event."""
        ...

    def count(self, snapshot: Snapshot, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        """How many rows :meth:`forget` would remove, by table. Changes nothing."""
        ...

    def forget(self, transaction: Transaction, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        """Remove every row that holds anything of it, and mend the rest as if it had never been; how many, by table."""
        ...


def complete(snapshot: Snapshot, mind: MindInfo, doomed: Doomed, keepers: Sequence[Keeper]) -> None:
    """Add everything that rests on what is to be erased."""
    while (fresh := doomed.take_fresh()) is not None:
        for keeper in keepers:
            keeper.follow(snapshot, mind, fresh, doomed)


class Rows:
    """The rows of a table that belong to something by the value of some columns: counted and removed alike."""

    def __init__(self, table: Table, *columns: str) -> None:
        self.table = str(table.name)
        self._columns = columns
        same = [table.c.mind == bindparam("of"), *(table.c[name] == bindparam(f"its_{name}") for name in columns)]
        self._count = select(func.count()).select_from(table).where(*same)
        self._forget = delete(table).where(*same)

    def _values(self, mind: bytes, key: Sequence[object]) -> dict[str, object]:
        return {"of": mind, **{f"its_{name}": value for name, value in zip(self._columns, key, strict=True)}}

    def count(self, snapshot: Snapshot, mind: bytes, keys: Iterable[Sequence[object]]) -> int:
        """How many there are for these values."""
        return sum(int(row[0]) for key in keys if (row := snapshot.row(self._count, **self._values(mind, key))))

    def forget(self, transaction: Transaction, mind: bytes, keys: Iterable[Sequence[object]]) -> int:
        """Remove them; how many there were."""
        return sum(transaction.execute(self._forget, **self._values(mind, key)) for key in keys)
