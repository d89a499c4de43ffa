"""A log-linear mixture of experts: score(t) = Σ_i w_i ln p_i(t), and the chance of t is its share of Σ exp(score).

G. Hinton, "Products of experts" (1999); with learned weights and confidences as in context mixing (M. Mahoney,
"Adaptive weighing of context models for lossless data compression", 2005). Here w_i = a_i + b_i c_i, where c_i, from 0
to 1, is how sure the expert is at that moment. The loss is convex in a and b, so Newton's method finds its one minimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tacit.learning.fitting.giving_up import Check, go_on

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]
    Single = NDArray[numpy.float32]

MOST_ITERATIONS = 25
_TOLERANCE = 1e-6
"""Of the loss, for each example."""
_SHORTEST_STEP = 1e-4


class Examples(NamedTuple):
    """Moments whose outcome is known.

    ``scores``: (weights, moments, candidates), what each weight multiplies, relative to the candidate that it was: so
    the loss of a moment is ln Σ exp(score). ``halves``: 0 or 1, for each moment; one task lies in one half.
    """

    scores: Single
    halves: NDArray[numpy.int64]


def flat_weights(experts: int) -> Real:
    """What is believed before anything is learned: each expert counts as much as it is sure, and the first, which
    knows only how frequent each outcome is, counts always."""
    import numpy

    weights = numpy.full(2 * experts, 2.0 / experts)
    weights[:experts] = 0.0
    weights[0] = 1.0 / experts
    return weights


def learn_weights(examples: Examples, penalties: Sequence[float], check: Check = go_on) -> Real:
    """The weights that predict the examples best.

    Args:
        penalties: strengths of the pull towards the flat mixture (ridge); the one that predicts each half of the tasks
            best from the other half is taken.
        check: is called again and again, and raises when it is to be given up.
    """
    import numpy

    half = [examples.scores[:, examples.halves == which] for which in (0, 1)]
    flat = flat_weights(len(examples.scores) // 2)
    ordered = sorted(penalties, reverse=True)
    best = ordered[0]
    if all(part.shape[1] for part in half):
        losses = numpy.zeros(len(ordered))
        for learned_from, told in ((half[0], half[1]), (half[1], half[0])):
            weights = flat
            for place, penalty in enumerate(ordered):
                weights = _newton(learned_from, flat, penalty, weights, check)
                losses[place] += _loss(told, weights)[0]
        best = ordered[int(losses.argmin())]
    return _newton(examples.scores, flat, best, flat, check)


def _newton(scores: Single, flat: Real, penalty: float, start: Real, check: Check) -> Real:
    """Newton's method with halved steps, from a start (S. Boyd and L. Vandenberghe, "Convex Optimization", 9.5)."""
    import numpy

    count, moments, candidates = scores.shape
    table = numpy.ascontiguousarray(scores).reshape(count, moments * candidates)
    weights = start
    value, chances = _penalised(scores, weights, flat, penalty)
    for _ in range(MOST_ITERATIONS):
        check()
        shares = table * chances.reshape(-1)
        mean = shares.reshape(count, moments, candidates).sum(2, dtype=numpy.float64)
        gradient = mean.sum(1) + penalty * (weights - flat)
        curvature = shares @ table.T - mean @ mean.T
        curvature[numpy.diag_indices(count)] += penalty
        step = numpy.linalg.solve(curvature, gradient)
        length, before = 1.0, value
        while length > _SHORTEST_STEP:
            value, chances = _penalised(scores, weights - length * step, flat, penalty)
            if value < before - 1e-4 * length * float(gradient @ step):
                break
            length /= 2
        else:
            return weights
        weights = weights - length * step
        if before - value < _TOLERANCE * moments:
            return weights
    return weights


def _penalised(scores: Single, weights: Real, flat: Real, penalty: float) -> tuple[float, Single]:
    loss, chances = _loss(scores, weights)
    return loss + penalty / 2 * float(((weights - flat) ** 2).sum()), chances


def _loss(scores: Single, weights: Real) -> tuple[float, Single]:
    """The logarithmic loss over all moments, and the chance of each candidate at each."""
    import numpy

    count, moments, candidates = scores.shape
    total = (weights.astype(scores.dtype) @ scores.reshape(count, -1)).reshape(moments, candidates)
    most = total.max(1, keepdims=True)
    likely = numpy.exp(total - most)
    whole = likely.sum(1, keepdims=True)
    return float((numpy.log(whole) + most).sum(dtype=numpy.float64)), likely / whole
