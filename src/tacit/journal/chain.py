"""How far one chain was followed while it is verified."""

from __future__ import annotations

from tacit.journal import event as events

_BEFORE_ALL_TIME = -(2**63)


class Chain:
    """The last event's place and hash, and the hashes that await the next checkpoint."""

    __slots__ = ("clock", "hash", "hashes", "next_check", "origin", "recorded_at", "sequence")

    def __init__(self, origin: bytes) -> None:
        self.origin = origin
        self.sequence = 0
        self.clock = 0
        self.recorded_at = _BEFORE_ALL_TIME
        self.hash = events.NO_PREVIOUS
        self.hashes: list[bytes] = []
        self.next_check = 0  # the sequence at which blocks and checkpoints are looked at next
