"""How much each opinion on the right tool counts: weights fitted to tasks that those who judge have not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]
    Double = NDArray[numpy.float64]

USUAL = (0.03, 0.3, 0.3)
"""Weights of the discriminant, the network and the frequency of tools, where too little is known to fit them."""
_PENALTY = 0.003
_MOST_ROUNDS = 60


def fit_blend(cases: Sequence[tuple[Real, Real]]) -> tuple[float, ...]:
    """The weights, none below 0, under which what came is likeliest: with them, chances mean what they say.

    Args:
        cases: opinions (judges, tasks, tools), scores or logarithms of chances, and what each task counts for as one
            of each tool (tasks, tools); something counts in each.
    """
    import numpy
    from scipy.optimize import minimize

    tables = [(opinions - opinions.max(2, keepdims=True), counted) for opinions, counted in cases]
    whole = float(sum(counted.sum() for _, counted in tables))

    def loss(weights: Double) -> tuple[float, Double]:
        value, slope = _PENALTY * float((weights**2).sum()), 2 * _PENALTY * weights
        for table, counted in tables:
            scores = numpy.tensordot(weights, table, 1)
            norm = numpy.log(numpy.exp(scores - scores.max(1, keepdims=True)).sum(1, keepdims=True))
            scores -= scores.max(1, keepdims=True) + norm
            value -= float((counted * scores).sum()) / whole
            slope = slope + numpy.tensordot(
                table, (numpy.exp(scores) * counted.sum(1, keepdims=True) - counted) / whole, 2
            )
        return value, slope

    found = minimize(
        loss,
        numpy.array(USUAL),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * len(USUAL),
        options={"maxiter": _MOST_ROUNDS},
    )
    return tuple(float(weight) for weight in found.x)
