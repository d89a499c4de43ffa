"""What is ranked: the candidates, what stands around them, and what is known of the mind as a whole. Plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tacit.errors import InvalidInput
from tacit.recall.reading import Reading

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]
    Whole = NDArray[numpy.int64]
    Vector = NDArray[numpy.floating[Any]]

OFFSETS = (-1, 1, -2, 2)
"""Which neighbours in its session a memory is read with, nearest first."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A memory that may answer, or one that only stands beside such a one (``ranked`` is False).

    Like all that comes by the hundred with each question it holds no circle of references, and the garbage collector
    need not look for one.

    ``reading`` is of the text alone; ``names`` are the terms of its speaker and user. ``number`` is its
    position in the mind's journal, so it grows with time. ``valid`` says whether it is true at the time
    that is asked about. ``vector`` has unit length; None: there is none yet.
    """

    id: str
    text: str
    reading: Reading
    names: Sequence[str] = ()
    kind: str = "turn"
    user: str = ""
    session: str = ""
    speaker: str = ""
    number: int = 0
    occurred_at: int | None = None
    importance: float | None = None
    valid: bool = True
    vector: Vector | None = None
    ranked: bool = True


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of all that a mind remembers.

    Args:
        documents: how many memories there are.
        mean_length: terms of one, on average.
        frequencies: in how many of them each term of the question stands; missing is none.
        spoken: how many of them each name of the question said, or are about it; missing: as among the candidates.
        cosine: mean and standard deviation of the cosine between the question and
            a random sample of the mind; None: estimated from the candidates, which is less exact.
        compared: among how many memories the nearest in meaning were looked for; 0: among all of them.
        familiarity: how well the embedder knows what the question is written in, 0 … 1: its meaning weighs so much.
    """

    documents: int
    mean_length: float
    frequencies: Mapping[str, int]
    spoken: Mapping[str, int] = {}
    cosine: tuple[float, float] | None = None
    compared: int = 0
    familiarity: float = 1.0


class Pool:
    """Candidates in their canonical order, so that nothing depends on the order in which they were found.

    ``around`` has for each turn the places of its neighbours by OFFSETS; -1 where there is none. What is not a turn has
    no neighbours and is none: notes that came in together need not have to do with each other. ``vectors`` has a row
    for each; where ``embedded`` is False it is nil.
    """

    def __init__(
        self,
        items: Sequence[Candidate],
        around: Mapping[str, Sequence[str | None]] | None = None,
        of_the_time: Collection[str] = (),
    ) -> None:
        """``around`` has the ids of the neighbours by OFFSETS of those items that have any. Without it, neighbours are
        those next to each other among the items of a session, which is right where whole sessions are given.
        ``of_the_time`` has the ids of those that are there only because they fall into a time that the question names:
        they do not show how rare that is.

        Raises:
            InvalidInput: two items have one id.
        """
        import numpy

        self.items = sorted(items, key=lambda item: (item.number, item.id))
        self.place = {item.id: place for place, item in enumerate(self.items)}
        if len(self.place) != len(self.items):
            raise InvalidInput("two candidates have one id", field="items")
        self.around: Whole = numpy.full((len(self.items), len(OFFSETS)), -1, dtype=numpy.int64)
        self.embedded = numpy.array([item.vector is not None for item in self.items], dtype=numpy.bool_)
        self.of_the_time = numpy.array([item.id in of_the_time for item in self.items], dtype=numpy.bool_)
        self.vectors = _stacked([item.vector for item in self.items])
        if around is None:
            self._by_session()
        else:
            for name, beside in around.items():
                if name in self.place:
                    self.around[self.place[name]] = [self.place.get(one, -1) if one else -1 for one in beside]
        turns = numpy.array([item.kind == "turn" for item in self.items], dtype=numpy.bool_)
        self.around[~turns] = -1
        self.around[~turns[self.around]] = -1

    def _by_session(self) -> None:
        sessions: dict[tuple[str, str], list[int]] = {}
        for place, item in enumerate(self.items):
            if item.session:
                sessions.setdefault((item.user, item.session), []).append(place)
        for places in sessions.values():
            for at, place in enumerate(places):
                for column, offset in enumerate(OFFSETS):
                    if 0 <= at + offset < len(places):
                        self.around[place, column] = places[at + offset]

    def beside(self, values: Real, column: int) -> Real:
        """The values of the neighbours at one offset; 0 where there is none. Rows of a matrix likewise."""
        import numpy

        places = self.around[:, column]
        there = places >= 0
        shape = (len(places), *[1] * (values.ndim - 1))
        return numpy.where(there.reshape(shape), values[numpy.maximum(places, 0)], 0.0)


def _stacked(vectors: Sequence[Vector | None]) -> NDArray[numpy.float32]:
    """A row for each vector, nil where there is none.

    Raises:
        InvalidInput: they are not of one length.
    """
    import numpy

    lengths = {len(vector) for vector in vectors if vector is not None}
    if len(lengths) > 1:
        raise InvalidInput("candidates have vectors of different lengths", field="items")
    none = numpy.zeros(lengths.pop() if lengths else 0, dtype=numpy.float32)
    rows = [none if vector is None else vector for vector in vectors]
    return numpy.asarray(rows, dtype=numpy.float32).reshape(len(rows), len(none))
