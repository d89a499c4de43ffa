"""Whether an observation says, in itself, that something went wrong. Generic signs only; kept as data."""

from __future__ import annotations

import re
from typing import Any

from tacit.errors import InvalidInput
from tacit.experience.importers.files import decode

ERROR_OPENINGS: tuple[str, ...] = (
    "error",
    "exception",
    "traceback (most recent call last)",
    "invalid action",
    "invalid input",
    "invalid argument",
    "invalid tool",
    "unknown action",
    "unknown command",
    "unknown tool",
    "command not found",
    "not found",
    "no such file or directory",
    "permission denied",
    "access denied",
    "nothing happens",
    "failed to",
    "fatal:",
    "panic:",
)
"""How an observation begins when it reports an error; letter case does not matter."""

ERROR_FIELDS: tuple[str, ...] = ("error", "errors", "exception", "is_error", "isError")
"""Fields of a JSON observation that report an error unless they are empty, false or null."""

_OPENING = re.compile(
    r"\W*(?:(?:" + "|".join(re.escape(opening) for opening in ERROR_OPENINGS) + r")(?!\w)|\w*(?:Error|Exception):)",
    re.IGNORECASE,
)


def error_in(observation: Any) -> str:
    """What the observation reports as an error, in its own words; "" when it reports none."""
    if isinstance(observation, dict):
        return _error_in_fields(observation)
    if not isinstance(observation, str):
        return ""
    text = observation.lstrip()
    if text.startswith("{"):
        return _error_in_fields(_object_or_empty(text))
    return text.splitlines()[0].strip() if text and _OPENING.match(text) else ""


def _object_or_empty(text: str) -> dict[str, Any]:
    try:
        value = decode(text.encode())
    except InvalidInput:
        return {}  # text that merely begins with a brace is no report of an error
    return value if isinstance(value, dict) else {}


def _error_in_fields(fields: dict[str, Any]) -> str:
    for name in ERROR_FIELDS:
        if value := fields.get(name):
            return value if isinstance(value, str) else f"{name}: {value}"
    return ""
