"""Tool sequences: which orders of tools go with success (LE-01).

Subsequences of two to five calls: pairs may leave out up to two calls in between, triples one at each place, longer
ones none. Repeats of one tool count as one call of it, so that a pattern says what came after what.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

from tacit.learning.patterns.claim import ANY, Claim, Words
from tacit.learning.patterns.pattern import Key, Strategy
from tacit.learning.trace import Trace

_FAMILY = "sequence"
LONGEST = 5
_GAPS = {2: 2, 3: 1}
"""How many calls may be left out at each place, by length."""


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

    def words(self, key: Key) -> Words:
        tools = key[1:]
        return Words(" → ".join(tools), tools)


def subsequences(tools: list[str]) -> set[tuple[str, ...]]:
    """The different subsequences that are looked at. At most 60 for each call."""
    found: set[tuple[str, ...]] = set()
    for start in range(len(tools)):
        _extend(tools, (start,), found)
    return found


def _extend(tools: list[str], places: tuple[int, ...], found: set[tuple[str, ...]]) -> None:
    length = len(places) + 1
    for place in range(places[-1] + 1, min(places[-1] + 2 + _GAPS.get(length, 0), len(tools))):
        longer = (*places, place)
        found.add(tuple(tools[each] for each in longer))
        if length < LONGEST and _may_grow(longer):
            _extend(tools, longer, found)


def _may_grow(places: tuple[int, ...]) -> bool:
    """Whether the gaps so far are allowed in a longer sequence too."""
    gap = _GAPS.get(len(places) + 1, 0)
    return all(later - earlier - 1 <= gap for earlier, later in pairwise(places))
