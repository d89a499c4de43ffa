"""Study: a consumer that reads the lessons and writes the book, whenever enough is new to be worth it.

It keeps the counts of the mind in memory and brings them up to date by what came, changed and went. The book is a pure
function of the lessons, so it does not matter which process writes it, or how often. Now and then models are fitted to
the episodes; before that, the old models say what they expect of a sample of the new ones, so that the store knows how
good they are. Advice that did harm is demoted.
"""

from __future__ import annotations

import logging
import pickle
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from uuid import UUID, uuid5

import msgspec

from tacit import heap
from tacit.clock import Clock
from tacit.experience import kinds
from tacit.experience.episode import Episode
from tacit.experience.views import load_episode
from tacit.ids import SystemEntropy
from tacit.journal.append import Appender, Preparer
from tacit.journal.consumer import Span, Taken, consumer_position
from tacit.journal.masking import NoMasking
from tacit.learning.advising.book import Book, read_book, write_book
from tacit.learning.advising.playbooks import playbooks
from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.lessons.embedder import TextEmbedder
from tacit.learning.lessons.lessons import Lessons, count_lessons, last_change, lessons_between, newest_heads
from tacit.learning.lessons.trace import Trace
from tacit.learning.lessons.vectors import vectors_kept_as
from tacit.learning.patterns.heuristics import heuristics, retired
from tacit.learning.patterns.hybrid import fuse
from tacit.learning.patterns.mining import MiningPolicy, mine
from tacit.learning.ranking.examples import read_examples
from tacit.learning.ranking.ranker import MOST_EXAMPLES, Example
from tacit.learning.studying.apart import WorkFailed, do_apart
from tacit.learning.studying.desk import Desk
from tacit.learning.studying.fits import FIT_EPISODES, Fit, fit_head, read_fit, write_fit
from tacit.learning.studying.forecasts import write_forecasts
from tacit.learning.studying.work import Done, Fitting, Work
from tacit.learning.trials.exposure import demoted_items, harmful_items, judged_between
from tacit.stores.port import Row, Snapshot

_log = logging.getLogger("tacit.learning.studying.study")
_WORTH_GROWTH = 2.0
_REST = 10
"""A book is written anew after ten times as long as the last one took to write, or when twice as much is known: so
study takes a tenth of one processor at most."""
_PAUSE, _LONGEST_PAUSE = 4.0, 0.05
"""While somebody writes, each bit of work in the thread is followed by a pause of four times its length, and in seconds
at most so long: the interpreter belongs to the writer."""
_PATIENCE_SECONDS = 60.0
"""Who waits for everything to be studied had better have it studied once, when all of it is there."""
_LOOK_SECONDS = 0.5
"""Whether a book is worth writing is looked at no more often, mind by mind: the lessons have to be counted for it."""
BEGIN_SECONDS = 3.0
"""Nothing is studied unasked so soon after the store was opened: a short command would have to wait for it."""
_VECTORS_SECONDS = 30.0
"""So long is waited for vectors that come no further, when nothing else is to come."""
_MOST_MINDS = 8
"""Minds whose counts are kept in memory."""
_MOST_RETIRED = 200
_MOST_BYTES = 32_000_000
"""Of episodes that models are fitted to: a thousand of ten steps have about six million."""
_MOST_FORECASTS = 100
"""Episodes that are forecast in one study."""
_WORTH_FITTING = 0.1
_MUCH_TO_FIT = FIT_EPISODES // 5
"""Models are fitted anew when there are a tenth more episodes, or so many more: they forget the older ones."""


class StudyPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How much is studied, and how patterns are judged; see the settings ``learning.*``."""

    window: int = 20_000
    """The newest finished episodes that are studied."""
    mining: MiningPolicy = MiningPolicy()


class _Findings(msgspec.Struct, frozen=True):
    """What one study has come to."""

    book: Book
    forecasts: list[Row]
    fit: Fit | None
    harmful: tuple[str, ...]
    """Advice to be demoted."""


class _GivenUp(Exception):  # noqa: N818 - no error: the store is being closed
    """The study is given up, to be done another time."""


def _checking(span: Span) -> Check:
    """A check that gives up when that is wanted; and that makes way while somebody writes, unless somebody waits."""
    checked_at = time.monotonic()

    def check() -> None:
        nonlocal checked_at
        if span.stopped():
            raise _GivenUp
        if not span.hurried and span.writing():
            time.sleep(min(_LONGEST_PAUSE, _PAUSE * (time.monotonic() - checked_at)))
        checked_at = time.monotonic()

    return check


class Study:
    """Writes the book of each mind. Not part of a replay: it keeps no views."""

    name = kept_as = "study"

    def __init__(self, clock: Clock, policy: StudyPolicy | None = None, embedder: TextEmbedder | None = None) -> None:
        self._clock = clock
        self._preparer = Preparer(clock, SystemEntropy(), NoMasking())
        self._policy = policy or StudyPolicy()
        self._embedder = embedder  # whose vectors are learned from
        self._desks: OrderedDict[bytes, Desk] = OrderedDict()
        self._begin = self._rest_until = time.monotonic() + BEGIN_SECONDS
        self._look_at: dict[bytes, float] = {}
        self._awaiting: dict[bytes, tuple[int, float]] = {}
        """How far vectors had come, and since when they have not come further."""

    def take(self, snapshot: Snapshot, mind: bytes, span: Span) -> Taken | None:
        """Study what the lessons have brought; None while it is not worth it yet."""
        position = consumer_position(snapshot, mind, Lessons.name)
        if position <= span.position or (span.busy and not span.hurried):
            return None
        now = time.monotonic()
        patience = _PATIENCE_SECONDS if span.hurried else 0.0
        look_at = self._look_at.get(mind, float("-inf"))
        if (position < span.head and now < self._rest_until + patience) or (now < look_at and not span.hurried):
            return None  # lessons are still coming in, or it was looked at just now
        if position == span.head and self._awaits_vectors(snapshot, mind, position):
            if span.hurried:
                self._count_ahead(snapshot, mind, position, _checking(span))
            return None
        before = read_book(snapshot, mind, position)
        new, worth = self._look(snapshot, mind, span, position, before)
        self._rest_from_looking(mind, now)
        if not new:
            return Taken(position)
        if not span.hurried and not worth:
            return None
        started, check = time.monotonic(), _checking(span)
        try:
            found, work = self._study(snapshot, mind, position, before, check)
        except _GivenUp:
            self._desks.pop(mind, None)  # it may be half up to date
            return None
        return Taken(position, think=lambda: self._finish(found, work, started, check, hurried=span.hurried))

    def _study(
        self, snapshot: Snapshot, mind: bytes, position: int, before: Book, check: Check
    ) -> tuple[_Findings, Work]:
        """What is found in the counts, and the work that is left to do once the snapshot has been let go of."""
        desk = self._desk(mind)
        desk.catch_up(snapshot, mind, position, check)
        demoted = demoted_items(snapshot, mind, position)
        harmful = self._harmful(snapshot, mind, position)
        lessons = checked(lessons_between(snapshot, mind, desk.after, position), check)
        traces = ((one.episode, one.trace) for one in lessons)
        book = write(desk, traces, before, self._clock.now(), self._policy, demoted | harmful, check)
        found = _Findings(book=book, forecasts=[], fit=None, harmful=tuple(sorted(harmful)))
        return found, self._work(snapshot, mind, desk, before, check)

    def _finish(self, found: _Findings, work: Work, started: float, check: Check, *, hurried: bool) -> _Findings | None:
        """The findings with what the work has come to; None when it was given up."""
        try:
            done = do_apart(work, check, hurried=hurried)
        except _GivenUp:
            return None
        except WorkFailed:
            _log.exception("nothing was fitted; the models of before are kept")
            done = Done([], None)
        spent = time.monotonic() - started
        self._rest_until = time.monotonic() + _REST * spent
        heap.release()
        _log.debug("studied", extra={"duration_ms": round(spent * 1_000, 1), "episodes": found.book.episodes})
        return msgspec.structs.replace(found, forecasts=done.forecasts, fit=done.fit)

    def _rest_from_looking(self, mind: bytes, began: float) -> None:
        """All looking takes a tenth of a processor at most: of many minds, each is looked at less often."""
        now = time.monotonic()
        self._look_at = {other: at for other, at in self._look_at.items() if at > now and other != mind}
        self._look_at[mind] = now + max(_LOOK_SECONDS, _REST * (now - began) * (len(self._look_at) + 1))

    def _look(self, snapshot: Snapshot, mind: bytes, span: Span, position: int, before: Book) -> tuple[bool, bool]:
        """Whether there is anything new, and whether it is worth the work of a new book: because it is much, because
        much time has gone, or because advice has turned out to do harm."""
        if judged_between(snapshot, mind, span.position, position) and self._harmful(snapshot, mind, position):
            return True, True
        episodes, now = count_lessons(snapshot, mind, position), time.monotonic()
        new = last_change(snapshot, mind) > before.position or episodes != before.known
        much = not span.writing() and now >= self._begin and episodes >= _WORTH_GROWTH * before.known
        return new, much or now >= self._rest_until

    @staticmethod
    def _harmful(snapshot: Snapshot, mind: bytes, position: int) -> frozenset[str]:
        """Advice that is to be demoted and was not yet."""
        return harmful_items(snapshot, mind) - demoted_items(snapshot, mind, position)

    def apply(self, appender: Appender, mind: bytes, effects: _Findings) -> None:
        transaction, position = appender.transaction, effects.book.position
        write_book(transaction, mind, effects.book)
        write_forecasts(transaction, mind, effects.forecasts)
        if effects.fit is not None:
            write_fit(transaction, mind, position, effects.fit)
        for item in effects.harmful:
            id = uuid5(UUID(bytes=mind), f"{self.name} demotes {item}").bytes  # once, however often it is tried
            appender.append(mind, self._preparer.prepare(kinds.ADVICE_DEMOTED, {"item": item}, id=id))

    def _work(self, snapshot: Snapshot, mind: bytes, desk: Desk, before: Book, check: Check) -> Work:
        """What is to be forecast, and what models are to be fitted to when there is enough that is new."""
        seen, fitted = fit_head(snapshot, mind, desk.position)
        fit = read_fit(snapshot, mind, desk.position)
        enough = max(1, min(fitted * _WORTH_FITTING, _MUCH_TO_FIT))
        return Work(
            mind=mind,
            before=fit,
            prior=before.success_rate,
            fresh=[] if fit is None else self._fresh(snapshot, mind, desk, max(seen, before.position), check),
            fitting=None if fitted <= desk.known < fitted + enough else self._fitting(snapshot, mind, desk, check),
        )

    def _fresh(
        self, snapshot: Snapshot, mind: bytes, desk: Desk, after: int, check: Check
    ) -> list[tuple[Episode, int]]:
        """A sample of the episodes that the models have not seen."""
        fresh = newest_heads(snapshot, mind, desk.position, self._policy.window, after=after)
        apart = max(1, len(fresh) // _MOST_FORECASTS)
        return _loaded(snapshot, mind, fresh[::apart], check)

    def _fitting(self, snapshot: Snapshot, mind: bytes, desk: Desk, check: Check) -> Fitting:
        newest = newest_heads(snapshot, mind, desk.position, FIT_EPISODES)
        model = "" if self._embedder is None else self._embedder.fingerprint
        return Fitting(
            known=desk.known,
            model=model,
            examples=self._examples(snapshot, mind, desk.position, model),
            episodes=[episode for episode, _ in _loaded(snapshot, mind, newest, check)],
        )

    @staticmethod
    def _examples(snapshot: Snapshot, mind: bytes, position: int, model: str) -> list[Example]:
        """Tasks and their tools, of as many of the newest episodes as the ranker of tools learns from."""
        newest = newest_heads(snapshot, mind, position, MOST_EXAMPLES)
        after = newest[0][1] - 1 if newest else position
        return read_examples(snapshot, mind, after, position, model)

    def _awaits_vectors(self, snapshot: Snapshot, mind: bytes, position: int) -> bool:
        """Whether tasks are still being embedded; not for ever, since a server that embeds may be down."""
        if self._embedder is None:
            return False
        now, reached = time.monotonic(), consumer_position(snapshot, mind, vectors_kept_as(self._embedder))
        if reached >= position:
            self._awaiting.pop(mind, None)
            return False
        before, since = self._awaiting.get(mind, (-1, now))
        self._awaiting[mind] = reached, now if reached > before else since
        return now < self._awaiting[mind][1] + _VECTORS_SECONDS

    def _count_ahead(self, snapshot: Snapshot, mind: bytes, position: int, check: Check) -> None:
        """Count what there is while others work, so that less is left to do when they are done."""
        try:
            self._desk(mind).catch_up(snapshot, mind, position, check)
        except _GivenUp:
            self._desks.pop(mind, None)  # it may be half up to date

    def _desk(self, mind: bytes) -> Desk:
        desk = self._desks.pop(mind, None) or Desk(self._policy.window)
        self._desks[mind] = desk
        while len(self._desks) > _MOST_MINDS:
            self._desks.popitem(last=False)
        return desk


def _loaded(
    snapshot: Snapshot, mind: bytes, heads: Sequence[tuple[bytes, int]], check: Check
) -> list[tuple[Episode, int]]:
    """Episodes as of their positions, oldest first: as many of the newest as are not too large together."""
    found: list[tuple[Episode, int]] = []
    size = 0
    for id, since in checked(reversed(heads), check):
        episode = load_episode(snapshot, mind, id, since)
        size += len(pickle.dumps(episode))
        if size > _MOST_BYTES and found:
            break
        found.append((episode, since))
    return found[::-1]


def write(
    desk: Desk,
    traces: Iterable[tuple[str, Trace]],
    before: Book,
    now: int,
    policy: StudyPolicy,
    demoted: frozenset[str] = frozenset(),
    check: Check = go_on,
) -> Book:
    """The book that the counts and the traces make; the heuristics' histories go on from the book before."""
    patterns = fuse(mine(desk.counts, now, policy.mining, check), desk.counts)
    check()
    found = heuristics(patterns, (*before.heuristics, *before.retired), now, demoted)
    alive = {each.id for each in found}
    gone = [each for each in before.retired if each.id not in alive]
    gone = [*retired(before.heuristics, found, now, demoted), *gone]
    return Book(
        position=desk.position,
        at=now,
        episodes=len(desk),
        success_rate=desk.success_rate,
        known=desk.known,
        patterns=tuple(patterns),
        heuristics=tuple(found),
        playbooks=tuple(playbooks(traces, patterns).items()),
        retired=tuple(gone[:_MOST_RETIRED]),
    )
