"""Brings what was read from files into a mind's memory: in groups, in which each succeeds or fails alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from tacit.errors import Conflict, InvalidInput
from tacit.experience.importers.port import ImportedMemory, Rejected
from tacit.experience.memory.remember import Rememberer, Written
from tacit.experience.recorder import Recorder
from tacit.journal.append import Prepared

_BATCH = 512
_BATCH_BYTES = 16_000_000
"""A batch is full at that many memories or bytes, which bounds what an import holds."""


class MemoryImportReport(msgspec.Struct, kw_only=True):
    """What became of each memory: ``imported`` are new, ``skipped`` were there already, ``rejected`` say why."""

    imported: int = 0
    corrected: int = 0
    """Memories whose source says something else than when it was imported before."""
    skipped: int = 0
    refused: int = 0
    """Memories that were erased, and are not taken in again."""
    rejected: list[Rejected] = []
    shortened: int = 0
    """Texts that were cut or split to fit the limits, or had control characters replaced."""
    masked: int = 0
    """Secrets that were masked."""


class _Ready(NamedTuple):
    """A memory that is prepared and waits for the rest of its batch."""

    item: ImportedMemory
    prepared: Prepared


class MemoryIntake:
    """Takes memories one by one and writes them by the batch; ``flush`` writes what is left."""

    def __init__(self, recorder: Recorder) -> None:
        self.report = MemoryImportReport()
        self._recorder = recorder
        self._rememberer = Rememberer(recorder)
        self._ready: list[_Ready] = []
        self._bytes = 0

    def add(self, item: ImportedMemory) -> None:
        self._recorder.pace()
        try:
            prepared = self._rememberer.prepare_import(item.said, id=item.id, key=item.key)
        except InvalidInput as error:
            self.report.rejected.append(Rejected(item.location, error.message))
            return
        self._ready.append(_Ready(item, prepared))
        self._bytes += len(prepared.body)
        if len(self._ready) >= _BATCH or self._bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits as one job; when one of it is refused, each as a job of its own."""
        ready, self._ready, self._bytes = self._ready, [], 0
        if not ready:
            return
        try:
            written = self._rememberer.write_imports([one.prepared for one in ready])
        except (Conflict, InvalidInput):
            for one in ready:
                self._write_alone(one)
            return
        for one, done in zip(ready, written, strict=True):
            self._count(one, done)

    def _write_alone(self, one: _Ready) -> None:
        try:
            (done,) = self._rememberer.write_imports([one.prepared])
        except (Conflict, InvalidInput) as error:
            self.report.rejected.append(Rejected(one.item.location, error.message))
            return
        self._count(one, done)

    def _count(self, one: _Ready, done: Written) -> None:
        if done.done == "remembered":
            self.report.imported += 1
        elif done.done == "corrected":
            self.report.corrected += 1
        elif done.done == "refused":
            self.report.refused += 1
            return
        else:
            self.report.skipped += 1
            return
        self.report.shortened += one.item.shortened
        self.report.masked += one.prepared.masked


def import_memories(
    recorder: Recorder, found: Iterable[ImportedMemory | Rejected], progress: Callable[[int], None]
) -> MemoryImportReport:
    """Remember all that was read; a bad one is listed in the report and stops nothing."""
    intake = MemoryIntake(recorder)
    for done, item in enumerate(found, start=1):
        if isinstance(item, Rejected):
            intake.report.rejected.append(item)
        else:
            intake.add(item)
        progress(done)
    intake.flush()
    return intake.report


def no_memory_in(found: Iterable[ImportedMemory | Rejected]) -> MemoryImportReport | None:
    """The report when there is nothing that could be remembered, so that nothing needs to be opened for it."""
    report = MemoryImportReport()
    for item in found:
        if not isinstance(item, Rejected):
            return None
        report.rejected.append(item)
    return report
