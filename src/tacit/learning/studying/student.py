"""The student: works out what one study comes to, from the lessons and the newest episodes of a mind.

It keeps the counts of each mind in memory and brings them up to date by what came, changed and went. What it finds is a
pure function of the journal up to a position, so it does not matter which process works it out, or how often.
"""

from __future__ import annotations

import pickle
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from tacit import heap
from tacit.errors import Expired
from tacit.experience.episode import Episode
from tacit.experience.views import load_episode
from tacit.journal.erasing import last_erasure
from tacit.learning.advising.book import Book, read_book
from tacit.learning.advising.playbooks import playbooks
from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.lessons.lessons import lessons_between, newest_heads
from tacit.learning.lessons.trace import Trace
from tacit.learning.patterns.heuristics import heuristics, retired
from tacit.learning.patterns.hybrid import fuse
from tacit.learning.patterns.mining import MiningPolicy, mine
from tacit.learning.ranking.examples import read_examples
from tacit.learning.ranking.ranker import MOST_EXAMPLES, Example
from tacit.learning.studying.awaiting import Awaiting
from tacit.learning.studying.desk import Desk
from tacit.learning.studying.fits import FIT_EPISODES, Fit, fit_head, read_fit
from tacit.learning.studying.work import Fitting, Work, do
from tacit.learning.trials.exposure import demoted_items, harmful_items
from tacit.stores.port import Row, Snapshot, Store

_MOST_MINDS = 8
"""Minds whose counts are kept in memory."""
_MOST_RETIRED = 200
_MOST_BYTES = 32_000_000
"""Of episodes that models are fitted to: a thousand of ten steps have about six million."""
_GLANCE_SECONDS = 0.2
"""So often it is looked whether all vectors are there."""
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


class Assignment(msgspec.Struct, frozen=True):
    """What is to be studied: a mind, as of a position, at a time (µs since 1970 UTC)."""

    mind: bytes
    position: int
    now: int


class Findings(msgspec.Struct, frozen=True):
    """What one study has come to."""

    book: Book
    forecasts: list[Row]
    fit: Fit | None
    harmful: tuple[str, ...]
    """Advice to be demoted."""
    erased: int
    """The position of the newest erasure that was known: what was found before a later one is worth nothing."""


class Student:
    """Studies minds.

    Args:
        model: the fingerprint of the embedder whose vectors are learned from; "" for none.
    """

    def __init__(self, policy: StudyPolicy, model: str) -> None:
        self._policy = policy
        self._model = model
        self._desks: OrderedDict[bytes, Desk] = OrderedDict()

    def read(self, snapshot: Snapshot, given: Assignment, check: Check = go_on) -> tuple[Findings, Work]:
        """What is found in the counts, and the work that is left to do once the snapshot has been let go of.

        Args:
            check: is called again and again, and raises when it is to be given up.
        """
        mind, position = given.mind, given.position
        before = read_book(snapshot, mind, position)
        desk = self._desk(mind)
        try:
            desk.catch_up(snapshot, mind, position, check)
        except BaseException:
            del self._desks[mind]  # it is half up to date
            raise
        demoted = demoted_items(snapshot, mind, position)
        harmful = harmful_items(snapshot, mind) - demoted
        lessons = checked(lessons_between(snapshot, mind, desk.after, position), check)
        traces = ((one.episode, one.trace) for one in lessons)
        book = write(desk, traces, before, given.now, self._policy, demoted | harmful, check)
        erased = last_erasure(snapshot, mind)
        found = Findings(book=book, forecasts=[], fit=None, harmful=tuple(sorted(harmful)), erased=erased)
        return found, self._work(snapshot, mind, desk, before, check)

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

    def _fitting(self, snapshot: Snapshot, mind: bytes, desk: Desk, check: Check) -> Fitting | None:
        newest = newest_heads(snapshot, mind, desk.position, FIT_EPISODES)
        episodes = [episode for episode, _ in _loaded(snapshot, mind, newest, check)]
        if newest and not episodes:
            return None  # all of them expired: what was fitted to them stays
        return Fitting(known=desk.known, model=self._model, episodes=episodes)

    def examples(self, snapshot: Snapshot, given: Assignment) -> list[Example]:
        """Tasks and their tools, of as many of the newest episodes as the ranker of tools learns from."""
        newest = newest_heads(snapshot, given.mind, given.position, MOST_EXAMPLES)
        after = newest[0][1] - 1 if newest else given.position
        return read_examples(snapshot, given.mind, after, given.position, self._model)

    def _desk(self, mind: bytes) -> Desk:
        desk = self._desks.pop(mind, None) or Desk(self._policy.window)
        self._desks[mind] = desk
        while len(self._desks) > _MOST_MINDS:
            self._desks.popitem(last=False)
        return desk


def finish(found: Findings, work: Work, examples: Callable[[], Sequence[Example]], check: Check = go_on) -> Findings:
    """The findings with what the work has come to.

    Meanwhile linear algebra has one thread in this process: matrices are small, and where others are at work more
    threads wait for one another, which takes ten times as long.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        done = do(work, examples, check)
    heap.release()
    return msgspec.structs.replace(found, forecasts=done.forecasts, fit=done.fit)


def studying(policy: StudyPolicy, model: str, vectors: str, store: Store) -> Callable[[Assignment], Findings]:
    """What answers in a helper: see ``Student``, ``Awaiting`` and ``journal.helper``."""
    return partial(_study, store, Student(policy, model), Awaiting(vectors))


def _study(store: Store, student: Student, awaiting: Awaiting, given: Assignment) -> Findings:
    """A study while tasks are still being embedded: what learns from vectors comes last."""
    with store.snapshot() as snapshot:
        found, work = student.read(snapshot, given)
        awaiting.worth(snapshot, given.mind, given.position)  # their pace is taken from here

    def examples() -> list[Example]:
        while True:
            with store.snapshot() as snapshot:
                if not awaiting.worth(snapshot, given.mind, given.position):
                    return student.examples(snapshot, given)
            time.sleep(_GLANCE_SECONDS)

    return finish(found, work, examples)


def _loaded(
    snapshot: Snapshot, mind: bytes, heads: Sequence[tuple[bytes, int]], check: Check
) -> list[tuple[Episode, int]]:
    """Episodes as of their positions, oldest first: as many of the newest as are not too large together."""
    found: list[tuple[Episode, int]] = []
    size = 0
    for id, since in checked(reversed(heads), check):
        try:
            episode = load_episode(snapshot, mind, id, since)
        except Expired:
            continue  # its lesson is known, and its words are not
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
