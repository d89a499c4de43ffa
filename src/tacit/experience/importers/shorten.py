"""Cut a text with a mark that tells how much is missing, and a nested value with its JSON text in the place."""

from __future__ import annotations

from typing import Any

import msgspec


def shorten(text: str, limit: int) -> str:
    """The text in at most ``limit`` bytes of UTF-8, ending in a mark that says how many bytes are missing.

    It never cuts inside a character. Where the limit is smaller than the mark, only "…" is left of the mark.
    """
    raw = text.encode()
    if len(raw) <= limit:
        return text
    room = limit - len(_mark(len(raw)).encode())
    if room < 0:
        return cut(raw, limit - len("…".encode())) + "…" if limit >= len("…".encode()) else ""
    kept = cut(raw, room)
    return kept + _mark(len(raw) - len(kept.encode()))


def _mark(missing: int) -> str:
    return f"… [shortened by {missing:,} bytes]"


def cut(raw: bytes, length: int) -> str:
    """At most the first ``length`` bytes as text, never cut inside a character."""
    return raw[:length].decode("utf-8", "ignore")


def depth(value: Any) -> int:
    """How many lists and objects stand inside each other; 0 for a scalar."""
    if isinstance(value, dict):
        return 1 + max((depth(inner) for inner in value.values()), default=0)
    if isinstance(value, list | tuple):
        return 1 + max((depth(inner) for inner in value), default=0)
    return 0


def flattened(value: Any, levels: int) -> Any:
    """The value with everything below ``levels`` turned into its JSON text."""
    if not isinstance(value, dict | list | tuple):
        return value
    if levels == 0:
        return msgspec.json.encode(value).decode()
    if isinstance(value, dict):
        return {name: flattened(inner, levels - 1) for name, inner in value.items()}
    return [flattened(inner, levels - 1) for inner in value]
