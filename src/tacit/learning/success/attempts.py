"""How earlier attempts at the very same task went, and how much that says of the next one.

A task that is tried again tends to go as before. With n earlier attempts, s of them successful, a chance m before
becomes (s + κ m) / (n + κ): κ is how many attempts the chance itself is worth, and it is learned from tasks that were
tried several times, as the one that would have foretold each further attempt best (a beta-binomial model; A. Gelman et
al., "Bayesian Data Analysis", 3rd ed., 5.3).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence

import msgspec

from tacit.learning.fitting.reading import Reading, TaskWords
from tacit.learning.success.base_rate import Beta

WORTH = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
"""The values of κ that are looked at."""
USUAL_WORTH = 4.0
FEW_REPEATS = 20
"""With fewer further attempts to learn from, κ is the usual one."""


class Attempts(msgspec.Struct, frozen=True):
    """Successes and attempts by task (see :func:`key_of`), and κ."""

    tasks: dict[str, tuple[int, int]]
    worth: float

    @classmethod
    def of(cls, readings: Sequence[Reading], chance: Callable[[Reading], float]) -> Attempts:
        """Counted from finished episodes, oldest first.

        Args:
            chance: what else is believed of an episode's success, from 0 to 1.
        """
        by_task: dict[str, list[Reading]] = {}
        for reading in readings:
            by_task.setdefault(key_of(reading.wording, reading.task), []).append(reading)
        repeated = [each for each in by_task.values() if len(each) > 1]
        stories = [(chance(each[0]), [reading.success for reading in each]) for each in repeated]
        worth = USUAL_WORTH
        if sum(len(outcomes) - 1 for _, outcomes in stories) >= FEW_REPEATS:
            worth = max(WORTH, key=lambda worth: _likelihood(stories, worth))
        tasks = {task: (sum(reading.success for reading in each), len(each)) for task, each in by_task.items()}
        return cls(tasks, worth)

    def rate(self, task: str, mean: float) -> Beta | None:
        """What is known of the chance of a task, by its key, from what is believed otherwise and the earlier attempts;
        None when there were none."""
        if task not in self.tasks:
            return None
        return _rate(*self.tasks[task], mean, self.worth)


def key_of(wording: str, task: TaskWords) -> str:
    """Equal for attempts at one task in the same surroundings, as far as whoever asks can tell: by the words in which
    it is asked, and those of its context in whatever order."""
    text = "\0".join((wording, *sorted(task.context)))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _rate(successes: int, attempts: int, mean: float, worth: float) -> Beta:
    return Beta(successes + worth * mean, attempts - successes + worth * (1 - mean))


def _likelihood(stories: Iterable[tuple[float, Sequence[bool]]], worth: float) -> float:
    """The logarithm of the chance of every attempt after the first of its task."""
    whole = 0.0
    for mean, outcomes in stories:
        successes = int(outcomes[0])
        for attempts, success in enumerate(outcomes[1:], start=1):
            chance = _rate(successes, attempts, mean, worth).mean
            whole += math.log(chance if success else 1 - chance)
            successes += success
    return whole
