"""What a large piece of work leaves behind in the process's memory."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


def release() -> bool:
    """Give memory that was freed back to the system; whether any was.

    After a piece of work that took much of it, glibc keeps what was freed for later, in pieces that do not always fit:
    a process that works so again and again grows. Other systems give it back by themselves, and nothing is done there.
    """
    trim = _trim()
    return trim is not None and bool(trim(0))


@cache
def _trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc has it
