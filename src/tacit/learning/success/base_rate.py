"""How often tasks of a kind succeed: counted, and shrunk to wider kinds where little was counted.

From all tasks to those of the domain to those of the task type: each level's rate is a Beta posterior whose prior is
worth four tasks that went as the level above says. That prior also says how far kinds differ from each other, and so
how little is known of a kind that nobody has seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from tacit.learning.fitting.reading import Reading, TaskWords
from tacit.learning.fitting.ridge import logit_of
from tacit.learning.fitting.trigamma import trigamma

PRIOR_TASKS = 4.0


class Beta(NamedTuple):
    """What is known of a rate: a Beta distribution with these two parameters."""

    successes: float
    failures: float

    @property
    def mean(self) -> float:
        return self.successes / (self.successes + self.failures)

    @property
    def logit(self) -> float:
        return logit_of(self.mean)

    @property
    def logit_variance(self) -> float:
        """Of the rate's logit: ψ′(a) + ψ′(b), as the logit of a Beta variable is the difference of two log-gammas."""
        return trigamma(self.successes) + trigamma(self.failures)


class BaseRates(msgspec.Struct, frozen=True):
    """Successes and tasks: of all, and by domain and task type."""

    whole: tuple[int, int]
    domains: dict[str, tuple[int, int]]
    types: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, readings: Iterable[Reading]) -> BaseRates:
        """Counted from finished episodes."""
        whole, domains, types = (0, 0), dict[str, tuple[int, int]](), dict[str, tuple[int, int]]()
        for reading in readings:
            whole = _one_more(whole, reading.success)
            domain, kind = reading.task.domain, reading.task.task_type
            domains[domain] = _one_more(domains.get(domain, (0, 0)), reading.success)
            types[kind] = _one_more(types.get(kind, (0, 0)), reading.success)
        return cls(whole, domains, types)

    def rate(self, task: TaskWords) -> Beta:
        """What is known of the rate of a task's kind."""
        successes, tasks = self.whole
        rate = Beta(successes + 1.0, tasks - successes + 1.0)
        for level, name in ((self.domains, task.domain), (self.types, task.task_type)):
            successes, tasks = level.get(name, (0, 0))
            mean = rate.mean
            rate = Beta(successes + PRIOR_TASKS * mean, tasks - successes + PRIOR_TASKS * (1 - mean))
        return rate


def _one_more(counted: tuple[int, int], success: bool) -> tuple[int, int]:
    return counted[0] + success, counted[1] + 1
