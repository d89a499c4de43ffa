"""Error recovery: what led out of which error, and which errors nothing led out of (LE-03).

An error is its signature and the tool that failed. A remedy is what was done next, whether that worked or not: the same
call again, the same tool with other arguments, or another tool; or nothing, when the error was the last call.

A remedy is judged by what it does not imply: whether the tool that had failed worked later on in the episode, be it by
this call or after it. Where that tool was not called again, whoever went on without it got past the error if the
episode succeeded; by this, a harmless error is not held against what came after it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tacit.learning.lessons.trace import Call, Trace
from tacit.learning.patterns.claim import Claim, Words
from tacit.learning.patterns.pattern import Key, Strategy

_ERROR, _REMEDY = "error", "remedy"
AGAIN, OTHERWISE, INSTEAD, NOTHING = "again", "otherwise", "instead", "nothing"
"""The same call again; the same tool with other arguments; another tool; no call any more."""


class Recoveries:
    strategy: Strategy = "recovery"

    def claims(self, trace: Trace) -> Iterator[Claim]:
        last_called = {call.tool: place for place, call in enumerate(trace.calls)}
        last_worked = {call.tool: place for place, call in enumerate(trace.calls) if not call.failed}
        for place, (call, following) in enumerate(zip(trace.calls, (*trace.calls[1:], None), strict=False)):
            if not call.failed:
                continue
            case: Key = (_ERROR, call.signature, call.tool)
            called_again = last_called[call.tool] > place
            well = last_worked.get(call.tool, -1) > place if called_again else trace.success
            yield Claim(case, (_REMEDY, call.signature, call.tool, *_remedy(call, following)), well)

    def owns(self, key: Key) -> bool:
        return key[0] == _REMEDY

    def case_of(self, key: Key) -> Key:
        return (_ERROR, key[1], key[2])

    def wider(self, key: Key) -> Key | None:
        return None

    def words(self, key: Key) -> Words:
        _, signature, tool, how, other = key
        told = {
            AGAIN: "the same call again",
            OTHERWISE: f"{tool} with other arguments",
            INSTEAD: f"{other} first",
            NOTHING: "no call any more",
        }
        tools = (tool, other) if other else (tool,)
        return Words(f"after “{signature}” from {tool}: {told[how]}", tools, (f"{tool}: {signature}",))


def is_remedy(key: Key) -> bool:
    """Whether a pattern is about what was done after an error, or that nothing was."""
    return key[0] == _REMEDY


def is_action(key: Key) -> bool:
    """Whether a pattern is about something that was done after an error."""
    return is_remedy(key) and key[3] != NOTHING


def failed_tool(key: Key) -> str:
    """The tool that had failed before a remedy."""
    return key[2]


def how_it_ended(key: Key) -> str:
    """What is meant by a remedy's going well."""
    return f"{key[2]} worked later" if key[3] in (AGAIN, OTHERWISE) else f"{key[2]} worked later or was not needed"


def _remedy(failed: Call, following: Call | None) -> tuple[str, str]:
    """How it went on after a failed call, and with which other tool, if it was another."""
    if following is None:
        return NOTHING, ""
    if following.tool != failed.tool:
        return INSTEAD, following.tool
    return (AGAIN if following.same == failed.same else OTHERWISE), ""
