"""Replace what no store keeps, whatever the limits are, so that the rest of a record can be kept."""

from __future__ import annotations

import re
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import re2

from tacit.journal.canonical import LARGEST_INTEGER

Kept = TypeVar("Kept", bound=msgspec.Struct)

REPLACEMENT = "�"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SUSPECT = re2.compile(rb"\\(?:u00[01]|[bf])|\d{17}|9\d{15}")
"""What encoded JSON shows if it may hold a control character or an integer beyond 2^53, which begins with a 9."""


class Cleaned(NamedTuple, Generic[Kept]):
    """A record, or what else is to be kept, that can be; and how many texts and numbers were changed for it."""

    record: Kept
    replaced: int
    size: int
    """Bytes of the record as JSON, before anything was replaced."""


def clean(record: Kept) -> Cleaned[Kept]:
    """Replace what no store keeps: control characters by U+FFFD, integers beyond ±(2^53 − 1) by their digits."""
    body = msgspec.json.encode(record)
    if not _SUSPECT.search(body):
        return Cleaned(record, 0, len(body))
    cleaner = _Cleaner()
    plain = cleaner.value(msgspec.to_builtins(record))
    return Cleaned(msgspec.convert(plain, type(record)) if cleaner.count else record, cleaner.count, len(body))


class _Cleaner:
    def __init__(self) -> None:
        self.count = 0

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {self._text(name): self.value(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        if isinstance(value, int) and not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            self.count += 1
            return str(value)
        return value

    def _text(self, text: str) -> str:
        cleaned, found = _CONTROL.subn(REPLACEMENT, text)
        self.count += bool(found)
        return cleaned
