"""Deletes what a job leaves behind, without hiding why the job failed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tacit.errors import beside


@contextlib.contextmanager
def removed_at_the_end(*paths: Path) -> Iterator[None]:
    """Delete the files when the block ends. One that stays although the block failed is a note on the block's error."""
    try:
        yield
    except BaseException as error:
        for path in paths:
            with beside(error, f"deleting {path}"):
                remove(path)
        raise
    for path in paths:
        remove(path)


def remove(path: Path) -> None:
    """Delete a file if it is there. A read-only file system refuses to delete even what is not there, so look first."""
    if os.path.lexists(path):
        path.unlink(missing_ok=True)
