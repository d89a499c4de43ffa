"""A log-linear mixture of experts: score(t) = Σ_i w_i ln p_i(t), and the chance of t is its share of Σ exp(score).

G. Hinton, "Products of experts" (1999); with learned weights and confidences as in context mixing (M. Mahoney,
"Adaptive weighing of context models for lossless data compression", 2005). Here w_i = a_i + b_i c_i, where c_i, from 0
to 1, is how sure the expert is at that moment. The loss is convex in a and b, so Newton's method finds its one minimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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


def flat_weights(experts: int) -> Real:
    """What is believed before anything is learned: each expert counts as much as it is sure, and the first, which
    knows only how frequent each outcome is, counts always."""
    import numpy

    weights = numpy.full(2 * experts, 2.0 / experts)
    weights[:experts] = 0.0
    weights[0] = 1.0 / experts
    return weights


def learn_weights(
    halves: tuple[Sequence[Single], Sequence[Single]], penalties: Sequence[float], check: Check = go_on
) -> Real:
    """The weights that predict examples best: moments whose outcome is known.

    Args:
        halves: the examples in two parts, with no task in both, each in blocks (weights, moments, candidates): what
            each weight multiplies, relative to the candidate that it was, so that the loss of a moment is
            ln Σ exp(score). There must be one block at least.
        penalties: strengths of the pull towards the flat mixture (ridge); the one that predicts each half of the tasks
            best from the other half is taken.
        check: is called again and again, and raises when it is to be given up.
    """
    import numpy

    whole = [*halves[0], *halves[1]]
    flat = flat_weights(len(whole[0]) // 2)
    ordered = sorted(penalties, reverse=True)
    best = ordered[0]
    if all(halves):
        losses = numpy.zeros(len(ordered))
        for learned_from, told in (halves, halves[::-1]):
            weights = flat
            for place, penalty in enumerate(ordered):
                weights = _newton(learned_from, flat, penalty, weights, check)
                losses[place] += _loss(told, weights)[0]
        best = ordered[int(losses.argmin())]
    return _newton(whole, flat, best, flat, check)


def _newton(blocks: Sequence[Single], flat: Real, penalty: float, start: Real, check: Check) -> Real:
    """Newton's method with halved steps, from a start (S. Boyd and L. Vandenberghe, "Convex Optimization", 9.5)."""
    import numpy

    moments = sum(block.shape[1] for block in blocks)
    weights = start
    value, chances = _penalised(blocks, weights, flat, penalty)
    for _ in range(MOST_ITERATIONS):
        check()
        slope, bend = _slope(blocks, chances)
        gradient = slope + penalty * (weights - flat)
        bend[numpy.diag_indices(len(bend))] += penalty
        step = numpy.linalg.solve(bend, gradient)
        length, before = 1.0, value
        while length > _SHORTEST_STEP:
            value, chances = _penalised(blocks, weights - length * step, flat, penalty)
            if value < before - 1e-4 * length * float(gradient @ step):
                break
            length /= 2
        else:
            return weights
        weights = weights - length * step
        if before - value < _TOLERANCE * moments:
            return weights
    return weights


def _slope(blocks: Sequence[Single], chances: Sequence[Single]) -> tuple[Real, Real]:
    """How the loss changes with the weights, and how that changes."""
    import numpy

    count = len(blocks[0])
    gradient, curvature = numpy.zeros(count), numpy.zeros((count, count))
    for block, likely in zip(blocks, chances, strict=True):
        shares = block * likely
        mean = shares.sum(2, dtype=numpy.float64)
        gradient += mean.sum(1)
        curvature += shares.reshape(count, -1) @ block.reshape(count, -1).T - mean @ mean.T
    return gradient, curvature


def _penalised(blocks: Sequence[Single], weights: Real, flat: Real, penalty: float) -> tuple[float, list[Single]]:
    loss, chances = _loss(blocks, weights)
    return loss + penalty / 2 * float(((weights - flat) ** 2).sum()), chances


def _loss(blocks: Sequence[Single], weights: Real) -> tuple[float, list[Single]]:
    """The logarithmic loss over all moments, and the chance of each candidate at each."""
    import numpy

    loss, chances = 0.0, []
    for block in blocks:
        count, moments, candidates = block.shape
        total = (weights.astype(block.dtype) @ block.reshape(count, -1)).reshape(moments, candidates)
        most = total.max(1, keepdims=True)
        likely = numpy.exp(total - most)
        whole = likely.sum(1, keepdims=True)
        loss += float((numpy.log(whole) + most).sum(dtype=numpy.float64))
        likely /= whole
        chances.append(likely)
    return loss, chances
