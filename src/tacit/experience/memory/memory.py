"""The noun: one thing remembered as text. Pure data; nothing here reads or writes."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from tacit.clock import from_micros
from tacit.experience.episode import Data, Json

MemoryKind: TypeAlias = Literal["turn", "fact", "preference", "instruction", "note"]
MEMORY_KINDS: tuple[str, ...] = get_args(MemoryKind)
EPISODE: Final = "episode"
"""The kind of what the view of memories says of a finished episode; see ``episodes``. No memory is of this kind."""
RecalledKind: TypeAlias = MemoryKind | Literal["episode"]
RECALLED_KINDS: tuple[str, ...] = (*MEMORY_KINDS, EPISODE)
"""All kinds of what recall finds. Their places are kept with vectors: a new one comes last."""
Ending: TypeAlias = Literal["", "corrected", "superseded", "forgotten"]
STANDING_KINDS: tuple[MemoryKind, ...] = ("instruction", "preference")
"""Kinds that hold whatever is asked: recall always considers them, though they rarely share a word with a question."""

SAID_TIMES = frozenset({"occurred_at", "valid_from", "valid_to"})
"""Fields that are µs since 1970 UTC in what is said, and datetimes in what is read, beside ``…_micros``."""


class Said(Data, frozen=True):
    """What somebody wants to be remembered, as it is stored.

    Args:
        text: what is to be remembered, in words.
        kind: a turn of a conversation, a fact, a preference, a standing instruction, or a note.
        user, session, agent: whom and where it is about; recall narrows to them. Empty: nobody's in particular.
        speaker: who said it, by the name that questions will use.
        subject: what a fact is about, such as ``alice.seat``: a newer memory with the same user and subject closes the
            older one.
        source_id: what it is called where it comes from. For one user and source there is one memory: the same
            content again is nothing, other content corrects it.
        occurred_at: when it was said or happened; µs since 1970 UTC.
        valid_from, valid_to: when it is true, from the first until before the second; µs since 1970 UTC.
        importance: 0 (trivial) … 1, when somebody judged it.
    """

    text: str
    kind: MemoryKind = "note"
    user: str = ""
    session: str = ""
    agent: str = ""
    speaker: str = ""
    subject: str = ""
    source_id: str = ""
    occurred_at: int | None = None
    valid_from: int | None = None
    valid_to: int | None = None
    importance: float | None = None
    metadata: dict[str, Json] = msgspec.field(default_factory=dict)


class Memory(Data, frozen=True, kw_only=True):
    """A memory as it is read back: what was said, with the times under the names that they have in all that is read.

    ``recorded_at_micros`` is when this wording came in; times are µs since 1970 UTC, and datetimes under their names
    without ``_micros``. ``ending`` says why it is no longer what is remembered: it was corrected; a newer memory of the
    same subject, ``superseded_by``, took its place; or it was forgotten. Empty: it holds.
    """

    text: str
    kind: MemoryKind = "note"
    user: str = ""
    session: str = ""
    agent: str = ""
    speaker: str = ""
    subject: str = ""
    source_id: str = ""
    occurred_at_micros: int | None = None
    valid_from_micros: int | None = None
    valid_to_micros: int | None = None
    importance: float | None = None
    metadata: dict[str, Json] = msgspec.field(default_factory=dict)
    id: str
    mind: str
    recorded_at_micros: int
    ending: Ending = ""
    superseded_by: str = ""

    @property
    def occurred_at(self) -> datetime | None:
        """When it was said or happened, if somebody told."""
        return _datetime(self.occurred_at_micros)

    @property
    def valid_from(self) -> datetime | None:
        """Since when it is true, if somebody told."""
        return _datetime(self.valid_from_micros)

    @property
    def valid_to(self) -> datetime | None:
        """Until before when it is true, if somebody told."""
        return _datetime(self.valid_to_micros)

    @property
    def recorded_at(self) -> datetime:
        """When this wording came in."""
        return from_micros(self.recorded_at_micros)

    @property
    def when(self) -> datetime:
        """When it was said or happened; when it was recorded, if nobody told."""
        return self.recorded_at if self.occurred_at is None else self.occurred_at


def said_of(memory: Memory) -> Said:
    """What was said, without what the store adds to it."""
    told = {name: getattr(memory, f"{name}_micros" if name in SAID_TIMES else name) for name in Said.__struct_fields__}
    return Said(**told)


def memory_of_said(said: Said, *, id: str, mind: str, recorded_at: int) -> Memory:
    """What was just said, as it is read back while it holds."""
    told = {f"{name}_micros" if name in SAID_TIMES else name: getattr(said, name) for name in Said.__struct_fields__}
    return Memory(**told, id=id, mind=mind, recorded_at_micros=recorded_at)


def _datetime(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
