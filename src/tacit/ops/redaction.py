"""Makes any value safe to write into a log line: plain data, without secrets, of bounded size."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Mask = Callable[[str], tuple[object, int]]
"""Takes a text, gives it back with the secrets in it masked, and how many there were. Called from any thread."""

MASKED = "********"
LONGEST_BYTES = 10_000
"""A longer value is cut here, with a mark that tells its full length."""

_LONGEST_SEARCHED = 100_000
"""Characters of one text in which secrets are looked for. It is ten times what is shown, so that a secret is
recognised whole before the rest is cut away, and a huge text costs no more than this."""

_DEEPEST = 20
_SECRET_NAME = re.compile(
    r"(^|[_\-. ])(passwords?|passwd|pwd|passphrase|secrets?|tokens?|credentials?|authorization|cookie|set[_-]cookie"
    r"|(api|private|access|secret|encryption|signing)[_-]?keys?)$",
    re.IGNORECASE,
)
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def names_a_secret(name: str) -> bool:
    """Whether a field of this name holds a secret, such as ``api_key``, ``accessToken`` or ``db_password``."""
    return _SECRET_NAME.search(_CAMEL_HUMP.sub("_", name)) is not None


class Redactor:
    """Plain data without secrets: by the name of a field, and by ``mask`` in text if one was handed in."""

    def __init__(self, mask: Mask | None = None) -> None:
        self._mask = mask

    def field(self, name: str, value: Any) -> Any:
        """The value of one field of a log line; text, or data, of at most ``LONGEST_BYTES`` (and a mark)."""
        plain = self._plain(name, value, ())
        if not isinstance(plain, dict | list):
            return plain
        text = json.dumps(plain, ensure_ascii=False)
        return plain if len(text.encode("utf-8", "backslashreplace")) <= LONGEST_BYTES else shorten(text)

    def text(self, value: str, *, keep_end: bool = False) -> str:
        """The text without secrets, shortened; ``keep_end`` for tracebacks, whose last lines tell most."""
        clipped = value[-_LONGEST_SEARCHED:] if keep_end else value[:_LONGEST_SEARCHED]
        return shorten(self._without_secrets(clipped), keep_end=keep_end, length=len(value))

    def _without_secrets(self, text: str) -> str:
        if self._mask is None:
            return text
        try:
            masked, _ = self._mask(text)
        except Exception as error:  # noqa: BLE001 - a log line must neither fail nor go out unmasked
            return f"[withheld: masking failed with {type(error).__name__}]"
        return str(masked)

    def _plain(self, name: str, value: Any, parents: tuple[int, ...]) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            # "tokens: 120" is a count; "pwd: 120" is not
            return MASKED if names_a_secret(name) and not name.endswith("s") else _number(value)
        if names_a_secret(name):
            return MASKED
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._container(name, value, parents)
        return self.text(value if isinstance(value, str) else _described(value))

    def _container(self, name: str, value: Any, parents: tuple[int, ...]) -> Any:
        if id(value) in parents:
            return "[contains itself]"
        if len(parents) == _DEEPEST:
            return "[nested deeper than shown]"
        inside = (*parents, id(value))
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._plain(str(key), item, inside) for key, item in value.items()}
        return [self._plain(name, item, inside) for item in value]


def shorten(text: str, *, keep_end: bool = False, length: int | None = None) -> str:
    """At most ``LONGEST_BYTES`` bytes of UTF-8 of the text, and a mark if some was cut.

    ``length`` is the length to tell in the mark, in characters; that of the text by default.
    """
    length = len(text) if length is None else length
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) <= LONGEST_BYTES and length <= _LONGEST_SEARCHED:
        return encoded.decode()
    mark = f"[cut; {length} characters in all]"
    if keep_end:
        return f"{mark} …{encoded[-LONGEST_BYTES:].decode(errors='ignore')}"
    return f"{encoded[:LONGEST_BYTES].decode(errors='ignore')}… {mark}"


def _number(value: int | float) -> int | float | str:
    """The number, or its name where JSON has none or a reader would choke on it."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    return int(value) if value.bit_length() <= 1_024 else f"[a number of {value.bit_length()} bits]"


def _described(value: Any) -> str:
    try:
        return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else str(value)
    except Exception as error:  # noqa: BLE001 - somebody else's __str__; the line goes out and says so
        return f"[{type(value).__name__} that cannot be shown: {type(error).__name__}]"
