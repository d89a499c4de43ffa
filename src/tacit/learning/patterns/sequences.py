"""Tool sequences: which orders of tools go with success (LE-01).

Subsequences of two to five calls: pairs may leave out up to two calls in between, triples one at each place, longer
ones none. Repeats of one tool count as one call of it, so that a pattern says what came after what.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from tacit.learning.lessons.trace import Trace
from tacit.learning.patterns.claim import ANY, Claim, Words
from tacit.learning.patterns.pattern import Key, Strategy

_FAMILY = "sequence"
LONGEST = 5
GAPS = {2: 2, 3: 1}
"""How many calls may be left out at each place, by length; none in longer ones."""


class Sequences:
    strategy: Strategy = "sequence"

    def claims(self, trace: Trace) -> Iterator[Claim]:
        tools = [tool for tool, _ in groupby(call.tool for call in trace.calls)]
        for found in subsequences(tools):
            yield Claim(ANY, (_FAMILY, *found))

    def owns(self, key: Key) -> bool:
        return key[0] == _FAMILY

    def case_of(self, key: Key) -> Key:
        return ANY

    def wider(self, key: Key) -> Key | None:
        return None

    def words(self, key: Key) -> Words:
        tools = key[1:]
        return Words(" → ".join(tools), tools)


def subsequences(tools: list[str]) -> set[tuple[str, ...]]:
    """The different subsequences that are looked at. At most nine for each call."""
    found: set[tuple[str, ...]] = set()
    count = len(tools)
    for first in range(count):
        for second in range(first + 1, min(first + 2 + GAPS[2], count)):
            found.add((tools[first], tools[second]))
        for second in range(first + 1, min(first + 2 + GAPS[3], count)):
            for third in range(second + 1, min(second + 2 + GAPS[3], count)):
                found.add((tools[first], tools[second], tools[third]))
        for length in range(4, LONGEST + 1):
            if first + length <= count:
                found.add(tuple(tools[first : first + length]))
    return found
