"""What the transcripts of coding agents have in common: entries line by line, with times, made into sessions."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tacit.clock import parse_time
from tacit.errors import InvalidInput
from tacit.experience.entrance import check_moment
from tacit.experience.episode import Record, Task
from tacit.experience.importers.base import UNREADABLE, Draft, FileImporter, rejection
from tacit.experience.importers.dialogue import Dialogue
from tacit.experience.importers.fields import object_of
from tacit.experience.importers.files import LINE_SUFFIXES, Item, complete_values, decode, lines_in
from tacit.experience.importers.port import Rejected

_ELEMENT = re.compile(r"<([a-zA-Z][\w-]*)(?:\s[^>]*)?>.*?</\1>", re.DOTALL)
_NOTICES = ("# AGENTS.md instructions",)
"""How a message begins that a tool, and not a person, put under the person's name."""


class Session:
    """One session in the making. It has no outcome: a transcript does not tell whether its task was done."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.id = ""
        self.metadata: dict[str, Any] = {}
        self.dialogue = Dialogue()
        self._times: list[int] = []

    def saw(self, at: int | None) -> None:
        if at is not None:
            self._times.append(at)

    def note(self, **facts: Any) -> None:
        """Keep facts about the session; the first that is told of each counts."""
        for name, fact in facts.items():
            if isinstance(fact, str | int | float) and fact != "":
                self.metadata.setdefault(name, fact)

    def record(self, agent: str) -> Record:
        steps = self.dialogue.steps()
        if not steps:
            raise InvalidInput("holds no message of an agent, so nothing was done in it")
        task = Task(description=self.dialogue.task, agent=agent, source_id=self.id, metadata=self.metadata)
        return Record(task=task, steps=steps, started_at=min(self._times, default=None))


class SessionImporter(FileImporter):
    """An importer of transcripts: JSONL files whose lines are the entries of one or several sessions."""

    suffixes = LINE_SUFFIXES

    @abstractmethod
    def is_entry(self, entry: dict[str, Any]) -> bool:
        """Whether only a transcript of this format has such an entry."""

    @abstractmethod
    def reader(self) -> SessionReader:
        """Something that takes a file's entries and gives its sessions."""

    def recognises(self, head: bytes, path: Path) -> bool:
        return any(isinstance(value, dict) and self.is_entry(value) for value in complete_values(head))

    def drafts(self, file: Path) -> Iterator[Draft | Rejected]:
        reader = self.reader()
        for item in lines_in(file):
            if problem := _problem_with(item, reader):
                yield problem
        for session in reader.sessions():
            try:
                yield Draft(session.record(self.name), session.location)
            except UNREADABLE as error:
                yield rejection(session.location, error)


class SessionReader(ABC):
    """Takes entries in their order; ``sessions`` gives what they amount to."""

    @abstractmethod
    def entry(self, entry: dict[str, Any], location: str) -> None:
        """Take the next entry; raises InvalidInput when it is broken, and can go on with the one after."""

    @abstractmethod
    def sessions(self) -> Iterator[Session]:
        """The sessions that the entries amount to."""


def _problem_with(item: Item | Rejected, reader: SessionReader) -> Rejected | None:
    if isinstance(item, Rejected):
        return item
    try:
        reader.entry(object_of(decode(item.raw), "an entry"), item.location)
    except UNREADABLE as error:
        return rejection(item.location, error)
    return None


def time_of(value: Any) -> int | None:
    """The time of an entry in µs since 1970 UTC; None when it has none that can be read and kept."""
    if not isinstance(value, str):
        return None
    try:
        at = parse_time(value)
        check_moment(at, "timestamp")
    except InvalidInput:
        return None  # a transcript without a usable time is still a transcript
    return at


def spoken(text: str) -> str:
    """What the person wrote, without the elements and notices that a tool put under the person's name."""
    return "" if text.startswith(_NOTICES) else _ELEMENT.sub("", text).strip()
