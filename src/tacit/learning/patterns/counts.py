"""The sufficient statistics of all patterns: in which episodes each thing occurred, and whether it went well there.

For each key a flat array of whole numbers, one for each episode in which it occurred. Episodes are added and taken away
one by one: in whatever order and in whatever batches they come, and whichever are taken away again, what is counted are
the episodes that are there.

Episodes are compared within a group: the attempts at one task where it was tried more than once, and else the tasks of
a kind. What a task demands then cannot pass for a habit, and no task weighs more because it was tried often.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from heapq import nlargest
from typing import NamedTuple, TypeAlias

import msgspec

from tacit.learning.lessons.trace import Trace
from tacit.learning.patterns.catalogue import FINDERS
from tacit.learning.patterns.claim import ANY, Claim
from tacit.learning.patterns.pattern import Key

BUCKET_US = 30 * 24 * 3600 * 1_000_000
"""Counts are told by the month in which episodes ended, so that decay can be applied when they are read."""
_WELL, _AT_END = 1, 2
"""Marks of what occurred in an episode: that it went well; and that the episode succeeded, and it would not have
occurred but for the last call."""
MOST_EVIDENCE = 5
"""Newest episodes named for each key."""

Kind: TypeAlias = tuple[str, str]
"""Task type and domain."""
Group: TypeAlias = tuple[Kind, bytes]
"""A kind, and a task of it that was tried more than once; of all its other tasks together, the kind and nothing."""
Cell: TypeAlias = dict[int, tuple[int, int]]
"""Month → episodes, of which went well."""


class _Lived(NamedTuple):
    """An episode, as far as it is needed for counting."""

    ended_at: int
    id: str
    kind: Kind
    task: bytes


class _Order(NamedTuple):
    """The places in which episodes are counted: a group and a month each, in a fixed order."""

    places: list[tuple[Group, int]]
    entries: list[int]
    """For each entry of a key's array, its place and whether it went well: twice the place's number, and one if so."""


class PatternCounts:
    """Counts by key, over the episodes that were added and not removed."""

    def __init__(self) -> None:
        self._entries: dict[Key, array[int]] = {}
        """For each key, of each episode in which it occurred, four times the episode's number and its marks."""
        self._lived: list[_Lived | None] = []
        """Episodes by number; a number that nobody has waits to be used again."""
        self._numbers: dict[str, int] = {}
        self._free: list[int] = []
        self._order_now: _Order | None = None

    def __iter__(self) -> Iterator[Key]:
        """Every key that occurred."""
        return iter(self._entries)

    @property
    def episodes(self) -> int:
        return len(self._numbers)

    def add(self, id: str, trace: Trace) -> None:
        """Count an episode."""
        number = self._free.pop() if self._free else len(self._lived)
        if number == len(self._lived):
            self._lived.append(None)
        self._lived[number] = _Lived(trace.ended_at, id, trace.kind, trace.task)
        self._numbers[id] = number
        self._order_now = None
        for key, marks in _marked(trace).items():
            entries = self._entries.get(key)
            if entries is None:
                self._entries[key] = array("I", (4 * number + marks,))
            else:
                entries.append(4 * number + marks)

    def remove(self, id: str, trace: Trace) -> None:
        """Take an episode away that was added before, exactly as it was."""
        number = self._numbers.pop(id)
        for key, marks in _marked(trace).items():
            entries = self._entries[key]
            entries.remove(4 * number + marks)
            if not entries:
                del self._entries[key]
        self._lived[number] = None
        self._free.append(number)
        self._order_now = None

    def support(self, key: Key) -> int:
        """In how many episodes a key occurred."""
        return len(self._entries.get(key, ()))

    def groups(self, key: Key) -> dict[Group, Cell]:
        """The counts of a key, by group and month, always in the same order."""
        places, entries = self._order()
        found: dict[Group, Cell] = {}
        for entry, count in sorted(Counter(map(entries.__getitem__, self._entries.get(key, ()))).items()):
            group, month = places[entry >> 1]
            cell = found.setdefault(group, {})
            all_so_far, well = cell.get(month, (0, 0))
            cell[month] = (all_so_far + count, well + count * (entry & 1))
        return found

    def cells(self, key: Key) -> dict[Kind, Cell]:
        """The counts of a key, by kind of task and month."""
        return by_kind(self.groups(key))

    def kinds(self, key: Key) -> tuple[Kind, ...]:
        """The kinds of task in which a key occurred, most frequent first."""
        sums = Counter(each.kind for each in self._occurred_in(key))
        return tuple(sorted(sums, key=lambda kind: (-sums[kind], kind)))

    def evidence(self, key: Key) -> tuple[str, ...]:
        """Ids of up to five of the newest episodes in which a key occurred, newest first."""
        return tuple(each.id for each in nlargest(MOST_EVIDENCE, self._occurred_in(key)))

    def at_end(self, key: Key) -> int:
        """In how many of the episodes that succeeded it occurred, and would not have but for the last call."""
        return sum(entry & _AT_END > 0 for entry in self._entries.get(key, ()))

    def last_seen(self, key: Key) -> int:
        """When the newest of them ended, in µs since 1970 UTC; 0 when there is none."""
        return max((each.ended_at for each in self._occurred_in(key)), default=0)

    def _occurred_in(self, key: Key) -> Iterator[_Lived]:
        for entry in self._entries.get(key, ()):
            lived = self._lived[entry >> 2]
            if lived is not None:  # a number in an array is always somebody's
                yield lived

    def _order(self) -> _Order:
        """The places as of now; which tasks were tried more than once changes with every episode."""
        if self._order_now is None:
            tried = Counter((each.kind, each.task) for each in self._lived if each is not None)
            of = [None if each is None else _place(each, tried) for each in self._lived]
            places = sorted({place for place in of if place is not None})
            numbers = {place: number for number, place in enumerate(places)}
            entries = [
                2 * (-1 if place is None else numbers[place]) + (marks & _WELL) for place in of for marks in range(4)
            ]
            self._order_now = _Order(places, entries)
        return self._order_now


def by_kind(groups: Mapping[Group, Cell]) -> dict[Kind, Cell]:
    """Counts by group, added up for each kind of task."""
    found: dict[Kind, Cell] = {}
    for (kind, _), cell in groups.items():
        whole = found.setdefault(kind, {})
        for month, (count, well) in cell.items():
            all_so_far, well_so_far = whole.get(month, (0, 0))
            whole[month] = (all_so_far + count, well_so_far + well)
    return found


def occurrences(trace: Trace) -> Mapping[Key, bool]:
    """Every key that occurred in an episode, as a case or as a pattern, and whether it went well there.

    What occurred several times went well if it did so once.
    """
    found: dict[Key, bool] = {}
    for claim in _claims(trace):
        case, key, well = claim
        if trace.success if well is None else well:
            found[key] = found[case] = True
        else:
            found.setdefault(key, False)
            found.setdefault(case, False)
    return found


def _marked(trace: Trace) -> dict[Key, int]:
    """Every key that occurred in an episode, with its marks."""
    found = occurrences(trace)
    if not trace.success or not trace.calls:
        return {key: _WELL * well for key, well in found.items()}
    earlier = msgspec.structs.replace(trace, calls=trace.calls[:-1])
    before = {key for claim in _claims(earlier) for key in claim[:2]}
    return {key: _WELL * well | _AT_END * (key not in before) for key, well in found.items()}


def _claims(trace: Trace) -> Iterator[Claim]:
    yield Claim(ANY, ANY)
    for finder in FINDERS:
        yield from finder.claims(trace)


def _place(each: _Lived, tried: Mapping[tuple[Kind, bytes], int]) -> tuple[Group, int]:
    repeated = each.task and tried[each.kind, each.task] > 1
    return (each.kind, each.task if repeated else b""), each.ended_at // BUCKET_US
