"""A memory as a line of JSON: what the export writes, and what anybody may write who wants things to be remembered."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from tacit.clock import parse_time
from tacit.errors import InvalidInput
from tacit.experience.memory.check import said_from
from tacit.experience.memory.memory import Memory, Said, said_of
from tacit.ids import parse_id

MEMORY_FIELD = "memory"
"""What an exported line holds its memory under, so that it cannot be taken for an episode."""
SAID_FIELDS = frozenset(Said.__struct_fields__)
_TIMES = ("occurred_at", "valid_from", "valid_to", "recorded_at")


class MemoryLine(NamedTuple):
    """What a line says. ``id`` is that of an exported memory; empty otherwise."""

    said: Said
    id: str = ""


def line_of_memory(memory: Memory) -> bytes:
    """A memory as one line of JSON in UTF-8, with its line feed: ``{"memory": {"id": …, "text": …}}``.

    It is the wording of now, with the time at which that came in; what was said before is not in it.
    """
    told = {"id": memory.id, "recorded_at": memory.recorded_at_micros, **msgspec.to_builtins(said_of(memory))}
    return msgspec.json.encode({MEMORY_FIELD: told}) + b"\n"


def memory_in(value: Any) -> MemoryLine:
    """The memory that a line's JSON value is: an exported one, or an object with the keywords of ``mind.remember``.

    Times are ISO 8601 with a zone, or whole µs since 1970 UTC. An exported memory that does not tell when it occurred
    is said to have occurred when it was recorded: where it is brought to, that would not be known any more.

    Raises:
        InvalidInput: it is neither; the message names the field that is wrong.
    """
    if not isinstance(value, dict):
        raise InvalidInput(f"should be a JSON object, and is {type(value).__name__}")
    inner = value.get(MEMORY_FIELD)
    if inner is None:
        return MemoryLine(said_from(_with_times(value)))
    if not isinstance(inner, dict) or len(value) > 1:
        raise InvalidInput(f"should hold one object under {MEMORY_FIELD!r}, and nothing else", field=MEMORY_FIELD)
    fields = _with_times(inner)
    id, recorded_at = fields.pop("id", None), fields.pop("recorded_at", None)
    if not isinstance(id, str):
        raise InvalidInput("an exported memory has an id", field="id")
    parse_id(id)
    if fields.get("occurred_at") is None:
        fields["occurred_at"] = recorded_at
    return MemoryLine(said_from(fields), id)


def is_memory(value: Any) -> bool:
    """Whether a JSON value looks like a memory: an exported one, or one with keywords of ``mind.remember`` only."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get(MEMORY_FIELD), dict):
        return len(value) == 1
    return isinstance(value.get("text"), str) and value.keys() <= SAID_FIELDS


def _with_times(fields: dict[str, Any]) -> dict[str, Any]:
    """A copy in which times that were texts are µs since 1970 UTC."""
    found = dict(fields)
    for name in _TIMES:
        if isinstance(text := found.get(name), str):
            found[name] = parse_time(text)
        elif isinstance(text, float):
            raise InvalidInput(f"{name} should be whole microseconds since 1970, or ISO 8601 with a zone", field=name)
    return found
