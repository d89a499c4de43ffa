"""Study: a consumer that reads the lessons and writes the book, whenever enough is new to be worth it.

It keeps the counts of the mind in memory and brings them up to date by what came, changed and went. The book is a pure
function of the lessons, so it does not matter which process writes it, or how often.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from tacit.clock import Clock
from tacit.journal.append import Appender
from tacit.journal.consumer import Span, Taken, consumer_position
from tacit.learning.book import Book, read_book, write_book
from tacit.learning.heuristics import Heuristic, heuristics, pruned
from tacit.learning.lessons import (
    Lesson,
    Lessons,
    count_lessons,
    last_change,
    lessons_between,
    lessons_ended,
    newest_lessons,
)
from tacit.learning.patterns.counts import PatternCounts
from tacit.learning.patterns.hybrid import fuse
from tacit.learning.patterns.mining import MiningPolicy, mine
from tacit.learning.playbooks import playbooks
from tacit.learning.trace import Trace
from tacit.stores.port import Snapshot

_log = logging.getLogger("tacit.learning.study")
_WORTH_GROWTH = 1.1
_REST = 20
"""A book is written anew when a tenth more is known, or after twenty times as long as the last one took to write."""
_MOST_MINDS = 8
"""Minds whose counts are kept in memory."""
_MOST_RETIRED = 200


class StudyPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How much is studied, and how patterns are judged; see the settings ``learning.*``."""

    window: int = 20_000
    """The newest finished episodes that are studied."""
    mining: MiningPolicy = MiningPolicy()


class Desk:
    """The lessons of one mind that lie open, and their counts."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._traces: OrderedDict[str, tuple[int, Trace]] = OrderedDict()
        self.counts = PatternCounts()
        self.position = 0
        self.known = 0
        """Lessons that there are, inside the window and outside of it."""

    def __len__(self) -> int:
        return len(self._traces)

    @property
    def traces(self) -> Iterable[tuple[str, Trace]]:
        """Every episode that lies open, oldest first."""
        return ((episode, trace) for episode, (_, trace) in self._traces.items())

    def catch_up(self, snapshot: Snapshot, mind: bytes, position: int) -> None:
        """Bring the counts to a position: whatever lessons stand there, and no others."""
        if self.position:
            for lesson in lessons_ended(snapshot, mind, self.position, position):
                self._put_away(lesson.episode)
            self._lay_out(lessons_between(snapshot, mind, self.position, position))
        self.known = count_lessons(snapshot, mind, position)
        if not self.position or len(self) != min(self._window, self.known):
            self._start_over(snapshot, mind, position)  # something was erased, or nothing lies here yet
        self.position = position

    def _start_over(self, snapshot: Snapshot, mind: bytes, position: int) -> None:
        self._traces.clear()
        self.counts = PatternCounts()
        self._lay_out(reversed(newest_lessons(snapshot, mind, position, self._window)))

    def _lay_out(self, lessons: Iterable[Lesson]) -> None:
        for lesson in lessons:
            self._put_away(lesson.episode)
            self._traces[lesson.episode] = (lesson.since, lesson.trace)
            self.counts.add(lesson.episode, lesson.trace)
        while len(self) > self._window:
            self._put_away(next(iter(self._traces)))

    def _put_away(self, episode: str) -> None:
        found = self._traces.pop(episode, None)
        if found is not None:
            self.counts.remove(episode, found[1])


class Study:
    """Writes the book of each mind. Not part of a replay: it keeps no views."""

    name = "study"

    def __init__(self, clock: Clock, policy: StudyPolicy | None = None) -> None:
        self._clock = clock
        self._policy = policy or StudyPolicy()
        self._desks: OrderedDict[bytes, Desk] = OrderedDict()
        self._rest_until = 0.0

    def take(self, snapshot: Snapshot, mind: bytes, span: Span) -> Taken | None:
        """Study what the lessons have brought; None while it is not worth it yet."""
        position = consumer_position(snapshot, mind, Lessons.name)
        if position <= span.position or (span.busy and not span.hurried):
            return None
        if position < span.head and time.monotonic() < self._rest_until:
            return None  # lessons are still coming in
        before = read_book(snapshot, mind, position)
        episodes = count_lessons(snapshot, mind, position)
        if last_change(snapshot, mind) <= before.position and episodes == before.known:
            return Taken(position)
        worth = span.hurried or episodes >= _WORTH_GROWTH * before.known or time.monotonic() >= self._rest_until
        if not worth:
            return None
        started = time.monotonic()
        desk = self._desk(mind)
        desk.catch_up(snapshot, mind, position)
        book = write(desk, before, self._clock.now(), self._policy)
        spent = time.monotonic() - started
        self._rest_until = time.monotonic() + _REST * spent
        _log.debug("studied", extra={"duration_ms": round(spent * 1_000, 1), "episodes": book.episodes})
        return Taken(position, book)

    def apply(self, appender: Appender, mind: bytes, effects: Book) -> None:
        write_book(appender.transaction, mind, effects)

    def _desk(self, mind: bytes) -> Desk:
        desk = self._desks.pop(mind, None) or Desk(self._policy.window)
        self._desks[mind] = desk
        while len(self._desks) > _MOST_MINDS:
            self._desks.popitem(last=False)
        return desk


def write(desk: Desk, before: Book, now: int, policy: StudyPolicy, demoted: frozenset[str] = frozenset()) -> Book:
    """The book that these lessons make; the heuristics' histories go on from the book before."""
    patterns = fuse(mine(desk.counts, now, policy.mining), desk.counts)
    found = heuristics(patterns, (*before.heuristics, *before.retired), now, demoted)
    alive = {each.id for each in found}
    gone = [each for each in before.retired if each.id not in alive]
    retired: list[Heuristic] = [*pruned(before.heuristics, found, now), *gone]
    return Book(
        position=desk.position,
        at=now,
        episodes=len(desk),
        known=desk.known,
        patterns=tuple(patterns),
        heuristics=tuple(found),
        playbooks=tuple(playbooks(desk.traces, patterns).items()),
        retired=tuple(retired[:_MOST_RETIRED]),
    )
