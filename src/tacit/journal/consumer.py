"""What a consumer is: something that is computed from the journal in the background.

A consumer's effects and the offset that says how far it has come are committed together, so a crash repeats nothing and
loses nothing. See ``consumers`` for what runs them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import bindparam, select

from tacit.journal.append import Appender
from tacit.journal.event import Event
from tacit.journal.read import events_after
from tacit.stores import schema
from tacit.stores.port import Snapshot

_row = schema.consumer
_reached = select(_row.c.position).where(_row.c.mind == bindparam("mind"), _row.c.name == bindparam("named"))


class Span(msgspec.Struct, frozen=True):
    """What lies before a consumer: the events behind ``position``, up to ``head``."""

    position: int
    head: int
    most: int
    """Events that one batch may hold."""
    hurried: bool
    """Whether somebody waits until everything has been consumed."""
    busy: bool
    """Whether somebody is writing a short burst; what takes long had better be put off."""
    writing: Callable[[], bool] = lambda: False
    """Says whether somebody is writing just now, for however long already."""
    stopped: Callable[[], bool] = lambda: False
    """Says whether the store is being closed, or another process has the lease now; what takes long had better be given
    up, to be done another time."""


class Taken(msgspec.Struct, frozen=True):
    """What a consumer made of a span: how far it has come, and what is to be written. None is nothing."""

    position: int
    effects: Any = None
    think: Callable[[], Any] | None = None
    """Works out the effects once the snapshot has been let go of: what waits for others must not keep it. When it says
    None, nothing was taken."""


class Consumer(Protocol):
    """Something computed from the journal. ``take`` reads and thinks; ``apply`` writes."""

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    @property
    def kept_as(self) -> str:
        """The name under which its offset is kept. Under another one it begins anew."""
        ...

    def take(self, snapshot: Snapshot, mind: bytes, span: Span) -> Taken | None:
        """Work out the effects of what is new, outside of any transaction; None puts it off.

        As long as it lasts, the snapshot takes up a connection, and the process cannot fork; see ``Taken.think``.
        """
        ...

    def apply(self, appender: Appender, mind: bytes, effects: Any) -> None:
        """Write the effects, in the transaction that also moves the offset."""
        ...

    def close(self) -> None:
        """Let go of what it holds; it is not asked any more."""
        ...


class EventConsumer(ABC):
    """A consumer that takes events as they come, in batches, and keeps views: a replay runs it too."""

    name: str
    kinds: frozenset[str] | None
    """The kinds of events that it wants; None is every kind."""

    @property
    def kept_as(self) -> str:
        return self.name

    @abstractmethod
    def prepare(self, snapshot: Snapshot, mind: bytes, events: Sequence[Event]) -> Any:
        """Work out the effects of a batch, outside of any transaction. Any split into batches must give the same.

        Events come without their payloads; ``journal.read`` fetches those that are wanted.
        """

    @abstractmethod
    def apply(self, appender: Appender, mind: bytes, effects: Any) -> None:
        """Write the effects, in the transaction that also moves the offset."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        pass

    def take(self, snapshot: Snapshot, mind: bytes, span: Span) -> Taken | None:
        events = events_after(snapshot, mind, span.position, span.most, self.kinds)
        effects = self.prepare(snapshot, mind, events) if events else None
        return Taken(events[-1].position if len(events) == span.most else span.head, effects)


def consumer_position(snapshot: Snapshot, mind: bytes, kept_as: str) -> int:
    """How far the consumer whose offset is kept under that name has come on a mind; 0 when it has not begun."""
    row = snapshot.row(_reached, mind=mind, named=kept_as)
    return int(row[0]) if row else 0
