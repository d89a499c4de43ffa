"""What is imported: a file or a folder, or what comes in on standard input."""

from __future__ import annotations

import errno
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tacit.cli.output import Output
from tacit.errors import InvalidInput
from tacit.stores.paths import path_of

STANDARD_INPUT = "-"
NAME = "standard input"
OPEN_FILES = Path("/proc/self/fd")
"""Where Linux lets a program open again what it has open, from the beginning, whether or not it has a name."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def source_of(out: Output, path: str) -> Iterator[Path]:
    """The file or folder that a path names; for ``-`` a file of what came in, private, and gone after the block.

    A format is recognised, and read more than once, only in a file; and there it is read piece by piece. On Linux
    it stands in no folder, so that nothing of it stays when the program is killed.

    Raises:
        OSError: there is no room for it; the file name is the folder for temporary files.
        InvalidInput: nothing came in, or it is no path.
    """
    if path != STANDARD_INPUT:
        yield path_of(path, "the path")
        return
    if sys.stdin.isatty():
        out.note("reading standard input; Ctrl-D ends it")
    with _private_file() as (file, received):
        try:
            shutil.copyfileobj(sys.stdin.buffer, file)
            file.flush()
        except OSError as error:
            if error.errno in _NO_ROOM:  # the system does not say where, and the store lies elsewhere
                error.filename = tempfile.gettempdir()
            raise
        if file.tell() == 0:
            raise InvalidInput("nothing came in on standard input; pipe traces into it, or name a file", path=path)
        yield received


@contextmanager
def _private_file() -> Iterator[tuple[IO[bytes], Path]]:
    """A file into which nobody else may look, and the path at which it can be opened again."""
    if OPEN_FILES.is_dir():
        with tempfile.TemporaryFile(buffering=0) as file:
            yield file, OPEN_FILES / str(file.fileno())
        return
    with tempfile.TemporaryDirectory(prefix="tacit-") as folder, (Path(folder) / NAME).open("xb") as file:
        yield file, Path(folder) / NAME


def name_of(path: str) -> str:
    """What to call a source in a message."""
    return NAME if path == STANDARD_INPUT else path
