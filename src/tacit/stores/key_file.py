"""The file that holds the passphrase of an encrypted store."""

from __future__ import annotations

from pathlib import Path

from tacit.errors import InvalidInput, PermissionDenied
from tacit.stores.paths import path_of


def read_key_file(given: str | Path) -> str:
    """The passphrase in a key file: its text without the line end at its end.

    Raises:
        PermissionDenied: the file is not there, or cannot be read.
        InvalidInput: it is empty, or is not UTF-8 text; or its name is none.
    """
    path = path_of(given, "the key file")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PermissionDenied(f"the key file {path} cannot be read: {reason}", path=str(path)) from error
    except UnicodeDecodeError:  # which holds the content: it must not come along
        text = None
    if text is None:
        raise InvalidInput(f"the key file {path} is not UTF-8 text; store the key in hex or base64", path=str(path))
    passphrase = text.removesuffix("\n").removesuffix("\r")
    if not passphrase:
        raise InvalidInput(f"the key file {path} is empty; write the passphrase into it", path=str(path))
    return passphrase
