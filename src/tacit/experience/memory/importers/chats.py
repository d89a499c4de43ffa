"""Chat messages as OpenAI's interfaces write them: what people and assistants said to each other, a turn a message.

A value of the file is a conversation (a list of messages, or an object that holds one next to free fields), or one
message; messages that stand alone belong together by the conversation that they name, else by their file. System
messages, tool calls and their results are no part of what was said. A time without a zone is taken for UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tacit.clock import to_micros
from tacit.errors import InvalidInput, shown
from tacit.experience.importers.base import UNREADABLE, MemoryDraft, rejection
from tacit.experience.importers.fields import object_of, text_of
from tacit.experience.importers.files import LINE_SUFFIXES, decode, items_in
from tacit.experience.importers.openai_messages import MESSAGE_FIELDS, OpenAIMessages, messages_of
from tacit.experience.importers.port import Rejected
from tacit.experience.memory.importers.naming import content_name, digest_of, own_name, unique
from tacit.experience.memory.importers.port import MemoryImporter
from tacit.experience.memory.line import MemoryLine
from tacit.experience.memory.memory import Said

CONVERSATION_FIELDS = ("conversation_id", "session_id", "thread_id", "chat_id")
"""What names a conversation, also beside a single message; the first one present counts."""
_OWN_IDS = (*CONVERSATION_FIELDS, "id", "trace_id", "run_id")
_TIMES = ("timestamp", "created_at", "create_time", "created", "sent_at", "date", "time")
_SPOKEN = {"user": "user", "human": "user", "assistant": "assistant"}
_UNSPOKEN = frozenset({"system", "developer", "tool", "function"})
_MARKS_OF_TRAFFIC = ("tool", "function", "thinking", "reasoning")
"""A block of a message whose type holds one of these is no part of what was said."""
_SECONDS_BELOW, _MILLIS_BELOW, _MICROS_BELOW = 10**11, 10**14, 10**17
"""A number below the first is a time in seconds, below the second in milliseconds, below the third in microseconds:
between 1973 and 5138 none of these can be taken for another."""

_traces = OpenAIMessages()


class _Place(NamedTuple):
    """A message and where it stands."""

    message: Any
    location: str


class _Conversation(NamedTuple):
    """What is known of the conversation that a message belongs to."""

    name: str
    user: str
    occurred_at: int | None


class Chats(MemoryImporter):
    """Reads each message of a person or an assistant as one memory.

    Its session is the conversation's own id. Where there is none, or only a number, which counts the conversations of
    a file, its content names the conversation: when that has grown since, it is another. Its source id is the
    session's with the message's own id, or with a digest of who said what and when, so that a log that repeats the
    messages of before brings each in once. Its speaker is the message's name, or its role.
    """

    name = "openai-messages"
    description = "chat messages of people and assistants (JSON or JSONL), without system messages and tool traffic"
    suffixes = LINE_SUFFIXES | {".json"}

    def recognises(self, head: bytes, path: Path) -> bool:
        return _traces.recognises(head, path)

    def drafts(self, file: Path) -> Iterator[MemoryDraft | Rejected]:
        alone: dict[str, list[_Place]] = {}
        for item in items_in(file):
            if isinstance(item, Rejected):
                yield item
                continue
            try:
                value = decode(item.raw)
                if isinstance(value, dict) and "role" in value and not any(name in value for name in MESSAGE_FIELDS):
                    alone.setdefault(_first_name(value, CONVERSATION_FIELDS), []).append(_Place(value, item.location))
                    continue
                fields = {"messages": value} if isinstance(value, list) else object_of(value, "a conversation")
                _, messages = messages_of(fields)
            except UNREADABLE as error:
                yield rejection(item.location, error)
                continue
            places = [_Place(each, f"{item.location} message {number}") for number, each in enumerate(messages, 1)]
            yield from _conversation(fields, places)
        for name, places in alone.items():
            yield from _conversation({CONVERSATION_FIELDS[0]: name}, places)


def _conversation(fields: dict[str, Any], places: list[_Place]) -> Iterator[MemoryDraft | Rejected]:
    name = _first_name(fields, _OWN_IDS) or content_name("chat", [place.message for place in places])
    user = fields.get("user", fields.get("user_id"))
    about = _Conversation(name, user.strip() if isinstance(user, str) else "", _moment(fields))
    repeated: Counter[str] = Counter()
    for place in places:
        try:
            said = _turn(about, object_of(place.message, "a message"), repeated)
        except UNREADABLE as error:
            yield rejection(place.location, error)
            continue
        if said is not None:
            yield MemoryDraft(MemoryLine(said), place.location, name)


def _turn(about: _Conversation, message: dict[str, Any], repeated: Counter[str]) -> Said | None:
    """What a message says; None when it is no part of what was said, or says nothing."""
    role = message.get("role")
    if role in _UNSPOKEN:
        return None
    if role not in _SPOKEN:
        raise InvalidInput(f"has the role {shown(role)}; roles are user, assistant, tool, system", field="role")
    content = message.get("content")
    if isinstance(content, list):
        content = [block for block in content if not _is_traffic(block)]
    text = text_of(content or message.get("refusal")).strip()
    if not text:
        return None
    named = message.get("name")
    speaker = named.strip() if isinstance(named, str) and named.strip() else _SPOKEN[role]
    occurred_at = _moment(message)
    own = own_name(message.get("id")) or unique(digest_of([speaker, text, occurred_at]), repeated)
    return Said(
        text=text,
        kind="turn",
        user=about.user,
        session=about.name,
        speaker=speaker,
        source_id=f"{about.name}:{own}",
        occurred_at=about.occurred_at if occurred_at is None else occurred_at,
    )


def _is_traffic(block: Any) -> bool:
    kind = block.get("type") if isinstance(block, dict) else None
    return isinstance(kind, str) and any(mark in kind for mark in _MARKS_OF_TRAFFIC)


def _first_name(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((found for name in names if (found := own_name(fields.get(name)))), "")


def _moment(fields: dict[str, Any]) -> int | None:
    """The time that the first such field tells, in µs since 1970 UTC; None when none does."""
    return next((found for name in _TIMES if (found := _micros(fields.get(name))) is not None), None)


def _micros(value: Any) -> int | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _MICROS_BELOW:
        scale = 1_000_000 if value < _SECONDS_BELOW else 1_000 if value < _MILLIS_BELOW else 1
        return round(value * scale)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None  # a field of that name that is no time, such as "yesterday"
    return to_micros(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
