"""The finished episodes most like a task: by the meaning of its description (vectors) and by its words.

A shelf holds the newest episodes of one mind in memory, up to a window, and catches up from the store before it
answers. Likeness is the mean of two figures from 0 to 1: the cosine of the vectors, and the share of the task's words,
weighed by how rare they are, that the other task has too. Where either has no vector the words alone decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from tacit.ids import format_id
from tacit.learning.advising.word_index import WordIndex
from tacit.learning.lessons.lessons import Lesson, count_lessons, lessons_between, lessons_ended, newest_heads
from tacit.learning.lessons.trace import Trace
from tacit.learning.lessons.vectors import read_vectors
from tacit.stores.port import Snapshot

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Vector = NDArray[numpy.float32]

MOST_OF_KIND = 500
_FIRST_ROWS = 64


class Near(msgspec.Struct, frozen=True):
    """A finished episode, and how like the task it is, from 0 to 1."""

    episode: str
    likeness: float
    trace: Trace


class _Entry(msgspec.Struct, frozen=True):
    row: int
    since: int
    trace: Trace


class Shelf:
    """The newest finished episodes of one mind.

    Args:
        window: how many.
        model: the fingerprint of the embedder whose vectors are used; empty for none.
    """

    def __init__(self, window: int, model: str = "") -> None:
        self.window = window
        self.model = model
        self._position = self._vectors_position = 0
        self._clear()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def traces(self) -> Iterable[tuple[str, Trace]]:
        """Every episode on the shelf, oldest first."""
        return ((id, entry.trace) for id, entry in self._entries.items())

    def of_kind(self, kind: tuple[str, str]) -> list[tuple[str, Trace]]:
        """Up to 500 of the newest episodes of a kind of task, oldest first."""
        return [(id, self._entries[id].trace) for id in list(self._kinds.get(kind, ()))[-MOST_OF_KIND:]]

    def has(self, kind: tuple[str, str]) -> bool:
        """Whether an episode is of this very kind."""
        return kind in self._kinds

    def knows(self, kind: tuple[str, str]) -> bool:
        """Whether an episode has this task type or this domain. A task without either is of no kind."""
        task_type, domain = kind
        return any((task_type and task_type == other[0]) or (domain and domain == other[1]) for other in self._kinds)

    @property
    def has_vectors(self) -> bool:
        """Whether any episode here has a vector."""
        return bool(self._embedded.any())

    def catch_up(self, snapshot: Snapshot, mind: bytes, position: int) -> None:
        """Bring the shelf to a position: what stands there, and nothing else."""
        if position == self._position:
            self._read_vectors(snapshot, mind, position)  # which may come later than what they belong to
            return
        if position < self._position:
            self._clear()
        if self._position:
            for lesson in lessons_ended(snapshot, mind, self._position, position):
                self._remove(lesson.episode)
            for lesson in lessons_between(snapshot, mind, self._position, position):
                self._put(lesson)
        if not self._position or not self._is_whole(snapshot, mind, position):
            self._clear()
            newest = newest_heads(snapshot, mind, position, self.window)
            for lesson in lessons_between(snapshot, mind, newest[0][1] - 1 if newest else position, position):
                self._put(lesson)
        self._position = position
        self._read_vectors(snapshot, mind, position)

    def nearest(self, words: Iterable[str], most: int, vector: Vector | None = None) -> list[Near]:
        """Up to ``most`` episodes, most alike first; those that are not like it at all are left out.

        Args:
            vector: of the task's description, by the shelf's model; without it the words alone decide.
        """
        if not self._entries:
            return []
        import numpy

        many = len(self._ids)
        scores = self._words.likeness(set(words))[:many]
        if vector is not None and len(vector) == self._vectors.shape[1]:
            # not "@", which would wait for a second processor: where others are at work that takes ten times as long
            meaning = numpy.maximum(numpy.einsum("ij,j->i", self._vectors[:many], vector), 0.0)
            scores = numpy.where(self._embedded[:many], (meaning + scores) / 2, scores)
        many = min(most, len(scores))
        least = max(numpy.partition(scores, len(scores) - many)[len(scores) - many], numpy.finfo(scores.dtype).tiny)
        found = [(self._ids[row], float(scores[row])) for row in numpy.flatnonzero(scores >= least)]
        found.sort(key=lambda one: (-one[1], one[0]))
        return [Near(id, likeness, self._entries[id].trace) for id, likeness in found[:most]]

    def _is_whole(self, snapshot: Snapshot, mind: bytes, position: int) -> bool:
        """Whether all that is here is still there, and fills the window; else something was erased."""
        oldest = next(iter(self._entries.values())).since if self._entries else 0
        there = count_lessons(snapshot, mind, position, after=oldest - 1)
        return len(self) == there == min(self.window, count_lessons(snapshot, mind, position))

    def _clear(self) -> None:
        import numpy

        self._entries: dict[str, _Entry] = {}
        self._ids: list[str] = []
        """By row; a row whose episode is gone says nothing and waits to be used again."""
        self._free: list[int] = []
        self._kinds: dict[tuple[str, str], dict[str, None]] = {}
        self._words = WordIndex()
        self._vectors: Vector = numpy.zeros((0, 0), dtype=numpy.float32)
        self._embedded = numpy.zeros(0, dtype=bool)
        """Which rows have a vector."""
        self._position = self._vectors_position = 0

    def _put(self, lesson: Lesson) -> None:
        self._remove(lesson.episode)
        if self._free:
            row = self._free.pop()
            self._ids[row] = lesson.episode
        else:
            row = len(self._ids)
            self._ids.append(lesson.episode)
        self._entries[lesson.episode] = _Entry(row, lesson.since, lesson.trace)
        self._words.put(row, lesson.trace.features)
        self._kinds.setdefault(lesson.trace.kind, {})[lesson.episode] = None
        self._make_room(self._vectors.shape[1])
        while len(self._entries) > self.window:
            self._remove(next(iter(self._entries)))

    def _remove(self, episode: str) -> None:
        entry = self._entries.pop(episode, None)
        if entry is None:
            return
        self._free.append(entry.row)
        self._words.clear(entry.row)
        of_kind = self._kinds[entry.trace.kind]
        del of_kind[episode]
        if not of_kind:
            del self._kinds[entry.trace.kind]
        self._embedded[entry.row] = False

    def _make_room(self, dimension: int) -> None:
        """Room for a vector of that dimension in every row."""
        import numpy

        rows, before = self._vectors.shape
        if len(self._ids) <= rows and dimension == before:
            return
        more = rows if len(self._ids) <= rows else max(2 * rows, _FIRST_ROWS)
        vectors, embedded = numpy.zeros((more, dimension), dtype=numpy.float32), numpy.zeros(more, dtype=bool)
        if dimension == before:  # else those that there are came from another model of the same name
            vectors[:rows], embedded[:rows] = self._vectors, self._embedded
        self._vectors, self._embedded = vectors, embedded

    def _read_vectors(self, snapshot: Snapshot, mind: bytes, position: int) -> None:
        if not self.model:
            return
        owners, since, vectors = read_vectors(
            snapshot, mind, self.model, after=self._vectors_position, position=position, most=self.window
        )
        if not owners:
            return
        self._make_room(vectors.shape[1])
        for owner, vector in zip(owners, vectors, strict=True):
            entry = self._entries.get(format_id(owner))
            if entry is not None:
                self._vectors[entry.row] = vector
                self._embedded[entry.row] = True
        self._vectors_position = max(since)
