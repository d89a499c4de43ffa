"""Brings many recorded attempts into a mind: prepared here, written in groups, each succeeding or failing alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeAlias

import msgspec

from tacit.errors import Conflict, InvalidInput, NotFound
from tacit.experience.episode import Relation
from tacit.experience.importers.port import Imported, Rejected
from tacit.experience.recorder import Recorder
from tacit.ids import parse_id
from tacit.journal.append import Appended

_IN_FLIGHT = 512  # records that are queued for writing at once; bounds the memory of an import
Progress: TypeAlias = Callable[[int], None]
"""Called with the number of records that are done."""


class IngestReport(msgspec.Struct, kw_only=True):
    """What became of each record: ``imported`` are new, ``skipped`` were there already, ``rejected`` say why."""

    imported: int = 0
    skipped: int = 0
    rejected: list[Rejected] = []
    steps: int = 0
    """Steps in the imported records."""
    shortened: int = 0
    """Texts that were cut to fit the limits, each with a visible mark."""
    masked: int = 0
    """Secrets that were masked."""


def ingest(
    recorder: Recorder, found: Iterable[Imported | Rejected], progress: Progress = lambda done: None
) -> IngestReport:
    """Write every record; a bad one is listed in the report and stops nothing."""
    report = IngestReport()
    waiting: deque[tuple[str, Future[Appended]]] = deque()
    relations: list[tuple[str, Relation]] = []
    for done, item in enumerate(found, start=1):
        if isinstance(item, Rejected):
            report.rejected.append(item)
        else:
            _submit(recorder, item, waiting, report)
            relations += [(item.location, relation) for relation in item.record.relations]
        while len(waiting) > _IN_FLIGHT:
            _settle(waiting, report)
        progress(done)
    while waiting:
        _settle(waiting, report)
    for location, relation in relations:
        _relate(recorder, location, relation, report)
    return report


def _submit(
    recorder: Recorder, item: Imported, waiting: deque[tuple[str, Future[Appended]]], report: IngestReport
) -> None:
    try:
        prepared = recorder.prepare_record(item.record, checked=True)
    except InvalidInput as error:
        report.rejected.append(Rejected(item.location, error.message))
        return
    mind, counted = recorder.mind.id, (len(item.record.steps), item.shortened, prepared.masked)
    future = recorder.journal.submit(lambda appender: appender.append(mind, prepared))
    future.add_done_callback(lambda finished: _count(finished, counted, report))
    waiting.append((item.location, future))


def _count(finished: Future[Appended], counted: tuple[int, int, int], report: IngestReport) -> None:
    if finished.exception() is None and finished.result().new:
        steps, shortened, masked = counted
        report.steps += steps
        report.shortened += shortened
        report.masked += masked


def _settle(waiting: deque[tuple[str, Future[Appended]]], report: IngestReport) -> None:
    location, future = waiting.popleft()
    try:
        appended = future.result()
    except Conflict:  # the same attempt is there, perhaps told in other words: what was written first stays
        report.skipped += 1
    except InvalidInput as error:
        report.rejected.append(Rejected(location, error.message))
    else:
        report.imported += appended.new
        report.skipped += not appended.new


def _relate(recorder: Recorder, location: str, relation: Relation, report: IngestReport) -> None:
    try:
        recorder.relate(parse_id(relation.episode), relation.kind, relation.target).result()
    except Conflict:
        return  # it holds already
    except (InvalidInput, NotFound) as error:
        report.rejected.append(Rejected(location, f"relation {relation.kind}: {error.message}"))
