"""Which embedder answers for a mind: the one that is set, or after a change the former one until that has caught up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tacit.recall.embedder import TextEmbedder
from tacit.recall.meaning import Meaning
from tacit.recall.memory_vectors import former_models

OpenFormer = Callable[[str], TextEmbedder | None]
"""Opens the embedder of a fingerprint that a store names; None for one that must not or cannot be opened."""


class Served(NamedTuple):
    """Whose vectors a question is compared with.

    ``reached`` is how many events these have seen. ``wanted_reached`` says it of the embedder that is set, where a
    former one serves in its place, and is None elsewhere.
    """

    meaning: Meaning | None
    reached: int = 0
    wanted_reached: int | None = None


class Serving:
    """Chooses the embedder for each question. Safe to use from many threads.

    Args:
        wanted: of the embedder that is set; None for none, and then no former one serves either.
        open_former: opens a former one; it is asked once for each.
    """

    def __init__(self, wanted: Meaning | None, open_former: OpenFormer = lambda _: None) -> None:
        self.wanted = wanted
        self._open_former = open_former
        self._lock = threading.RLock()  # guards _former: a model is opened once
        self._former: dict[str, Meaning | None] = {}

    def of(self, reached: Mapping[str, int], position: int) -> Served:
        """Whose vectors answer best as of a position, from how many events each model has seen.

        Call it outside of a snapshot: opening a model takes its time.
        """
        if self.wanted is None:
            return Served(None)
        own = reached.get(self.wanted.model, 0)
        for model in former_models(reached, self.wanted.model, position):
            former = self._meaning_of(model)
            if former is not None:
                return Served(former, reached[model], own)
        return Served(self.wanted, own)

    def _meaning_of(self, model: str) -> Meaning | None:
        with self._lock:
            if model not in self._former:
                embedder = self._open_former(model)
                self._former[model] = None if embedder is None or self.wanted is None else self.wanted.like(embedder)
            return self._former[model]
