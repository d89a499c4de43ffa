"""How long consumers rest between two rounds, so that whoever writes comes first."""

from __future__ import annotations

import time
from collections.abc import Callable

MOMENT_SECONDS = 0.02
"""The shortest rest: writes that come close together are consumed together."""
BUSY_SECONDS = 0.1
"""The shortest rest while somebody writes: each round takes the interpreter from writers, however little it does."""
QUIET_SECONDS = 0.25
"""Nobody wrote for so long: nobody is in the way."""
PATIENCE_SECONDS = 5.0
"""Consumers that have been behind for so long take the larger share."""
_REST_IN_A_BURST = 9
_REST_LATER = 4
_LEAST_REST = 0.25
"""Rest for each second of work. In a short burst writers lose a tenth of one processor to consumers, later a fifth, and
then ever more the longer consumers are behind, up to four fifths: they must not fall back without end."""


class Rest:
    """Remembers when somebody last wrote, and since when consumers have had something to do.

    Args:
        idle: the rest after a round that moved nothing, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, *, idle: float = MOMENT_SECONDS) -> None:
        self._now = now
        self._idle = idle
        self._written_at = float("-inf")
        self._behind_since: float | None = None

    def written(self) -> None:
        """Somebody other than a consumer hands in something to write. Cheap: it is called for every write."""
        self._written_at = self._now()

    @property
    def writing(self) -> bool:
        """Whether somebody writes just now."""
        return self._now() - self._written_at <= QUIET_SECONDS

    @property
    def bursting(self) -> bool:
        """Whether somebody writes just now, and has not kept consumers from catching up for long."""
        if not self.writing:
            return False
        now = self._now()
        return self._behind_since is None or now - self._behind_since <= PATIENCE_SECONDS

    def seconds(self, worked: float, *, moved: bool, put_off: bool = False) -> float:
        """The rest after a round that took ``worked`` seconds and did something (``moved``), put something off, or
        found nothing to do."""
        now, least = self._now(), BUSY_SECONDS if self.writing else MOMENT_SECONDS
        if not moved and not put_off:
            self._behind_since = None
            return max(least, self._idle)
        if self._behind_since is None:
            self._behind_since = now - worked
        if not moved:
            return max(least, self._idle)
        if not self.writing:
            return MOMENT_SECONDS
        if self.bursting:
            return max(least, worked * _REST_IN_A_BURST)
        behind = max(now - self._behind_since, PATIENCE_SECONDS)
        return max(least, worked * max(_LEAST_REST, _REST_LATER * PATIENCE_SECONDS / behind))
