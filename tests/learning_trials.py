"""Made-up experience for tests of learning: traces and episodes in which the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tacit.experience.episode import Episode, Outcome, Step, Task
from tacit.learning.lessons.trace import Trace, trace_of
from tacit.learning.patterns.counts import PatternCounts
from tacit.learning.patterns.mining import MiningPolicy, mine
from tacit.learning.patterns.pattern import Pattern

DAY = 24 * 3600 * 1_000_000
NOW = 20_000 * DAY


def call(tool: str, observation: Any = None, *, error: str = "", **parameters: Any) -> Step:
    """A call of a tool; it failed when there is an error."""
    return Step(
        tool=tool, parameters=parameters, observation=observation, error=error, status="error" if error else "success"
    )


def attempt(
    steps: Sequence[Step | str], outcome: Any = "success", *, id: str = "e", ended_at: int = NOW, **task: Any
) -> Episode:
    """A finished episode. A step given as a text is a call of that tool with an answer of its own."""
    made = [call(step, f"{step} {place}") if isinstance(step, str) else step for place, step in enumerate(steps)]
    return Episode(
        id=id, mind="m", task=Task(**{"description": "do it", **task}), status=outcome, steps=tuple(made),
        started_at_micros=ended_at - 1_000_000, ended_at_micros=ended_at, outcome=Outcome(kind=outcome),
    )  # fmt: skip


def trace(*arguments: Any, **keywords: Any) -> Trace:
    """The trace of an attempt."""
    found = trace_of(attempt(*arguments, **keywords))
    assert found is not None
    return found


def counted(traces: Sequence[Trace]) -> PatternCounts:
    """The counts of traces, as episodes "0", "1" …"""
    counts = PatternCounts()
    for number, each in enumerate(traces):
        counts.add(str(number), each)
    return counts


def found_in(traces: Sequence[Trace], now: int = NOW, **policy: Any) -> dict[str, Pattern]:
    """The patterns in traces, by what they say."""
    return {each.text: each for each in mine(counted(traces), now, MiningPolicy(**policy))}
