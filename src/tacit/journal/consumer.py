"""Consumers: whatever is computed from the journal in the background.

A consumer's effects and the offset that says how far it has come are committed together, so a crash repeats nothing and
loses nothing. A lease lets one process at a time run a consumer on a mind (see ``lease``).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import and_, bindparam, func, select

from tacit.clock import Clock
from tacit.errors import NotSettled, StoreError
from tacit.ids import Entropy
from tacit.journal.append import Appender
from tacit.journal.bell import Bell
from tacit.journal.event import Event
from tacit.journal.faults import Faults
from tacit.journal.lease import Lease, Leases
from tacit.journal.read import events_after, head_position
from tacit.journal.rest import MOMENT_SECONDS, Rest
from tacit.journal.writer import Writer
from tacit.stores import schema
from tacit.stores.port import Snapshot, Store

_log = logging.getLogger("tacit.journal.consumer")
_NO_MIND = b""
"""Stands for all minds, where the store itself is in trouble."""
_row = schema.consumer
_reached = select(_row.c.position).where(_row.c.mind == bindparam("mind"), _row.c.name == bindparam("named"))
_position = func.coalesce(_row.c.position, 0)
_lag = select(schema.head.c.mind, schema.head.c.position, _position).select_from(
    schema.head.outerjoin(_row, and_(_row.c.mind == schema.head.c.mind, _row.c.name == bindparam("named")))
)
_behind = _lag.where(schema.head.c.position > _position)
_lag_of_mind = _lag.where(schema.head.c.mind == bindparam("mind"))


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

    def take(self, snapshot: Snapshot, mind: bytes, span: Span) -> Taken | None:
        events = events_after(snapshot, mind, span.position, span.most, self.kinds)
        effects = self.prepare(snapshot, mind, events) if events else None
        return Taken(events[-1].position if len(events) == span.most else span.head, effects)


def consumer_position(snapshot: Snapshot, mind: bytes, kept_as: str) -> int:
    """How far the consumer whose offset is kept under that name has come on a mind; 0 when it has not begun."""
    row = snapshot.row(_reached, mind=mind, named=kept_as)
    return int(row[0]) if row else 0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How consumers run: events a batch, seconds between looks for other processes' writes, length of a lease."""

    batch_events: int = 500
    poll_seconds: float = 1.0
    lease_seconds: float = 30.0


class Consumers:
    """Runs consumers in one background thread, or in the caller's thread while they are not started."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        consumers: Sequence[Consumer],
        *,
        clock: Clock,
        entropy: Entropy,
        pace: Pace,
        away: threading.Event | None = None,
        idle: float = MOMENT_SECONDS,
    ) -> None:
        self._store = store
        self._writer = writer
        self._consumers = tuple(consumers)
        self._pace = pace
        self._chores: tuple[Callable[[], object], ...] = ()
        self._leases = Leases(writer, clock, entropy, pace.lease_seconds)
        self._running = threading.RLock()  # one round at a time in this process
        self._wake = Bell()
        self._hurry = threading.Event()  # somebody waits until everything has been consumed
        self._progress = threading.Condition()
        # callers of settle, by the mind and the consumer that they wait for; guarded by _progress
        self._waiting: Counter[tuple[bytes, str]] = Counter()
        self.rest = Rest(idle=idle)
        self._stopping = False
        self._put_off = False  # whether the last round found something to do that its consumer put off
        self._away = away or threading.Event()  # the store fails, which has been said; groups of one store share it
        self._thread: threading.Thread | None = None
        self._faults = Faults()
        self._moved_last: dict[str, bytes] = {}  # consumer -> the mind that had its turn last
        self._delayed: set[Callable[[], object]] = set()  # chores that wait for the store, which has been said

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, *chores: Callable[[], object]) -> None:
        """Run in the background from now on, with chores that are done after each round."""
        if self._thread is None:
            self._chores = chores
            self._thread = threading.Thread(target=self._work, name="tacit-consumers", daemon=True)
            self._thread.start()

    def in_own_thread(self) -> bool:
        """Whether the caller is one of the background threads."""
        return threading.current_thread() is self._thread or self._leases.in_own_thread()

    @property
    def failures(self) -> dict[str, str]:
        """Consumers that fail, each with its last error, until it succeeds again."""
        return self._faults.texts()

    def wake(self) -> None:
        """Something was written: look now."""
        self._wake.ring()

    def halt(self) -> None:
        """Begin no other batch, and give up what takes long; nobody waits for that here."""
        self._stopping = True
        self._hurry.set()
        self._wake.ring()

    def stop(self) -> None:
        """Finish the batch at hand, give the leases back, and stop."""
        self.halt()
        if self._thread is not None:
            self._thread.join()
        self._leases.give_back()

    def _work(self) -> None:
        while not self._stopping:
            self._wake.forget()
            started = time.monotonic()
            moved = self._round()
            for chore in self._chores:
                self._do(chore)
            if not moved:
                self._wake.wait(self._pace.poll_seconds)
            spent = time.monotonic() - started
            self._hurry.wait(self.rest.seconds(spent, moved=moved, put_off=self._put_off))

    def _do(self, chore: Callable[[], object]) -> None:
        try:
            chore()
            self._delayed.discard(chore)
        except StoreError as error:
            _log.log(_again(chore in self._delayed), "a chore waits for the store: %s", error)
            self._delayed.add(chore)
        except Exception:  # noqa: BLE001 - a failing chore must not stop the consumers; it is reported and tried again
            _log.warning("a chore of the store failed; it is tried again", exc_info=True)

    def _round(self) -> bool:
        """One batch for every consumer and mind that is behind; whether anything moved."""
        moved = self._put_off = False
        with self._running:
            for consumer in self._consumers:
                if not self._stopping:
                    moved = self._round_of(consumer) or moved
                if self._away.is_set():
                    break  # what it fails for one it fails for all
        if moved:
            with self._progress:
                self._progress.notify_all()
        return moved

    def _round_of(self, consumer: Consumer) -> bool:
        moved = False
        try:
            for mind in self._behind(consumer):
                if self._stopping:
                    break
                moved = self._turn(consumer, mind) or moved
        except StoreError as error:  # the store's trouble, not the consumer's: whoever writes hears of it too
            level = _again(self._away.is_set())
            self._away.set()
            self._faults.note(consumer.name, _NO_MIND, error)
            _log.log(level, "a consumer waits for the store: %s", error, extra={"consumer": consumer.name})
            return False
        self._faults.forget(consumer.name, _NO_MIND)
        self._away.clear()
        return moved

    def _behind(self, consumer: Consumer) -> list[bytes]:
        """The minds that are behind: those that somebody waits for first, then each in its turn."""
        with self._store.snapshot() as snapshot:
            minds = sorted(bytes(row[0]) for row in snapshot.rows(_behind, named=consumer.kept_as))
        last = self._moved_last.get(consumer.name, b"")
        return sorted(minds, key=lambda mind: (not self._is_awaited(consumer, mind), mind <= last, mind))

    def _turn(self, consumer: Consumer, mind: bytes) -> bool:
        """A batch, unless the last ones failed; the fault of one mind must not stop the others."""
        if self._faults.pausing(consumer.name, mind):
            return False
        try:
            moved = self._batch(consumer, mind)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - a consumer's fault must not stop the others; it is reported and retried
            level = logging.ERROR if self._faults.note(consumer.name, mind, error) else logging.DEBUG
            _log.log(level, "a consumer failed; it is tried again", exc_info=True, extra={"consumer": consumer.name})
            return False
        self._faults.forget(consumer.name, mind)
        if moved:
            self._moved_last[consumer.name] = mind
        return moved

    def _batch(self, consumer: Consumer, mind: bytes) -> bool:
        lease = self._leases.hold(consumer.kept_as, mind)
        if lease is None:
            return False
        with self._leases.renewed(lease):
            with self._store.snapshot() as snapshot:
                taken = consumer.take(snapshot, mind, self._span(snapshot, consumer, lease))
            if taken is not None and taken.think is not None:
                effects = taken.think()
                taken = None if effects is None else Taken(taken.position, effects)
        self._put_off = self._put_off or taken is None
        if taken is None or taken.position == lease.position:
            return False
        effects = taken.effects

        def apply(appender: Appender) -> None:
            if effects is not None:
                consumer.apply(appender, mind, effects)

        return self._leases.advance(lease, taken.position, apply)

    def _span(self, snapshot: Snapshot, consumer: Consumer, lease: Lease) -> Span:
        return Span(
            lease.position,
            head_position(snapshot, lease.mind),
            self._pace.batch_events,
            self._is_awaited(consumer, lease.mind),
            self.rest.bursting,
            lambda: self.rest.writing,
            lambda: self._stopping or lease.lost,
        )

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def lag(self, mind: bytes) -> dict[str, int]:
        """For each consumer, how many events of this mind it has yet to see."""
        with self._store.snapshot() as snapshot:
            found = {
                consumer.name: snapshot.row(_lag_of_mind, named=consumer.kept_as, mind=mind)
                for consumer in self._consumers
            }
        return {name: int(row[1]) - int(row[2]) if row else 0 for name, row in found.items()}

    def _lag_of(self, mind: bytes, only: str) -> dict[str, int]:
        return {name: count for name, count in self.lag(mind).items() if name == only or not only}

    def settle(self, mind: bytes, timeout: float, *, only: str = "") -> None:
        """Wait until every consumer (or ``only`` that one) has reached the head of this mind.

        Raises:
            NotSettled: not within ``timeout`` seconds, or never, because the store can only be read; the context holds
                the lag and the last error of each consumer.
            StoreError: the caller is a thread of the store's, which the consumers wait for.
        """
        if self.in_own_thread() or self._writer.in_own_thread():
            raise StoreError(
                "this runs in a thread of the store's own (as a __del__ or the callback of a weak reference may), "
                "and that cannot wait for itself. Do it in a thread of your own"
            )
        with self.hurried(mind, only):
            self._wait_for(mind, timeout, only)

    def _is_awaited(self, consumer: Consumer, mind: bytes) -> bool:
        return bool(self._waiting[mind, ""] or self._waiting[mind, consumer.name])

    @contextlib.contextmanager
    def hurried(self, mind: bytes, only: str = "") -> Iterator[None]:
        """While anybody is in here, consumers take no rest, and this mind comes first."""
        with self._progress:
            self._waiting[mind, only] += 1
            self._hurry.set()
        try:
            yield
        finally:
            with self._progress:
                self._waiting[mind, only] -= 1
                self._waiting += Counter()  # without those that nobody waits for any more
                if not self._waiting.total() and not self._stopping:
                    self._hurry.clear()

    def _wait_for(self, mind: bytes, timeout: float, only: str) -> None:
        deadline = time.monotonic() + (0 if self._store.read_only else timeout)
        while any((lag := self._lag_of(mind, only)).values()):
            if time.monotonic() >= deadline:
                raise not_settled(timeout, lag, self.failures, read_only=self._store.read_only)
            if self._thread is None:
                if not self._round():
                    time.sleep(min(0.05, self._pace.poll_seconds))
                continue
            self._wake.ring()
            with self._progress:
                self._progress.wait(0.05)  # not longer: another process may be the one that makes progress


def not_settled(timeout: float, lag: Mapping[str, int], failures: Mapping[str, str], *, read_only: bool) -> NotSettled:
    """The error that consumers have not caught up."""
    why = "the store can only be read, so" if read_only else f"after {timeout:g} s"
    behind = ", ".join(f"{name} by {count:,} events" for name, count in lag.items() if count)
    return NotSettled(f"{why} consumers are still behind: {behind}", lag=dict(lag), failures=dict(failures))


def _again(said: bool) -> int:
    """The level of a line that would be repeated each second for as long as the store is away."""
    return logging.DEBUG if said else logging.WARNING
