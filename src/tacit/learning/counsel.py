"""Gives advice on a mind: brings what was learned up to date, asks the advisor, draws the lots, and records it all."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tacit.errors import InvalidInput
from tacit.experience import entrance, kinds
from tacit.experience.episode import OUTCOME_KINDS, OutcomeKind, Step, Task
from tacit.experience.live import make_step
from tacit.experience.recorder import Recorder, plain
from tacit.ids import format_id, keyed_id, parse_id
from tacit.journal.consumer import consumer_position
from tacit.journal.read import event_by_id, head_position
from tacit.learning.advising.advice import Advice, Item, Tool
from tacit.learning.advising.advisor import Models, Question, advise
from tacit.learning.advising.book import Book, book_head, read_book
from tacit.learning.advising.nearest import Shelf
from tacit.learning.lessons.lessons import Lessons
from tacit.learning.lessons.vectors import TextEmbedder
from tacit.learning.studying.fits import fit_head, models_of, read_fit
from tacit.learning.studying.study import Study
from tacit.learning.trials.exposure import (
    Lot,
    Withholding,
    demoted_items,
    draw,
    exposures_of,
    given_lots,
    given_payload,
)
from tacit.stores.port import Snapshot

_MOST_SHELVES = 8
"""Minds whose episodes are kept in memory for advice."""
_Place = tuple[bytes, bool]
"""A mind, and whether its past is asked: the past has a shelf of its own, so that neither has to be laid out anew."""


class Counsel:
    """What gives advice on the minds of one store. Safe to use from many threads."""

    def __init__(self, embedder: TextEmbedder | None, *, window: int, withholding: Withholding) -> None:
        self._embedder = embedder
        self._window = window
        self._withholding = withholding
        self._shelves: OrderedDict[_Place, Shelf] = OrderedDict()
        self._models: dict[_Place, tuple[int, Models]] = {}
        self._books: dict[_Place, Book] = {}
        self._lock = threading.Lock()  # a shelf is brought up to date and read by one thread at a time

    def advise(self, recorder: Recorder, position: int, question: Question, *, key: str, record: bool) -> Advice:
        """Advice as of a position of the journal.

        Args:
            key: makes a retry safe: the same task and key draw the same lots and are one exposure.
            record: write down what was advised, and draw lots for what is to be withheld.
        """
        mind = recorder.mind
        with recorder.journal.store.snapshot() as snapshot:
            lag = max(0, head_position(snapshot, mind.id) - consumer_position(snapshot, mind.id, Study.name))
            demoted = demoted_items(snapshot, mind.id, position)
            found = self._ask(snapshot, mind.id, position, question)
        found = msgspec.structs.replace(_without(found, demoted), lag=lag)
        if not record:
            return found
        id = (
            keyed_id(mind.secret, "exposure", question.task.description, key, str(len(question.steps))) if key else None
        )
        lots = _drawn_before(recorder, id)
        if lots is None:
            lots = self._lots(recorder, question.task.description, key, found)
        exposure = _record(recorder, question.task, id, lots)
        shown = {lot.item for lot in lots if lot.shown}
        withheld = bool(lots) and not shown
        return msgspec.structs.replace(
            _without(found, frozenset(item.id for item in (*found.heuristics, *found.pitfalls)) - shown),
            exposure_id=exposure,
            withheld=withheld,
        )

    def _ask(self, snapshot: Snapshot, mind: bytes, position: int, question: Question) -> Advice:
        reached = consumer_position(snapshot, mind, Lessons.name)
        place, position = (mind, position < reached), min(position, reached)
        with self._lock:
            shelf = self._shelves.pop(place, None) or Shelf(self._window, self._embedder)
            self._shelves[place] = shelf
            while len(self._shelves) > _MOST_SHELVES:
                gone, _ = self._shelves.popitem(last=False)
                self._models.pop(gone, None)
                self._books.pop(gone, None)
            shelf.catch_up(snapshot, mind, position)
            book, models = self._book_at(snapshot, place, position), self._models_at(snapshot, place, position)
            return advise(question, book, shelf, models)

    def _book_at(self, snapshot: Snapshot, place: _Place, position: int) -> Book:
        """The book as of a position, read once for as long as it is the newest."""
        mind = place[0]
        known = self._books.get(place)
        if known is None or (known.position, known.at) != book_head(snapshot, mind, position):
            known = self._books[place] = read_book(snapshot, mind, position)
        return known

    def _models_at(self, snapshot: Snapshot, place: _Place, position: int) -> Models:
        """The models as of a position, read once for each fit."""
        mind = place[0]
        at, _ = fit_head(snapshot, mind, position)
        known = self._models.get(place)
        if known is not None and known[0] == at:
            return known[1]
        fit = read_fit(snapshot, mind, position)
        models = Models() if fit is None else models_of(fit)
        self._models[place] = (at, models)
        return models

    def _lots(self, recorder: Recorder, task: str, key: str, found: Advice) -> list[Lot]:
        items = sorted({item.id for item in (*found.heuristics, *found.pitfalls)})
        counts = dict.fromkeys(items, 0)
        if self._withholding.share > 0:
            with recorder.journal.store.snapshot() as snapshot:
                counts = {item: exposures_of(snapshot, recorder.mind.id, item) for item in items}
        return [
            draw(recorder.mind.secret, task, key, item, self._withholding.share_after(counts[item])) for item in items
        ]


def question_of(
    description: str,
    context: Mapping[str, str | None],
    *,
    tags: Sequence[str],
    metadata: Mapping[str, Any] | None,
    tools: Sequence[Tool | str | Mapping[str, str]],
    steps: Sequence[Step | Mapping[str, object]],
) -> Question:
    """The question that a caller asks, checked.

    Args:
        context: the fields of a task that are names, such as its type and domain; None leaves one empty.

    Raises:
        InvalidInput: a part of it has a wrong type, or the description is empty.
    """
    if not isinstance(description, str) or not description.strip():
        raise InvalidInput("advice needs a description: what is the agent about to do?", field="description")
    fields = {name: value or "" for name, value in context.items()}
    more = {"tags": entrance.tags_of(tags), "metadata": entrance.object_of(metadata, "metadata")}
    task: Task = entrance.build(Task, {"description": description, **fields, **more}, "task")
    return Question(task=task, tools=tuple(map(_tool_of, tools)), steps=tuple(map(_step_of, steps)))


def check_outcome(outcome: str) -> OutcomeKind:
    """The outcome that somebody reports.

    Raises:
        InvalidInput: it is none.
    """
    if outcome not in OUTCOME_KINDS:
        raise InvalidInput(f"{outcome!r} is not an outcome; use one of {', '.join(OUTCOME_KINDS)}", field="outcome")
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
        kinds.ADVICE_JUDGED, {"outcome": kind}, id=keyed_id(mind.secret, "judged", exposure), causation=id
    )
    recorder.journal.run(lambda appender: appender.append(mind.id, prepared))


def _drawn_before(recorder: Recorder, exposure: bytes | None) -> list[Lot] | None:
    """The lots of an exposure that an earlier attempt at the same call has recorded; None when there was none."""
    if exposure is None:
        return None
    with recorder.journal.store.snapshot() as snapshot:
        found = event_by_id(snapshot, recorder.mind.id, exposure)
    return None if found is None or found.payload is None else given_lots(found.payload)


def _record(recorder: Recorder, task: Task, id: bytes | None, lots: Sequence[Lot]) -> str:
    mind = recorder.mind
    prepared = recorder.journal.preparer.prepare(kinds.ADVICE_GIVEN, given_payload(plain(task), lots), id=id)
    return format_id(recorder.journal.run(lambda appender: appender.append(mind.id, prepared)).event.id)


def _without(found: Advice, hidden: frozenset[str]) -> Advice:
    """The advice without some of its items."""

    def kept(items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(item for item in items if item.id not in hidden)

    return msgspec.structs.replace(found, heuristics=kept(found.heuristics), pitfalls=kept(found.pitfalls))


def _tool_of(given: Tool | str | Mapping[str, str]) -> Tool:
    if isinstance(given, Tool):
        return given
    tool: Tool = entrance.build(Tool, {"name": given} if isinstance(given, str) else dict(given), "tool")
    return tool


def _step_of(given: Step | Mapping[str, object]) -> Step:
    if isinstance(given, Step):
        return given
    fields = {"tool": "", "action": "", "parameters": None, "observation": None, "success": None, "status": None}
    return make_step(**{**fields, **entrance.object_of(given, "step")})
