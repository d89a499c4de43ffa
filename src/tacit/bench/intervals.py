"""Figures of forecasts with intervals: whole tasks are drawn again and again, since runs of one task are alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

DRAWS = 1_000
_LEVEL = 95


class Interval(msgspec.Struct, frozen=True):
    """A figure, and the interval that 95 % of the draws fall into."""

    value: float
    low: float
    high: float


def bootstrap(figure: Callable[[Any], float], clusters: Sequence[str], seed: int = 0) -> Interval:
    """A figure of the cases at some places, and its cluster bootstrap (B. Efron, R. Tibshirani, "An Introduction to the
    Bootstrap", 1993, ch. 8). Draws for which there is no figure are left out."""
    import numpy

    names = sorted(set(clusters))
    members = [numpy.array([place for place, name in enumerate(clusters) if name == one]) for one in names]
    chance = numpy.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        places = numpy.concatenate([members[one] for one in chance.integers(0, len(names), len(names))])
        value = figure(places)
        if numpy.isfinite(value):
            drawn.append(value)
    whole = figure(numpy.arange(len(clusters)))
    low, high = numpy.percentile(drawn, [(100 - _LEVEL) / 2, (100 + _LEVEL) / 2]) if drawn else (whole, whole)
    return Interval(float(whole), float(low), float(high))


def auroc(chances: Real, successes: Real) -> float:
    """The probability that a success was given a higher chance than a failure; ties count half."""
    import numpy
    from scipy.stats import rankdata

    positive = int(successes.sum())
    negative = len(successes) - positive
    if not positive or not negative:
        return float("nan")
    ranks = rankdata(chances)
    return float((ranks[successes > 0].sum() - positive * (positive + 1) / 2) / (numpy.float64(positive) * negative))


def brier(chances: Real, successes: Real) -> float:
    """The mean squared error of chances."""
    return float(((chances - successes) ** 2).mean())


def slope(chances: Real, successes: Real) -> float:
    """The calibration slope: of the logit of the chances in a logistic regression of what came; 1 is right."""
    import numpy

    logits = numpy.log(numpy.clip(chances, 1e-6, 1 - 1e-6) / numpy.clip(1 - chances, 1e-6, 1))
    design = numpy.column_stack([numpy.ones(len(logits)), logits])
    weights = numpy.array([0.0, 1.0])
    for _ in range(30):
        fitted = 1 / (1 + numpy.exp(-numpy.clip(design @ weights, -30, 30)))
        spread = fitted * (1 - fitted) + 1e-9
        step = numpy.linalg.lstsq((design * spread[:, None]).T @ design, design.T @ (successes - fitted), rcond=None)[0]
        weights = weights + numpy.clip(step, -2, 2)
        if numpy.abs(step).max() < 1e-8:
            break
    return float(weights[1])
