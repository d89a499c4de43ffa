"""What the importers of memories share: how to import, and what becomes of each thing that was said."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec

from tacit.errors import NotFound
from tacit.experience.importers.base import MemoryDraft, Reader, memory_key
from tacit.experience.importers.fit_memory import fit_memory
from tacit.experience.importers.port import Fit, ImportedMemory, Rejected
from tacit.experience.limits import DEFAULT_LIMITS, Limits
from tacit.experience.memory.memory import MemoryKind

MemoryFormat: TypeAlias = Literal["auto", "locomo", "openai-messages", "jsonl"]
MEMORY_FORMATS: tuple[str, ...] = get_args(MemoryFormat)
_MOST_NAMED = 10


class Conversations:
    """The conversations that were come across while importing, and which of them is wanted ("" for all)."""

    def __init__(self, wanted: str = "") -> None:
        self.wanted = wanted
        self._met: dict[str, None] = {}

    def wants(self, conversation: str) -> bool:
        self._met[conversation] = None
        return not self.wanted or conversation == self.wanted

    def check(self) -> None:
        """Say that the one that is wanted was not there, after all was read.

        Raises:
            NotFound: it was not; the message names those that were.
        """
        if not self.wanted or self.wanted in self._met:
            return
        named = [name for name in self._met if name]
        there = ", ".join(named[:_MOST_NAMED]) + (", …" if len(named) > _MOST_NAMED else "") if named else "none"
        raise NotFound(f"there is no conversation {self.wanted!r}; there are: {there}", conversation=self.wanted)


class MemoryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to import.

    ``user``, ``session``, ``agent`` and ``kind``, when given, hold for every memory. ``conversations`` says whether
    only one conversation is wanted. ``fit`` says what to do with what is over the ``limits``: refuse the memory,
    truncate its text with a visible mark, or split its text over several memories.
    """

    user: str = ""
    session: str = ""
    agent: str = ""
    kind: MemoryKind | None = None
    conversations: Conversations = msgspec.field(default_factory=Conversations)
    fit: Fit = "truncate"
    limits: Limits = DEFAULT_LIMITS


class MemoryImporter(Reader[MemoryDraft, MemoryOptions, ImportedMemory]):
    """An importer of what was said."""

    @abstractmethod
    def drafts(self, file: Path) -> Iterator[MemoryDraft | Rejected]:
        """What one file tells, in its order."""

    def finish(self, draft: MemoryDraft, options: MemoryOptions, seen: Counter[str]) -> Iterator[ImportedMemory]:
        if not options.conversations.wants(draft.conversation):
            return
        said, id = draft.line
        key = "" if id else memory_key(self.name, said, options.user, seen)
        scoped = msgspec.structs.replace(
            said,
            user=options.user or said.user,
            session=options.session or said.session,
            agent=options.agent or said.agent,
            kind=options.kind or said.kind,
        )
        yield from fit_memory(ImportedMemory(scoped, draft.location, id=id, key=key), options.limits, options.fit)
