"""Waiting for vectors: what learns from them had better have them all, unless they take too long."""

from __future__ import annotations

import time

from tacit.journal.consumer import consumer_position
from tacit.stores.port import Snapshot

WORTH_SECONDS, _GAUGE_SECONDS = 30.0, 3.0
"""Vectors are waited for when at their pace they will all be there in so many seconds; it takes so long to know their
pace. Later ones are learned from when there is more to learn from: a server that embeds may be down. What the pace was
longer ago says nothing: it may have gone down meanwhile."""


class Awaiting:
    """Remembers how fast the vectors of each mind come.

    Args:
        kept_as: the name under which it is kept how far they have come; "" when there are none.
    """

    def __init__(self, kept_as: str) -> None:
        self._kept_as = kept_as
        self._began: dict[bytes, tuple[int, float]] = {}
        """How far they had come when their pace began to be taken, and when that was."""

    def worth(self, snapshot: Snapshot, mind: bytes, position: int) -> bool:
        """Whether vectors up to a position are still to come, and that will soon be done."""
        if not self._kept_as:
            return False
        now, reached = time.monotonic(), consumer_position(snapshot, mind, self._kept_as)
        if reached >= position:
            self._began.pop(mind, None)
            return False
        began, since = self._began.setdefault(mind, (reached, now))
        if now >= since + WORTH_SECONDS:
            began, since = self._began[mind] = reached, now
        if now < since + _GAUGE_SECONDS:
            return True
        return (position - reached) * (now - since) < (reached - began) * WORTH_SECONDS
