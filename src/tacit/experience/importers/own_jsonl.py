"""Tacit's own format: one episode or one memory a line of JSON, as ``mind.export`` writes them, without loss."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tacit.errors import InvalidInput
from tacit.experience.episode import Record
from tacit.experience.importers.base import UNREADABLE, Draft, FileImporter, MemoryDraft, rejection
from tacit.experience.importers.files import LINE_SUFFIXES, complete_values, decode, lines_in
from tacit.experience.importers.port import Rejected
from tacit.experience.memory.line import MEMORY_FIELD, memory_in

_FIELDS = frozenset(Record.__struct_fields__)
_record = msgspec.json.Decoder(Record).decode
_CUT_OFF = (b'{"task":{"description":', b'{"task": {"description":')
_MEMORY = re.compile(rb'\s*\{\s*"memory"\s*:')


class OwnJsonl(FileImporter):
    """Reads records as the exporter writes them. A key that a record brings along is kept as it is."""

    name = "jsonl"
    description = "Tacit's own JSONL: one episode or memory a line, as exported"
    suffixes = LINE_SUFFIXES

    def recognises(self, head: bytes, path: Path) -> bool:
        for value in complete_values(head):
            if isinstance(value, dict) and isinstance(value.get("task"), dict):
                return "description" in value["task"] and value.keys() <= _FIELDS
            if isinstance(value, dict) and isinstance(value.get(MEMORY_FIELD), dict):
                return len(value) == 1
        begin = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        return begin.startswith(_CUT_OFF) or _MEMORY.match(begin) is not None

    def drafts(self, file: Path) -> Iterator[Draft | MemoryDraft | Rejected]:
        for item in lines_in(file):
            if isinstance(item, Rejected):
                yield item
                continue
            try:
                if _MEMORY.match(bytes(item.raw)):
                    yield MemoryDraft(memory_in(decode(item.raw)), item.location)
                else:
                    yield Draft(record_in(item.raw), item.location)
            except UNREADABLE as error:
                yield rejection(item.location, error)


def record_in(line: bytes | msgspec.Raw) -> Record:
    """The record that one line holds, or InvalidInput naming the field that is wrong."""
    try:
        return _record(line)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"is not a record: {error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        decode(line)  # says what is wrong in the words that are used everywhere
        raise
