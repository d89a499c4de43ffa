"""A bell that anybody may ring, even a signal handler in the midst of ringing it."""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Bell:
    """What ``threading.Event`` is for one waiting thread, without its lock.

    With a lock, a thread that is interrupted by a signal handler while it rings would keep all others from ringing.
    """

    def __init__(self) -> None:
        self._rung: SimpleQueue[None] = SimpleQueue()  # whose put may be called anywhere, as its documentation says

    def ring(self) -> None:
        """Wake the waiting thread, or keep it from waiting the next time."""
        if self._rung.empty():
            self._rung.put(None)

    def forget(self) -> None:
        """Whatever rang until now has been heard."""
        while not self._rung.empty():
            self._rung.get_nowait()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, or for that long."""
        try:
            self._rung.get(timeout=seconds)
        except Empty:
            return
