"""A file that takes its name when it is complete, and whose remains are cleared away when its writer was killed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from tacit.errors import Conflict, NotFound

_PREFIX = ".tacit-draft-"
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})
"""What file systems say that know no second name for a file, such as FAT."""


@contextlib.contextmanager
def draft_of(path: Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """A hidden file beside ``path``, to be written to. It becomes ``path`` when the block ends without an error.

    Its writer holds a lock on it, which ends with the process. So a draft in the same folder that nobody has locked was
    left by a process that was killed, and is removed.

    Raises:
        Conflict: there is a file at ``path`` by then, which nobody said may be overwritten.
    """
    _remove_abandoned(path.parent)
    with _locked_draft(path.parent) as draft:
        try:
            yield draft
            draft.flush()
            os.fsync(draft.fileno())
            _publish(Path(draft.name), path, overwrite=overwrite)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise


def check_target(path: Path, *, overwrite: bool, kept: Iterable[Path]) -> None:
    """Raise before anything is done when no file can be made at ``path``, or must not. ``kept`` are never overwritten.

    Raises:
        Conflict: it is one of those, or no file, or a file that nobody said may be overwritten.
        NotFound: its folder does not exist.
    """
    if path.resolve() in {each.resolve() for each in kept}:
        raise Conflict(f"{path} belongs to the store itself; name another file", path=str(path))
    if path.exists() and not path.is_file():
        raise Conflict(f"{path} is not a regular file, which could be replaced; name another", path=str(path))
    if path.exists() and not overwrite:
        raise _taken(path)
    if not path.parent.is_dir():
        raise NotFound(f"the folder {path.parent} does not exist", path=str(path.parent))


def _taken(path: Path) -> Conflict:
    return Conflict(
        f"{path} exists already; name another file, or say that it may be overwritten (--overwrite)", path=str(path)
    )


def _publish(draft: Path, path: Path, *, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(draft, path)
        except FileExistsError as error:
            raise _taken(path) from error
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if path.exists():  # as near as one comes without links
                raise _taken(path) from error
        else:
            draft.unlink()
            return
    draft.replace(path)


def _locked_draft(folder: Path) -> IO[bytes]:
    while True:
        draft = tempfile.NamedTemporaryFile("wb", dir=folder, prefix=_PREFIX, delete=False)  # noqa: SIM115 - handed out
        with contextlib.suppress(OSError):  # a file system without locks: nobody there can take it for abandoned either
            fcntl.flock(draft, fcntl.LOCK_EX)
        if os.fstat(draft.fileno()).st_nlink:
            return draft
        draft.close()  # somebody found it before it was locked


def _remove_abandoned(folder: Path) -> None:
    for left in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # locked, somebody else's, or gone by now: in nobody's way
            handle = os.open(left, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
            finally:
                os.close(handle)
