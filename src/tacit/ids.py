"""Identifiers: 16 bytes, written as a UUID.

A new id is a UUIDv7 (RFC 9562, section 5.7), so ids sort by the time they were made. An id that must be the same
when a call is retried is a UUIDv8 derived with HMAC-SHA256 under the mind's own secret, so nobody can guess what
it was derived from.
"""

from __future__ import annotations

import hmac
import os
import random
import uuid
from collections import deque
from typing import Protocol

from tacit.errors import InvalidInput, shown

ID_BYTES = 16


class Entropy(Protocol):
    """Where randomness comes from."""

    def bytes(self, count: int) -> bytes:
        """That many random bytes."""
        ...


class SystemEntropy:
    """The operating system's random source.

    It is asked for many small pieces at once: each question is a chance for every other thread to take the interpreter.
    """

    def bytes(self, count: int) -> bytes:
        if count > _PIECE_BYTES:
            return os.urandom(count)
        while True:
            try:
                return _pieces.pop()[:count]  # at once for all threads, and no two get the same
            except IndexError:
                pieces = _pieces  # before asking: what a signal handler forks in here has others
                many = os.urandom(_PIECE_BYTES * _PIECES)
                pieces.extend(many[at : at + _PIECE_BYTES] for at in range(0, len(many), _PIECE_BYTES))


_PIECE_BYTES, _PIECES = 16, 256
_pieces: deque[bytes] = deque()


def _begin_anew() -> None:
    global _pieces
    _pieces = deque()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)  # else the child would hand out what its parent does


class SeededEntropy:
    """A repeatable source, for tests and test vectors only: its bytes can be predicted."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


def new_id(micros: int, entropy: Entropy) -> bytes:
    """A UUIDv7 for the moment ``micros`` (µs since 1970 UTC): 48 bits of milliseconds, then 74 random bits."""
    return _stamp((micros // 1000).to_bytes(6, "big") + entropy.bytes(10), version=7)


def keyed_id(secret: bytes, *parts: str) -> bytes:
    """The UUIDv8 for these parts under this secret: the same parts always give the same id."""
    message = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
    return _stamp(hmac.digest(secret, message, "sha256")[:ID_BYTES], version=8)


def _stamp(raw: bytes, *, version: int) -> bytes:
    return raw[:6] + bytes((version << 4 | raw[6] & 0x0F, raw[7], 0x80 | raw[8] & 0x3F)) + raw[9:]


def format_id(raw: bytes) -> str:
    """The id as people see it: ``018f…-….``"""
    return str(uuid.UUID(bytes=raw))


def parse_id(text: str) -> bytes:
    """The bytes of an id written as a UUID; anything else is refused."""
    try:
        return uuid.UUID(text).bytes
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidInput(
            f"{shown(text)} is not an id; ids look like 0190b7c2-6e1f-7a52-9d3c-…", given=shown(text)
        ) from error
