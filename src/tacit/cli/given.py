"""Values that are given on the command line as JSON, or as the name of a file that holds them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tacit.errors import Conflict, InvalidInput, NotFound, PermissionDenied


def json_value(text: str, option: str) -> Any:
    """The JSON value of an option.

    Raises:
        InvalidInput: it is not JSON.
    """
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{option} must be JSON: {error}", option=option) from error


def json_object(text: str, option: str) -> dict[str, Any]:
    """The JSON object of an option."""
    value = json_value(text, option)
    if not isinstance(value, dict):
        raise InvalidInput(f'{option} must be a JSON object, such as {{"name": "value"}}', option=option)
    return value


def json_or_text(text: str) -> Any:
    """A JSON object or array as such; anything else is a text, as it stands."""
    import msgspec

    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def text_of(path: str) -> str:
    """The text of a file; of standard input for ``-``.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is not UTF-8 text.
    """
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}", path=path) from error
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read as text: {error}", path=path) from error


def is_episode(text: str) -> bool:
    """Whether a text is an id, or is no file and could be the beginning of an id."""
    from tacit.experience.short_ids import is_short
    from tacit.ids import parse_id

    if is_short(text):
        return not Path(text).exists()
    try:
        parse_id(text)
    except InvalidInput:
        return False
    return True


def write_new(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet, and that only its owner may read.

    Raises:
        Conflict: it exists.
        NotFound: its folder does not.
    """
    try:
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data)
    except FileExistsError as error:
        raise Conflict(f"{path} exists already; name another file", path=str(path)) from error
    except FileNotFoundError as error:
        raise NotFound(f"the folder {path.parent} does not exist; create it first", path=str(path.parent)) from error
    except OSError as error:
        raise PermissionDenied(f"{path} cannot be written: {error.strerror}", path=str(path)) from error
