"""Group commit: one thread writes for all, many jobs to one durable transaction.

A bad job fails alone. Most groups hold none, so a group is tried without savepoints first: they are a tenth of the cost
of a short job. When a job fails, the group is undone and run again with a savepoint for each.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

from tacit.clock import Clock
from tacit.errors import Closed, ForkedStore, StoreError, TacitError
from tacit.journal.answer import Answer
from tacit.journal.append import Appender, OutOfOrder, Projection
from tacit.retry import RetryPolicy, retrying
from tacit.stores.port import Store

_log = logging.getLogger("tacit.journal.writer")
T = TypeVar("T")
Job = Callable[[Appender], Any]
_Item: TypeAlias = tuple[Job, Future[Any]]
_PATIENCE, _MOST_PATIENCE_SECONDS = 0.5, 0.005
"""How long a group waits for callers that are about to come back: half of the time that the last group took, and at
most so long. Whoever comes too late waits for a whole group."""


class Writer:
    """Runs jobs in groups. ``submit`` returns a future that resolves when the job's changes are durable."""

    def __init__(
        self,
        store: Store,
        *,
        origin: bytes,
        clock: Clock,
        projections: Mapping[str, Sequence[Projection]],
        group_events: int = 1000,
        retry: RetryPolicy | None = None,
        on_commit: Callable[[], None] = lambda: None,
        slow_seconds: float = 1.0,
    ) -> None:
        self._store = store
        self._origin = origin
        self._clock = clock
        self._projections = projections
        self._group_events = group_events
        self._retry = retry or RetryPolicy()
        self._on_commit = on_commit
        self._slow_seconds = slow_seconds
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._closing = threading.RLock()  # no job is queued behind the end mark; a signal handler may come back to it
        self._closed = False
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._work, name="tacit-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[Appender], T]) -> Future[T]:
        """Queue a job. It may run more than once (after a failed commit), so its only effects must be in the store.

        Raises:
            StoreError: the caller is the writing thread, which nobody but itself could answer.
        """
        if self.forked:
            raise ForkedStore("the process forked after opening the store; open it again in the child")
        if self.in_own_thread():
            raise StoreError(
                "this runs in the thread that writes the store (as a __del__ or the callback of a weak reference may), "
                "and that cannot wait for itself; nothing was stored. Do it in a thread of your own"
            )
        future: Future[T] = Answer()
        with self._closing:
            if self._closed:
                raise Closed("the store is closed")
            self._queue.put((job, future))
        return future

    def run(self, job: Callable[[Appender], T]) -> T:
        """Submit a job and wait until it is durable."""
        return self.submit(job).result()

    @property
    def forked(self) -> bool:
        """Whether this is a child of the process that opened the store."""
        return os.getpid() != self._process

    def in_own_thread(self) -> bool:
        """Whether the caller is the writing thread."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Finish what was submitted, then stop."""
        if self.forked:
            return
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        callers, patience = 1, 0.0
        while (first := self._queue.get()) is not None:
            group, last = self._gather(first, callers, patience)
            started = time.perf_counter()
            self._answer([item for item in group if item[1].set_running_or_notify_cancel()])
            if last:
                return
            patience = min(_PATIENCE * (time.perf_counter() - started), _MOST_PATIENCE_SECONDS)
            callers = len(group) + self._queue.qsize()
            del first, group  # while the thread waits, it keeps nothing alive that belongs to a caller

    def _gather(self, first: _Item, callers: int, patience: float) -> tuple[list[_Item], bool]:
        """The next group, and whether it is the last one.

        Whoever waits for each call comes back right after its commit. So as long as fewer are here than the ``callers``
        of a moment ago, they are waited for, for ``patience`` seconds: else two halves take turns, each with a commit
        of its own.
        """
        group, deadline = [first], time.perf_counter() + patience
        while len(group) < self._group_events:
            left = deadline - time.perf_counter() if len(group) < callers else 0.0
            try:
                item = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except Empty:
                break
            if item is None:
                return group, True
            group.append(item)
        return group, False

    def _answer(self, group: list[_Item]) -> None:
        """Write a group; whatever happens, nobody is left waiting."""
        try:
            self._write(group)
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            for _, future in group:
                if not future.done():
                    future.set_exception(error)

    def _write(self, group: list[_Item], *, again: bool = False) -> None:
        if not group:
            return
        started = time.perf_counter()
        try:
            results = self._commit_with_retries([job for job, _ in group], again=again)
        except StoreError as error:
            if len(group) == 1 or error.retryable:  # a store that is busy for one is busy for all
                for _, future in group:
                    future.set_exception(error)
                return
            for item in group:  # find the one that the database cannot take; the others go through
                self._write([item], again=True)
            return
        self._warn_if_slow(time.perf_counter() - started, len(group))
        self._on_commit()
        for (_, future), result in zip(group, results, strict=True):
            if isinstance(result, _Failed):
                future.set_exception(result.error)
            else:
                future.set_result(result)

    def _warn_if_slow(self, seconds: float, jobs: int) -> None:
        if seconds > self._slow_seconds:
            _log.warning("slow commit", extra={"duration_ms": round(seconds * 1000, 1), "jobs": jobs})

    def _commit_with_retries(self, jobs: list[Job], *, again: bool) -> list[Any]:
        try:
            return self._commit(jobs, retrying=again)
        except StoreError as error:
            if not error.retryable:
                raise
            first = error
        for attempt in retrying(self._retry, _is_transient):
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise first  # made above: most need no other, and counting costs as much as a job
                return self._commit(jobs, retrying=True)
        raise AssertionError("the last attempt returns or raises")

    def _commit(self, jobs: list[Job], *, retrying: bool) -> list[Any]:
        """The result of each job, or why it failed.

        The jobs of a group are about several minds, in any order. Another process may hold one of them and wait for
        one that is held here; so whoever would have to wait out of order begins anew, with all minds in order.
        """
        minds: frozenset[bytes] = frozenset()
        while True:  # each time with one mind more, at least
            try:
                return self._commit_holding(minds, jobs, retrying=retrying)
            except OutOfOrder as error:
                minds |= error.minds

    def _commit_holding(self, minds: frozenset[bytes], jobs: list[Job], *, retrying: bool) -> list[Any]:
        """A savepoint for each job is set only once one of them has failed."""
        try:
            with self._appender(retrying=retrying) as appender:
                appender.hold_all(minds)
                return [_attempt(job, appender) for job in jobs]
        except _JobFailedError as failed:
            if len(jobs) == 1:
                return [_Failed(failed.error)]
        with self._appender(retrying=retrying) as appender:
            appender.hold_all(minds)
            return [_attempt_alone(job, appender) for job in jobs]

    @contextlib.contextmanager
    def _appender(self, *, retrying: bool) -> Iterator[Appender]:
        with self._store.transaction() as transaction:
            appender = Appender(
                transaction, origin=self._origin, clock=self._clock, projections=self._projections, retrying=retrying
            )
            yield appender
            appender.finish()


def _attempt(job: Job, appender: Appender) -> Any:
    """The result of a job; when it raises, the whole transaction must be undone."""
    try:
        return job(appender)
    except StoreError:
        raise
    except Exception as error:
        raise _JobFailedError(error) from error


def _attempt_alone(job: Job, appender: Appender) -> Any:
    """The result of a job, or its failure; only what it did itself is undone."""
    try:
        return appender.run(job)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - one bad job fails alone; its caller gets the error
        return _Failed(error)


class _JobFailedError(Exception):
    """A job raised, in a transaction without savepoints."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _Failed:
    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, TacitError) and isinstance(error, StoreError) and error.retryable
