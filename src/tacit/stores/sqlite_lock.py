"""Keeps a store from being opened while another file takes its place.

Whoever opens a store looks at the name first and at the file later. If the file is replaced in between, a process
holds a file that has lost its name, and writes its log beside another one. So whoever opens shares a lock on the folder
for that moment, and whoever replaces a file has the lock alone. It is flock's lock on the folder itself: nothing is
left behind, and it ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tacit.errors import PermissionDenied, StoreBusy
from tacit.stores.forking import GATE

_PAUSE_SECONDS = 0.005
_mine = threading.local()  # the folders whose lock this thread has already


@contextlib.contextmanager
def opening(path: Path, patience: float) -> Iterator[None]:
    """Nobody replaces the file at ``path`` during the block. Many may be in here at once.

    Without the lock when the folder cannot be locked at all: it is not there, not readable, or its file system knows
    no locks. Such a folder is not one in which :func:`replacing` works either, unless for another user.

    Args:
        patience: how many seconds to wait for a replacement under way.

    Raises:
        StoreBusy: the replacement took longer.
    """
    with contextlib.ExitStack() as held:
        if sys.platform != "win32" and not _is_mine(path.parent):
            try:
                _lock(held, path.parent, patience, shared=True)
            except TimeoutError as error:
                raise StoreBusy(f"{path} is being replaced by a restore; try again", path=str(path)) from error
            except OSError:  # see above
                held.close()
        yield


@contextlib.contextmanager
def replacing(path: Path, patience: float) -> Iterator[None]:
    """Nobody else opens the file at ``path`` during the block; the calling thread may.

    Args:
        patience: how many seconds to wait for others that are just opening a store in the folder.

    Raises:
        StoreBusy: they took longer.
        PermissionDenied: the folder cannot be locked.
    """
    with contextlib.ExitStack() as held:
        if sys.platform != "win32":  # there, a file that is open cannot be replaced
            try:
                _lock(held, path.parent, patience, shared=False)
            except TimeoutError as error:
                raise StoreBusy(
                    f"stores in {path.parent} are being opened all the time; stop what opens {path}, then try again",
                    path=str(path),
                ) from error
            except OSError as error:
                raise PermissionDenied(
                    f"{path.parent} cannot be locked: {error.strerror}; check the folder's permissions", path=str(path)
                ) from error
        yield


def _is_mine(folder: Path) -> bool:
    return folder in getattr(_mine, "folders", ())


def _lock(held: contextlib.ExitStack, folder: Path, patience: float, *, shared: bool) -> None:
    """Lock a folder until ``held`` is closed.

    Raises:
        TimeoutError: others kept the lock for ``patience`` seconds.
        OSError: it cannot be locked.
    """
    import fcntl

    held.enter_context(GATE.entered())  # a forked child would keep the lock for as long as it lives
    handle = os.open(folder, os.O_RDONLY)
    held.callback(os.close, handle)  # which gives the lock back
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{folder} is locked") from None
            time.sleep(_PAUSE_SECONDS)
            continue
        break
    before: tuple[Path, ...] = getattr(_mine, "folders", ())
    _mine.folders = (*before, folder)
    held.callback(setattr, _mine, "folders", before)
