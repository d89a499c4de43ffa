"""Conversations of many sessions in the layout of LoCoMo (Maharana et al., ACL 2024).

A file holds one conversation or a list of them. Each has a ``sample_id`` and a ``conversation``, with the turns of a
session under ``session_N`` and its time under ``session_N_date_time``. No zone is given there: times are taken for UTC.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tacit.clock import to_micros
from tacit.errors import InvalidInput, shown
from tacit.experience.importers.base import UNREADABLE, MemoryDraft, rejection
from tacit.experience.importers.fields import list_of, object_of
from tacit.experience.importers.files import LINE_SUFFIXES, decode, items_in
from tacit.experience.importers.port import ImportedMemory, Rejected
from tacit.experience.memory.importers.naming import content_name, own_name, unique
from tacit.experience.memory.importers.port import MemoryImporter, MemoryOptions
from tacit.experience.memory.line import MemoryLine
from tacit.experience.memory.memory import Said

_TIME = re.compile(r"(\d{1,2}):(\d{2})\s*([ap])m\s+on\s+(\d{1,2})\s+([a-z]+),?\s+(\d{4})", re.IGNORECASE)
"""Such as ``1:56 pm on 8 May, 2023``; not by ``strptime``, whose names of months follow the program's locale."""
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_SESSION = re.compile(r"session_([0-9]{1,9})")
_HEAD = re.compile(rb'"(?:dia_id|sample_id|session_\d+_date_time)"\s*:')
_QUESTIONS = re.compile(rb'^[\s\[]*\{\s*"qa"\s*:')


class _Session(NamedTuple):
    """A session of a conversation; ``name`` is ``D8`` for the eighth."""

    conversation: str
    name: str
    occurred_at: int | None
    location: str


class Locomo(MemoryImporter):
    """Reads each turn of each conversation as one memory.

    Its source id is the turn's ``dia_id``, such as ``D8:6``, and its session ``conv-26/D8``. Its user is the
    conversation, ``conv-26``, so that one conversation is never taken for another's; a user that is given stands for
    all of them instead, and the source ids then name the conversation, too: ``conv-26/D8:6``.
    """

    name = "locomo"
    description = "conversations of many sessions, in the layout of LoCoMo"
    suffixes = LINE_SUFFIXES | {".json"}

    def recognises(self, head: bytes, path: Path) -> bool:
        begin = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        return begin.startswith((b"[", b"{")) and bool(_HEAD.search(head) or _QUESTIONS.match(begin))

    def drafts(self, file: Path) -> Iterator[MemoryDraft | Rejected]:
        for item in items_in(file):
            if isinstance(item, Rejected):
                yield item
                continue
            try:
                sample = object_of(decode(item.raw), "a conversation")
                sessions = object_of(sample.get("conversation", sample), "the conversation")
            except UNREADABLE as error:
                yield rejection(item.location, error)
                continue
            yield from _conversation(sample, sessions, item.location)

    def finish(self, draft: MemoryDraft, options: MemoryOptions, seen: Counter[str]) -> Iterator[ImportedMemory]:
        if options.user:
            said = draft.line.said
            named = msgspec.structs.replace(said, source_id=f"{draft.conversation}/{said.source_id}")
            draft = msgspec.structs.replace(draft, line=MemoryLine(named))
        yield from super().finish(draft, options, seen)


def _conversation(sample: dict[str, Any], sessions: dict[str, Any], location: str) -> Iterator[MemoryDraft | Rejected]:
    numbered = sorted((int(found[1]), name) for name in sessions if (found := _SESSION.fullmatch(name)))
    if not numbered:
        yield Rejected(location, "holds no session: session_1, session_2, …")
        return
    conversation = own_name(sample.get("sample_id")) or content_name("conversation", sessions)
    ids: Counter[str] = Counter()
    for number, name in numbered:
        where = f"{location} {name}"
        occurred_at = None
        try:
            occurred_at = _moment(sessions.get(f"{name}_date_time"))
            turns = list_of(sessions.get(name), "a session")
        except InvalidInput as error:
            yield rejection(where, error)
            turns = sessions[name] if isinstance(sessions[name], list) else []
        session = _Session(conversation, f"D{number}", occurred_at, where)
        yield from _turns(session, turns, ids)


def _turns(session: _Session, turns: list[Any], ids: Counter[str]) -> Iterator[MemoryDraft | Rejected]:
    for number, value in enumerate(turns, start=1):
        where = f"{session.location} turn {number}"
        try:
            yield MemoryDraft(_turn(session, number, value, ids), where, session.conversation)
        except UNREADABLE as error:
            yield rejection(where, error)


def _turn(session: _Session, number: int, value: Any, ids: Counter[str]) -> MemoryLine:
    turn = object_of(value, "a turn")
    fields = {name: turn.get(name) or "" for name in ("text", "speaker", "dia_id", "blip_caption")}
    for name, text in fields.items():
        if not isinstance(text, str):
            raise InvalidInput(f"{name} should be a text, and is {type(text).__name__}", field=name)
    text, caption = fields["text"].strip(), fields["blip_caption"].strip()
    said = Said(
        text=f"{text} [image: {caption}]".strip() if caption else text,
        kind="turn",
        user=session.conversation,
        session=f"{session.conversation}/{session.name}",
        speaker=fields["speaker"].strip(),
        source_id=unique(fields["dia_id"].strip() or f"{session.name}:{number}", ids),
        occurred_at=session.occurred_at,
    )
    return MemoryLine(said)


def _moment(text: Any) -> int | None:
    """The time of a session, in µs since 1970 UTC; None when none is told."""
    if text is None or text == "":
        return None
    try:
        found = _TIME.fullmatch(text.strip())
        if found is None:
            raise ValueError(text)
        hour, minute, half, day, month, year = found.groups()
        hours = int(hour) % 12 + (12 if half.lower() == "p" else 0)
        moment = datetime(int(year), _MONTHS.index(month.lower()) + 1, int(day), hours, int(minute), tzinfo=UTC)
    except (ValueError, AttributeError) as error:
        raise InvalidInput(
            f"its time {shown(text)} is not like '1:56 pm on 8 May, 2023', so its turns have none", field="date_time"
        ) from error
    return to_micros(moment)
