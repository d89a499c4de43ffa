"""What can be known of a store's file that this user may read, but not write.

SQLite keeps a log and an index of it beside the file, and cannot even read without them, unless it is told that nobody
changes the file ("immutable"). Whether that was true is seen afterwards, from its time stamp.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tacit.stores.sqlite_file import has_log, log_paths

_EFFECTIVE = os.access in os.supports_effective_ids


def obstacle(path: Path) -> str:
    """Why this user cannot write the store at ``path``, in words; empty when nothing is in the way."""
    if _may(path, os.W_OK) and (_may(path.parent, os.W_OK | os.X_OK) or _may_write_logs(path)):
        return ""
    if hasattr(os, "statvfs") and os.statvfs(path).f_flag & os.ST_RDONLY:
        return "it lies on a file system that is mounted read-only"
    if not _may(path, os.W_OK):
        return "this user has no permission to write it"
    return f"this user has no permission to write the folder {path.parent}, where its log belongs"


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=_EFFECTIVE)


def _may_write_logs(path: Path) -> bool:
    """Whether another user's process keeps them there at the moment, open to this user, too."""
    return all(_may(log, os.W_OK) for log in log_paths(path))


class Stamp(NamedTuple):
    """What tells one state of a file from a later one."""

    device: int
    number: int
    size: int
    changed_ns: int
    has_log: bool


def stamp(path: Path) -> Stamp | None:
    """The present state of the file at ``path``; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, has_log(path))
