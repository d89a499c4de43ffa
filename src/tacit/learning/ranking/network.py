"""A small neural network that tells tools apart where straight lines do not: one hidden layer, drop-out, Adam.

It is fitted with label smoothing for a fixed number of rounds from a fixed seed (D. Kingma, J. Ba, "Adam", 2015;
N. Srivastava et al., "Dropout", 2014), so the same tasks make the same network on the same machine.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tacit.learning.fitting.giving_up import Check, go_on

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]

HIDDEN = 256
ROUNDS = 15
_BATCH = 256
_RATE = 3e-3
_DECAY = 1e-2
_DROPPED = 0.3
_SMOOTHING = 0.05
_MEAN_KEPT, _SQUARE_KEPT = 0.9, 0.999


class Network(NamedTuple):
    """Weights of two layers."""

    first: Real
    first_bias: Real
    second: Real
    second_bias: Real

    @classmethod
    def fit(cls, tasks: Real, counted: Real, seed: int = 0, *, check: Check = go_on) -> Network:
        """Fitted to tasks.

        Args:
            tasks: (tasks, numbers).
            counted: (tasks, tools): what each task counts for as one of each tool.
            check: is called again and again, and raises when it is to be given up.
        """
        import numpy

        chance = numpy.random.default_rng(seed)
        size = 1 / max(float(tasks.std()), 1e-6)
        shapes = (tasks.shape[1], HIDDEN, counted.shape[1])
        parts: list[Real] = []
        for rows, columns in pairwise(shapes):
            reach = rows**-0.5
            parts.append(chance.uniform(-reach, reach, (rows, columns)).astype(numpy.float32))
            parts.append(numpy.zeros(columns, dtype=numpy.float32))
        parts[0] *= size  # as if tasks were scaled to a spread of 1
        adam = _Adam(parts, ROUNDS * -(-len(tasks) // _BATCH))
        weight = counted.sum(1, keepdims=True)
        wanted = counted / weight * (1 - _SMOOTHING) + _SMOOTHING / counted.shape[1]
        for _ in range(ROUNDS):
            order = chance.permutation(len(tasks))
            for start in range(0, len(order), _BATCH):
                check()
                at = order[start : start + _BATCH]
                adam.step(_gradient(parts, tasks[at], wanted[at], weight[at], chance), scaled=size)
        return cls(*parts)

    def logs(self, tasks: Real) -> Real:
        """(tasks, tools): ln(the chance of each tool)."""
        import numpy

        hidden = numpy.maximum(tasks @ self.first + self.first_bias, 0)
        return log_softmax(hidden @ self.second + self.second_bias)


def log_softmax(scores: Real) -> Real:
    """ln(chances that are proportional to exp(scores)), row by row."""
    import numpy

    scores = scores - scores.max(1, keepdims=True)
    found: Real = scores - numpy.log(numpy.exp(scores).sum(1, keepdims=True))
    return found


def _gradient(parts: list[Real], tasks: Real, wanted: Real, weight: Real, chance: numpy.random.Generator) -> list[Real]:
    import numpy

    kept = numpy.float32(1 / (1 - _DROPPED))
    tasks = numpy.where(chance.random(tasks.shape, dtype=numpy.float32) >= _DROPPED, tasks * kept, numpy.float32(0))
    before = tasks @ parts[0] + parts[1]
    alive = (chance.random(before.shape, dtype=numpy.float32) >= _DROPPED) & (before > 0)
    mask = numpy.where(alive, kept, numpy.float32(0))
    hidden: Real = before * mask
    likely: Real = numpy.exp(log_softmax(hidden @ parts[2] + parts[3]))
    wrong = (likely - wanted) * (weight / numpy.float32(len(tasks)))
    back = (wrong @ parts[2].T) * mask
    return [tasks.T @ back, back.sum(0), hidden.T @ wrong, wrong.sum(0)]


class _Adam:
    """Adam with weight decay, at a rate that falls to nothing."""

    def __init__(self, parts: list[Real], steps: int) -> None:
        import numpy

        self._parts, self._steps, self._step = parts, steps, 0
        self._means = [numpy.zeros_like(part) for part in parts]
        self._squares = [numpy.zeros_like(part) for part in parts]

    def step(self, gradient: list[Real], scaled: float) -> None:
        import numpy

        rate = _RATE * (1 - self._step / self._steps)
        self._step += 1
        bias = (1 - _SQUARE_KEPT**self._step) ** 0.5 / (1 - _MEAN_KEPT**self._step)
        for place, (part, slope) in enumerate(zip(self._parts, gradient, strict=True)):
            mean, square = self._means[place], self._squares[place]
            mean += (1 - _MEAN_KEPT) * (slope - mean)
            square += (1 - _SQUARE_KEPT) * (slope * slope - square)
            part *= 1 - rate * _DECAY
            part -= (rate * bias * (scaled if place == 0 else 1.0)) * mean / (numpy.sqrt(square) + 1e-8)
