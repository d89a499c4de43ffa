"""How choices have turned out: what a tool is worth as the next step, in this kind of task and after what came last.

The worth of a tool is its chance of success, by two levels of Beta means: episodes of the kind that used the tool,
with the rate of the kind as prior; and those that used it right after the same tool, with the first as prior.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from tacit.learning.lessons.trace import Trace

_PRIOR_TRIALS = 2.0
_NARROW_PRIOR_TRIALS = 4.0
"""How many episodes the wider level counts for."""


class Worth:
    """What tools are worth after a tool, from episodes of one kind of task."""

    def __init__(self, traces: Iterable[Trace], last: str) -> None:
        self._used: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._next: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        episodes = successes = 0
        for trace in traces:
            episodes += 1
            successes += trace.success
            before, used, following = "", set(), set()
            for call in trace.calls:
                used.add(call.tool)
                if before == last:
                    following.add(call.tool)
                before = call.tool
            _count(self._used, used, trace.success)
            _count(self._next, following, trace.success)
        self.rate = (successes + 1) / (episodes + 2)

    def of(self, tool: str) -> float:
        """The chance of success with this tool next; that of the kind for one that was never used."""
        wide = _mean(self._used, tool, self.rate, _PRIOR_TRIALS)
        return _mean(self._next, tool, wide, _NARROW_PRIOR_TRIALS)

    def is_usual(self, tool: str) -> bool:
        """Whether this tool was called next before, and its chance of success is at least that of the kind."""
        return tool in self._next and self.of(tool) >= self.rate

    def tried(self, tool: str) -> tuple[int, int]:
        """How many episodes took the tool next, and how many of those succeeded."""
        count, well = self._next.get(tool, (0, 0))
        return count, well


def _count(counts: dict[str, list[int]], tools: Iterable[str], success: bool) -> None:
    for tool in tools:
        counts[tool][0] += 1
        counts[tool][1] += success


def _mean(counts: Mapping[str, list[int]], tool: str, prior: float, trials: float) -> float:
    count, well = counts.get(tool, (0, 0))
    return (well + trials * prior) / (count + trials)
