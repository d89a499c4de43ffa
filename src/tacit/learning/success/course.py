"""A run under way as numbers, for the chance of its success: how it goes, and how that compares with past runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tacit.learning.fitting.goals import GoalWords
from tacit.learning.fitting.reading import StepWords, TaskWords
from tacit.learning.fitting.run import Run
from tacit.learning.success.habits import Habits, events_of

FEATURES = (
    "found", "hidden found", "any hidden found", "handled", "any handled", "times handled", "named", "goal tools",
    "occurrences", "failures", "failing now", "longest failing", "distinct calls", "repeated calls", "repeated answers",
    "same answers", "unrelated answers", "loops", "since new", "new", "recent poor", "recent new", "tools",
    "successful tools", "messages", "since found", "position", "longer", "needed", "tool ratio", "answer ratio",
    "goal ratio",
)  # fmt: skip
"""The numbers, in the order in which :meth:`Course.features` gives them."""


class Course:
    """A run, fed step by step, held against what past runs did."""

    def __init__(self, task: TaskWords, goals: GoalWords, habits: Habits) -> None:
        self._habits = habits
        self._solved = habits.solved_runs(task.kind)
        self._run = Run(task, goals.content(task.goal))
        self._ratios = [0.0, 0.0, 0.0]

    @property
    def actions(self) -> int:
        return self._run.calls.count

    def add(self, step: StepWords) -> None:
        """One more step."""
        before = self._run.calls.last
        self._run.add(step)
        if step.tool:
            for place, (condition, event) in enumerate(events_of(self._run, before)):
                self._ratios[place] += self._habits.ratio(condition, event)

    def features(self) -> list[float]:
        """The numbers in ``FEATURES``; there must have been an action."""
        root = math.sqrt(self.actions)
        return [
            *self._progress(),
            *self._effort(),
            *self._solved.position(self._run),
            *(ratio / root for ratio in self._ratios),
        ]

    def _progress(self) -> Sequence[float]:
        """How far the goal has come."""
        goal = self._run.goal
        hidden = [word for word in goal.weights if word not in goal.context]
        found = sum(word in goal.brought for word in hidden)
        return (
            goal.share(goal.brought),
            found / max(1, len(hidden)),
            float(found > 0),
            goal.share(goal.handled),
            float(bool(goal.handled)),
            math.log1p(sum(goal.handled.values())),
            goal.share(goal.named),
            len(goal.tools),
            math.log1p(goal.occurrences),
        )

    def _effort(self) -> Sequence[float]:
        """How the calls went, how often they went in circles, and what they brought."""
        run, calls, answers, goal = self._run, self._run.calls, self._run.answers, self._run.goal
        count = calls.count
        return (
            (calls.failures + 0.5) / (count + 2),
            min(calls.failures_running, 5),
            min(calls.longest_failing, 6),
            calls.distinct / count,
            calls.repeated / count,
            answers.repeated / count,
            answers.same / count,
            answers.unrelated / count,
            run.loops / count,
            min(answers.since_new, 6),
            math.log1p(answers.new),
            answers.recent_poor,
            answers.recent_new,
            len(calls.used),
            len(calls.succeeded),
            math.log1p(run.messages),
            math.log1p(count - min(goal.brought.values())) if goal.brought else 0.0,
        )
