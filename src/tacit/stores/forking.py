"""Keeps other threads out of foreign code (SQLite, models) while the process forks, and our locks free in the child.

A lock that a thread holds inside SQLite when another thread forks stays held in the child for ever, and the child's
first use of SQLite hangs. So does an import that another thread was in the middle of. So a fork waits (for a while)
until nobody is inside. Our own locks are made anew in the child.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Iterator

PATIENCE_SECONDS = 5.0
"""A fork goes on after that time, come what may: whoever is inside may be waiting for another process."""
_PAUSE_SECONDS = 0.001


class Gate:
    """Knows who is inside; closed while a thread forks.

    It has no lock. A signal handler may run, and wait for another thread, between any two steps of whoever holds one,
    and that thread may be waiting for the lock. Each change is one operation on a dictionary or a set instead, which
    the interpreter does whole.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._inside: dict[object, int] = {}  # a token for each entry, with its thread
        self._forking: set[int] = set()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside. Waits while another thread forks, unless this one is inside already."""
        token, thread = object(), threading.get_ident()
        try:
            self._inside[token] = thread  # first, so that one of the two sees the other: the fork us, or we the fork
            if self._forking:
                self._wait_for_forks(token, thread)
            yield
        finally:
            self._inside.pop(token, None)

    def _wait_for_forks(self, token: object, thread: int) -> None:
        deadline = time.monotonic() + 2 * PATIENCE_SECONDS  # whoever forks may wait for us in a way not seen here
        while not self._may_enter(thread) and time.monotonic() < deadline:
            del self._inside[token]
            time.sleep(_PAUSE_SECONDS)
            self._inside[token] = thread

    def _may_enter(self, thread: int) -> bool:
        return not self._forking or thread in self._forking or list(self._inside.values()).count(thread) > 1

    def before_fork(self) -> None:
        """Close the gate and wait until every other thread is out that does not fork itself."""
        self._forking.add(threading.get_ident())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while set(self._inside.values()) - self._forking and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Open the gate again, unless yet another thread is forking."""
        self._forking.discard(threading.get_ident())

    def after_fork_in_child(self) -> None:
        """Start anew: the other threads do not exist here."""
        self._reset()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Around waiting for another thread: a signal handler may do so in the middle of a fork, which is put off."""
        if threading.get_ident() not in self._forking:
            yield
            return
        self.after_fork_in_parent()
        try:
            yield
        finally:
            self.before_fork()


class FreshLock:
    """A lock that is free in a forked child, whoever held it in the parent. For what is whole between any two steps."""

    def __init__(self) -> None:
        self.renew()
        _fresh_locks.add(self)

    def renew(self) -> None:
        """Forget who holds it."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_fresh_locks: weakref.WeakSet[FreshLock] = weakref.WeakSet()
GATE = Gate()


def _in_child() -> None:
    GATE.after_fork_in_child()
    for lock in list(_fresh_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=GATE.before_fork, after_in_parent=GATE.after_fork_in_parent, after_in_child=_in_child)
