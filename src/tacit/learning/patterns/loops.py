"""Ways of getting stuck: the same call again and again, and searches that bring nothing new (LE-07).

They are counted like any sequence; whether they do harm is for the statistics to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tacit.learning.lessons.trace import Trace
from tacit.learning.patterns.claim import ANY, Claim, Words
from tacit.learning.patterns.pattern import Key, Strategy

_LOOP, _FRUITLESS = "loop", "fruitless"
LEAST_REPEATS = 3
"""Calls of one tool with the very same parameters that make a loop."""
LEAST_FRUITLESS = 3
"""Calls of one tool, one after the other, that brought nothing new: a search that leads nowhere."""


class Loops:
    strategy: Strategy = "sequence"

    def claims(self, trace: Trace) -> Iterator[Claim]:
        repeats = Counter((call.tool, call.same) for call in trace.calls)
        for (tool, _), count in repeats.items():
            if count >= LEAST_REPEATS:
                yield Claim(ANY, (_LOOP, tool))
        run, running = 0, ""
        for call in trace.calls:
            run = 0 if call.found else run + 1 if call.tool == running else 1
            running = call.tool
            if run >= LEAST_FRUITLESS:
                yield Claim(ANY, (_FRUITLESS, call.tool))

    def owns(self, key: Key) -> bool:
        return key[0] in (_LOOP, _FRUITLESS)

    def case_of(self, key: Key) -> Key:
        return ANY

    def wider(self, key: Key) -> Key | None:
        return None

    def words(self, key: Key) -> Words:
        family, tool = key
        if family == _LOOP:
            return Words(f"the same call of {tool} {LEAST_REPEATS} times or more", (tool,))
        return Words(f"{LEAST_FRUITLESS} calls of {tool} in a row that brought nothing new", (tool,))
