"""Choices among things, learned: each thing has a score, linear in its clues, and its chance is its share of Σ exp.

D. McFadden, "Conditional logit analysis of qualitative choice behavior" (1974). One set of weights is learned from all
choices; each kind of choice that is frequent gets weights of its own, shrunk towards those of all.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from tacit.learning.fitting.giving_up import Check, go_on

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Whole = NDArray[numpy.int64]
    Real = NDArray[numpy.float64]

MOST_ITERATIONS = 20
PENALTY = 2.0
"""How strongly the weights of all choices are drawn towards 0."""
OWN_PENALTY = 1.0
"""How strongly the weights of one kind are drawn towards those of all."""
LEAST_CHOICES = 10
"""A kind with fewer choices has no weights of its own."""
_TOLERANCE = 1e-4
"""Of the loss, for each choice."""
_SHORTEST_STEP = 1e-3
_BLOCK = 100
"""Choices that are looked at in one go."""


class Choices(NamedTuple):
    """Choices that were made."""

    clues: NDArray[numpy.float32]
    """(things, clues) of all choices, one after the other."""
    starts: Whole
    """Where the things of each choice begin."""
    taken: Whole
    """The row of the thing that was taken."""
    kinds: Whole
    """The kind of each choice."""

    def of_kind(self, kind: int) -> Choices:
        """The choices of one kind."""
        import numpy

        ends = numpy.append(self.starts[1:], len(self.clues))
        chosen = numpy.flatnonzero(self.kinds == kind)
        many = (ends - self.starts)[chosen]
        starts = numpy.cumsum(many) - many
        rows = numpy.repeat(self.starts[chosen] - starts, many) + numpy.arange(int(many.sum()))
        return Choices(self.clues[rows], starts, self.taken[chosen] - self.starts[chosen] + starts, self.kinds[chosen])


class _Slope(NamedTuple):
    loss: float
    gradient: Real
    curvature: Real


class ChoiceLog:
    """Takes choices down, one by one; their clues lie in one piece of memory that grows."""

    def __init__(self) -> None:
        self._clues = bytearray()
        self._width = 0
        self._many, self._places, self._kinds = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._kinds)

    def add(self, kind: int, clues: Real, place: int) -> None:
        """One more choice: its kind, the clues of the things (things, clues), and the place of the thing taken."""
        import numpy

        self._clues += clues.astype(numpy.float32).tobytes()
        self._width = clues.shape[1]
        self._many.append(len(clues))
        self._places.append(place)
        self._kinds.append(kind)

    def choices(self) -> Choices:
        """All that was taken down; there must be a choice. The clues are not copied, and nothing can be added now."""
        import numpy

        many, places, kinds = (numpy.array(each) for each in (self._many, self._places, self._kinds))
        starts = numpy.cumsum(many) - many
        clues = numpy.frombuffer(self._clues, dtype=numpy.float32).reshape(-1, self._width)
        return Choices(clues, starts, starts + places, kinds)


def learn_choice(choices: Choices, kinds: int, check: Check = go_on) -> Real:
    """The weights: those of all kinds first, then those of each kind.

    Args:
        check: is called again and again, and raises when it is to be given up.
    """
    import numpy

    width = choices.clues.shape[1]
    shared = _newton(choices, numpy.zeros(width), PENALTY, check)
    weights = numpy.tile(shared, (kinds + 1, 1))
    for kind, many in enumerate(numpy.bincount(choices.kinds, minlength=kinds).tolist()):
        if many >= LEAST_CHOICES:
            weights[kind + 1] = _newton(choices.of_kind(kind), shared, OWN_PENALTY, check)
    return weights


def chances_of(scores: Real) -> Real:
    """The chance of each thing."""
    import numpy

    likely = numpy.exp(scores - scores.max())
    chances: Real = likely / likely.sum()
    return chances


def _newton(choices: Choices, towards: Real, penalty: float, check: Check) -> Real:
    """Newton's method with halved steps (S. Boyd and L. Vandenberghe, "Convex Optimization", 9.5)."""
    import numpy

    weights = towards
    here = _slope(choices, weights, towards, penalty)
    for _ in range(MOST_ITERATIONS):
        check()
        step = numpy.linalg.solve(here.curvature, here.gradient)
        length = 1.0
        while (there := _slope(choices, weights - length * step, towards, penalty)).loss >= here.loss:
            length /= 2
            if length < _SHORTEST_STEP:
                return weights
        weights = weights - length * step
        if here.loss - there.loss < _TOLERANCE * len(choices.starts):
            return weights
        here = there
    return weights


def _slope(choices: Choices, weights: Real, towards: Real, penalty: float) -> _Slope:
    """The logarithmic loss over all choices with its penalty, and how it changes with the weights."""
    import numpy

    apart = weights - towards
    loss, gradient = penalty / 2 * float((apart**2).sum()), penalty * apart
    curvature = penalty * numpy.eye(len(weights))
    ends = numpy.append(choices.starts[1:], len(choices.clues))
    for first in range(0, len(ends), _BLOCK):
        begins, end = choices.starts[first], ends[first : first + _BLOCK][-1]
        clues = choices.clues[begins:end].astype(numpy.float64)
        starts, taken = (rows[first : first + _BLOCK] - begins for rows in (choices.starts, choices.taken))
        scores = clues @ weights
        many = numpy.diff(numpy.append(starts, len(scores)))
        scores -= numpy.repeat(numpy.maximum.reduceat(scores, starts), many)
        likely = numpy.exp(scores)
        whole = numpy.add.reduceat(likely, starts)
        loss += float((numpy.log(whole) - scores[taken]).sum())
        shares = clues * (likely / numpy.repeat(whole, many))[:, None]
        means = numpy.add.reduceat(shares, starts, axis=0)
        gradient = gradient + means.sum(0) - clues[taken].sum(0)
        curvature += shares.T @ clues - means.T @ means
    return _Slope(loss, gradient, curvature)
