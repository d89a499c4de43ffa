"""Loading the numerical libraries where there is no room for their threads.

OpenBLAS, which comes with numpy and once more with scipy, starts a thread for each processor when it is loaded. Where
the system refuses one (RLIMIT_NPROC, a container's limit of processes, RLIMIT_AS), it sends the whole process a SIGINT:
an agent would be interrupted because something was learned beside it.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Sequence

NUMPY = ("numpy",)
_LIBRARIES = (*NUMPY, "scipy.special")
_THREADS = "OPENBLAS_NUM_THREADS"


def prepare(libraries: Sequence[str] = _LIBRARIES) -> None:
    """To be called before a thread of this process uses these libraries, which it may be the first to load.

    Where there is no room for their threads they are loaded here and now, to work without any.
    """
    missing = [name for name in libraries if name not in sys.modules]
    if not missing or _is_room(len(missing) * (os.cpu_count() or 1)):
        return
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        for name in missing:
            importlib.import_module(name)
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before


def _is_room(count: int) -> bool:
    """Whether so many threads more can be there at the same time."""
    over, started = threading.Event(), []
    try:
        for _ in range(count):
            thread = threading.Thread(target=over.wait, name="tacit-room", daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        return False
    finally:
        over.set()
        for thread in started:
            thread.join()
    return True
