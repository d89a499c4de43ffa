"""What may be remembered: every bound on a memory, checked before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tacit.clock import to_micros
from tacit.errors import InvalidInput, shown
from tacit.experience import entrance
from tacit.experience.limits import Limits
from tacit.experience.memory.memory import MEMORY_KINDS, Said
from tacit.journal import canonical

_NAMES = ("user", "session", "agent", "speaker", "subject")
_TIMES = ("occurred_at", "valid_from", "valid_to")


def said_from(fields: Mapping[str, Any]) -> Said:
    """What somebody wants to be remembered, from keyword arguments; times are datetimes with a zone.

    Raises:
        InvalidInput: an unknown or missing field, one of a wrong type, or a time without a zone; the message names it.
    """
    given = entrance.object_of(fields, "a memory")
    for name in _TIMES:
        moment: Any = given.get(name)
        if moment is not None and type(moment) is not int:
            try:
                given[name] = to_micros(moment)
            except InvalidInput as error:
                raise InvalidInput(f"{name}: {error.message}", **error.context, field=name) from error
    given["metadata"] = entrance.object_of(given.get("metadata"), "metadata")
    kind = given.get("kind", "note")
    if kind not in MEMORY_KINDS:
        known = ", ".join(MEMORY_KINDS)
        raise InvalidInput(f"{shown(kind)} is no kind of memory; use one of {known}", field="kind")
    said: Said = entrance.build(Said, given, "memory")
    return said


def check_said(said: Said, limits: Limits) -> None:
    """Refuse a memory that breaks a bound.

    Raises:
        LimitExceeded: a text is too long.
        InvalidInput: no text, a time out of range, a validity that ends before it begins, an importance outside 0 … 1.
    """
    if not said.text.strip():
        raise InvalidInput("a memory needs a text: what is to be remembered?", field="text")
    entrance.check_text(said.text, limits.memory_bytes, "text", "limits.memory_bytes")
    for field in _NAMES:
        entrance.check_text(getattr(said, field), limits.name_bytes, field, "limits.name_bytes")
    entrance.check_text(said.source_id, limits.text_bytes, "source_id", "limits.text_bytes")
    for field in _TIMES:
        entrance.check_moment(getattr(said, field), field)
    if said.valid_from is not None and said.valid_to is not None and said.valid_to <= said.valid_from:
        raise InvalidInput("the memory stops being true before it begins to be", field="valid_to")
    if said.importance is not None and not 0.0 <= said.importance <= 1.0:
        raise InvalidInput(f"the importance {said.importance} is not between 0 and 1", field="importance")
    canonical.check_depth(said.metadata, limits.json_depth, "metadata")
