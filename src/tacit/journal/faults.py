"""Faults of consumers: what went wrong on which mind, and how long nobody tries it again."""

from __future__ import annotations

import time

import msgspec

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
"""After each further fault the pause is twice as long, up to this: what is down is not called again and again, and
what is back is found soon."""


class _Fault(msgspec.Struct):
    text: str
    pause: float
    until: float


class Faults:
    """The last fault of each consumer on each mind, until it goes well again. Of one thread's use, but for reading."""

    def __init__(self) -> None:
        self._faults: dict[tuple[str, bytes], _Fault] = {}

    def note(self, consumer: str, mind: bytes, error: BaseException) -> bool:
        """Remember a fault; whether it is news, as nobody has said the same of this consumer yet."""
        text = f"{type(error).__name__}: {error}"
        known = self._faults.get((consumer, mind))
        pause = FIRST_PAUSE_SECONDS if known is None else min(2 * known.pause, LONGEST_PAUSE_SECONDS)
        fresh = all(fault.text != text for (name, _), fault in self._faults.items() if name == consumer)
        self._faults[consumer, mind] = _Fault(text, pause, time.monotonic() + pause)
        return fresh

    def forget(self, consumer: str, mind: bytes) -> None:
        """It went well."""
        self._faults.pop((consumer, mind), None)

    def pausing(self, consumer: str, mind: bytes) -> bool:
        """Whether it is too soon to try again."""
        fault = self._faults.get((consumer, mind))
        return fault is not None and time.monotonic() < fault.until

    def texts(self) -> dict[str, str]:
        """For each consumer a fault that it has, in words."""
        return {name: fault.text for (name, _), fault in list(self._faults.items())}
