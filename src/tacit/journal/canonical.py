"""Canonical JSON bytes (RFC 8785), checked against the bounds that every payload must keep.

msgspec writes the same bytes as RFC 8785 but for two things, which are looked for first: floats, which ECMAScript prints
differently, and member names beyond the Basic Multilingual Plane, which sort differently in UTF-16.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import rfc8785

from tacit.errors import InvalidInput, LimitExceeded

LARGEST_INTEGER = 2**53 - 1
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode

_PLAIN, _FLOATS, _EXOTIC = 0, 1, 2


def encode(value: Any, *, max_depth: int = 32) -> bytes:
    """The canonical bytes of a JSON value.

    Raises:
        LimitExceeded: nested deeper than ``max_depth``.
        InvalidInput: something that JSON cannot hold exactly (NaN, an integer beyond ±(2⁵³ − 1), a lone
            surrogate, a key that is not text, any other type), or a control character.
    """
    shape = _inspect(value, max_depth)
    try:
        if shape == _PLAIN:
            body = _encode(value)
        elif shape == _FLOATS:
            body = _encode(_with_ecmascript_floats(value))
        else:
            body = rfc8785.dumps(value)
    except (UnicodeEncodeError, msgspec.MsgspecError, rfc8785.CanonicalizationError) as error:
        raise InvalidInput(f"the text cannot be stored: {error}") from error
    if b"\\u00" in body:
        _refuse_control(value, "")
    return body


def check_depth(value: Any, most: int, field: str) -> None:
    """Refuse JSON that is nested more than ``most`` levels; a list or object of plain values is one level.

    Raises:
        LimitExceeded: it is deeper; the message names ``field``.
    """
    if isinstance(value, dict | list | tuple):
        if most <= 0:
            raise LimitExceeded(
                f"the {field} are nested too deeply; limits.json_depth says how many levels are allowed", field=field
            )
        for item in value.values() if isinstance(value, dict) else value:
            check_depth(item, most - 1, field)


def decode(body: bytes) -> Any:
    """The JSON value of canonical bytes."""
    return _decode(body)


def _inspect(value: Any, room: int) -> int:
    """Which of the encoders is right for ``value``; raises on what none can hold."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return _PLAIN
    if kind is int:
        if -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            return _PLAIN
        raise InvalidInput(f"the integer {value} is beyond ±(2^53 - 1); pass it as text", value=str(value)[:50])
    if kind is float:
        if value - value == 0.0:
            return _FLOATS
        raise InvalidInput(f"{value} is not a JSON number", value=str(value))
    if room <= 0:
        raise LimitExceeded("the JSON is nested too deeply; limits.json_depth says how deep it may be")
    if kind is dict:
        shape = _PLAIN
        for name, item in value.items():
            if type(name) is not str:
                raise InvalidInput(f"the key {name!r} is not text; JSON keys must be", key=repr(name))
            if not name.isascii() and max(name) > "\uffff":
                shape = _EXOTIC
            found = _inspect(item, room - 1)
            if found > shape:
                shape = found
        return shape
    if kind is list or kind is tuple:
        return max((_inspect(item, room - 1) for item in value), default=_PLAIN)
    raise InvalidInput(f"a {kind.__name__} cannot be stored as JSON; convert it to text or numbers", type=kind.__name__)


def _with_ecmascript_floats(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return msgspec.Raw(rfc8785.dumps(value))
    if kind is dict:
        return {name: _with_ecmascript_floats(item) for name, item in value.items()}
    if kind is list or kind is tuple:
        return [_with_ecmascript_floats(item) for item in value]
    return value


def _refuse_control(value: Any, path: str) -> None:
    if isinstance(value, str):
        found = _CONTROL.search(value)
        if found is not None:
            raise InvalidInput(
                f"the text{f' at {path}' if path else ''} holds the control character U+{ord(found[0]):04X}; remove it",
                path=path,
                character=f"U+{ord(found[0]):04X}",
            )
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_control(name, f"{path}.{name}" if path else name)
            _refuse_control(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse_control(item, f"{path}[{index}]")
