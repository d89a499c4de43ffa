"""Where the files of tests lie: in memory, since half of the time of the suite would be spent on waiting for disks.

A file there is written, locked, linked and lost like any other; only a sync costs nothing. Tests that are about what a
disk does are marked with ``disk``, and have their files on one.
"""

from __future__ import annotations

import os
from pathlib import Path

_ROOM_BYTES = 2_000_000_000


def _memory() -> Path | None:
    """The folder whose files lie in memory, where there is one with room and from which programs can be run."""
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK):
        return None
    found = os.statvfs(folder)
    fit = found.f_bavail * found.f_frsize >= _ROOM_BYTES and not found.f_flag & os.ST_NOEXEC
    return folder if fit else None


MEMORY = _memory()
"""The folder; None where there is none, and all files lie on the disk."""
