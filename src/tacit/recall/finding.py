"""Finds candidates in one snapshot: by words, by meaning, by the times that a question names, and what always stands.

What an index says is joined with the view of memories at once, and every row and vector is read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tacit.experience.memory.fold import MemoryRow
from tacit.experience.memory.memory import STANDING_KINDS
from tacit.experience.memory.views import MemoryFilter
from tacit.recall.meaning import Meaning
from tacit.recall.memory_vectors import read_vectors
from tacit.recall.moments import spans_of
from tacit.recall.question import Question
from tacit.recall.rows import Held, newest_of_the_time, read_around, read_held, read_rows
from tacit.recall.vector_index import VectorIndex
from tacit.stores.port import Snapshot
from tacit.stores.terms import LABELLED, label_of, name_label
from tacit.stores.text_index import POSTINGS

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

MOST_HITS = 1_000
BY_WORDS = 64
"""Memories that are looked at because of their words, at least."""
BY_MEANING = 64
"""Memories that are looked at because of their meaning, at least."""
_TIMES_WANTED = 3
"""So many times as many hits as are wanted are looked at by each, if that is more."""
_STANDING = 50
"""Standing instructions and preferences that are always looked at, the newest."""
_WITH_NEIGHBOURS = 24
"""Of the best by words and by meaning, so many bring their neighbours with them as answers."""
_FARTHER = 8
"""So many times as many are taken by words where those that were taken hold no longer, or are of another time."""
COMPARED = 128
"""Memories whose codes are most like the question, that are compared with it exactly."""
_OF_THE_TIME = 50
"""Memories of each time named that are looked at because of it."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, checked; see ``tacit.Mind.recall``. Times are µs since 1970 UTC."""

    query: str
    k: int = 10
    wanted: MemoryFilter = MemoryFilter()
    valid_at: int | None = None
    threshold: float | None = None
    max_tokens: int | None = None
    recipe: str = "default"


class Found(NamedTuple):
    """Candidates by number, and which of them are most likely to answer."""

    numbers: list[int]
    best: list[int]
    of_the_time: set[int]
    """Those that are candidates only because they fall into a time that the question names."""


class Finder:
    """What is read of a mind for one question, within one snapshot."""

    def __init__(
        self,
        index: VectorIndex,
        meaning: Meaning | None,
        snapshot: Snapshot,
        mind: bytes,
        position: int,
        asked: Asked,
        now: int,
    ) -> None:
        self._index = index
        self._meaning = meaning
        self._snapshot = snapshot
        self._mind = mind
        self._position = position
        self._asked = asked
        self._now = now
        self.known: dict[int, NDArray[numpy.float16]] = {}
        """Vectors that were read, by number."""
        self.meant = 0
        """Memories among which the nearest in meaning were looked for."""
        self._held: dict[int, MemoryRow | None] = {}  # rows that were read, and that there is none
        self._within = [label_of(field, value) for field in LABELLED if (value := getattr(asked.wanted, field, ""))]

    def candidates(self, question: Question, vectors: Real | None) -> Found:
        by_words = self._by_words([*question.terms, *map(name_label, question.names)], self._most(BY_WORDS))
        by_meaning = self._by_meaning(vectors, self._most(BY_MEANING))
        of_the_time = self._of_the_time(question, vectors)
        standing = self._standing()
        best = [*by_words[:_WITH_NEIGHBOURS], *by_meaning[:_WITH_NEIGHBOURS]]
        found = dict.fromkeys([*by_words, *by_meaning, *standing])
        return Found([*found, *(of_the_time - found.keys())], list(dict.fromkeys(best)), of_the_time - found.keys())

    def _most(self, least: int) -> int:
        return max(least, _TIMES_WANTED * self._asked.k)

    def _by_words(self, terms: Sequence[str], most: int) -> list[int]:
        found: dict[int, None] = {}
        for within in self._within_kinds():
            found |= dict.fromkeys(self._best_held(terms, most, within))
        if len(found) < most and self._asks_for_a_time() and self._are_frequent(terms):
            found |= dict.fromkeys(
                newest_of_the_time(
                    self._snapshot, self._mind, self._asked.wanted, self._asked.valid_at, self._position, most
                )
            )
        return list(found)

    def _asks_for_a_time(self) -> bool:
        wanted = self._asked.wanted
        return (self._asked.valid_at, wanted.occurred_after, wanted.occurred_before) != (None, None, None)

    def _are_frequent(self, terms: Sequence[str]) -> bool:
        """Whether the index looks at a part only of the memories with these words: those of a time may be the rest."""
        return min(self._snapshot.count_terms(self._mind, terms).values(), default=0) > POSTINGS

    def _best_held(self, terms: Sequence[str], most: int, within: Sequence[str]) -> list[int]:
        """The best by words of those that may answer. The index also has what holds no longer, and knows of no times:
        where that takes the places of what is asked for, it is looked farther down."""
        wanted, upto = most, self._position
        while True:
            found = self._snapshot.find_terms(self._mind, terms, wanted, within=within, upto=upto)
            numbers = [number for number, _ in found]
            # the first time whole rows are read: most of them will be wanted
            held = self.rows(numbers) if wanted == most else read_held(self._snapshot, self._mind, numbers, upto)
            meant = [number for number in numbers if number in held and self._is_of_the_time(held[number])]
            if len(meant) >= most or len(numbers) < wanted or wanted >= POSTINGS:
                return meant[:most]
            wanted = min(_FARTHER * wanted, POSTINGS)

    def _within_kinds(self) -> list[list[str]]:
        kinds = self._asked.wanted.kinds
        return [[*self._within, label_of("kind", kind)] for kind in kinds] if kinds else [self._within]

    def _standing(self) -> list[int]:
        wanted = self._asked.wanted.kinds
        found: list[int] = []
        for kind in STANDING_KINDS:
            if not wanted or kind in wanted:
                label = label_of("kind", kind)
                found += self._best_held([label], _STANDING, self._within)
        return found

    def _by_meaning(self, vectors: Real | None, most: int) -> list[int]:
        if vectors is None:
            return []
        meant, numbers = self._nearest(vectors, self._asked.wanted, max(COMPARED, most))
        self.meant = meant
        if self._asked.valid_at is not None:  # the index knows of no such times: it is looked farther down
            if meant > len(numbers):
                _, numbers = self._nearest(vectors, self._asked.wanted, _FARTHER * max(COMPARED, most))
            held = read_held(self._snapshot, self._mind, numbers, self._position)
            numbers = [number for number in numbers if number in held and self._is_of_the_time(held[number])]
            self.meant = len(numbers)
        return [number for number, _ in self._compared(numbers, vectors.mean(axis=0))][:most]

    def _nearest(self, vectors: Real, wanted: MemoryFilter, most: int) -> tuple[int, list[int]]:
        """How many memories with a vector meet a filter, and those of them whose codes are most like the question."""
        if self._meaning is None:
            return 0, []
        import numpy

        mean = vectors.mean(axis=0)
        length = float(numpy.linalg.norm(mean))
        if not length:
            return 0, []
        meant = self._index.among(
            self._snapshot, self._mind, self._meaning.model, len(mean), wanted=wanted, position=self._position
        )
        many = len(meant.numbers) if meant.chosen is None else int(numpy.count_nonzero(meant.chosen))
        return many, meant.nearest((mean / length).astype(numpy.float32), most).tolist() if many else []

    def _of_the_time(self, question: Question, vectors: Real | None) -> set[int]:
        """Of each time that the question names, those nearest in meaning, or the newest where meaning is not compared:
        where a time is nearly all that is asked about, few of it are among the best by words or by meaning."""
        found: set[int] = set()
        for after, before in spans_of(question.periods, self._now):
            wanted = _narrowed(self._asked.wanted, after, before)
            if vectors is not None:
                found.update(self._nearest(vectors, wanted, _OF_THE_TIME)[1])
            elif self._snapshot.indexed(self._mind)[0] <= POSTINGS:
                found.update(
                    newest_of_the_time(
                        self._snapshot, self._mind, wanted, self._asked.valid_at, self._position, _OF_THE_TIME
                    )
                )
        return found

    def _compared(self, numbers: Sequence[int], asked: NDArray[numpy.float64]) -> list[tuple[int, float]]:
        """The memories of those numbers with their likeness, the most alike first; their vectors are kept for later."""
        import numpy

        there, matrix = self.vectors(numbers, len(asked))
        if not len(there):
            return []
        # not "@", which would wait for a second processor: where others are at work that takes ten times as long
        alike = numpy.einsum("ij,j->i", matrix.astype(numpy.float32), asked.astype(numpy.float32))
        order = numpy.lexsort((-there, -alike))
        return [(int(there[place]), float(alike[place])) for place in order]

    def vectors(self, numbers: Sequence[int], dimension: int) -> tuple[NDArray[numpy.int64], NDArray[numpy.float16]]:
        assert self._meaning is not None
        there, matrix = read_vectors(self._snapshot, self._mind, self._meaning.model, numbers, dimension)
        self.known.update(zip(there.tolist(), matrix, strict=True))
        return there, matrix

    def rows(self, numbers: Iterable[int]) -> dict[int, MemoryRow]:
        """The memories of those numbers that hold, each read once."""
        wanted = list(numbers)
        unread = [number for number in wanted if number not in self._held]
        self._held |= dict.fromkeys(unread) | read_rows(self._snapshot, self._mind, unread, self._position)
        return {number: row for number in wanted if (row := self._held[number]) is not None}

    def around(self, rows: Iterable[MemoryRow]) -> dict[int, tuple[int | None, ...]]:
        """The numbers of the neighbours of those that are in a session."""
        numbers = [row.since for row in rows if row.session]
        return read_around(self._snapshot, self._mind, numbers, self._position)

    def is_meant(self, row: MemoryRow) -> bool:
        wanted = self._asked.wanted
        names = ("user", "session", "agent", "speaker", "subject", "source_id")
        if any(value and getattr(row, name) != value for name in names if (value := getattr(wanted, name))):
            return False
        if wanted.kinds and row.kind not in wanted.kinds:
            return False
        return self._is_of_the_time(row)

    def _is_of_the_time(self, row: MemoryRow | Held) -> bool:
        wanted, valid_at = self._asked.wanted, self._asked.valid_at
        moment = row.recorded_at if row.occurred_at is None else row.occurred_at
        if wanted.occurred_after is not None and moment < wanted.occurred_after:
            return False
        if wanted.occurred_before is not None and moment >= wanted.occurred_before:
            return False
        return valid_at is None or is_valid(row, valid_at)


def _narrowed(wanted: MemoryFilter, after: int | None, before: int | None) -> MemoryFilter:
    """A filter, within a stretch of time as well."""
    afters = [moment for moment in (wanted.occurred_after, after) if moment is not None]
    befores = [moment for moment in (wanted.occurred_before, before) if moment is not None]
    return msgspec.structs.replace(
        wanted, occurred_after=max(afters, default=None), occurred_before=min(befores, default=None)
    )


def is_valid(row: MemoryRow | Held, moment: int) -> bool:
    return (row.valid_from is None or row.valid_from <= moment) and (row.valid_to is None or moment < row.valid_to)
