"""The importers' contract: a path goes in, records come out; of Tacit's own export, memories too.

An importer knows nothing of stores, minds or journals. Whatever it reads is data: no word in it is obeyed, run
or looked up. It never raises for one bad record; it yields Rejected and goes on with the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, get_args

import msgspec

from tacit.experience.episode import Record
from tacit.experience.limits import DEFAULT_LIMITS, Limits
from tacit.experience.memory.memory import Said

Format: TypeAlias = Literal["auto", "openai-messages", "react", "otel", "claude-code", "codex", "jsonl"]
FORMATS: tuple[str, ...] = get_args(Format)

Fit: TypeAlias = Literal["refuse", "truncate", "split"]


class Imported(msgspec.Struct, frozen=True):
    """One record that was read.

    ``location`` says where it stood: ``line 12``, ``item 3``, in a folder ``runs/a.jsonl line 12``.
    ``shortened`` counts the texts and values that were changed to fit the limits; 0 means that nothing was.
    """

    record: Record
    location: str
    shortened: int = 0


class ImportedMemory(msgspec.Struct, frozen=True):
    """One memory that was read; ``location`` and ``shortened`` as for a record.

    Exactly one of ``id`` and ``key`` is given. ``id`` is the one under which the memory was exported. ``key`` stands
    for what the source says of it, so that the same again is the same memory.
    """

    said: Said
    location: str
    shortened: int = 0
    id: str = ""
    key: str = ""


class Rejected(msgspec.Struct, frozen=True):
    """One thing that could not be read: where it stands, and why."""

    location: str
    reason: str


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to import.

    ``task_type``, ``domain`` and ``agent``, when given, hold for every record; ``tags`` are added to its own.
    ``fit`` says what to do with what is over the ``limits``: refuse the record, truncate its texts (and its
    steps) with a visible mark, or truncate its texts and split its steps over several records.
    ``name`` names the source, for attempts that have no id of their own.
    """

    task_type: str = ""
    domain: str = ""
    tags: tuple[str, ...] = ()
    agent: str = ""
    fit: Fit = "truncate"
    limits: Limits = DEFAULT_LIMITS
    name: str = ""


class Importer(Protocol):
    """Reads one format."""

    @property
    def name(self) -> str:
        """The name of the format, one of FORMATS."""
        ...

    @property
    def description(self) -> str:
        """What the format is, in one line."""
        ...

    def recognises(self, head: bytes, path: Path) -> bool:
        """Whether a file that begins with ``head`` (possibly cut off anywhere) is of this format."""
        ...

    def read(self, path: Path, options: ImportOptions) -> Iterator[Imported | ImportedMemory | Rejected]:
        """Every record of the file, or of the folder's files in sorted order. Raises NotFound without a path."""
        ...
