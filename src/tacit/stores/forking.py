"""Keeps other threads out of SQLite while the process forks.

A lock that a thread holds inside SQLite when another thread forks stays held in the child for ever, and the child's
first use of SQLite hangs. So a fork waits (for a while) until nobody is inside.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

PATIENCE_SECONDS = 5.0
"""A fork goes on after that time, come what may: whoever is inside may be waiting for another process."""


class Gate:
    """Counts who is inside; closed while the process forks."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._inside: dict[int, int] = {}  # how deep each thread is in; guarded by _changed
        self._forking = False

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside. Waits while a fork is under way."""
        thread = threading.get_ident()
        with self._changed:
            if thread not in self._inside:
                self._changed.wait_for(lambda: not self._forking)
            self._inside[thread] = self._inside.get(thread, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                depth = self._inside.pop(thread, 1) - 1
                if depth:
                    self._inside[thread] = depth
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Close the gate and wait until every other thread is out."""
        thread = threading.get_ident()
        self._changed.acquire()
        self._forking = True
        self._changed.wait_for(lambda: not self._inside.keys() - {thread}, PATIENCE_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Open the gate again."""
        self._forking = False
        self._changed.notify_all()
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Start anew: the other threads do not exist here."""
        self._reset()


GATE = Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=GATE.before_fork,
        after_in_parent=GATE.after_fork_in_parent,
        after_in_child=GATE.after_fork_in_child,
    )
