"""Vectors of what is asked, from an embedder that may be slow or away: nobody waits for it longer than a moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count
from typing import TYPE_CHECKING

from tacit.errors import ModelError
from tacit.recall.embedder import TextEmbedder, ask

if TYPE_CHECKING:
    from tacit.recall.embedder import Vector

_log = logging.getLogger("tacit.recall.meaning")
PATIENCE_SECONDS = 3.0
"""So long is waited for an embedder, unless the setting ``learning.embedder_wait_seconds`` says otherwise."""
_greetings = count(1)
PAUSE_SECONDS = 10.0
"""After it has failed it is not asked for so long."""


class Meaning:
    """Asks an embedder in a thread of its own. Safe to use from many threads.

    Args:
        patience: seconds to wait for an answer.
        pause: seconds for which an embedder that failed is not asked again.
    """

    def __init__(
        self, embedder: TextEmbedder, *, patience: float = PATIENCE_SECONDS, pause: float = PAUSE_SECONDS
    ) -> None:
        self._embedder = embedder
        self._patience = patience
        self._pause = pause
        self._again_at = float("-inf")
        self._overdue: Future[list[Vector | None]] | None = None
        self._said = False
        """Whether the log has said that it fails; it does so once until it is well again."""
        self._doubted = False
        """Whether the last answer that was waited for too long failed in the end: nobody waits for the next one."""

    @property
    def model(self) -> str:
        """The fingerprint of the embedder."""
        return self._embedder.fingerprint

    @property
    def remote(self) -> bool:
        """Whether the embedder is asked over a network, so that waiting may be in vain."""
        return bool(getattr(self._embedder, "remote", False))

    def like(self, embedder: TextEmbedder) -> Meaning:
        """Another embedder, asked with the same patience."""
        return Meaning(embedder, patience=self._patience, pause=self._pause)

    def answers(self) -> bool:
        """Whether the embedder answers just now; waits for it as long as for any question."""
        return bool(self.of([f"Is anybody there, for the {next(_greetings)}. time?"]))  # which no cache knows

    def of(self, texts: Sequence[str]) -> dict[str, Vector]:
        """The vectors of the texts that have one. Empty while the embedder is away, or owes an answer that was waited
        for long enough.

        Raises:
            InvalidInput: something that is not text was given.
        """
        if not self._is_there():
            return {}
        answer = ask(self._embedder, texts)
        if self._doubted:
            self._overdue = answer
            return {}
        try:
            vectors = answer.result(self._patience)
        except TimeoutError:
            self._overdue = answer
            self._say("the embedder gave no answer in %g s; it goes by words alone", self._patience)
            return {}
        except ModelError as error:
            self._again_at = time.monotonic() + self._pause
            self._said = self._said or bool(error.context.get("away"))  # then it has been said already
            self._say("the embedder failed; it goes by words alone: %s", error)
            return {}
        self._said = False
        return {text: vector for text, vector in zip(texts, vectors, strict=True) if vector is not None}

    def familiarity(self, text: str) -> float:
        """How well the embedder knows the language of a text that it has embedded, 0 … 1; 1 if it does not tell."""
        tell = getattr(self._embedder, "familiarity", None)
        return 1.0 if tell is None else float(tell(text))

    def _say(self, what: str, detail: object) -> None:
        _log.log(logging.DEBUG if self._said else logging.WARNING, what, detail)
        self._said = True

    def _is_there(self) -> bool:
        """Whether the embedder may be asked: it neither failed just now nor owes an answer."""
        overdue = self._overdue
        if overdue is not None and overdue.done():
            self._overdue = None
            self._doubted = not overdue.cancelled() and isinstance(overdue.exception(), ModelError)
            if self._doubted:
                self._again_at = time.monotonic() + self._pause
        return self._overdue is None and time.monotonic() >= self._again_at
