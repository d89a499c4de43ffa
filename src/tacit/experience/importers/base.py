"""What all importers share: walk the files, give each record its key, apply the options, make it fit."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from tacit.errors import InvalidInput, LimitExceeded
from tacit.experience.entrance import check_record
from tacit.experience.episode import Record
from tacit.experience.importers.clean import clean
from tacit.experience.importers.files import Item, decode, files_of
from tacit.experience.importers.fit import fit
from tacit.experience.importers.fit_memory import fit_memory
from tacit.experience.importers.port import Imported, ImportedMemory, ImportOptions, Rejected
from tacit.experience.importers.shorten import cut
from tacit.experience.memory.line import MemoryLine
from tacit.experience.memory.memory import Said

_SOURCE_ID_BYTES = 100
"""How much of a source's own id stands readable in a key; all of it goes into the hash."""
_LONGEST_ESCAPE = 6
"""Bytes that a byte of text takes in JSON at most; what was replaced did not become longer than that."""

Told = TypeVar("Told")
"""What one thing is as its source tells it."""
How = TypeVar("How")
"""How to import."""
Found = TypeVar("Found", bound=Imported | ImportedMemory)
"""What comes of it."""


class Draft(msgspec.Struct, frozen=True):
    """A record as its source tells it, before options and limits, and where it stood in its file."""

    record: Record
    location: str


class MemoryDraft(msgspec.Struct, frozen=True):
    """A memory as its source tells it. ``conversation`` is the one that it is from; "" where there are none."""

    line: MemoryLine
    location: str
    conversation: str = ""


class Reader(ABC, Generic[Told, How, Found]):
    """An importer that turns each file, on its own, into what it tells."""

    name: str
    description: str
    suffixes: frozenset[str]
    """Which files of a folder are read."""

    @abstractmethod
    def recognises(self, head: bytes, path: Path) -> bool:
        """Whether a file that begins with ``head`` is of this format."""

    @abstractmethod
    def drafts(self, file: Path) -> Iterator[Told | Rejected]:
        """What one file tells, in its order."""

    @abstractmethod
    def finish(self, draft: Told, options: How, seen: Counter[str]) -> Iterator[Found]:
        """The draft with its key, the options applied, within the limits. ``seen`` counts the keys of its file."""

    def read(self, path: Path, options: How) -> Iterator[Found | Rejected]:
        for found in files_of(path, self.suffixes):
            if isinstance(found, Rejected):
                yield found
                continue
            shown, file = found
            yield from self.read_file(file, shown, options)

    def read_file(self, file: Path, shown: str, options: How) -> Iterator[Found | Rejected]:
        """All that one file tells. ``shown`` is the file's name in the folder, "" for one named by the caller."""
        seen: Counter[str] = Counter()
        try:
            for draft in self.drafts(file):
                for result in self._finished(draft, options, seen):
                    yield msgspec.structs.replace(result, location=f"{shown} {result.location}".strip())
        except OSError as error:
            yield Rejected(shown or file.name, f"cannot be read: {error.strerror or error}")

    def _finished(self, draft: Any, options: How, seen: Counter[str]) -> list[Found | Rejected]:
        if isinstance(draft, Rejected):
            return [draft]
        try:
            return list(self.finish(draft, options, seen))
        except UNREADABLE as error:
            return [rejection(draft.location, error)]


class FileImporter(Reader["Draft | MemoryDraft", ImportOptions, Imported | ImportedMemory]):
    """An importer of what agents did."""

    def finish(
        self, draft: Draft | MemoryDraft, options: ImportOptions, seen: Counter[str]
    ) -> Iterator[Imported | ImportedMemory]:
        if isinstance(draft, Draft):
            yield from _finish(draft, self.name, options, seen)
            return
        line = draft.line
        said = msgspec.structs.replace(line.said, agent=options.agent or line.said.agent)
        memory = ImportedMemory(said, draft.location, id=line.id)
        yield from fit_memory(memory, options.limits, options.fit)


UNREADABLE = (InvalidInput, msgspec.ValidationError, RecursionError)
"""What one bad record may raise while it is read; the records around it are not concerned."""


def rejection(location: str, error: Exception) -> Rejected:
    """Why the thing at this location could not be read, in words."""
    if isinstance(error, InvalidInput):
        return Rejected(location, error.message)
    if isinstance(error, RecursionError):
        return Rejected(location, "is nested too deeply to be read")
    return Rejected(location, f"holds a value that cannot be kept: {error}")


def drafts_of(item: Item | Rejected, read: Callable[[Any], Record]) -> Iterator[Draft | Rejected]:
    """The draft that ``read`` makes of one JSON value, or why there is none."""
    if isinstance(item, Rejected):
        yield item
        return
    try:
        yield Draft(read(decode(item.raw)), item.location)
    except UNREADABLE as error:
        yield rejection(item.location, error)


def _finish(draft: Draft, format_name: str, options: ImportOptions, seen: Counter[str]) -> Iterator[Imported]:
    record, replaced, size = clean(draft.record)
    if replaced and options.fit == "refuse":
        raise InvalidInput(
            "holds control characters, or integers beyond ±2^53; import it with fit='truncate' to replace them"
        )
    key = record.key if record.key or record.id else _key(record, format_name, options.name, seen)
    task = msgspec.structs.replace(
        record.task,
        task_type=options.task_type or record.task.task_type,
        domain=options.domain or record.task.domain,
        agent=options.agent or record.task.agent,
        tags=(*record.task.tags, *(tag for tag in dict.fromkeys(options.tags) if tag not in record.task.tags)),
        source_id=record.task.source_id or options.name,
    )
    whole = msgspec.structs.replace(record, task=task, key=key)
    if _fits(whole, size, options):  # as nearly all do; measuring it piece by piece would cost more than all the rest
        yield Imported(whole, draft.location, replaced)
        return
    for part in fit(whole, options.limits, options.fit):
        _check(part.record, options)
        yield Imported(part.record, draft.location, part.shortened + replaced)
        replaced = 0


def _fits(record: Record, size: int, options: ImportOptions) -> bool:
    """Whether a record is within every limit as it is; ``size`` are its bytes before the options were applied."""
    try:
        _check(record, options)
    except LimitExceeded:
        return False
    most = min(options.limits.episode_bytes, options.limits.event_bytes)
    if size * _LONGEST_ESCAPE + len(msgspec.json.encode(record.task)) + len(record.key) * _LONGEST_ESCAPE < most:
        return True
    return len(msgspec.json.encode(record)) <= most


def _check(record: Record, options: ImportOptions) -> None:
    """What no shortening can mend: an empty description, a score of 7, a key that is too long."""
    check_record(record, options.limits)
    size = len(record.key.encode())
    if size > options.limits.name_bytes:
        raise LimitExceeded(
            f"the key has {size:,} bytes, more than the {options.limits.name_bytes:,} of limits.name_bytes",
            limit=options.limits.name_bytes,
            size=size,
        )


def _key(record: Record, format_name: str, source_name: str, seen: Counter[str]) -> str:
    """Format, source id and SHA-256 of the record as the source tells it: options and limits do not change it.

    The k-th repetition of the same record within a file gets its number, so that two equal runs are two attempts.
    """
    source_id = record.task.source_id or source_name
    content = msgspec.json.encode([format_name, source_id, record], order="sorted")
    key = ":".join(
        filter(None, (format_name, cut(source_id.encode(), _SOURCE_ID_BYTES), hashlib.sha256(content).hexdigest()))
    )
    return _numbered(key, seen)


def memory_key(format_name: str, said: Said, user: str, seen: Counter[str]) -> str:
    """Format and SHA-256 of a memory as its source tells it, and of the user it is remembered for, if one was given.

    Of memories that their source does not name, the k-th repetition within a file gets its number, as for a record.
    """
    content = msgspec.json.encode([format_name, user or said.user, said], order="sorted")
    key = f"{format_name}:{hashlib.sha256(content).hexdigest()}"
    return key if said.source_id else _numbered(key, seen)


def _numbered(key: str, seen: Counter[str]) -> str:
    seen[key] += 1
    return key if seen[key] == 1 else f"{key}#{seen[key]}"
