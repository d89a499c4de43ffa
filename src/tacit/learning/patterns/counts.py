"""The sufficient statistics of all patterns: in how many episodes of which kind each thing occurred, and how they went.

Whole numbers, added and taken away episode by episode: in whatever order and in whatever batches episodes come, and
whichever are taken away again, the counts are those of the episodes that are there.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from tacit.learning.lessons.trace import Trace
from tacit.learning.patterns.catalogue import FINDERS
from tacit.learning.patterns.claim import ANY, Claim
from tacit.learning.patterns.pattern import Key

BUCKET_US = 30 * 24 * 3600 * 1_000_000
"""Counts are kept by the month in which episodes ended, so that decay can be applied when they are read."""
MOST_EVIDENCE = 5
"""Newest episodes remembered for each key."""

Kind: TypeAlias = tuple[str, str]
"""Task type and domain."""
Cell: TypeAlias = dict[int, tuple[int, int]]
"""Month → episodes, of which went well."""
_EPISODE = 1 << 32
"""A count is one whole number: episodes times this, and those that went well. There are very many counts, and numbers
in a dictionary are small and nothing that the garbage collector looks at."""


class PatternCounts:
    """Counts by key and kind of task, over the episodes that were added and not removed."""

    def __init__(self) -> None:
        self.episodes = 0
        self._counts: dict[Key, dict[int, int]] = {}
        self._strata: dict[tuple[Kind, int], int] = {}
        """The numbers of the kinds and months."""
        self._stratum: list[tuple[Kind, int]] = []
        self._newest: dict[Key, tuple[tuple[int, str], ...]] = {}

    def __iter__(self) -> Iterator[Key]:
        """Every key that occurred."""
        return iter(self._counts)

    def add(self, id: str, trace: Trace) -> None:
        """Count an episode."""
        self.episodes += 1
        stratum, entry = self._number(trace), (trace.ended_at, id)
        known = self._counts
        for key, well in occurrences(trace).items():
            counts = known.get(key)
            if counts is None:
                known[key] = {stratum: _EPISODE + well}
                self._newest[key] = (entry,)
            else:
                counts[stratum] = counts.get(stratum, 0) + _EPISODE + well
                self._remember(key, entry)

    def remove(self, id: str, trace: Trace) -> None:
        """Take an episode away that was added before, exactly as it was."""
        self.episodes -= 1
        stratum, entry = self._number(trace), (trace.ended_at, id)
        for key, well in occurrences(trace).items():
            counts = self._counts[key]
            counts[stratum] -= _EPISODE + well
            if not counts[stratum]:
                del counts[stratum]
            if not counts:
                del self._counts[key]
            self._forget(key, entry)

    def support(self, key: Key) -> int:
        """In how many episodes a key occurred."""
        return sum(self._counts.get(key, {}).values()) // _EPISODE

    def cells(self, key: Key) -> dict[Kind, Cell]:
        """The counts of a key, by kind of task and month."""
        found: dict[Kind, Cell] = {}
        for stratum, count in self._counts.get(key, {}).items():
            kind, month = self._stratum[stratum]
            found.setdefault(kind, {})[month] = divmod(count, _EPISODE)
        return found

    def kinds(self, key: Key) -> tuple[Kind, ...]:
        """The kinds of task in which a key occurred, most frequent first."""
        sums = {kind: sum(count for count, _ in cell.values()) for kind, cell in self.cells(key).items()}
        return tuple(sorted(sums, key=lambda kind: (-sums[kind], kind)))

    def evidence(self, key: Key) -> tuple[str, ...]:
        """Ids of up to five of the newest episodes in which a key occurred, newest first.

        Some may be missing after one of them was removed; none is ever named that is not there.
        """
        return tuple(id for _, id in reversed(self._newest.get(key, ())))

    def last_seen(self, key: Key) -> int:
        """When the newest of them ended, in µs since 1970 UTC; 0 when none is remembered."""
        newest = self._newest.get(key)
        return newest[-1][0] if newest else 0

    def _number(self, trace: Trace) -> int:
        stratum = (trace.kind, trace.ended_at // BUCKET_US)
        number = self._strata.get(stratum)
        if number is None:
            number = self._strata[stratum] = len(self._stratum)
            self._stratum.append(stratum)
        return number

    def _remember(self, key: Key, entry: tuple[int, str]) -> None:
        newest = self._newest.get(key, ())
        if not newest or newest[-1] < entry:  # episodes mostly come in the order in which they ended
            self._newest[key] = (*newest[1 - MOST_EVIDENCE :], entry)
        elif len(newest) < MOST_EVIDENCE or newest[0] < entry:
            changed = list(newest)
            insort(changed, entry)
            self._newest[key] = tuple(changed[-MOST_EVIDENCE:])

    def _forget(self, key: Key, entry: tuple[int, str]) -> None:
        left = tuple(each for each in self._newest.get(key, ()) if each != entry)
        if left:
            self._newest[key] = left
        else:
            self._newest.pop(key, None)


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


def _claims(trace: Trace) -> Iterator[Claim]:
    yield Claim(ANY, ANY)
    for finder in FINDERS:
        yield from finder.claims(trace)
