"""A small neural network that tells tools apart where straight lines do not: one hidden layer, drop-out, Adam.

It is fitted with label smoothing for a fixed number of rounds from a fixed seed (D. Kingma, J. Ba, "Adam", 2015;
N. Srivastava et al., "Dropout", 2014), so the same tasks make the same network on the same machine.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tacit.learning.fitting.giving_up import Check, go_on

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]
    Rows = NDArray[numpy.int64]

HIDDEN = 256
ROUNDS = 15
FEWER_ROUNDS = 10
MANY_TASKS = 2_000
"""Of so many tasks fewer rounds say as much."""
_BATCH = 256
_RATE = 3e-3
_DECAY = 1e-2
_DROPPED = 0.3
_SMOOTHING = 0.05
_MEAN_KEPT, _SQUARE_KEPT = 0.9, 0.999
_LEAST = 1e-8
_PIECE = 16_384
"""Weights that are moved in one go: what is read and written for them stays in the processor's cache."""


class Network(NamedTuple):
    """Weights of two layers."""

    first: Real
    first_bias: Real
    second: Real
    second_bias: Real

    @classmethod
    def fit(
        cls, tasks: Real, counted: Real, rows: Rows | None = None, seed: int = 0, *, check: Check = go_on
    ) -> Network:
        """Fitted to tasks.

        Args:
            tasks: (tasks, numbers).
            counted: (tasks, tools): what each task counts for as one of each tool; something in each task.
            rows: of the tasks that are looked at; all of them when None.
            check: is called again and again, and raises when it is to be given up.
        """
        import numpy

        chance = numpy.random.default_rng(seed)
        rows = numpy.arange(len(tasks)) if rows is None else rows
        size = 1 / max(_spread(tasks, rows), 1e-6)
        shapes = (tasks.shape[1], HIDDEN, counted.shape[1])
        parts: list[Real] = []
        for above, below in pairwise(shapes):
            reach = above**-0.5
            parts.append(chance.uniform(-reach, reach, (above, below)).astype(numpy.float32))
            parts.append(numpy.zeros(below, dtype=numpy.float32))
        parts[0] *= size  # as if tasks were scaled to a spread of 1
        rounds = ROUNDS if len(rows) < MANY_TASKS else FEWER_ROUNDS
        adam = _Adam(parts, rounds * -(-len(rows) // _BATCH))
        for _ in range(rounds):
            order = chance.permutation(rows)
            for start in range(0, len(order), _BATCH):
                check()
                at = order[start : start + _BATCH]
                adam.step(_gradient(parts, tasks[at], counted[at], chance), scaled=size)
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


def _spread(tasks: Real, rows: Rows) -> float:
    """The standard deviation of the numbers of some tasks, without a copy of them all."""
    import numpy

    mean = square = 0.0
    for first in range(0, len(rows), _BATCH):
        part = tasks[rows[first : first + _BATCH]].ravel()
        mean += float(part.sum(dtype=numpy.float64))
        square += float(part @ part)
    numbers = len(rows) * tasks.shape[1]
    return math.sqrt(max(square / numbers - (mean / numbers) ** 2, 0.0))


def _gradient(parts: list[Real], tasks: Real, counted: Real, chance: numpy.random.Generator) -> list[Real]:
    """How the loss changes with each part, on a batch."""
    import numpy

    weight = counted.sum(1, keepdims=True)
    wanted = counted / weight * (1 - _SMOOTHING) + _SMOOTHING / counted.shape[1]
    tasks = tasks * _kept(tasks.shape, chance)
    before = tasks @ parts[0] + parts[1]
    mask = _kept(before.shape, chance)
    mask *= before > 0
    hidden: Real = before * mask
    likely: Real = numpy.exp(log_softmax(hidden @ parts[2] + parts[3]))
    wrong = (likely - wanted) * (weight / numpy.float32(len(tasks)))
    back = (wrong @ parts[2].T) * mask
    return [tasks.T @ back, back.sum(0), hidden.T @ wrong, wrong.sum(0)]


def _kept(shape: tuple[int, int], chance: numpy.random.Generator) -> Real:
    """0 for what is dropped, and for all else what makes up for it."""
    import numpy

    drawn = numpy.frombuffer(chance.bytes(shape[0] * shape[1]), dtype=numpy.uint8).reshape(shape)
    return (drawn >= round(_DROPPED * 256)) * numpy.float32(256 / (256 - round(_DROPPED * 256)))


class _Adam:
    """Adam with weight decay, at a rate that falls to nothing."""

    def __init__(self, parts: list[Real], steps: int) -> None:
        import numpy

        self._parts, self._steps, self._step = parts, steps, 0
        self._means = [numpy.zeros_like(part) for part in parts]
        self._squares = [numpy.zeros_like(part) for part in parts]

    def step(self, gradient: list[Real], scaled: float) -> None:
        rate = _RATE * (1 - self._step / self._steps)
        self._step += 1
        length = rate * (1 - _SQUARE_KEPT**self._step) ** 0.5 / (1 - _MEAN_KEPT**self._step)
        for place, columns in enumerate(zip(self._parts, gradient, self._means, self._squares, strict=True)):
            flat = [each.ravel() for each in columns]
            for first in range(0, len(flat[0]), _PIECE):
                part, slope, mean, square = (each[first : first + _PIECE] for each in flat)
                part *= 1 - rate * _DECAY
                part -= _moved(slope, mean, square, length * (scaled if place == 0 else 1.0))


def _moved(slope: Real, mean: Real, square: Real, length: float) -> Real:
    """How far a piece moves, after its averages have followed the slope. The slope is used up."""
    import numpy

    move: Real = slope * slope
    move *= 1 - _SQUARE_KEPT
    square *= _SQUARE_KEPT
    square += move
    slope *= 1 - _MEAN_KEPT
    mean *= _MEAN_KEPT
    mean += slope
    numpy.sqrt(square, out=move)
    move += _LEAST
    numpy.divide(mean, move, out=move)
    move *= length
    return move
