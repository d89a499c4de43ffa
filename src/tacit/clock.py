"""Time as a port: whole microseconds since 1970-01-01 UTC, always with a zone at the border."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from tacit.errors import InvalidInput, StoreError, shown

MICROS_PER_SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_YEAR = 2254
"""The last whole year whose microseconds, with ten bits to count events within one, are a signed number of 64 bits."""
_END = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


class Clock(Protocol):
    """Where the present comes from. It may jump; whoever needs order keeps the last value seen."""

    def now(self) -> int:
        """The present, in microseconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000


class ManualClock:
    """A clock that moves only when told to, for tests and replay."""

    def __init__(self, now: int = 1_767_225_600 * MICROS_PER_SECOND) -> None:
        self.micros = now

    def now(self) -> int:
        return self.micros

    def advance(self, seconds: float) -> None:
        """Move by that many seconds; a negative number is a clock that jumps back."""
        self.micros += round(seconds * MICROS_PER_SECOND)


def storable(now: int) -> int:
    """The present as a clock told it (µs since 1970 UTC), if an event can have it.

    Raises:
        StoreError: it lies before 1970 or after ``LAST_YEAR``, so the clock is wrong.
    """
    if 0 <= now < _END:
        return now
    try:
        told = from_micros(now).isoformat()
    except OverflowError:  # a year that datetime does not know
        told = f"{now:,} µs since 1970"
    raise StoreError(
        f"the machine's clock says {told}, but events can be stored from 1970 to {LAST_YEAR} only. Nothing was stored; "
        "set the clock and try again",
        now=now,
    )


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC. A time without a zone is refused: it names no moment."""
    if not isinstance(moment, datetime):
        raise InvalidInput(f"a time must be a datetime with a zone, not {type(moment).__name__}", given=shown(moment))
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise InvalidInput(
            "a time must have a zone; use datetime.now(timezone.utc) or add tzinfo", given=moment.isoformat()
        )
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The moment, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def parse_moment(text: str) -> datetime:
    """An ISO 8601 time with a zone, such as ``2026-01-31T12:00:00Z``, in that zone: UTC may have no such year."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is not a time; write it like 2026-01-31T12:00:00Z", given=text) from error
    if moment.utcoffset() is None:
        raise InvalidInput(f"{text!r}: a time must have a zone; write it like 2026-01-31T12:00:00Z", given=text)
    to_micros(moment)  # refuses what names no moment
    return moment


def parse_time(text: str) -> int:
    """Microseconds of a time as ``parse_moment`` takes it."""
    return to_micros(parse_moment(text))
