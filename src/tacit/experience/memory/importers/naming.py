"""Names for what has none of its own: stable, so that importing again finds the same, and never another's."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import msgspec

from tacit.experience.importers.shorten import cut

_DIGITS = 16
"""Hexadecimal digits of a digest in a name: two of a thousand million would hardly ever be alike by chance."""
_LONGEST = 100
"""Bytes of an id that stand readable in a name."""


def own_name(value: Any) -> str:
    """An id as a name; "" when it is none. One that is only a number counts what is in a file, and so is none."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or text.isdigit():
        return ""
    return text if len(text.encode()) <= _LONGEST else f"{cut(text.encode(), _LONGEST)}-{digest_of(text)}"


def content_name(before: str, content: Any) -> str:
    """A name made of content: the same for the same."""
    return f"{before}-{digest_of(content)}"


def digest_of(content: Any) -> str:
    """The beginning of the SHA-256 of JSON data, in hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:_DIGITS]


def unique(name: str, seen: Counter[str]) -> str:
    """The name; with its number when it comes again: ``D1:2#2``."""
    seen[name] += 1
    return name if seen[name] == 1 else f"{name}#{seen[name]}"
