"""What solved runs do that others do not: step by step, and in which tools they need and how long they take.

All of it is counted, so that a run under way can be held against it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.fitting.goals import GoalWords
from tacit.learning.fitting.reading import Reading
from tacit.learning.fitting.run import Run

PRIOR_EVENTS = 4.0
"""Imagined events on either side that went as they go at all."""
NEEDED_BY = 0.6
"""A tool is needed when at least this share of the solved runs used it with success."""
LEAST_SOLVED = 3
"""A kind of task with fewer solved runs is taken to be like all others."""
_UNKNOWN_LENGTH = 10
"""Actions that a solved run is taken to have before one was seen."""
_SEPARATOR = "\x1f"

Event = tuple[str, str]
"""A condition, and what happened under it."""


class SolvedRuns(msgspec.Struct, frozen=True):
    """The solved runs of a kind of task."""

    lengths: tuple[int, ...] = ()
    """Actions of each, sorted."""
    needed: tuple[str, ...] = ()

    def position(self, run: Run) -> tuple[float, float, float]:
        """Where a run stands: the logarithm of its length over the usual one, the share of solved runs that were
        longer, and the share of the needed tools that it has used with success."""
        lengths = self.lengths or (_UNKNOWN_LENGTH,)
        count = run.calls.count
        longer = 1 - bisect_right(lengths, count) / len(lengths)
        used = sum(tool in run.calls.succeeded for tool in self.needed)
        return math.log((count + 1) / (median(lengths) + 1)), longer, used / max(1, len(self.needed))


class Habits(msgspec.Struct, frozen=True):
    """Counted events of solved and other runs, and the solved runs of each kind."""

    events: dict[str, tuple[int, int]]
    """Condition and event → how often in solved runs, and in others."""
    conditions: dict[str, tuple[int, int]]
    whole: SolvedRuns
    kinds: dict[str, SolvedRuns]

    @classmethod
    def of(cls, readings: Sequence[Reading], events: Sequence[Sequence[Event]]) -> Habits:
        """Counted from finished episodes and the events of each (see :class:`EventLog`)."""
        pairs, conditions = defaultdict[str, list[int]](lambda: [0, 0]), defaultdict[str, list[int]](lambda: [0, 0])
        for reading, happened in zip(readings, events, strict=True):
            side = 0 if reading.success else 1
            for condition, event in happened:
                pairs[_pair(condition, event)][side] += 1
                conditions[condition][side] += 1
        solved = [reading for reading in readings if reading.success]
        kinds = defaultdict[str, list[Reading]](list)
        for reading in solved:
            kinds[_SEPARATOR.join(reading.task.kind)].append(reading)
        return cls(
            {key: (good, other) for key, (good, other) in pairs.items()},
            {key: (good, other) for key, (good, other) in conditions.items()},
            _solved_runs(solved),
            {kind: _solved_runs(of) for kind, of in kinds.items() if len(of) >= LEAST_SOLVED},
        )

    def solved_runs(self, kind: tuple[str, str]) -> SolvedRuns:
        """The solved runs to compare with."""
        return self.kinds.get(_SEPARATOR.join(kind), self.whole)

    def ratio(self, condition: str, event: str) -> float:
        """ln of how much likelier an event is in solved runs than in others; both are shrunk to their common rate."""
        good, other = self.events.get(_pair(condition, event), (0, 0))
        all_good, all_other = self.conditions.get(condition, (0, 0))
        rate = PRIOR_EVENTS * (good + other + 0.5) / (all_good + all_other + 1.0)
        return math.log((good + rate) / (all_good + PRIOR_EVENTS)) - math.log(
            (other + rate) / (all_other + PRIOR_EVENTS)
        )


class EventLog:
    """The events of runs. They depend on what passes for a word of the goal, and are found once for each such set."""

    def __init__(self, readings: Sequence[Reading], check: Check = go_on) -> None:
        self._readings = readings
        self._check = check
        self._found: dict[tuple[int, tuple[str, ...]], list[Event]] = {}
        self._shared: dict[Event, Event] = {}
        """Events, kept once for all runs; there are many, and few different ones."""

    def of(self, goals: GoalWords, numbers: Iterable[int]) -> list[list[Event]]:
        """The events of the episodes with these numbers."""
        return [self._events(goals, number) for number in checked(numbers, self._check)]

    def _events(self, goals: GoalWords, number: int) -> list[Event]:
        reading = self._readings[number]
        words = goals.content(reading.task.goal)
        key = (number, tuple(words))
        if key not in self._found:
            run, events = Run(reading.task, words), list[Event]()
            for step in reading.steps:
                before = run.calls.last
                run.add(step)
                if step.tool:
                    events += [self._shared.setdefault(event, event) for event in events_of(run, before)]
            self._found[key] = events
        return self._found[key]


def events_of(run: Run, before: str) -> tuple[Event, Event, Event]:
    """What a run's last action was, next to the tool called before it: the tool, what came back, its part in the
    goal."""
    tool = run.calls.last
    brought, named, handled = run.goal.event
    return (
        (f"t{_SEPARATOR}{before}", tool),
        (f"o{_SEPARATOR}{tool}", run.answers.form),
        (f"g{_SEPARATOR}{tool}", f"{brought},{named},{handled}"),
    )


def _pair(condition: str, event: str) -> str:
    return f"{condition}{_SEPARATOR}{event}"


def _solved_runs(readings: Sequence[Reading]) -> SolvedRuns:
    used = Counter[str]()
    for reading in readings:
        used.update(dict.fromkeys((step.tool for step in reading.steps if step.tool and not step.failed), 1))
    return SolvedRuns(
        tuple(sorted(reading.actions for reading in readings)),
        tuple(sorted(tool for tool, many in used.items() if many >= NEEDED_BY * len(readings))),
    )
