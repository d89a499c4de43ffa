"""One memory a line of JSON, in the keywords of ``mind.remember``; and the memories of Tacit's own export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tacit.errors import InvalidInput
from tacit.experience.importers.base import UNREADABLE, MemoryDraft, rejection
from tacit.experience.importers.files import LINE_SUFFIXES, complete_values, decode, lines_in
from tacit.experience.importers.own_jsonl import OwnJsonl
from tacit.experience.importers.port import Rejected
from tacit.experience.memory.importers.port import MemoryImporter
from tacit.experience.memory.line import MemoryLine, is_memory, memory_in

_export = OwnJsonl()


class MemoryLines(MemoryImporter):
    """Reads memories from lines. A file that also holds episodes is an export: ``mind.ingest`` brings in all of it."""

    name = "jsonl"
    description = "one memory a line, in the keywords of mind.remember, or as exported"
    suffixes = LINE_SUFFIXES

    def recognises(self, head: bytes, path: Path) -> bool:
        first = next(complete_values(head), None)
        return is_memory(first) or _export.recognises(head, path)

    def drafts(self, file: Path) -> Iterator[MemoryDraft | Rejected]:
        for item in lines_in(file):
            if isinstance(item, Rejected):
                yield item
                continue
            try:
                line = _line(decode(item.raw))
                yield MemoryDraft(line, item.location, line.said.session)
            except UNREADABLE as error:
                yield rejection(item.location, error)


def _line(value: object) -> MemoryLine:
    if isinstance(value, dict) and isinstance(value.get("task"), dict):
        raise InvalidInput("is an episode, not a memory; 'tacit import' and mind.ingest bring in episodes too")
    return memory_in(value)
