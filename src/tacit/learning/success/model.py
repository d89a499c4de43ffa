"""Will it succeed? The chance for a task before it begins and at any point of the run, with how sure that is.

Four stages, each of which moves what the one before has said: the rate of the kind of task (``base_rate``), the words
of the task (``start_stage``), earlier attempts at this very task (``attempts``), and how the run goes (``run_stage``).

The interval is that of a normal posterior of the logit. Its variance adds up what is unknown at each stage: the kind's
rate (the variance of the logit of its Beta posterior) and the weights of either regression (Laplace's approximation, in
which the moments of one run count as one), or, where too little is known to learn them, what they might be. It is about
the chance, not about the single outcome.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tacit.experience.episode import Episode, Step, Task
from tacit.learning.assessment.evidence import NORMAL_QUANTILE, Estimate
from tacit.learning.fitting.giving_up import Check, go_on
from tacit.learning.fitting.goals import GoalWords
from tacit.learning.fitting.kept import read_kept
from tacit.learning.fitting.reading import Reading, TaskWords, read_episodes, read_steps, read_task, wording_of
from tacit.learning.fitting.ridge import chance_of
from tacit.learning.success.attempts import Attempts, key_of
from tacit.learning.success.base_rate import BaseRates
from tacit.learning.success.course import Course
from tacit.learning.success.habits import EventLog, Habits
from tacit.learning.success.run_stage import Checkpoint, learn_checkpoints, opinion
from tacit.learning.success.start_stage import LEAST_EPISODES, Opinion, StartStage, StartWeights

LEAST_KNOWN = 3
"""With fewer finished episodes, of whatever kind, nothing is said of the chance of success."""
_FORMAT = 2


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted model, as bytes."""

    format: int
    episodes: int
    goals: GoalWords
    habits: Habits
    rates: BaseRates
    start: StartWeights | None
    attempts: Attempts
    checkpoints: tuple[Checkpoint, ...]


class SuccessModel:
    """Says how likely a task is to be done. Immutable, and safe to use from many threads."""

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept
        self._start = StartStage(kept.rates, kept.start)

    @classmethod
    def fit(cls, episodes: Sequence[Episode]) -> SuccessModel:
        """A model of the finished ones among some episodes; the same from the same episodes in the same order.

        An episode that did not end in "success" counts as one that did not succeed, also when it did in part.
        """
        return cls.learn(read_episodes(episodes))

    @classmethod
    def learn(cls, readings: Sequence[Reading], check: Check = go_on) -> SuccessModel:
        """A model of episodes as they were read.

        Args:
            check: is called again and again, and raises when it is to be given up.
        """
        goals = GoalWords.of(reading.task for reading in readings)
        log = EventLog(readings, check)
        start = StartStage.fit(readings)
        return cls(
            _Kept(
                format=_FORMAT,
                episodes=len(readings),
                goals=goals,
                habits=Habits.of(readings, log.of(goals, range(len(readings)))),
                rates=start.rates,
                start=start.weights,
                attempts=Attempts.of(readings, lambda reading: start.rates.rate(reading.task).mean),
                checkpoints=learn_checkpoints(readings, log, check) if len(readings) >= LEAST_EPISODES else (),
            )
        )

    def predict(self, task: Task, steps: Sequence[Step]) -> Estimate | None:
        """The chance of success after some steps; None while fewer than ``LEAST_KNOWN`` finished episodes are known.

        The run is looked at as it stands after its last action, as those were from which this was learned.
        """
        kept = self._kept
        if kept.episodes < LEAST_KNOWN:
            return None
        words = read_task(task)
        before = self._tried(task, words, self._start.opinion(words))
        read = read_steps(steps)
        acted = max((place for place, step in enumerate(read, start=1) if step.tool), default=0)
        if not acted:
            return _estimate(before)
        course = Course(words, kept.goals, kept.habits)
        for step in read[:acted]:
            course.add(step)
        return _estimate(opinion(kept.checkpoints, before, course))

    def _tried(self, task: Task, words: TaskWords, before: Opinion) -> Opinion:
        """An opinion of a task, moved by earlier attempts at it; what they say is added to what was known."""
        rate = self._kept.attempts.rate(key_of(wording_of(task), words), chance_of(before.logit))
        if rate is None:
            return before
        return Opinion(rate.logit, 1 / (1 / before.variance + 1 / rate.logit_variance))

    def to_bytes(self) -> bytes:
        """The model, to be kept."""
        return msgspec.msgpack.encode(self._kept)

    @classmethod
    def from_bytes(cls, body: bytes) -> SuccessModel:
        """A model that was kept.

        Raises:
            InvalidInput: the bytes are not a model, or one of another version; fit it again.
        """
        return cls(read_kept(body, _Kept, _FORMAT, "model of success"))


def _estimate(opinion: Opinion) -> Estimate:
    reach = NORMAL_QUANTILE * math.sqrt(opinion.variance)
    return Estimate(chance_of(opinion.logit), chance_of(opinion.logit - reach), chance_of(opinion.logit + reach))
