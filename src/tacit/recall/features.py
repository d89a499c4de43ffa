"""The signals of each candidate, nearly all in nats of evidence, so that they add up and carry over.

Each is measured against the mind's own habits: how rare a term is there, how far a cosine lies above that of a random
memory, what share of it a person said. So no raw length, score or cosine has a say, and the same weights serve short
turns, long answers and abstracts. Signals of conversation are nil where there is none: without neighbours, speakers or
questions they have no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING

from tacit.experience.memory.memory import STANDING_KINDS
from tacit.recall.bm25 import bm25, counts, rarity
from tacit.recall.moments import nearness
from tacit.recall.pool import OFFSETS, Candidate, Pool, Statistics
from tacit.recall.question import Question
from tacit.recall.recipe import Recipe

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

_NAMED_SHARE = 0.9
"""How often, where a question names a person, the answer is by or about that person."""
_TIMED_SHARE = 0.6
"""How often the answer to a question after a time says one, or lies in the period that a question names."""
_FULL_TERMS = 16
"""From so many terms on, a question's words weigh no more in all."""
_MOST_TERMS = 64
"""So many terms of a question are looked for, the rarest of them; a text of a thousand words may be asked as well."""
_LEAST_DETAIL = -3.0
_SHRINKAGE = 20.0
"""Turns of everybody that a speaker's own are joined with, before there are many of them, to tell what is long."""
_FEW_TURNS = 5
"""Below so many, a speaker has no habits yet."""
_FEW_VECTORS = 20
"""Below so many memories with a vector, nothing is expected of those without one."""


def signals_of(
    question: Question, vectors: Real | None, pool: Pool, statistics: Statistics, recipe: Recipe
) -> dict[str, Real]:
    """The value of each signal for each item of the pool, in its order. ``repetition`` depends on what stands above, so
    it is not among them.

    Args:
        question: what is asked.
        vectors: of the question and of its bare form, a row each; None: there is no embedder, or it is busy.
        pool: what is ranked.
        statistics: of the mind.
        recipe: for how far neighbours count.
    """
    import numpy

    lengths = numpy.array([item.reading.length for item in pool.items], dtype=numpy.float64)
    terms, weights = _weighed(question, statistics)
    found = counts(terms, [item.reading.counts for item in pool.items])
    words = bm25(found, lengths, weights, statistics.mean_length)
    meaning, known = _meaning(vectors, pool, statistics)
    times = _ranks([float(item.number if item.occurred_at is None else item.occurred_at) for item in pool.items])
    return {
        "words": words,
        "meaning": meaning,
        "expected_meaning": _expected(words, meaning, known),
        "words_around": _around(words, pool, recipe),
        "meaning_around": _around(numpy.maximum(meaning, 0), pool, recipe),
        "name": _name(question, pool, statistics),
        "asking": numpy.array([item.reading.asking for item in pool.items]),
        "detail": _detail(pool),
        "tells_time": _tells_time(question, pool),
        "period": _period(question, pool),
        "trend": question.trend * (times - 0.5),
        "recency": times,
        "standing": numpy.array([float(item.kind in STANDING_KINDS) for item in pool.items]),
        "expired": numpy.array([float(not item.valid) for item in pool.items]),
        "importance": numpy.array(
            [(item.importance if item.importance is not None else 0.5) - 0.5 for item in pool.items]
        ),
    }


def _weighed(question: Question, statistics: Statistics) -> tuple[list[str], Real]:
    """The rarest terms of the question that the mind knows, and their weights. The terms of a long text are no
    independent witnesses: beyond so many, all of them together weigh no more, and leave meaning its share."""
    known = [term for term in question.terms if statistics.frequencies.get(term)]
    weights = rarity(known, statistics.frequencies, statistics.documents)
    rarest = sorted((-weights).argsort(kind="stable")[:_MOST_TERMS].tolist())
    kept = weights[rarest]
    return [known[place] for place in rarest], kept * min(1.0, _FULL_TERMS / max(len(kept), 1))


def _meaning(vectors: Real | None, pool: Pool, statistics: Statistics) -> tuple[Real, NDArray[numpy.bool_]]:
    """Standard deviations above a random memory, and who has a vector. Both forms of the question count alike."""
    import numpy

    known = pool.embedded
    meaning = numpy.zeros(len(pool.items))
    if vectors is None or not known.any():
        return meaning, known & False
    asked = numpy.asarray(vectors, dtype=pool.vectors.dtype).mean(axis=0)
    cosines = (pool.vectors @ asked).astype(numpy.float64)[known]
    mean, spread = statistics.cosine or _background(cosines)
    if spread > 0:
        meaning[known] = (cosines - mean) / spread
    return meaning, known


def _background(cosines: Real) -> tuple[float, float]:
    """Mean and deviation of a random memory, guessed from candidates: those who are worse than half of them. They are
    better than random ones, and lie closer together, than a sample of the mind would show."""
    import numpy

    lower = numpy.sort(cosines)[: max(2, len(cosines) // 2)]
    return float(lower.mean()), float(lower.std() / _HALF_NORMAL)


_HALF_NORMAL = 0.603
"""The standard deviation of the lower half of a normal distribution, in its own: √(1 − 2/π)."""


def _expected(words: Real, meaning: Real, known: NDArray[numpy.bool_]) -> Real:
    """For those without a vector: the line of meaning over words through those with one, never falling."""
    import numpy

    expected = numpy.zeros(len(words))
    if known.all() or known.sum() < _FEW_VECTORS:
        return expected
    x, y = words[known], meaning[known]
    spread = float(((x - x.mean()) ** 2).sum())
    slope = max(0.0, float(((x - x.mean()) * y).sum()) / spread) if spread > 0 else 0.0
    expected[~known] = y.mean() + slope * (words[~known] - x.mean())
    return expected


def _around(values: Real, pool: Pool, recipe: Recipe) -> Real:
    """What the neighbours have beyond oneself, so that who says it all is not overtaken by who stands beside more."""
    import numpy

    total = numpy.zeros(len(values))
    for column, offset in enumerate(OFFSETS):
        share = recipe.near if abs(offset) == 1 else recipe.far
        total += share * numpy.maximum(pool.beside(values, column) - values, 0.0)
    return total


def _name(question: Question, pool: Pool, statistics: Statistics) -> Real:
    """For each name of the question the log odds that an answer is that person's over those that any memory is.

    Of a turn its speaker and user say whose it is: who is addressed in it by name is the other one. What is written
    about people tells it in its text as well.
    """
    import numpy

    total = numpy.zeros(len(pool.items))
    for name in question.names:
        hits = numpy.array([float(_is_of(item, name)) for item in pool.items])
        said = statistics.spoken.get(name)
        share = _share(hits) if said is None else (said + 0.5) / (statistics.documents + 1)
        total += hits * max(0.0, _log_odds(_NAMED_SHARE) - _log_odds(min(share, 1 - 1e-9)))
    return total


def _is_of(item: Candidate, name: str) -> bool:
    return name in item.names or (item.kind != "turn" and name in item.reading.counts)


def _detail(pool: Pool) -> Real:
    """Of turns of a conversation; others have neither a speaker to compare with nor fillers among them."""
    import numpy

    sizes = numpy.array([len(item.reading.counts) for item in pool.items], dtype=numpy.float64)
    everybody = _ranks(sizes)
    rank = numpy.array(everybody)
    speakers: dict[str, list[int]] = {}
    for place, item in enumerate(pool.items):
        speakers.setdefault(item.speaker, []).append(place)
    for places in speakers.values():
        if len(places) < _FEW_TURNS:
            continue
        own = len(places) / (len(places) + _SHRINKAGE)
        rank[places] = own * _ranks(sizes[places]) + (1 - own) * everybody[places]
    talked = (pool.around >= 0).any(axis=1)
    return numpy.where(talked, numpy.maximum(numpy.log(2 * numpy.maximum(rank, 1e-9)), _LEAST_DETAIL), 0.0)


def _tells_time(question: Question, pool: Pool) -> Real:
    import numpy

    if not question.asks_when:
        return numpy.zeros(len(pool.items))
    told = numpy.array([float(item.reading.tells_time) for item in pool.items])
    return told * max(0.0, _log_odds(_TIMED_SHARE) - _log_odds(_share(told)))


def _period(question: Question, pool: Pool) -> Real:
    """Nearness to the periods named, the better of them where there are several. A boost: nothing is filtered out."""
    import numpy

    near = numpy.zeros(len(pool.items))
    for period in question.periods:
        given = [0.0 if item.occurred_at is None else nearness(period, item.occurred_at) for item in pool.items]
        near = numpy.maximum(near, given)
    if not near.any():
        return near
    return near * max(0.0, _log_odds(_TIMED_SHARE) - _log_odds(_share(near[~pool.of_the_time])))


def _ranks(values: Sequence[float] | Real) -> Real:
    """Mean rank of each value among all, in 0 … 1 exclusive; equal values share theirs."""
    import numpy

    given = numpy.asarray(values, dtype=numpy.float64)
    ordered = numpy.sort(given)
    low, high = numpy.searchsorted(ordered, given, "left"), numpy.searchsorted(ordered, given, "right")
    return (low + high) / (2 * max(len(given), 1))


def _share(values: Real) -> float:
    """The share of ones, with half a one and half a nought added so that it is neither 0 nor 1."""
    return (float(values.sum()) + 0.5) / (len(values) + 1)


def _log_odds(share: float) -> float:
    return log(share / (1 - share))
