"""Logistic regression that shrinks its weights: ridge, by Newton's method, with the covariance of what it has learned.

S. le Cessie and J. van Houwelingen, "Ridge estimators in logistic regression", Applied Statistics 41 (1992). The
covariance is that of the normal approximation to the posterior at its peak (P.-S. Laplace; C. Bishop, "Pattern
Recognition and Machine Learning", 4.4 and 4.5).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

MOST_ITERATIONS = 30
INTERCEPT_PENALTY = 0.5
"""The intercept is nearly free: its prior has a variance of 2."""
_TOLERANCE = 1e-6
_BLOCK = 5_000
"""Rows that are looked at in one go."""
_LARGEST_LOGIT = 30.0
_NEVER_VARIED = 1e-6
_SLOPE_PENALTY = 8.0
_LEVEL_PENALTY = 2.0
_SLOPES = (0.3, 1.5)


class Examples(NamedTuple):
    """What a regression learns from, one row each.

    ``offset`` is a logit that is known beforehand, ``success`` 0 or 1, ``weight`` what the row counts for.
    """

    features: Real
    offset: Real
    success: Real
    weight: Real

    def part(self, rows: NDArray[numpy.bool_]) -> Examples:
        """Some of the rows."""
        return Examples(self.features[rows], self.offset[rows], self.success[rows], self.weight[rows])


class Calibration(NamedTuple):
    """Corrects logits: ``slope`` · (logit − middle) + middle + level."""

    slope: float
    level: float
    middle: float

    def corrected(self, logit: float) -> float:
        return self.slope * (logit - self.middle) + self.middle + self.level


AS_IT_IS = Calibration(1.0, 0.0, 0.0)


def fit_ridge(examples: Examples, variance: float, start: Real | None = None) -> Real:
    """The weights, the intercept first.

    Args:
        variance: of the normal prior of every weight around 0.
        start: weights to begin from; they change how long it takes, not what comes out.
    """
    import numpy

    table = _with_intercept(examples.features)
    penalty = _penalties(table.shape[1], variance)
    weights: Real = numpy.zeros(table.shape[1]) if start is None else start
    for _ in range(MOST_ITERATIONS):
        chance = sigmoid(examples.offset + table @ weights)
        gradient = table.T @ (examples.weight * (chance - examples.success)) + penalty * weights
        step = _solved(_curvature(table, chance, examples.weight, penalty), gradient)
        weights = (weights - step).astype(numpy.float64)
        if numpy.abs(step).max() < _TOLERANCE:
            break
    return weights


def covariance(examples: Examples, variance: float, weights: Real, repeats: float = 1.0) -> Real:
    """How uncertain the weights are.

    Args:
        repeats: how many rows tell the same: as many count as one.
    """
    import numpy

    table = _with_intercept(examples.features)
    chance = sigmoid(examples.offset + table @ weights)
    penalty = _penalties(table.shape[1], variance)
    return _solved(_curvature(table, chance, examples.weight / repeats, penalty), numpy.eye(table.shape[1]))


def calibration(logits: Real, success: Real, weight: Real) -> Calibration:
    """Slope and level that make logits of unseen examples fit what came of them, shrunk to none (J. Platt, 1999)."""
    import numpy

    middle = float(numpy.average(logits, weights=weight))
    centred = logits - middle
    slope, level = 1.0, 0.0
    for _ in range(MOST_ITERATIONS):
        chance = sigmoid(slope * centred + middle + level)
        error, spread = weight * (chance - success), weight * chance * (1 - chance)
        gradient = [(error * centred).sum() + _SLOPE_PENALTY * (slope - 1), error.sum() + _LEVEL_PENALTY * level]
        cross = (spread * centred).sum()
        curvature = [
            [(spread * centred * centred).sum() + _SLOPE_PENALTY, cross],
            [cross, spread.sum() + _LEVEL_PENALTY],
        ]
        step = numpy.linalg.solve(numpy.array(curvature), numpy.array(gradient))
        slope, level = slope - float(step[0]), level - float(step[1])
    return Calibration(min(max(slope, _SLOPES[0]), _SLOPES[1]), level, middle)


def scale_of(features: Real | NDArray[numpy.float32]) -> Real:
    """The standard deviation of each feature; 1 for one that never varied, of which nothing was learned."""
    import numpy

    mean, squares = features.mean(0, dtype=numpy.float64), numpy.zeros(features.shape[1])
    for first in range(0, len(features), _BLOCK):
        squares += ((features[first : first + _BLOCK] - mean) ** 2).sum(0)
    deviation = numpy.sqrt(squares / len(features))
    scale: Real = numpy.where(deviation < _NEVER_VARIED, 1.0, deviation)
    return scale


def log_loss(logits: Real, success: Real, weight: Real) -> float:
    """The mean of −ln(chance given to what came)."""
    import numpy

    chance = sigmoid(logits)
    return float(-numpy.average(numpy.log(numpy.where(success > 0, chance, 1 - chance)), weights=weight))


def sigmoid(logits: Real) -> Real:
    """The chance that a logit stands for."""
    import numpy

    chances: Real = 1 / (1 + numpy.exp(-numpy.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    return chances


def chance_of(logit: float) -> float:
    """The chance that one logit stands for."""
    return 1 / (1 + math.exp(-min(max(logit, -_LARGEST_LOGIT), _LARGEST_LOGIT)))


def logit_of(chance: float) -> float:
    """The logit of a chance strictly between 0 and 1."""
    return math.log(chance / (1 - chance))


def _with_intercept(features: Real) -> Real:
    import numpy

    return numpy.column_stack([numpy.ones(len(features)), features])


def _solved(curvature: Real, right: Real) -> Real:
    import numpy

    return numpy.asarray(numpy.linalg.solve(curvature, right), dtype=numpy.float64)


def _penalties(count: int, variance: float) -> Real:
    import numpy

    penalty = numpy.full(count, 1.0 / variance)
    penalty[0] = INTERCEPT_PENALTY
    return penalty


def _curvature(table: Real, chance: Real, weight: Real, penalty: Real) -> Real:
    import numpy

    spread = weight * chance * (1 - chance) + 1e-9
    curvature: Real = (table * spread[:, None]).T @ table
    curvature[numpy.diag_indices(len(penalty))] += penalty
    return curvature
