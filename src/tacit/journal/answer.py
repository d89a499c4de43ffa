"""The answer to a job that another thread does, for which a signal handler may wait as well."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, TypeVar

from tacit.stores.forking import GATE

T = TypeVar("T")


class Answer(Future[T]):
    """A future whose waiters hold no lock that whoever answers needs.

    ``Future.result`` holds the future's lock for a moment before it waits. A signal handler may run in that moment; if
    it hands in a job of its own, the one thread that does all jobs would stop at the lock for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self._there = threading.Lock()  # free once the answer is there
        self._there.acquire()
        self.add_done_callback(_free)

    def result(self, timeout: float | None = None) -> T:
        with GATE.waiting():
            if self._there.acquire(timeout=-1 if timeout is None else timeout):
                self._there.release()
        return super().result(0)


def _free(answer: Any) -> None:
    answer._there.release()
