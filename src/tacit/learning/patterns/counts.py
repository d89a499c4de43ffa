"""The sufficient statistics of all patterns: in how many episodes of which kind each thing occurred, and how they went.

Whole numbers, added and taken away episode by episode: in whatever order and in whatever batches episodes come, and
whichever are taken away again, the counts are those of the episodes that are there.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from tacit.learning.patterns.catalogue import FINDERS
from tacit.learning.patterns.claim import ANY, Claim
from tacit.learning.patterns.pattern import Key
from tacit.learning.trace import Trace

BUCKET_US = 30 * 24 * 3600 * 1_000_000
"""Counts are kept by the month in which episodes ended, so that decay can be applied when they are read."""
MOST_EVIDENCE = 5
"""Newest episodes remembered for each key."""

Kind: TypeAlias = tuple[str, str]
"""Task type and domain."""
Cell: TypeAlias = dict[int, list[int]]
"""Month → [episodes, of which went well]."""


class PatternCounts:
    """Counts by key and kind of task, over the episodes that were added and not removed."""

    def __init__(self) -> None:
        self.episodes = 0
        self.cells: dict[Key, dict[Kind, Cell]] = {}
        self._newest: dict[Key, list[tuple[int, str]]] = defaultdict(list)

    def add(self, id: str, trace: Trace) -> None:
        """Count an episode."""
        self.episodes += 1
        bucket = trace.ended_at // BUCKET_US
        for key, well in occurrences(trace).items():
            kinds = self.cells.get(key)
            if kinds is None:
                kinds = self.cells[key] = {}
            cell = kinds.get(trace.kind)
            if cell is None:
                cell = kinds[trace.kind] = {}
            count = cell.get(bucket)
            if count is None:
                cell[bucket] = [1, int(well)]
            else:
                count[0] += 1
                count[1] += well
            self._remember(key, trace.ended_at, id)

    def remove(self, id: str, trace: Trace) -> None:
        """Take an episode away that was added before, exactly as it was."""
        self.episodes -= 1
        bucket = trace.ended_at // BUCKET_US
        for key, well in occurrences(trace).items():
            kinds = self.cells[key]
            cell = kinds[trace.kind]
            count = cell[bucket]
            count[0] -= 1
            count[1] -= well
            if not count[0]:
                del cell[bucket]
            if not cell:
                del kinds[trace.kind]
            if not kinds:
                del self.cells[key]
            self._forget(key, trace.ended_at, id)

    def kinds(self, key: Key) -> tuple[Kind, ...]:
        """The kinds of task in which a key occurred, most frequent first."""
        sums = {kind: sum(count[0] for count in cell.values()) for kind, cell in self.cells.get(key, {}).items()}
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

    def _remember(self, key: Key, ended_at: int, id: str) -> None:
        newest, entry = self._newest[key], (ended_at, id)
        if not newest or newest[-1] < entry:  # episodes mostly come in the order in which they ended
            newest.append(entry)
        elif len(newest) < MOST_EVIDENCE or newest[0] < entry:
            insort(newest, entry)
        if len(newest) > MOST_EVIDENCE:
            del newest[0]

    def _forget(self, key: Key, ended_at: int, id: str) -> None:
        newest = self._newest.get(key)
        if newest and (ended_at, id) in newest:
            newest.remove((ended_at, id))
        if not newest:
            self._newest.pop(key, None)


def occurrences(trace: Trace) -> Mapping[Key, bool]:
    """Every key that occurred in an episode, as a case or as a pattern, and whether it went well there.

    What occurred several times went well if it did so once.
    """
    found: dict[Key, bool] = {}
    for claim in _claims(trace):
        well = trace.success if claim.well is None else claim.well
        found[claim.key] = found.get(claim.key, False) or well
        found[claim.case] = found.get(claim.case, False) or well
    return found


def _claims(trace: Trace) -> Iterator[Claim]:
    yield Claim(ANY, ANY)
    for finder in FINDERS:
        yield from finder.claims(trace)
