"""Brings many recorded attempts into a mind: prepared here, written in groups, each succeeding or failing alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias, get_args

import msgspec

from tacit.errors import Conflict, Erased, InvalidInput, NotFound, shown
from tacit.experience import entrance
from tacit.experience.episode import Relation, Task
from tacit.experience.importers.port import Fit, Imported, ImportedMemory, ImportOptions, Rejected
from tacit.experience.limits import Limits
from tacit.experience.memory.intake import MemoryImportReport, MemoryIntake
from tacit.experience.recorder import Recorder
from tacit.experience.views import load_task
from tacit.ids import parse_id
from tacit.journal.append import Appended, Prepared

_CONTEXT = ("domain", "task_type", "agent")
_BATCH_RECORDS = 256
_BATCH_BYTES = 16_000_000
"""A batch is full at that many records or bytes, which bounds the memory of an import."""
Progress: TypeAlias = Callable[[int], None]
"""Called with the number of records that are done."""


class IngestReport(msgspec.Struct, kw_only=True):
    """What became of each record: ``imported`` are new, ``skipped`` were there already, ``rejected`` say why."""

    imported: int = 0
    skipped: int = 0
    kept: dict[str, int] = {}
    """Of the skipped, how many stay as they were although this import gives them another ``domain``, ``task_type`` or
    ``agent``, or further ``tags``, by the name of the field."""
    rejected: list[Rejected] = []
    refused: int = 0
    """How many were erased before, and are not taken in again."""
    steps: int = 0
    """Steps in the imported records."""
    memories: int = 0
    """Memories that are new, from an export. Those that were there already are among the skipped."""
    corrected: int = 0
    """Memories whose source says something else than when it was imported before."""
    shortened: int = 0
    """Texts that were cut to fit the limits, each with a visible mark."""
    masked: int = 0
    """Secrets that were masked."""


class _Ready(NamedTuple):
    """A record that is prepared and waits for the rest of its batch."""

    item: Imported
    prepared: Prepared


def options_of(
    limits: Limits,
    *,
    task_type: str = "",
    domain: str = "",
    tags: Sequence[str] = (),
    agent: str = "",
    fit: Fit = "truncate",
) -> ImportOptions:
    """How to import, checked.

    Raises:
        InvalidInput: a way to fit that does not exist, tags that are no list, or what is no text.
    """
    if fit not in get_args(Fit):
        raise InvalidInput(f"fit is {shown(fit)}; use one of {', '.join(get_args(Fit))}", field="fit")
    added = entrance.tags_of(tags)
    for field, text in (
        ("task_type", task_type),
        ("domain", domain),
        ("agent", agent),
        *(("tag", tag) for tag in added),
    ):
        entrance.check_whole(text, field)
    return ImportOptions(task_type=task_type, domain=domain, tags=added, agent=agent, fit=fit, limits=limits)


def nothing_in(found: Iterable[Imported | ImportedMemory | Rejected]) -> IngestReport | None:
    """The report when there is nothing that could be written, so that nothing needs to be opened for it; else None."""
    report = IngestReport()
    for item in found:
        if not isinstance(item, Rejected):
            return None
        report.rejected.append(item)
    return report


def ingest(
    recorder: Recorder, found: Iterable[Imported | ImportedMemory | Rejected], progress: Progress = lambda done: None
) -> IngestReport:
    """Write every record and every memory; a bad one is listed in the report and stops nothing.

    Reading and writing take turns, a batch at a time: side by side they would fight over the interpreter's lock.
    """
    report = IngestReport()
    ready: list[_Ready] = []
    relations: list[tuple[str, Relation]] = []
    waiting_bytes = 0
    memories = MemoryIntake(recorder)
    for done, item in enumerate(found, start=1):
        if isinstance(item, ImportedMemory):
            memories.add(item)
            progress(done)
            continue
        prepared = _prepare(recorder, item, report)
        if prepared is not None:
            ready.append(prepared)
            waiting_bytes += len(prepared.prepared.body)
            relations += [(prepared.item.location, relation) for relation in prepared.item.record.relations]
        if len(ready) >= _BATCH_RECORDS or waiting_bytes >= _BATCH_BYTES:
            _write(recorder, ready, report)
            ready, waiting_bytes = [], 0
        progress(done)
    if ready:
        _write(recorder, ready, report)
    for location, relation in relations:
        _relate(recorder, location, relation, report)
    memories.flush()
    _add_memories(report, memories.report)
    return report


def _add_memories(report: IngestReport, memories: MemoryImportReport) -> None:
    report.memories = memories.imported
    report.corrected = memories.corrected
    report.skipped += memories.skipped
    report.rejected += memories.rejected
    report.shortened += memories.shortened
    report.masked += memories.masked


def _prepare(recorder: Recorder, item: Imported | Rejected, report: IngestReport) -> _Ready | None:
    if isinstance(item, Rejected):
        report.rejected.append(item)
        return None
    recorder.pace()
    try:
        return _Ready(item, recorder.prepare_record(item.record, checked=True))
    except InvalidInput as error:
        report.rejected.append(Rejected(item.location, error.message))
        return None


def _write(recorder: Recorder, ready: list[_Ready], report: IngestReport) -> None:
    """Write a batch as one job; when one of it is refused, each as a job of its own, so that only that one fails."""
    mind, journal = recorder.mind.id, recorder.journal
    try:
        written = journal.run(lambda appender: [appender.append(mind, one.prepared) for one in ready])
    except (Conflict, Erased, InvalidInput):
        otherwise = [one for one in ready if not _write_alone(recorder, one, report)]
        _note_what_is_kept(recorder, otherwise, report)
        return
    for one, appended in zip(ready, written, strict=True):
        _count(one, appended, report)


def _write_alone(recorder: Recorder, one: _Ready, report: IngestReport) -> bool:
    """False when the same attempt is there, but told otherwise."""
    try:
        appended = recorder.journal.run(lambda appender: appender.append(recorder.mind.id, one.prepared))
    except Conflict:  # what was written first stays
        report.skipped += 1
        return False
    except Erased:
        report.refused += 1
    except InvalidInput as error:
        report.rejected.append(Rejected(one.item.location, error.message))
    else:
        _count(one, appended, report)
    return True


def _note_what_is_kept(recorder: Recorder, otherwise: list[_Ready], report: IngestReport) -> None:
    mind = recorder.mind.id
    with recorder.journal.store.snapshot() as snapshot:
        for one in otherwise:
            try:
                there = load_task(snapshot, mind, one.prepared.id)
            except NotFound:
                continue  # erased meanwhile
            for field in _differing(one.item.record.task, there):
                report.kept[field] = report.kept.get(field, 0) + 1


def _differing(given: Task, there: Task) -> list[str]:
    """What an import says of a task, and the episode that is there does not."""
    fields = [name for name in _CONTEXT if getattr(given, name) not in ("", getattr(there, name))]
    return fields if set(given.tags) <= set(there.tags) else [*fields, "tags"]


def _count(one: _Ready, appended: Appended, report: IngestReport) -> None:
    if not appended.new:
        report.skipped += 1
        return
    report.imported += 1
    report.steps += len(one.item.record.steps)
    report.shortened += one.item.shortened
    report.masked += one.prepared.masked


def _relate(recorder: Recorder, location: str, relation: Relation, report: IngestReport) -> None:
    try:
        recorder.relate(parse_id(relation.episode), relation.kind, relation.target).result()
    except Conflict:
        return  # it holds already
    except (InvalidInput, NotFound) as error:
        report.rejected.append(Rejected(location, f"relation {relation.kind}: {error.message}"))
