"""Paths as callers give them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tacit.errors import InvalidInput, shown


def path_of(value: object, what: str) -> Path:
    """The path that somebody gave as ``what``; whether there is anything at it is another question.

    Raises:
        InvalidInput: it is no text and no Path, is empty, holds what no path can, or is longer than a path may be.
    """
    if not isinstance(value, str | Path):
        raise InvalidInput(f"{what} must be a text or a Path, not {type(value).__name__}")
    if value == "":  # which would mean the working directory
        raise InvalidInput(f"{what} is empty")
    try:
        os.lstat(value)
    except ValueError as error:  # U+0000, or half of a surrogate pair
        raise InvalidInput(f"{what} {shown(str(value))} holds a character that no path has") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidInput(f"{what} {shown(str(value))} is longer than a path may be") from None
    return Path(value)
