"""The journal of a store: everything that writes, signs and follows events, put together."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from tacit.clock import Clock
from tacit.errors import Closed, ForkedStore, NotSettled, TacitError
from tacit.ids import Entropy
from tacit.journal.allowance import Allowance, Bounds
from tacit.journal.append import Appender, Masker, Preparer, Projection
from tacit.journal.consumer import Consumer
from tacit.journal.consumers import Consumers, Pace, not_settled
from tacit.journal.helper import Helper
from tacit.journal.node import Node, load_node
from tacit.journal.notary import Cadence, Notary
from tacit.journal.writer import Writer
from tacit.retry import RetryPolicy
from tacit.stores.port import Store

_log = logging.getLogger("tacit.journal")
T = TypeVar("T")


class Held(Protocol):
    """Something that holds events back, such as a buffered episode."""

    def flush(self) -> None:
        """Write what is held."""
        ...


_THINKERS_IDLE_SECONDS = 0.5
"""What takes long is not in a hurry either: it looks no more often for something to do."""


class JournalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a journal runs; see the settings of the same names."""

    group_events: int = 1_000
    max_body_bytes: int = 10_000_000
    max_depth: int = 32
    retry: RetryPolicy = RetryPolicy()
    cadence: Cadence = Cadence()
    pace: Pace = Pace()
    anchor: Path | None = None
    slow_seconds: float = 1.0
    """A commit that takes longer is warned of."""
    background: bool = True
    """Run consumers and the notary in a thread; otherwise they run only inside ``settle`` and ``close``."""


class Journal:
    """Appends events through one writing thread, folds them into views, and runs consumers over them.

    On a store that can only be read, appending raises ReadOnly, and nothing is signed, anchored or consumed.
    """

    def __init__(
        self,
        store: Store,
        *,
        projections: Sequence[Projection],
        consumers: Sequence[Consumer],
        thinkers: Sequence[Consumer] = (),
        helper: Helper | None = None,
        masker: Masker,
        clock: Clock,
        entropy: Entropy,
        options: JournalOptions | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        options = options or JournalOptions()
        self.allowance = allowance or Allowance(Bounds())
        self.store = store
        self.clock = clock
        self.options = options
        node = load_node(store, entropy, clock.now())
        assert node is not None
        self.node: Node = node
        self.preparer = Preparer(
            clock, entropy, masker, max_body_bytes=options.max_body_bytes, max_depth=options.max_depth
        )
        self.writer = Writer(
            store,
            origin=node.origin,
            clock=clock,
            projections=by_kind(projections),
            group_events=options.group_events,
            retry=options.retry,
            on_commit=self._woken,
            slow_seconds=options.slow_seconds,
        )
        self.notary = Notary(store, self.writer, node, clock, options.cadence, options.anchor)
        group = functools.partial(
            Consumers, store, self.writer, clock=clock, entropy=entropy, pace=options.pace, away=threading.Event()
        )
        self.consumers = group(consumers, helper=helper)
        self.thinkers = tuple(group((one,), idle=_THINKERS_IDLE_SECONDS) for one in thinkers)
        """Those that take long, each in a thread of its own, so that nobody waits for them."""
        self.held: weakref.WeakSet[Held] = weakref.WeakSet()
        """What holds events back on purpose; it is flushed before the journal closes."""
        _open.add(self)
        self._closing = threading.RLock()  # once closed, no job comes in from outside, so all there is can be signed
        self._closed = False
        if not store.read_only:
            self._anchor_missing()

    def _anchor_missing(self) -> None:
        try:
            self.notary.anchor_missing()
        except BaseException:
            self.writer.close()  # nobody gets this journal, so nobody else can stop its thread
            raise

    def start(self, *chores: Callable[[], object]) -> None:
        """Run consumers, the notary and further chores in the background from now on (unless the options say no)."""
        if self.options.background and not self.store.read_only:
            self.consumers.start(self.notary.sign_due, *chores)
            for thinker in self.thinkers:
                thinker.start()

    def _woken(self) -> None:
        for each in self._all_consumers:
            each.wake()

    @property
    def _all_consumers(self) -> tuple[Consumers, ...]:
        return (self.consumers, *self.thinkers)

    def lag(self, mind: bytes) -> dict[str, int]:
        """For each consumer, how many events of this mind it has yet to see."""
        return {name: count for each in self._all_consumers for name, count in each.lag(mind).items()}

    def settle(self, mind: bytes, timeout: float, *, only: str = "") -> None:
        """Wait until every consumer (or ``only`` that one) has reached the head of this mind; see Consumers.settle."""
        with contextlib.ExitStack() as hurried:
            for each in self._all_consumers:
                hurried.enter_context(each.hurried(mind, only))
            try:
                self._wait_for(mind, time.monotonic() + timeout, only)
            except NotSettled as error:
                lag = {name: count for name, count in self.lag(mind).items() if not only or name == only}
                failures = {name: text for each in self._all_consumers for name, text in each.failures.items()}
                raise not_settled(timeout, lag, failures, read_only=self.store.read_only) from error

    def _wait_for(self, mind: bytes, deadline: float, only: str) -> None:
        behind = True
        while behind:  # what one writes may be something for another to see
            for each in self._all_consumers:
                each.settle(mind, deadline - time.monotonic(), only=only)
            behind = any(count for name, count in self.lag(mind).items() if not only or name == only)

    def submit(self, job: Callable[[Appender], T], *, bounded: bool = True) -> Future[T]:
        """Queue a job for the writing thread; the future resolves when its changes are durable.

        Args:
            bounded: by quotas. Erasing is not: whoever is over one must be able to make room.
        """
        if self.writer.forked:
            raise ForkedStore("the process forked after opening the store; open it again in the child")
        with self._closing:
            if self._closed:
                raise Closed("the store is closed")
            for each in self._all_consumers:
                each.rest.written()
            return self.writer.submit(self.allowance.bounded(job) if bounded else job)

    def run(self, job: Callable[[Appender], T]) -> T:
        """Run a job in the writing thread and wait until its changes are durable."""
        return self.submit(job).result()

    def in_own_thread(self) -> bool:
        """Whether the caller is a thread of the journal's, which cannot wait until the journal has done something."""
        return self.writer.in_own_thread() or any(each.in_own_thread() for each in self._all_consumers)

    def close(self) -> None:
        """Finish what was submitted, stop the consumers, sign what is unsigned. The store stays open.

        What fails is raised when everything else is done. In a forked child there is nothing to close.
        """
        if self.writer.forked or self._closed:
            return
        with contextlib.ExitStack() as steps:  # from the last to the first, whatever fails on the way
            steps.callback(self._end)
            for held in list(self.held):
                steps.callback(held.flush)

    def _end(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
        with contextlib.ExitStack() as steps:
            steps.callback(self.writer.close)
            if not self.store.read_only:
                steps.callback(self.notary.anchor_missing)
                steps.callback(self.notary.sign_all)
                for each in self._all_consumers:
                    each.halt()  # all of them before the first one is waited for
                    steps.callback(each.stop)
                steps.callback(self.writer.run, _nothing)  # behind everything that was submitted


_open: weakref.WeakSet[Journal] = weakref.WeakSet()


def _flush_all() -> None:
    """At the end of the program: write what buffered episodes of unclosed stores still hold."""
    for journal in list(_open):
        if journal.writer.forked:  # the steps are the parent's to write
            continue
        for held in list(journal.held):
            try:
                held.flush()
            except TacitError as error:
                _log.warning("buffered steps were not written: %s", error)


atexit.register(_flush_all)


def _nothing(appender: Appender) -> None:  # noqa: ARG001 - a job without effects
    return None


def by_kind(projections: Sequence[Projection]) -> dict[str, list[Projection]]:
    """The projections for each kind of event, in the order given."""
    found: dict[str, list[Projection]] = defaultdict(list)
    for projection in projections:
        for kind in sorted(projection.kinds):
            found[kind].append(projection)
    return dict(found)
