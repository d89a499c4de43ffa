"""Gives advice on a mind: brings what was learned up to date, asks the advisor, draws the lots, and records it all."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from tacit import numerics
from tacit.errors import InvalidInput, StoreError, shown
from tacit.experience import kinds
from tacit.experience.episode import OUTCOME_KINDS, OutcomeKind, Task
from tacit.experience.recorder import Recorder, plain
from tacit.experience.views import NOW
from tacit.ids import format_id, keyed_id, parse_id
from tacit.journal.append import Appender
from tacit.journal.consumer import consumer_position
from tacit.journal.erasing import last_erasure
from tacit.journal.read import event_by_id, head_position
from tacit.learning.advising.advice import Advice, Item
from tacit.learning.advising.advisor import Models, Question, advise
from tacit.learning.advising.book import Book, book_head, read_book
from tacit.learning.advising.expired_evidence import with_expiry
from tacit.learning.advising.nearest import Shelf
from tacit.learning.lessons.lessons import Lessons
from tacit.learning.lessons.vectors import has_vectors
from tacit.learning.repeats import check_same, fingerprints
from tacit.learning.studying.backlog import behind_note
from tacit.learning.studying.fits import fit_head, models_of, read_fit
from tacit.learning.studying.study import Study
from tacit.learning.trials.exposure import (
    Lot,
    Withholding,
    check_judgement,
    demoted_items,
    draw,
    exposures_of,
    given_lots,
    given_payload,
)
from tacit.recall.meaning import Meaning
from tacit.stores.port import Snapshot, Store

if TYPE_CHECKING:
    from tacit.recall.embedder import Vector

_MOST_SHELVES = 8
"""Minds whose episodes are kept in memory for advice."""
_RECENTLY_SECONDS = 60.0
"""For a mind that was asked about no longer ago, what advice stands on is kept up to date."""
_Place = tuple[bytes, bool]
"""A mind, and whether its past is asked: the past has a shelf of its own, so that neither has to be laid out anew."""


class _Ground:
    """What advice on one mind stands on: its episodes, its book and its models, as of one position."""

    def __init__(self, window: int, model: str, forget: Callable[[], object]) -> None:
        self._forget = forget
        self._lock = threading.RLock()  # it is brought up to date and read by one thread at a time
        self._in_use = False
        self._begin(window, model)

    def _begin(self, window: int, model: str, erased: int = 0) -> None:
        self.asked_at = float("-inf")
        self._erased = erased
        self.shelf = Shelf(window, model)
        self._fitted_at = 0
        self._models = Models()
        self._book: Book | None = None

    @contextlib.contextmanager
    def alone(self) -> Iterator[_Ground]:
        """The ground, for one thread; for what interrupts that thread (a signal handler), another one, laid out anew.

        Take a snapshot first, and read nothing from it outside: in memory whoever has one may ask for advice while
        the others wait for theirs, and what is read in here is no older than what others have laid here.
        """
        with self._lock:
            if self._in_use:
                yield _Ground(self.shelf.window, self.shelf.model, self._forget)
                return
            self._in_use = True
            try:
                yield self
            except StoreError:  # between two steps, which are done again
                raise
            except BaseException:  # a fault, or Ctrl-C, leaves it half-way: nothing of it is kept, nor kept up
                self._begin(self.shelf.window, self.shelf.model)
                raise
            finally:
                self._in_use = False

    def catch_up(self, snapshot: Snapshot, mind: bytes, position: int) -> tuple[Book, Models]:
        """Bring it to a position; book and models as of then, read once while they are the newest."""
        erased = last_erasure(snapshot, mind)
        if erased != self._erased:  # by whichever process: nothing that was read before is used again
            asked_at = self.asked_at
            self._begin(self.shelf.window, self.shelf.model, erased)
            self.asked_at = asked_at
            self._forget()
        self.shelf.catch_up(snapshot, mind, position)
        if self._book is None or (self._book.position, self._book.at) != book_head(snapshot, mind, position):
            self._book = read_book(snapshot, mind, position)
        at, _ = fit_head(snapshot, mind, position)
        if at != self._fitted_at:
            fit = read_fit(snapshot, mind, position)
            self._fitted_at, self._models = at, Models() if fit is None else models_of(fit)
        return self._book, self._models


class Counsel:
    """What gives advice on the minds of one store. Safe to use from many threads.

    Args:
        forget: lets go of what the embedder remembers of texts; called when something was erased.
    """

    def __init__(
        self,
        meaning: Meaning | None,
        *,
        window: int,
        withholding: Withholding,
        forget: Callable[[], object] = lambda: None,
    ) -> None:
        self._forget = forget
        self._meaning = meaning
        self._window = window
        self._withholding = withholding
        self._grounds: OrderedDict[_Place, _Ground] = OrderedDict()
        self._lock = threading.RLock()  # guards _grounds, which are whole between any two steps
        self._with_vectors: set[bytes] = set()

    def advise(self, recorder: Recorder, position: int, question: Question, *, key: str, record: bool) -> Advice:
        """Advice as of a position of the journal.

        Args:
            key: makes a retry safe: the same task and key draw the same lots and are one exposure.
            record: write down what was advised, and draw lots for what is to be withheld.

        Raises:
            Conflict: the key was used for this task with another context, other tools or other steps.
        """
        numerics.prepare()
        vectors = self._vectors(recorder, question)  # it may take long, so nothing is locked yet
        found = self._found(recorder, position, question, vectors)
        if not record:
            return found
        task, secret = question.task, recorder.mind.secret
        id = keyed_id(secret, "exposure", task.description, key, str(len(question.steps))) if key else None
        asked = fingerprints(question, secret) if key else {}
        lots = _drawn_before(recorder, id, key, asked)
        if lots is None:
            lots = self._lots(recorder, task.description, key, found)
        exposure = _record(recorder, task, id, lots, asked)
        shown = {lot.item for lot in lots if lot.shown}
        held_back = frozenset(lot.item for lot in lots) - shown
        if held_back:
            found = self._found(recorder, position, question, vectors, held_back)
        undrawn = frozenset(item.id for item in (*found.heuristics, *found.pitfalls)) - shown
        return msgspec.structs.replace(
            _without(found, undrawn), exposure_id=exposure, withheld=bool(lots) and not shown
        )

    def keep_up(self, store: Store) -> None:
        """Bring up to date what advice stands on, so that whoever asks next need not wait for that."""
        with self._lock:
            grounds = list(self._grounds.items())
        for (mind, is_past), ground in grounds:
            if is_past or time.monotonic() > ground.asked_at + _RECENTLY_SECONDS:
                continue
            with store.snapshot() as snapshot, ground.alone() as own:
                own.catch_up(snapshot, mind, consumer_position(snapshot, mind, Lessons.name))

    def _found(
        self,
        recorder: Recorder,
        position: int,
        question: Question,
        vectors: Mapping[str, Vector],
        held_back: frozenset[str] = frozenset(),
    ) -> Advice:
        """The advice, as if there were nothing of what was demoted or is held back: that must not act on the rest."""
        mind = recorder.mind.id
        shared = self._ground((mind, position < NOW))
        with recorder.journal.store.snapshot() as snapshot, shared.alone() as ground:
            reached = consumer_position(snapshot, mind, Lessons.name)
            lag = max(0, head_position(snapshot, mind) - consumer_position(snapshot, mind, Study.name))
            hidden = held_back | demoted_items(snapshot, mind, position)
            ground.asked_at = time.monotonic()
            book, models = ground.catch_up(snapshot, mind, min(position, reached))
            found = advise(question, book, ground.shelf, models, vectors, hidden)
            found = with_expiry(snapshot, mind, found)
            notes = (*found.notes, *behind_note(snapshot, mind, position, lag))
        return msgspec.structs.replace(found, lag=lag, notes=notes)

    def _vectors(self, recorder: Recorder, question: Question) -> dict[str, Vector]:
        """Of the question's texts, where there is anything to compare them with."""
        if self._meaning is None:
            return {}
        mind = recorder.mind.id
        if mind not in self._with_vectors:
            with recorder.journal.store.snapshot() as snapshot:
                if not has_vectors(snapshot, mind, self._meaning.model):
                    return {}
            self._with_vectors.add(mind)
        return self._meaning.of(question.texts)

    def _ground(self, place: _Place) -> _Ground:
        model = "" if self._meaning is None else self._meaning.model
        with self._lock:
            ground = self._grounds.pop(place, None) or _Ground(self._window, model, self._forget)
            self._grounds[place] = ground
            while len(self._grounds) > _MOST_SHELVES:
                self._grounds.popitem(last=False)
            return ground

    def _lots(self, recorder: Recorder, task: str, key: str, found: Advice) -> list[Lot]:
        items = sorted({item.id for item in (*found.heuristics, *found.pitfalls)})
        counts = dict.fromkeys(items, 0)
        if self._withholding.share > 0:
            with recorder.journal.store.snapshot() as snapshot:
                counts = {item: exposures_of(snapshot, recorder.mind.id, item) for item in items}
        return [
            draw(recorder.mind.secret, task, key, item, self._withholding.share_after(counts[item])) for item in items
        ]


def check_outcome(outcome: str) -> OutcomeKind:
    """The outcome that somebody reports.

    Raises:
        InvalidInput: it is none.
    """
    if not isinstance(outcome, str) or outcome not in OUTCOME_KINDS:
        raise InvalidInput(
            f"{shown(outcome)} is not an outcome; use one of {', '.join(OUTCOME_KINDS)}", field="outcome"
        )
    return outcome  # type: ignore[return-value]


def judge_exposure(recorder: Recorder, exposure: str, outcome: str) -> None:
    """Write down how that turned out for which advice was given; the same again is nothing.

    Raises:
        NotFound: there is no such exposure.
        Conflict: another outcome was reported before.
    """
    kind = check_outcome(outcome)
    id, mind = parse_id(exposure), recorder.mind
    prepared = recorder.journal.preparer.prepare(
        kinds.ADVICE_JUDGED, {"outcome": kind}, id=keyed_id(mind.secret, "judged", format_id(id)), causation=id
    )

    def job(appender: Appender) -> None:
        check_judgement(appender.transaction, mind.id, id, kind)  # what was appended before would be named less well
        appender.append(mind.id, prepared)

    recorder.admit()
    recorder.journal.run(job)


def _drawn_before(recorder: Recorder, exposure: bytes | None, key: str, asked: Mapping[str, str]) -> list[Lot] | None:
    """The lots of an exposure that an earlier attempt at the same call has recorded; None when there was none."""
    if exposure is None:
        return None
    with recorder.journal.store.snapshot() as snapshot:
        found = event_by_id(snapshot, recorder.mind.id, exposure)
    if found is None or found.payload is None:
        return None
    check_same(found.payload.get("asked", {}), asked, key, format_id(exposure))
    return given_lots(found.payload)


def _record(recorder: Recorder, task: Task, id: bytes | None, lots: Sequence[Lot], asked: Mapping[str, str]) -> str:
    mind, payload = recorder.mind, given_payload(plain(task), lots, asked)
    recorder.admit()
    prepared = recorder.journal.preparer.prepare(kinds.ADVICE_GIVEN, payload, id=id)
    return format_id(recorder.journal.run(lambda appender: appender.append(mind.id, prepared)).event.id)


def _without(found: Advice, hidden: frozenset[str]) -> Advice:
    """The advice without some of its items."""

    def kept(items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(item for item in items if item.id not in hidden)

    return msgspec.structs.replace(found, heuristics=kept(found.heuristics), pitfalls=kept(found.pitfalls))
