"""Error recovery: what led out of which error, and which errors nothing led out of (LE-03).

An error is its signature and the tool that failed. A remedy is the first call after it that did not fail: a retry of
the same tool, or another tool. It worked when the tool that had failed worked later on in the episode, or the episode
succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator

from tacit.learning.lessons.trace import Call, Trace
from tacit.learning.patterns.claim import Claim, Words
from tacit.learning.patterns.pattern import Key, Strategy

_ERROR, _REMEDY = "error", "remedy"
NOTHING = ""
"""The remedy of an error after which no call worked."""


class Recoveries:
    strategy: Strategy = "recovery"

    def claims(self, trace: Trace) -> Iterator[Claim]:
        last_worked = {call.tool: place for place, call in enumerate(trace.calls) if not call.failed}
        following = _next_working(trace.calls)
        for place, call in enumerate(trace.calls):
            if not call.failed:
                continue
            case: Key = (_ERROR, call.signature, call.tool)
            well = trace.success or last_worked.get(call.tool, -1) > place
            yield Claim(case, (_REMEDY, call.signature, call.tool, following[place]), well)

    def owns(self, key: Key) -> bool:
        return key[0] == _REMEDY

    def case_of(self, key: Key) -> Key:
        return (_ERROR, key[1], key[2])

    def words(self, key: Key) -> Words:
        _, signature, tool, remedy = key
        condition = f"{tool}: {signature}"
        if remedy == NOTHING:
            return Words(f"after “{signature}” from {tool} nothing worked any more", (tool,), (condition,))
        what = "trying again" if remedy == tool else remedy
        return Words(f"after “{signature}” from {tool}: {what}", (tool, remedy), (condition,))


def _next_working(calls: tuple[Call, ...]) -> list[str]:
    """For each call, the tool of the first later one that did not fail; NOTHING at the end."""
    found, tool = [NOTHING] * len(calls), NOTHING
    for place in range(len(calls) - 1, -1, -1):
        found[place] = tool
        if not calls[place].failed:
            tool = calls[place].tool
    return found
