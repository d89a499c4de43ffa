"""Canonical JSON bytes (RFC 8785), checked against the bounds that every payload must keep.

msgspec writes the same bytes as RFC 8785 but for two things, which are looked for first: some floats, which ECMAScript
prints differently, and member names beyond the Basic Multilingual Plane, which sort differently in UTF-16.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import re2
import rfc8785

from tacit.errors import InvalidInput, LimitExceeded, shown

LARGEST_INTEGER = 2**53 - 1
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ESCAPED_CONTROL = re2.compile(rb"\\(?:u00|[bf])")  # how they look in the bytes; an escaped backslash may look so too
_CONTAINERS = (dict, list, tuple)
_UNORDERED = (set, frozenset)
_SAME_DIGITS_FROM, _SAME_DIGITS_TO = 1e-4, 1e15
"""Fractions of this size are printed alike by msgspec and by ECMAScript: the shortest digits, without an exponent."""
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode


def encode(value: Any, *, max_depth: int = 32) -> bytes:
    """The canonical bytes of a JSON value.

    Raises:
        LimitExceeded: nested deeper than ``max_depth``.
        InvalidInput: something that JSON cannot hold exactly (NaN, an integer beyond ±(2⁵³ − 1), a lone
            surrogate, a key that is not text, any other type), or a control character.
    """
    try:
        body = _encode(_exact(value, max_depth))
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "the text cannot be stored: it holds one half of a pair of surrogates, which is no text; remove it"
        ) from error
    except (msgspec.MsgspecError, rfc8785.CanonicalizationError) as error:
        raise InvalidInput(f"the text cannot be stored: {error}") from error
    if _ESCAPED_CONTROL.search(body):
        _refuse_control(value, "")
    return body


def check_depth(value: Any, most: int, field: str) -> None:
    """Refuse JSON that is nested more than ``most`` levels; a list or object of plain values is one level.

    Raises:
        LimitExceeded: it is deeper; the message names ``field``.
        InvalidInput: there is a set in it.
    """
    if isinstance(value, _CONTAINERS):
        if most <= 0:
            raise LimitExceeded(
                f"the {field} are nested too deeply; limits.json_depth says how many levels are allowed", field=field
            )
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, _CONTAINERS):
                check_depth(item, most - 1, field)
            elif isinstance(item, _UNORDERED):
                raise InvalidInput(f"the {field} hold a set, which has no order; pass it as a list", field=field)


def decode(body: bytes) -> Any:
    """The JSON value of canonical bytes."""
    whole = [_decode(body)]
    _restore_floats(whole)
    return whole[0]


def _restore_floats(container: Any) -> None:
    """Make floats of integers beyond 2⁵³: encoding refuses those, and prints such floats like them."""
    for place, item in container.items() if type(container) is dict else enumerate(container):
        kind = type(item)
        if kind is dict or kind is list:
            _restore_floats(item)
        elif kind is int and not -LARGEST_INTEGER <= item <= LARGEST_INTEGER:
            container[place] = float(item)


def _exact(value: Any, room: int) -> Any:
    """The value as msgspec must have it to write RFC 8785, itself where it can. Raises on what JSON cannot hold."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if kind is int:
        if -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            return value
        raise InvalidInput(f"the integer {value} is beyond ±(2^53 - 1); pass it as text", value=str(value)[:50])
    if kind is float:
        return _exact_float(value)
    if kind is not dict and kind is not list and kind is not tuple:
        raise InvalidInput(
            f"a value of type {kind.__name__} cannot be stored as JSON; convert it to text or numbers",
            type=kind.__name__,
        )
    if room <= 0:
        raise LimitExceeded("the JSON is nested too deeply; limits.json_depth says how deep it may be")
    return _exact_members(value, room - 1) if kind is dict else _exact_items(value, room - 1)


def _exact_members(value: dict[Any, Any], room: int) -> Any:
    changed: dict[str, Any] = {}
    exotic = False
    for name, item in value.items():
        if type(name) is not str:
            raise InvalidInput(f"the key {shown(name)} is not text; JSON keys must be", key=shown(name))
        if not name.isascii() and max(name) > "\uffff":
            exotic = True
        kind = type(item)
        if kind is str or item is None or kind is bool:  # most are, and they need nothing
            continue
        exact = _exact(item, room)
        if exact is not item:
            changed[name] = exact
    if exotic:
        return msgspec.Raw(rfc8785.dumps(value))
    return {**value, **changed} if changed else value


def _exact_items(value: list[Any] | tuple[Any, ...], room: int) -> Any:
    changed: list[Any] | None = None
    for place, item in enumerate(value):
        kind = type(item)
        # the members of objects go round without a call in between: lists of them are most of what is written
        exact = _exact_members(item, room - 1) if kind is dict and room > 0 else _exact(item, room)
        if exact is not item:
            changed = changed if changed is not None else list(value)
            changed[place] = exact
    return value if changed is None else changed


def _exact_float(value: float) -> Any:
    if value - value != 0.0:
        raise InvalidInput(f"{value} is not a JSON number", value=str(value))
    size = abs(value)
    if value.is_integer():
        return int(value) if size <= LARGEST_INTEGER else msgspec.Raw(rfc8785.dumps(value))
    return value if _SAME_DIGITS_FROM <= size < _SAME_DIGITS_TO else msgspec.Raw(rfc8785.dumps(value))


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
