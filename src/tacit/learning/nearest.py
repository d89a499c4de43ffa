"""The finished episodes most like a task: by the meaning of its description (vectors) and by its words.

A shelf holds the newest episodes of one mind in memory, up to a window, and catches up from the store before it
answers. Likeness is the mean of two figures from 0 to 1: the cosine of the vectors, and the share of the task's words,
weighed by how rare they are, that the other task has too. Without vectors the words alone decide.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from tacit.learning.lessons import Lesson, count_lessons, lessons_between, lessons_ended, newest_lessons
from tacit.learning.trace import Trace
from tacit.learning.vectors import TextEmbedder, read_vectors
from tacit.stores.port import Snapshot

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

MOST_OF_KIND = 500


class Near(msgspec.Struct, frozen=True):
    """A finished episode, and how like the task it is, from 0 to 1."""

    episode: str
    likeness: float
    trace: Trace


class Shelf:
    """The newest finished episodes of one mind."""

    def __init__(self, window: int, embedder: TextEmbedder | None) -> None:
        self._window = window
        self._embedder = embedder
        self._traces: dict[str, Trace] = {}
        self._words: Counter[str] = Counter()
        self._kinds: dict[tuple[str, str], dict[str, None]] = {}
        self._vectors: dict[str, Any] = {}
        self._table: tuple[list[str], NDArray[numpy.float32]] | None = None
        self._position = 0
        self._vectors_position = 0

    def __len__(self) -> int:
        return len(self._traces)

    @property
    def traces(self) -> Iterable[tuple[str, Trace]]:
        """Every episode on the shelf, oldest first."""
        return self._traces.items()

    def of_kind(self, kind: tuple[str, str]) -> list[tuple[str, Trace]]:
        """Up to 500 of the newest episodes of a kind of task, oldest first."""
        return [(id, self._traces[id]) for id in list(self._kinds.get(kind, ()))[-MOST_OF_KIND:]]

    def catch_up(self, snapshot: Snapshot, mind: bytes, position: int) -> None:
        """Bring the shelf to a position: what stands there, and nothing else."""
        if position == self._position:
            self._read_vectors(snapshot, mind, position)  # which may come later than what they belong to
            return
        if self._position and position < self._position:
            self._clear()
        if self._position:
            for lesson in lessons_ended(snapshot, mind, self._position, position):
                self._remove(lesson.episode)
            for lesson in lessons_between(snapshot, mind, self._position, position):
                self._put(lesson)
        if not self._position or len(self) != min(self._window, count_lessons(snapshot, mind, position)):
            self._clear()
            for lesson in reversed(newest_lessons(snapshot, mind, position, self._window)):
                self._put(lesson)
        self._position = position
        self._read_vectors(snapshot, mind, position)

    def nearest(self, text: str, words: Iterable[str], most: int) -> list[Near]:
        """Up to ``most`` episodes, most alike first; those that are not like it at all are left out."""
        if not self._traces:
            return []
        lexical = self._by_words(set(words))
        semantic = self._by_meaning(text)
        if semantic:
            scores = {id: (max(0.0, cosine) + lexical.get(id, 0.0)) / 2 for id, cosine in semantic.items()}
            scores |= {id: likeness / 2 for id, likeness in lexical.items() if id not in scores}
        else:
            scores = lexical
        ranked = sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:most]
        return [Near(id, likeness, self._traces[id]) for id, likeness in ranked if likeness > 0]

    def _clear(self) -> None:
        self._traces.clear()
        self._words.clear()
        self._kinds.clear()
        self._vectors.clear()
        self._table = None
        self._position = self._vectors_position = 0

    def _put(self, lesson: Lesson) -> None:
        self._remove(lesson.episode)
        self._traces[lesson.episode] = lesson.trace
        self._words.update(lesson.trace.features)
        self._kinds.setdefault(lesson.trace.kind, {})[lesson.episode] = None
        while len(self._traces) > self._window:
            self._remove(next(iter(self._traces)))

    def _remove(self, episode: str) -> None:
        trace = self._traces.pop(episode, None)
        if trace is not None:
            self._words.subtract(trace.features)
            self._kinds[trace.kind].pop(episode)
        if self._vectors.pop(episode, None) is not None:
            self._table = None

    def _read_vectors(self, snapshot: Snapshot, mind: bytes, position: int) -> None:
        if self._embedder is None:
            return
        from tacit.ids import format_id

        owners, since, vectors = read_vectors(
            snapshot, mind, self._embedder.fingerprint, self._embedder.dimension,
            after=self._vectors_position, position=position, most=self._window,
        )  # fmt: skip
        for owner, vector in zip(owners, vectors, strict=True):
            self._vectors[format_id(owner)] = vector
        if owners:
            self._vectors_position = max(since)
            self._table = None

    def _by_meaning(self, text: str) -> dict[str, float]:
        if self._embedder is None or not self._vectors:
            return {}
        import numpy

        if self._table is None:
            ids = [id for id in self._vectors if id in self._traces]
            self._table = (ids, numpy.array([self._vectors[id] for id in ids], dtype=numpy.float32))
        ids, table = self._table
        if not ids:
            return {}
        return dict(zip(ids, (table @ self._embedder.embed([text])[0]).tolist(), strict=True))

    def _by_words(self, words: set[str]) -> dict[str, float]:
        weights = {word: math.log((len(self) + 1) / (self._words[word] + 0.5)) for word in words}
        whole = sum(weights.values())
        if whole <= 0:
            return {}
        found: dict[str, float] = {}
        for id, trace in self._traces.items():
            shared = words.intersection(trace.features)
            if shared:
                found[id] = sum(weights[word] for word in shared) / whole
        return found
