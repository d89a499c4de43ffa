"""Runs consumers: in one background thread, or in the caller's while it waits.

A lease lets one process at a time run a consumer on a mind (see ``lease``).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from sqlalchemy import and_, bindparam, func, select

from tacit.clock import Clock
from tacit.errors import ModelError, NotSettled, StoreError
from tacit.ids import Entropy
from tacit.journal.append import Appender
from tacit.journal.bell import Bell
from tacit.journal.consumer import Consumer, Span, Taken
from tacit.journal.faults import Faults
from tacit.journal.helper import HELPLESS_SECONDS, Helper, HelperFailed, NoHelper
from tacit.journal.lease import Lease, Leases
from tacit.journal.read import head_position
from tacit.journal.rest import MOMENT_SECONDS, QUIET_SECONDS, Rest
from tacit.journal.taking import Question
from tacit.journal.writer import Writer
from tacit.stores import schema
from tacit.stores.port import Snapshot, Store

_log = logging.getLogger("tacit.journal.consumers")
WORTH_HELP, WORTH_GOING_ON = 1_000, 50
"""Events. When consumers are so far behind, a helper is started, which takes it about as long as it takes them to catch
up; and when they are so far behind, one that is there is asked."""
MUCH_SECONDS = 0.25
"""In a short burst, consumers that have more to do wait for its end: they would take a processor from writers."""
_NO_MIND = b""
"""Stands for all minds, where the store itself is in trouble."""
_row = schema.consumer
_position = func.coalesce(_row.c.position, 0)
_lag = select(schema.head.c.mind, schema.head.c.position, _position).select_from(
    schema.head.outerjoin(_row, and_(_row.c.mind == schema.head.c.mind, _row.c.name == bindparam("named")))
)
_behind = _lag.where(schema.head.c.position > _position)
_lag_of_mind = _lag.where(schema.head.c.mind == bindparam("mind"))


class _StoppingError(Exception):
    """The store is being closed."""


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
        helper: Helper | None = None,
    ) -> None:
        self._store = store
        self._writer = writer
        self._consumers = tuple(consumers)
        self._pace = pace
        self._chores: tuple[Callable[[], object], ...] = ()
        self._leases = Leases(writer, clock, entropy, pace.lease_seconds)
        self._helper = helper
        self._helped = 0.0  # seconds that this round has waited for the helper
        self._helpless_until = float("-inf")
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
        self._event_seconds: defaultdict[str, float] = defaultdict(float)  # what the last batch of each took
        self._moved_last: dict[str, bytes] = {}  # consumer -> the mind that had its turn last
        self._delayed: set[Callable[[], object]] = set()  # chores that wait for the store, which has been said

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, *chores: Callable[[], object]) -> None:
        """Run in the background from now on, with chores that are done after each round.

        Where no thread can be started, the log says so, and they run while somebody waits for them.
        """
        if self._thread is not None:
            return
        self._chores = chores
        thread = threading.Thread(target=self._work, name="tacit-consumers", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            names = ", ".join(each.name for each in self._consumers)
            _log.warning(
                "nothing is learned in the background (%s), only while somebody waits for it: %s", names, error
            )
            return
        self._thread = thread

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
        for consumer in self._consumers:
            consumer.close()
        if self._helper is not None:
            self._helper.end()
        self._leases.give_back()

    def _work(self) -> None:
        while not self._stopping:
            self._wake.forget()
            started = time.monotonic()
            moved = self._round()
            for chore in self._chores:
                self._do(chore)
            if not moved:
                self._wake.wait(self._poll_seconds())
            spent = time.monotonic() - started
            if not self.rest.bursting:
                spent -= self._helped  # it took nothing from writers
            self._hurry.wait(self.rest.seconds(spent, moved=moved, put_off=self._put_off))

    def _poll_seconds(self) -> float:
        poll = self._pace.poll_seconds
        return min(poll, QUIET_SECONDS) if self._put_off and self.rest.bursting else poll  # nothing rings at its end

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
        self._helped = 0.0
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
            for mind, behind in self._behind(consumer):
                if self._stopping:
                    break
                moved = self._turn(consumer, mind, behind) or moved
        except StoreError as error:  # the store's trouble, not the consumer's: whoever writes hears of it too
            level = _again(self._away.is_set())
            self._away.set()
            self._faults.note(consumer.name, _NO_MIND, error)
            _log.log(level, "a consumer waits for the store: %s", error, extra={"consumer": consumer.name})
            return False
        self._faults.forget(consumer.name, _NO_MIND)
        self._away.clear()
        return moved

    def _behind(self, consumer: Consumer) -> list[tuple[bytes, int]]:
        """The minds that are behind, each by how many events: those that somebody waits for first, then each in its
        turn."""
        with self._store.snapshot() as snapshot:
            rows = snapshot.rows(_behind, named=consumer.kept_as)
        minds = {bytes(mind): int(head) - int(position) for mind, head, position in rows}
        last = self._moved_last.get(consumer.name, b"")
        order = sorted(minds, key=lambda mind: (not self._is_awaited(consumer, mind), mind <= last, mind))
        return [(mind, minds[mind]) for mind in order]

    def _turn(self, consumer: Consumer, mind: bytes, behind: int) -> bool:
        """A batch, unless the last ones failed; the fault of one mind must not stop the others."""
        if self._faults.pausing(consumer.name, mind):
            return False
        much = behind * self._event_seconds[consumer.name] > MUCH_SECONDS
        if much and self.rest.bursting and not self._is_awaited(consumer, mind):
            self._put_off = True
            return False
        try:
            moved = self._batch(consumer, mind, behind)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - a consumer's fault must not stop the others; it is reported and retried
            _tell(consumer, error, fresh=self._faults.note(consumer.name, mind, error))
            return False
        self._faults.forget(consumer.name, mind)
        if moved:
            self._moved_last[consumer.name] = mind
        return moved

    def _batch(self, consumer: Consumer, mind: bytes, behind: int) -> bool:
        lease, started = self._leases.hold(consumer.kept_as, mind), time.monotonic()
        if lease is None:
            return False
        with self._leases.renewed(lease):
            taken = self._take_with_help(lease, behind) or self._take(consumer, lease)
        self._put_off = self._put_off or taken is None
        if taken is None or taken.position == lease.position:
            return False
        effects, events = taken.effects, taken.position - lease.position

        def apply(appender: Appender) -> None:
            if effects is not None:
                consumer.apply(appender, mind, effects)

        moved = self._leases.advance(lease, taken.position, apply)
        self._event_seconds[consumer.name] = (time.monotonic() - started) / events
        return moved

    def _take_with_help(self, lease: Lease, behind: int) -> Taken | None:
        """What the helper makes of it; None when it is not worth its while, or it fails."""
        helper, started = self._helper, time.monotonic()
        if helper is None or started < self._helpless_until:
            return None
        if behind < (WORTH_GOING_ON if helper.running else WORTH_HELP):
            return None
        try:
            taken: Taken | None = helper.ask(
                Question(lease.name, lease.mind, lease.position, self._pace.batch_events), self._check
            )
        except _StoppingError:
            return None
        except (NoHelper, HelperFailed) as error:
            self._helpless_until = started + HELPLESS_SECONDS
            _log.warning("consumers have no process of their own for a while: %s", error)
            return None
        finally:
            self._helped += time.monotonic() - started
        return taken

    def _check(self) -> None:
        if self._stopping:
            raise _StoppingError

    def _take(self, consumer: Consumer, lease: Lease) -> Taken | None:
        if self._stopping:
            return None
        with self._store.snapshot() as snapshot:
            taken = consumer.take(snapshot, lease.mind, self._span(snapshot, consumer, lease))
        if taken is None or taken.think is None:
            return taken
        effects = taken.think()
        return None if effects is None else Taken(taken.position, effects)

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


def _tell(consumer: Consumer, error: Exception, *, fresh: bool) -> None:
    """Log what a consumer failed with, once. A model that is away is no fault of the program's: that takes one line,
    and none where whoever asked the model has said it."""
    extra = {"consumer": consumer.name}
    if isinstance(error, ModelError):
        level = logging.WARNING if fresh and not error.context.get("away") else logging.DEBUG
        _log.log(level, "a consumer waits for its model: %s", error, extra=extra)
        return
    level = logging.ERROR if fresh else logging.DEBUG
    _log.log(level, "a consumer failed; it is tried again", exc_info=error, extra=extra)


def _again(said: bool) -> int:
    """The level of a line that would be repeated each second for as long as the store is away."""
    return logging.DEBUG if said else logging.WARNING
