"""Study: a consumer that has the lessons studied, and writes the book, whenever enough is new to be worth it.

Of a mind that holds much, a helper is asked: studying takes seconds of pure Python, in which every other thread of the
agent's process would stand still. Now and then models are fitted to the episodes; before that, the old models say what
they expect of a sample of the new ones, so that the store knows how good they are. Advice that did harm is demoted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid5

from tacit import numerics
from tacit.clock import Clock
from tacit.experience import kinds
from tacit.ids import SystemEntropy
from tacit.journal.append import Appender, Preparer
from tacit.journal.consumer import Span, Taken, consumer_position
from tacit.journal.erasing import last_erasure
from tacit.journal.helper import HELPLESS_SECONDS, Helper, HelperCannotRead, HelperFailed, NoHelper
from tacit.journal.masking import NoMasking
from tacit.learning.advising.book import read_book, write_book
from tacit.learning.fitting.giving_up import Check
from tacit.learning.lessons.lessons import Lessons, count_lessons, last_change
from tacit.learning.lessons.vectors import vectors_kept_as
from tacit.learning.studying.awaiting import Awaiting
from tacit.learning.studying.fits import write_fit
from tacit.learning.studying.forecasts import write_forecasts
from tacit.learning.studying.student import Assignment, Findings, Student, StudyPolicy, finish, studying
from tacit.learning.trials.exposure import demoted_items, harmful_items, judged_between
from tacit.recall.embedder import TextEmbedder
from tacit.stores.port import Snapshot, Store

_log = logging.getLogger("tacit.learning.studying.study")
WORTH_A_HELPER = 50
"""Finished episodes of a mind."""
_WORTH_A_HELPER_EVENTS = 1_500
"""Or events. What is less is studied in about the time that a process takes to start."""
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
    """Writes the book of each mind. Not part of a replay: it keeps no views.

    Args:
        embedder: whose vectors are learned from.
        store: where it is asked of a helper to read; without it, all is studied in the thread that asks.
    """

    name = kept_as = "study"

    def __init__(
        self,
        clock: Clock,
        policy: StudyPolicy | None = None,
        embedder: TextEmbedder | None = None,
        store: Store | None = None,
    ) -> None:
        policy, model = policy or StudyPolicy(), "" if embedder is None else embedder.fingerprint
        vectors = "" if embedder is None else vectors_kept_as(embedder)
        self._clock = clock
        self._preparer = Preparer(clock, SystemEntropy(), NoMasking())
        self._student = Student(policy, model)
        self._awaiting = Awaiting(vectors)
        self._helper = None if store is None else Helper.of(store, partial(studying, policy, model, vectors))
        self._failed_for: float | None = None
        """Seconds that the helper spent on the last study, at which it failed; None when it did not."""
        self._helpless_until = float("-inf")
        self._begin = self._rest_until = time.monotonic() + BEGIN_SECONDS
        self._look_at: dict[bytes, float] = {}

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
        new, worth = self._look(snapshot, mind, span, position)
        self._rest_from_looking(mind, now)
        if not new:
            return Taken(position)
        if not span.hurried and not worth:
            return None
        given, helper, check = Assignment(mind, position, self._clock.now()), self._helper, _checking(span)
        disturbing = span.writing() and not span.hurried
        alone = self._failed_for is not None or now < self._helpless_until
        if helper is None or alone or not (disturbing or _is_much(snapshot, given)):
            if position == span.head and self._awaiting.worth(snapshot, mind, position):
                return None
            return self._study(snapshot, given, check)
        return Taken(position, think=lambda: self._timed(lambda: self._ask(helper, given, check)))

    def _study(self, snapshot: Snapshot, given: Assignment, check: Check) -> Taken | None:
        """The study, in this thread."""
        numerics.prepare()
        try:
            found, work = self._student.read(snapshot, given, check)
            examples = [] if work.fitting is None else self._student.examples(snapshot, given)
        except _GivenUp:
            return None
        if self._failed_for is not None:  # fitting may have failed for want of memory: not here, too
            self._rest_until = time.monotonic() + _REST * self._failed_for
            self._failed_for = None
            return Taken(given.position, found)
        return Taken(given.position, think=lambda: self._timed(lambda: finish(found, work, lambda: examples, check)))

    def _ask(self, helper: Helper, given: Assignment, check: Check) -> Findings | None:
        """The study, by a helper; None when it could not do it, and it is to be done in this thread."""
        started = time.monotonic()
        try:
            found: Findings = helper.ask(given, check)
        except (NoHelper, HelperCannotRead) as error:
            _log.warning("studies are made in the agent's process for a while, since no other can make them: %s", error)
            self._helpless_until = time.monotonic() + HELPLESS_SECONDS
        except HelperFailed as error:
            _log.warning("nothing was fitted, so the models of before are kept: %s", error)
            self._failed_for = time.monotonic() - started
        else:
            return found
        return None

    def _timed(self, study: Callable[[], Findings | None]) -> Findings | None:
        """What a study has come to; None when it was given up."""
        started = time.monotonic()
        try:
            found = study()
        except _GivenUp:
            return None
        if found is not None:
            spent = time.monotonic() - started
            self._rest_until = time.monotonic() + _REST * spent
            _log.debug("studied", extra={"duration_ms": round(spent * 1_000, 1), "episodes": found.book.episodes})
        return found

    def close(self) -> None:
        """End the helper."""
        if self._helper is not None:
            self._helper.end()

    def _rest_from_looking(self, mind: bytes, began: float) -> None:
        """All looking takes a tenth of a processor at most: of many minds, each is looked at less often."""
        now = time.monotonic()
        self._look_at = {other: at for other, at in self._look_at.items() if at > now and other != mind}
        self._look_at[mind] = now + max(_LOOK_SECONDS, _REST * (now - began) * (len(self._look_at) + 1))

    def _look(self, snapshot: Snapshot, mind: bytes, span: Span, position: int) -> tuple[bool, bool]:
        """Whether there is anything new, and whether it is worth the work of a new book: because it is much, because
        much time has gone, or because advice has turned out to do harm."""
        if judged_between(snapshot, mind, span.position, position) and _harmful(snapshot, mind, position):
            return True, True
        before = read_book(snapshot, mind, position)
        episodes, now = count_lessons(snapshot, mind, position), time.monotonic()
        new = last_change(snapshot, mind) > before.position or episodes != before.known
        much = not span.writing() and now >= self._begin and episodes >= _WORTH_GROWTH * before.known
        return new, much or now >= self._rest_until

    def apply(self, appender: Appender, mind: bytes, effects: Findings) -> None:
        transaction, position = appender.transaction, effects.book.position
        if last_erasure(transaction, mind) != effects.erased:
            return  # it may rest on what is gone; the event of the erasure has it studied again
        write_book(transaction, mind, effects.book)
        write_forecasts(transaction, mind, effects.forecasts)
        if effects.fit is not None:
            write_fit(transaction, mind, position, effects.fit)
        for item in effects.harmful:
            id = uuid5(UUID(bytes=mind), f"{self.name} demotes {item}").bytes  # once, however often it is tried
            appender.append(mind, self._preparer.prepare(kinds.ADVICE_DEMOTED, {"item": item}, id=id))


def _harmful(snapshot: Snapshot, mind: bytes, position: int) -> frozenset[str]:
    """Advice that is to be demoted and was not yet."""
    return harmful_items(snapshot, mind) - demoted_items(snapshot, mind, position)


def _is_much(snapshot: Snapshot, given: Assignment) -> bool:
    """Whether there is enough to study for a process of its own."""
    if given.position >= _WORTH_A_HELPER_EVENTS:
        return True
    return count_lessons(snapshot, given.mind, given.position) >= WORTH_A_HELPER
