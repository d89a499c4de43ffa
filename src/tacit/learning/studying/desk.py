"""The desk: the counts of one mind's newest lessons, brought up to date by what came, changed and went.

Only counts are kept in memory: a name for each different thing, and four bytes for each episode of the window in which
it occurred. A lesson that leaves the window is read once more, to take its counts away.
"""

from __future__ import annotations

from itertools import islice

from tacit.learning.fitting.giving_up import Check, go_on
from tacit.learning.lessons.lessons import count_lessons, lessons_between, lessons_ended, newest_heads
from tacit.learning.patterns.claim import ANY
from tacit.learning.patterns.counts import PatternCounts
from tacit.stores.port import Snapshot


class Desk:
    """The counts of the newest lessons of one mind, up to a window."""

    def __init__(self, window: int) -> None:
        self._window = window
        self.counts = PatternCounts()
        self.position = 0
        self.after = 0
        """The lessons that are counted began after this position."""
        self.known = 0
        """Lessons that there are, inside the window and outside of it."""

    def __len__(self) -> int:
        return self.counts.episodes

    @property
    def success_rate(self) -> float:
        """The share of successes, with one success and one failure imagined (Laplace)."""
        well = sum(well for cell in self.counts.cells(ANY).values() for _, well in cell.values())
        return (well + 1) / (len(self) + 2)

    def catch_up(self, snapshot: Snapshot, mind: bytes, position: int, check: Check = go_on) -> None:
        """Bring the counts to a position: whatever lessons stand there, and no others.

        Args:
            check: is called again and again, and raises when it is to be given up; the desk is worth nothing then.
        """
        self.known = count_lessons(snapshot, mind, position)
        if self.position and count_lessons(snapshot, mind, position, after=self.position) > self._window // 3:
            self.position = 0  # taking away one by one what leaves the window takes longer than counting what is in it
        if self.position:
            self._follow(snapshot, mind, position, check)
        there = count_lessons(snapshot, mind, position, after=self.after)
        if not self.position or len(self) != there or there != min(self._window, self.known):
            self._start_over(snapshot, mind, position, check)  # something was erased, or nothing lies here yet
        self.position = position

    def _follow(self, snapshot: Snapshot, mind: bytes, position: int, check: Check) -> None:
        for lesson in lessons_ended(snapshot, mind, self.position, position):
            if lesson.since > self.after:
                self.counts.remove(lesson.episode, lesson.trace)
        for lesson in lessons_between(snapshot, mind, self.position, position):
            check()
            self.counts.add(lesson.episode, lesson.trace)
        too_many = max(0, len(self) - self._window)
        for lesson in islice(lessons_between(snapshot, mind, self.after, position), too_many):
            check()
            self.counts.remove(lesson.episode, lesson.trace)
            self.after = lesson.since

    def _start_over(self, snapshot: Snapshot, mind: bytes, position: int, check: Check) -> None:
        self.counts = PatternCounts()
        newest = newest_heads(snapshot, mind, position, self._window)
        self.after = newest[0][1] - 1 if newest else 0
        for lesson in lessons_between(snapshot, mind, self.after, position):
            check()
            self.counts.add(lesson.episode, lesson.trace)
