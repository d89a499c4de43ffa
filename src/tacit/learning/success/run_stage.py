"""The chance of success of a run under way: what was said of the task before it began, moved by how the run goes.

One regression for each of some numbers of actions, learned from all moments, the nearer ones counting more. What its
examples say of other runs, and what was said of their task, comes from episodes of other tasks only (five folds).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tacit.learning.fitting.arrays import Packed, pack_floats
from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.fitting.goals import GoalWords
from tacit.learning.fitting.reading import Reading
from tacit.learning.fitting.ridge import (
    AS_IT_IS,
    Calibration,
    Examples,
    calibration,
    covariance,
    fit_ridge,
    log_loss,
    scale_of,
)
from tacit.learning.success.course import Course
from tacit.learning.success.habits import EventLog, Habits
from tacit.learning.success.start_stage import Opinion, StartStage

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

FOLDS = 5
CHECKPOINTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Numbers of actions for which there is a regression."""
REACH = 0.35
"""How far apart, in the logarithm of the number of actions, a moment counts 1/e of one at the checkpoint."""
_LEAST_WEIGHT = 0.02
_LEAST_RUNS = 8
"""At a checkpoint; with fewer there is no regression for it."""
VARIANCES = (0.003, 0.01, 0.03, 0.1)
"""Of the prior of a weight; the one that foretells the other folds best is taken."""
USUAL_VARIANCE = 0.03
"""How uncertain the weights are a priori. A few runs may foretell each other best with weights near 0, but that does
not make it certain that they are."""
UNLEARNED_VARIANCE = 1.0
"""Of what a run adds to the logit when nobody could learn it yet: what ``USUAL_VARIANCE`` lets all features add
together."""
_OFFSET_SCALE = 2.0


class Checkpoint(msgspec.Struct, frozen=True):
    """What was learned for a number of actions."""

    actions: int
    mean: Packed
    deviation: Packed
    weights: Packed
    covariance: Packed
    usual_offset: float
    calibration: Calibration

    def opinion(self, before: Opinion, features: Sequence[float]) -> Opinion:
        """What to say after some actions, of a run of whose task this was said before."""
        import numpy

        scaled = (numpy.array(features) - self.mean.array) / self.deviation.array
        row = numpy.concatenate([[1.0], scaled, [(before.logit - self.usual_offset) / _OFFSET_SCALE]])
        weights = self.weights.array
        carried = 1 + float(weights[-1]) / _OFFSET_SCALE
        variance = carried * carried * before.variance + float(row @ self.covariance.array @ row)
        logit = self.calibration.corrected(before.logit + float(row @ weights))
        # that less could be learned than was thought makes nothing surer
        return Opinion(logit, max(1.0, self.calibration.slope) ** 2 * variance)


class _Moments(NamedTuple):
    """Moments of past runs, one row each."""

    actions: Any
    offset: Any
    features: Any
    success: Any
    fold: Any
    episode: Any


def opinion(checkpoints: Sequence[Checkpoint], before: Opinion, course: Course) -> Opinion:
    """What to say of a run, of whose task this was said before: by the checkpoint whose number of actions is nearest,
    in its logarithm."""
    if not checkpoints:
        return Opinion(before.logit, before.variance + UNLEARNED_VARIANCE)
    nearest = min(checkpoints, key=lambda each: abs(math.log((each.actions + 1) / (course.actions + 1))))
    return nearest.opinion(before, course.features())


def learn_checkpoints(readings: Sequence[Reading], log: EventLog, check: Check = go_on) -> tuple[Checkpoint, ...]:
    """Learned from finished episodes."""
    moments = _moments(readings, log, check)
    if moments is None:
        return ()
    learned = [_learn(moments, actions, check) for actions in CHECKPOINTS]
    return tuple(each for each in learned if each is not None)


def _moments(readings: Sequence[Reading], log: EventLog, check: Check) -> _Moments | None:
    """The runs at the checkpoints at which they were not over yet."""
    import numpy

    tasks: dict[str, int] = {}
    folds = [tasks.setdefault(reading.group, len(tasks)) % FOLDS for reading in readings]
    rows: list[tuple[int, float, list[float], bool, int, int]] = []
    for fold in sorted(set(folds)):
        others = [number for number, of in enumerate(folds) if of != fold]
        known = [readings[number] for number in others]
        goals = GoalWords.of(reading.task for reading in known)
        habits = Habits.of(known, log.of(goals, others))
        start = StartStage.fit(known)
        for number, reading in enumerate(checked(readings, check)):
            if folds[number] == fold:
                offset = start.opinion(reading.task).logit
                for actions, features in _followed(reading, Course(reading.task, goals, habits)):
                    rows.append((actions, offset, features, reading.success, fold, number))
    if not rows:
        return None
    return _Moments(*(numpy.array(column, dtype=float) for column in zip(*rows, strict=True)))


def _followed(reading: Reading, course: Course) -> list[tuple[int, list[float]]]:
    """What a run looked like at each checkpoint."""
    last = min(reading.actions, CHECKPOINTS[-1] + 1)
    found = []
    for step in reading.steps:
        if course.actions == last:
            break
        course.add(step)
        if step.tool and course.actions in CHECKPOINTS and course.actions < reading.actions:
            found.append((course.actions, course.features()))
    return found


def _learn(moments: _Moments, actions: int, check: Check) -> Checkpoint | None:
    """The regression for a number of actions; None when too little is known."""
    import numpy

    here = moments.success[moments.actions == actions]
    if len(here) < _LEAST_RUNS or here.min() == here.max():
        return None
    weight = numpy.exp(-numpy.abs(numpy.log((moments.actions + 1) / (actions + 1))) / REACH)
    kept = weight >= _LEAST_WEIGHT
    weight, offset, features = weight[kept], moments.offset[kept], moments.features[kept]
    mean, deviation = numpy.average(features, 0, weight), scale_of(features)
    usual = float(offset.mean())
    table = numpy.column_stack([(features - mean) / deviation, (offset - usual) / _OFFSET_SCALE])
    examples = Examples(table, offset, moments.success[kept], weight)
    variance, unseen = _choose(examples, moments.fold[kept], check)
    weights = fit_ridge(examples, variance)
    repeats = max(1.0, weight.sum() / len(numpy.unique(moments.episode[kept])))
    spread = covariance(examples, max(variance, USUAL_VARIANCE), weights, repeats)
    return Checkpoint(
        actions=actions,
        mean=pack_floats(mean),
        deviation=pack_floats(deviation),
        weights=pack_floats(weights),
        covariance=pack_floats(spread),
        usual_offset=usual,
        calibration=AS_IT_IS if unseen is None else calibration(unseen, examples.success, weight),
    )


def _choose(examples: Examples, fold: Real, check: Check) -> tuple[float, Real | None]:
    """The variance that foretells each fold best from the others, and the logits that it foretold; None with one
    fold."""
    import numpy

    folds = numpy.unique(fold)
    if len(folds) < 2:
        return VARIANCES[0], None
    unseen = numpy.zeros((len(VARIANCES), len(fold)))
    for each in folds:
        told = fold == each
        weights = None
        for place, variance in enumerate(checked(VARIANCES, check)):
            weights = fit_ridge(examples.part(~told), variance, weights)
            unseen[place, told] = examples.offset[told] + weights[0] + examples.features[told] @ weights[1:]
    losses = [log_loss(logits, examples.success, examples.weight) for logits in unseen]
    best = int(numpy.argmin(losses))
    return VARIANCES[best], unseen[best]
