"""What is imported: a file or a folder, or what comes in on standard input."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tacit.cli.output import Output
from tacit.errors import InvalidInput

STANDARD_INPUT = "-"
NAME = "standard input"


@contextmanager
def source_of(out: Output, path: str) -> Iterator[Path]:
    """The file or folder that a path names; for ``-`` a file of what came in, private, and gone after the block.

    A format is recognised, and read more than once, only in a file; and there it is read piece by piece.

    Raises:
        InvalidInput: nothing came in.
    """
    if path != STANDARD_INPUT:
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="tacit-") as folder:  # nobody else may look into it
        received = Path(folder) / NAME
        if sys.stdin.isatty():
            out.note("reading standard input; Ctrl-D ends it")
        with received.open("xb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if received.stat().st_size == 0:
            raise InvalidInput("nothing came in on standard input; pipe traces into it, or name a file", path=path)
        yield received


def name_of(path: str) -> str:
    """What to call a source in a message."""
    return NAME if path == STANDARD_INPUT else path
