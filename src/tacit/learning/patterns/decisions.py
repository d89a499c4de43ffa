"""Decision points: what was done next in a state, and how that went (LE-02).

A state is the tool called last and how its call went; the choice is the tool called next.
"""

from __future__ import annotations

from collections.abc import Iterator

from tacit.learning.lessons.trace import Call, Trace
from tacit.learning.patterns.claim import Claim, Words
from tacit.learning.patterns.pattern import Key, Strategy

_STATE, _CHOICE = "state", "choice"
_START = ""
_TOLD = {"failed": "failed", "nothing new": "brought nothing new", "worked": "worked"}


class Decisions:
    strategy: Strategy = "decision"

    def claims(self, trace: Trace) -> Iterator[Claim]:
        tool, went = _START, "worked"
        for call in trace.calls:
            yield Claim((_STATE, tool, went), (_CHOICE, tool, went, call.tool))
            tool, went = call.tool, how_it_went(call)

    def owns(self, key: Key) -> bool:
        return key[0] == _CHOICE

    def case_of(self, key: Key) -> Key:
        return (_STATE, key[1], key[2])

    def wider(self, key: Key) -> Key | None:
        return None

    def words(self, key: Key) -> Words:
        _, tool, went, choice = key
        if tool == _START:
            return Words(f"begin with {choice}", (choice,), ("at the start",))
        condition = f"{tool} {_TOLD[went]}"
        return Words(f"after {condition}: {choice}", (tool, choice), (condition,))


def how_it_went(call: Call) -> str:
    """``failed``, ``nothing new`` or ``worked``."""
    if call.failed:
        return "failed"
    return "worked" if call.found else "nothing new"
