"""A circuit breaker: a server that could not be reached is left alone for a while, by everybody in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tacit.errors import ModelError
from tacit.models.embedding import Embedder
from tacit.stores.forking import FreshLock

if TYPE_CHECKING:
    from tacit.models.embedding import Vectors

_log = logging.getLogger("tacit.models.circuit_breaker")
PAUSE_SECONDS = 10.0
"""So long a server that could not be reached is not asked again."""


class CircuitBreaker:
    """An embedder behind a server. After a call that found it away, further ones fail at once until a pause is over.

    The log says once that it is away, and once that it is back. Errors of a server that is away have ``away=True`` in
    their context, so that whoever meets them need not say it again. A text that the server refuses opens nothing.

    Args:
        pause: seconds until it is asked again.
    """

    remote = True
    """Whoever waits for it waits for another machine, or another program at least."""

    def __init__(
        self, embedder: Embedder, *, pause: float = PAUSE_SECONDS, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._embedder = embedder
        self._pause = pause
        self._timer = timer
        self._lock = FreshLock()  # guards _away and _again_at, which change together
        self._away = ""
        self._again_at = float("-inf")

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    @property
    def dimension(self) -> int:
        self._check()
        return self._embedder.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of unit length for each text, in their order.

        Raises:
            ModelError: the embedder's, or at once while it is away.
        """
        self._check()
        try:
            vectors = self._embedder.embed(texts)
        except ModelError as error:
            if not error.context.get("unreachable"):
                raise
            self._open(error)
            raise ModelError(error.message, **{**error.context, "away": True}) from error
        self._close()
        return vectors

    def _check(self) -> None:
        with self._lock:
            if self._timer() < self._again_at:
                raise ModelError(self._away, unreachable=True, away=True)

    def _open(self, error: ModelError) -> None:
        with self._lock:
            said, self._away = self._away, error.message
            self._again_at = self._timer() + self._pause
        level = logging.DEBUG if said else logging.WARNING
        _log.log(level, "the embedder is away and left alone for %g s; it goes by words: %s", self._pause, error)

    def _close(self) -> None:
        with self._lock:
            said, self._away = self._away, ""
        if said:
            _log.info("the embedder is back")
