"""Candidates in the order in which they answer, each with what speaks for it: the parts add up to its score."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tacit.recall.diversity import in_order
from tacit.recall.evidence import LEAST_FAMILIARITY, Evidence, evidence_for
from tacit.recall.features import signals_of
from tacit.recall.pool import Candidate, Pool, Statistics
from tacit.recall.question import Question
from tacit.recall.recipe import DEFAULT, SIGNALS, Recipe

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]


class Share(msgspec.Struct, frozen=True, gc=False):
    """What one signal adds to a score: ``contribution`` is ``weight`` times ``value``."""

    signal: str
    weight: float
    value: float
    contribution: float


class Ranked(msgspec.Struct, frozen=True, gc=False):
    """A candidate with its score. Added from the first to the last, the contributions in ``why`` are exactly the score;
    signals of no weight or value are left out."""

    candidate: Candidate
    score: float
    why: tuple[Share, ...]


class Judged(NamedTuple):
    """The best, and whether there is evidence that they answer."""

    best: list[Ranked]
    evidence: Evidence


def rank(
    question: Question,
    vectors: Real | None,
    pool: Pool,
    statistics: Statistics,
    *,
    recipe: Recipe = DEFAULT,
    most: int = 10,
) -> list[Ranked]:
    """The best candidates, best first; see :func:`judged`."""
    return judged(question, vectors, pool, statistics, recipe=recipe, most=most).best


def judged(
    question: Question,
    vectors: Real | None,
    pool: Pool,
    statistics: Statistics,
    *,
    recipe: Recipe = DEFAULT,
    most: int = 10,
) -> Judged:
    """The best candidates, best first, and what the question has to do with them. The order in which they were found
    has no part in it; where two score alike, the newer comes first. Where the question has nothing to do with any, only
    what holds whatever is asked is left, and where nothing is asked, nothing.

    Args:
        question: what is asked.
        vectors: of the question and of its bare form, a row each; None: none can be had now, and words decide.
        pool: the candidates and what stands around them; only those with ``ranked`` are answers.
        statistics: of the mind.
        recipe: how much each signal counts.
        most: how many are wanted.
    """
    import numpy

    places = numpy.array([place for place, item in enumerate(pool.items) if item.ranked], dtype=numpy.int64)
    if not len(places) or most < 1:
        return Judged([], "some")
    familiarity = 0.0 if question.about_time else statistics.familiarity  # of a time alone a vector says nothing
    recipe = recipe.with_meaning_by(max(LEAST_FAMILIARITY, familiarity))
    signals = signals_of(question, vectors, pool, statistics, recipe)
    evidence = evidence_for(question, signals, places, statistics, vectors is not None)
    if evidence == "none":
        places = places[signals["standing"][places] > 0]
    if evidence == "unasked" or not len(places):
        return Judged([], evidence)
    weighed = [name for name in SIGNALS if name in signals and recipe.weights.get(name)]
    scores = numpy.zeros(len(pool.items))
    for name in weighed:  # in the order in which ``why`` is added up
        scores += recipe.weights[name] * signals[name]
    best = places[numpy.lexsort((-places, -scores[places]))]
    found = []
    for place, repetition in in_order(best.tolist(), scores, pool, recipe, most):
        values = {name: float(signals[name][place]) for name in weighed}
        if repetition:
            values["repetition"] = repetition
        found.append(_ranked(pool.items[place], values, recipe))
    return Judged(found, evidence)


def _ranked(candidate: Candidate, values: dict[str, float], recipe: Recipe) -> Ranked:
    why = tuple(
        Share(name, recipe.weights[name], value, recipe.weights[name] * value)
        for name, value in values.items()
        if value
    )
    score = 0.0
    for share in why:
        score += share.contribution
    return Ranked(candidate, score, why)
