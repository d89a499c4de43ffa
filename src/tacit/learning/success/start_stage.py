"""The chance of success before the first step: the rate of the kind of task, moved by what the task says.

Features are the words of the goal and of the context, each there or not, and the figures of the task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tacit.learning.fitting.arrays import Packed, pack_floats
from tacit.learning.fitting.reading import Reading, TaskWords
from tacit.learning.fitting.ridge import Examples, covariance, fit_ridge, scale_of
from tacit.learning.success.base_rate import BaseRates

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

LEAST_EPISODES = 10
"""With fewer, the kind's rate alone answers."""
VARIANCE = 0.4
"""Of what all features together add to the logit, a priori."""
RAREST = 0.015
"""A word is a feature when at least this share of the tasks has it, and as many have not."""
_LEAST_TASKS = 3
MOST_WORDS = 256
"""Words of the goal that are features, and of the context; the most frequent ones."""


class Opinion(msgspec.Struct, frozen=True):
    """A logit and its variance."""

    logit: float
    variance: float


class StartWeights(msgspec.Struct, frozen=True):
    """What was learned about the words and numbers of tasks."""

    context_words: tuple[str, ...]
    goal_words: tuple[str, ...]
    mean: Packed
    deviation: Packed
    weights: Packed
    covariance: Packed


class StartStage:
    """What is known of a task that has not begun."""

    def __init__(self, rates: BaseRates, weights: StartWeights | None) -> None:
        self.rates = rates
        self.weights = weights
        if weights is not None:
            self._mean, self._deviation = weights.mean.array, weights.deviation.array
            self._weights, self._covariance = weights.weights.array, weights.covariance.array

    @classmethod
    def fit(cls, readings: Sequence[Reading]) -> StartStage:
        """Learned from finished episodes."""
        import numpy

        rates = BaseRates.of(readings)
        if len(readings) < LEAST_EPISODES:
            return cls(rates, None)
        context_words = _telling([reading.task.context_kinds for reading in readings])
        goal_words = _telling([reading.task.goal_kinds for reading in readings])
        features = numpy.array(
            [_features(reading.task, context_words, goal_words) for reading in readings], dtype=float
        )
        mean, deviation = features.mean(0), scale_of(features)
        examples = Examples(
            (features - mean) / deviation,
            numpy.array([rates.rate(reading.task).logit for reading in readings]),
            numpy.array([float(reading.success) for reading in readings]),
            numpy.ones(len(readings)),
        )
        variance = VARIANCE / features.shape[1]
        weights = fit_ridge(examples, variance)
        spread = covariance(examples, variance, weights)
        packed = [pack_floats(each) for each in (mean, deviation, weights, spread)]
        return cls(rates, StartWeights(context_words, goal_words, *packed))

    def opinion(self, task: TaskWords) -> Opinion:
        """The logit of success, and how uncertain it is."""
        import numpy

        rate = self.rates.rate(task)
        if self.weights is None:
            return Opinion(rate.logit, rate.logit_variance + VARIANCE)
        features = numpy.array(_features(task, self.weights.context_words, self.weights.goal_words))
        row = numpy.concatenate([[1.0], (features - self._mean) / self._deviation])
        return Opinion(
            rate.logit + float(row @ self._weights), rate.logit_variance + float(row @ self._covariance @ row)
        )


def _telling(texts: Sequence[frozenset[str]]) -> tuple[str, ...]:
    """The words that enough texts have, and enough have not; sorted."""
    frequency = Counter[str]()
    for words in texts:
        frequency.update(words)
    least = max(_LEAST_TASKS, RAREST * len(texts))
    found = [(-many, word) for word, many in frequency.items() if least <= many <= len(texts) - least]
    return tuple(sorted(word for _, word in sorted(found)[:MOST_WORDS]))


def _features(task: TaskWords, context_words: Sequence[str], goal_words: Sequence[str]) -> list[float]:
    there = map(task.context_kinds.__contains__, context_words)
    return [*task.figures, *there, *map(task.goal_kinds.__contains__, goal_words)]
