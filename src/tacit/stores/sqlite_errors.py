"""What SQLite's errors mean, as errors of Tacit's with what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlcipher3 import dbapi2 as driver

from tacit.errors import (
    NotAStore,
    PermissionDenied,
    ReadOnly,
    StoreBusy,
    StoreError,
    StoreFull,
    TacitError,
)


@contextlib.contextmanager
def translated(location: str) -> Iterator[None]:
    """Turn the driver's errors into Tacit's, with what to do."""
    try:
        yield
    except TacitError:
        raise
    except driver.Error as error:
        raise translate(error, location) from error


def translate(error: Exception, location: str) -> TacitError:
    """The error of Tacit's that says what the driver's means, with what to do."""
    text = str(error)
    lowered = text.lower()
    if "locked" in lowered or "busy" in lowered:
        return StoreBusy(
            f"{location} is locked by another process; try again, or raise journal.busy_timeout_seconds", path=location
        )
    if "full" in lowered:
        return StoreFull(
            f"no space is left for {location}; free some and try again. Nothing acknowledged was lost", path=location
        )
    if "readonly" in lowered or "read-only" in lowered:
        return ReadOnly(
            f"{location} cannot be written: {text}. Check the file's and folder's permissions", path=location
        )
    if "not a database" in lowered or "malformed" in lowered or "no such table" in lowered:
        return NotAStore(
            f"{location} is damaged or not a Tacit store ({text}). It was left as it is; restore a backup",
            path=location,
        )
    if "unable to open" in lowered:
        return PermissionDenied(f"{location} cannot be opened: {text}. Check its folder and permissions", path=location)
    return StoreError(f"the database failed on {location}: {text}", path=location)
