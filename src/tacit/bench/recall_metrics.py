"""How good a ranking is: recall and normalised gain among the first k, and whether one ranking beats another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log2
from typing import TYPE_CHECKING

from tacit.bench.intervals import DRAWS, Interval

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]


def recall_at(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """The share of what is relevant that stands among the first k.

    Raises:
        ValueError: nothing is relevant; such a question has no recall.
    """
    if not relevant:
        raise ValueError("a question without anything relevant has no recall")
    return len(set(ranked[:k]) & set(relevant)) / len(set(relevant))


def ndcg_at(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """The discounted gain of the first k over that of the best order, each relevant item being worth 1
    (K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 20, 2002).

    Raises:
        ValueError: nothing is relevant.
    """
    wanted = set(relevant)
    if not wanted:
        raise ValueError("a question without anything relevant has no gain")
    gain = sum(1 / log2(place + 2) for place, name in enumerate(ranked[:k]) if name in wanted)
    return gain / sum(1 / log2(place + 2) for place in range(min(k, len(wanted))))


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """The mean over questions, and its percentile bootstrap over questions (B. Efron, R. Tibshirani, "An Introduction
    to the Bootstrap", 1993, ch. 13). Questions of one conversation are alike: the interval is about these collections.

    Raises:
        ValueError: there are no values.
    """
    import numpy

    if not len(values):
        raise ValueError("no values have no mean")
    given = numpy.asarray(values, dtype=numpy.float64)
    drawn = numpy.random.default_rng(seed).integers(0, len(given), (DRAWS, len(given)))
    low, high = numpy.percentile(given[drawn].mean(axis=1), [2.5, 97.5])
    return Interval(float(given.mean()), float(low), float(high))


def difference_interval(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Interval:
    """By how much the mean of one ranking exceeds that of another on the same questions, which are drawn as pairs.

    Raises:
        ValueError: the two are not of one length, or empty.
    """
    return mean_interval([one - other for one, other in zip(ours, theirs, strict=True)], seed)
