"""An event, its canonical header bytes and its hash. Pure data; ``docs/journal-format.md`` fixes the bytes."""

from __future__ import annotations

import hashlib
import re
import struct
from typing import Any

import msgspec

from tacit.errors import InvalidInput

SALT_BYTES = 16
NO_CAUSATION = bytes(16)
NO_PREVIOUS = bytes(32)
TAG = b"tacit/event/1".ljust(16, b"\x00")
FIXED = struct.Struct(">16s16s16s32sQQqqH16s32s32s")
_KIND = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")
_ACTOR = re.compile(r"[A-Za-z0-9_:.-]{0,64}")


class Event(msgspec.Struct, frozen=True):
    """One entry of the journal. Ids, keys and hashes are raw bytes; times are µs since 1970 UTC.

    The fields stand in the order of the ``event`` table. ``position`` is the place in this store's copy of the mind's
    journal; it is local, and not hashed.
    """

    mind: bytes
    position: int
    origin: bytes
    sequence: int
    id: bytes
    clock: int
    kind: str
    actor: str
    occurred_at: int
    recorded_at: int
    version: int
    causation: bytes | None
    digest: bytes
    previous: bytes
    hash: bytes

    def row(self) -> tuple[Any, ...]:
        """The event as a row of the ``event`` table."""
        return (
            self.mind, self.position, self.origin, self.sequence, self.id, self.clock, self.kind, self.actor,
            self.occurred_at, self.recorded_at, self.version, self.causation, self.digest, self.previous, self.hash,
        )  # fmt: skip

    def computed_hash(self) -> bytes:
        """The hash that this header must have."""
        return header_hash(
            self.id, self.mind, self.origin, self.sequence, self.clock, self.occurred_at, self.recorded_at,
            self.version, self.causation, self.digest, self.previous, self.kind, self.actor,
        )  # fmt: skip


class Recorded(msgspec.Struct, frozen=True):
    """An event with its payload; ``payload`` is None when it was erased or has expired."""

    event: Event
    payload: dict[str, Any] | None


def header_bytes(
    id: bytes, mind: bytes, origin: bytes, sequence: int, clock: int, occurred_at: int, recorded_at: int,
    version: int, causation: bytes | None, digest: bytes, previous: bytes, kind: str, actor: str,
) -> bytes:  # fmt: skip
    """The bytes that are hashed, in the order of the specification."""
    fixed = FIXED.pack(
        TAG, id, mind, origin, sequence, clock, occurred_at, recorded_at,
        version, causation or NO_CAUSATION, digest, previous,
    )  # fmt: skip
    raw_kind, raw_actor = kind.encode("ascii"), actor.encode("ascii")
    return b"".join((fixed, bytes((len(raw_kind),)), raw_kind, bytes((len(raw_actor),)), raw_actor))


def header_hash(*fields: Any) -> bytes:
    """SHA-256 over :func:`header_bytes` of the same fields."""
    return hashlib.sha256(header_bytes(*fields)).digest()


def payload_digest(salt: bytes, body: bytes) -> bytes:
    """SHA-256(salt ‖ canonical bytes)."""
    return hashlib.sha256(salt + body).digest()


def check_kind(kind: str) -> None:
    """Refuse a kind that is not of the form ``noun.verb``."""
    if not _KIND.fullmatch(kind) or len(kind) > 64:
        raise InvalidInput(f"{kind!r} is not a kind of event; write it as noun.verb in lower case", kind=kind)


def check_actor(actor: str) -> None:
    """Refuse an actor that is not an opaque id."""
    if not _ACTOR.fullmatch(actor):
        raise InvalidInput(
            f"{actor!r} is not an actor id; use up to 64 of A-Z a-z 0-9 _ : . - and no person's name", actor=actor
        )
