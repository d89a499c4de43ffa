"""Consumers: whatever is computed from the journal in the background.

A consumer's effects and the offset that says how far it has come are committed together, so a crash repeats nothing and
loses nothing. A lease lets one process at a time run a consumer on a mind; each change of holder raises the epoch, and
a write under an old epoch is refused, so a process that slept through its lease cannot write.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import and_, bindparam, func, select, update

from tacit.clock import MICROS_PER_SECOND, Clock
from tacit.errors import Conflict, NotSettled, StoreError
from tacit.ids import Entropy
from tacit.journal.append import Appender
from tacit.journal.bell import Bell
from tacit.journal.event import Event
from tacit.journal.read import events_after, head_position
from tacit.journal.rest import MOMENT_SECONDS, Rest
from tacit.journal.writer import Writer
from tacit.stores import schema
from tacit.stores.port import Snapshot, Store

_log = logging.getLogger("tacit.journal.consumer")
_row = schema.consumer
_this = and_(_row.c.mind == bindparam("of"), _row.c.name == bindparam("named"))
_state = select(_row.c.position, _row.c.epoch, _row.c.holder, _row.c.expires_at).where(_this).with_for_update()
_reached = select(_row.c.position).where(_row.c.mind == bindparam("mind"), _row.c.name == bindparam("named"))
_take = (
    update(_row)
    .where(_this, _row.c.epoch == bindparam("old_epoch"))
    .values(epoch=bindparam("epoch"), holder=bindparam("holder"), expires_at=bindparam("expires_at"))
)
_advance = (
    update(_row)
    .where(_this, _row.c.epoch == bindparam("old_epoch"), _row.c.position == bindparam("old"))
    .values(position=bindparam("position"), expires_at=bindparam("expires_at"))
)
_release = update(_row).where(_row.c.holder == bindparam("old_holder")).values(holder="", expires_at=0)
_position = func.coalesce(_row.c.position, 0)
_lag = select(schema.head.c.mind, schema.head.c.position, _position).select_from(
    schema.head.outerjoin(_row, and_(_row.c.mind == schema.head.c.mind, _row.c.name == bindparam("named")))
)
_behind = _lag.where(schema.head.c.position > _position)
_lag_of_mind = _lag.where(schema.head.c.mind == bindparam("mind"))


_MOST_LEASES = 3
"""A lease that ends later than so many leases from now was taken under a clock that is wrong: it is not believed."""


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
    writing: bool = False
    """Whether somebody is writing, for however long."""
    stopped: Callable[[], bool] = lambda: False
    """Says whether the store is being closed; what takes long had better be given up, to be done another time."""


class Taken(msgspec.Struct, frozen=True):
    """What a consumer made of a span: how far it has come, and what is to be written. None is nothing."""

    position: int
    effects: Any = None


class Consumer(Protocol):
    """Something computed from the journal. ``take`` reads and thinks; ``apply`` writes."""

    @property
    def name(self) -> str:
        """Its stable name; its offset is kept under it."""
        ...

    def take(self, snapshot: Snapshot, mind: bytes, span: Span) -> Taken | None:
        """Work out the effects of what is new, outside of any transaction; None puts it off."""
        ...

    def apply(self, appender: Appender, mind: bytes, effects: Any) -> None:
        """Write the effects, in the transaction that also moves the offset."""
        ...


class EventConsumer(ABC):
    """A consumer that takes events as they come, in batches, and keeps views: a replay runs it too."""

    name: str
    kinds: frozenset[str] | None
    """The kinds of events that it wants; None is every kind."""

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


def consumer_position(snapshot: Snapshot, mind: bytes, name: str) -> int:
    """How far the consumer of that name has come on a mind; 0 when it has not begun."""
    row = snapshot.row(_reached, mind=mind, named=name)
    return int(row[0]) if row else 0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How consumers run: events a batch, seconds between looks for other processes' writes, length of a lease."""

    batch_events: int = 500
    poll_seconds: float = 1.0
    lease_seconds: float = 30.0


class _Lease(msgspec.Struct):
    epoch: int
    position: int
    expires_at: int


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
        self._clock = clock
        self._pace = pace
        self._chores: tuple[Callable[[], object], ...] = ()
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{entropy.bytes(8).hex()}"
        self._leases: dict[tuple[str, bytes], _Lease] = {}
        self._running = threading.RLock()  # one round at a time in this process
        self._wake = Bell()
        self._hurry = threading.Event()  # somebody waits until everything has been consumed
        self._progress = threading.Condition()
        self._waiting: Counter[str] = Counter()  # callers of settle, by what they wait for; guarded by _progress
        self.rest = Rest(idle=idle)
        self._stopping = False
        self._put_off = False  # whether the last round found something to do that its consumer put off
        self._away = away or threading.Event()  # the store fails, which has been said; groups of one store share it
        self._thread: threading.Thread | None = None
        self.failures: dict[str, str] = {}  # consumer -> its last error, until it succeeds again
        self._delayed: set[Callable[[], object]] = set()  # chores that wait for the store, which has been said

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, *chores: Callable[[], object]) -> None:
        """Run in the background from now on, with chores that are done after each round."""
        if self._thread is None:
            self._chores = chores
            self._thread = threading.Thread(target=self._work, name="tacit-consumers", daemon=True)
            self._thread.start()

    def in_own_thread(self) -> bool:
        """Whether the caller is the background thread."""
        return threading.current_thread() is self._thread

    def wake(self) -> None:
        """Something was written: look now."""
        self._wake.ring()

    def stop(self) -> None:
        """Finish the batch at hand, give the leases back, and stop."""
        self._stopping = True
        self._hurry.set()
        self._wake.ring()
        if self._thread is not None:
            self._thread.join()
        if self._leases:
            self._writer.run(lambda appender: appender.transaction.execute(_release, old_holder=self._holder))
            self._leases.clear()

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
        try:
            with self._store.snapshot() as snapshot:
                behind = [bytes(row[0]) for row in snapshot.rows(_behind, named=consumer.name)]
            moved = False
            for mind in behind:
                if self._stopping:
                    break
                moved = self._batch(consumer, mind) or moved
        except StoreError as error:  # the store's trouble, not the consumer's: whoever writes hears of it too
            level = _again(self._away.is_set())
            self._away.set()
            self.failures[consumer.name] = f"{type(error).__name__}: {error}"
            _log.log(level, "a consumer waits for the store: %s", error, extra={"consumer": consumer.name})
            return False
        except Exception as error:  # noqa: BLE001 - a consumer's fault must not stop the others; it is reported and retried
            self.failures[consumer.name] = f"{type(error).__name__}: {error}"
            _log.exception("a consumer failed; it is tried again", extra={"consumer": consumer.name})
            return False
        self.failures.pop(consumer.name, None)
        self._away.clear()
        return moved

    def _batch(self, consumer: Consumer, mind: bytes) -> bool:
        lease = self._hold(consumer.name, mind)
        if lease is None:
            return False
        with self._store.snapshot() as snapshot:
            span = Span(
                lease.position,
                head_position(snapshot, mind),
                self._pace.batch_events,
                bool(self._waiting[""] or self._waiting[consumer.name]),
                self.rest.bursting,
                self.rest.writing,
                lambda: self._stopping,
            )
            taken = consumer.take(snapshot, mind, span)
        self._put_off = self._put_off or taken is None
        if taken is None or taken.position == lease.position:
            return False
        new, effects, expires_at = taken.position, taken.effects, self._expiry()

        def apply(appender: Appender) -> None:
            if effects is not None:
                consumer.apply(appender, mind, effects)

        moved = self._writer.run(
            lambda appender: self._commit(appender, consumer.name, mind, lease, new, expires_at, apply)
        )
        if not moved:
            self._leases.pop((consumer.name, mind), None)
            return False
        lease.position, lease.expires_at = new, expires_at
        return True

    def _commit(
        self,
        appender: Appender,
        name: str,
        mind: bytes,
        lease: _Lease,
        new: int,
        expires_at: int,
        apply: Callable[[Appender], None],
    ) -> bool:
        """Effects and offset together; False when another holder has taken over (fenced)."""
        transaction = appender.transaction
        touched = transaction.execute(
            _advance,
            of=mind,
            named=name,
            old_epoch=lease.epoch,
            old=lease.position,
            position=new,
            expires_at=expires_at,
        )
        if touched == 0:
            row = transaction.row(_state, of=mind, named=name)
            return row is not None and (row[0], row[1]) == (new, lease.epoch)  # this commit's first attempt got through
        apply(appender)
        return True

    # ── leases ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _expiry(self) -> int:
        return self._clock.now() + round(self._pace.lease_seconds * MICROS_PER_SECOND)

    def _hold(self, name: str, mind: bytes) -> _Lease | None:
        """The lease on a consumer for a mind; None while another process has it."""
        lease = self._leases.get((name, mind))
        if lease is not None and lease.expires_at > self._clock.now():
            return lease
        taken = self._writer.run(lambda appender: self._acquire(appender, name, mind))
        if taken is not None:
            self._leases[name, mind] = taken
        return taken

    def _acquire(self, appender: Appender, name: str, mind: bytes) -> _Lease | None:
        transaction, now, expires_at = appender.transaction, self._clock.now(), self._expiry()
        row = transaction.row(_state, of=mind, named=name)
        if row is None:
            try:
                with transaction.savepoint():
                    transaction.insert(_row, ((mind, name, 0, 1, self._holder, expires_at),))
            except Conflict:  # another process was first
                return None
            return _Lease(1, 0, expires_at)
        position, epoch, holder, held_until = row
        believed = now + _MOST_LEASES * (expires_at - now)
        if now < held_until <= believed and holder != self._holder and not _is_dead(holder):
            return None
        transaction.execute(
            _take, of=mind, named=name, old_epoch=epoch, epoch=epoch + 1, holder=self._holder, expires_at=expires_at
        )
        return _Lease(epoch + 1, position, expires_at)

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def lag(self, mind: bytes) -> dict[str, int]:
        """For each consumer, how many events of this mind it has yet to see."""
        with self._store.snapshot() as snapshot:
            found = {
                consumer.name: snapshot.row(_lag_of_mind, named=consumer.name, mind=mind)
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
        with self.hurried(only):
            self._wait_for(mind, timeout, only)

    @contextlib.contextmanager
    def hurried(self, only: str = "") -> Iterator[None]:
        """While anybody is in here, consumers take no rest."""
        with self._progress:
            self._waiting[only] += 1
            self._hurry.set()
        try:
            yield
        finally:
            with self._progress:
                self._waiting[only] -= 1
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


def _is_dead(holder: str) -> bool:
    """Whether the holder of a lease was a process of this machine that is gone."""
    host, _, rest = holder.partition(":")
    process = rest.partition(":")[0]
    if host != socket.gethostname() or not process.isdigit():
        return holder == ""
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
