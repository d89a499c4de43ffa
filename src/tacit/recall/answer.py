"""What recall answers: hits that explain themselves, and how complete the answer is. Pure data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import overload

import msgspec

from tacit.clock import from_micros
from tacit.experience.memory.memory import RecalledKind
from tacit.recall.ranking import Share


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that was found; or a finished episode, of kind "episode", whose ``id`` reads all of it.

    ``score`` orders the hits of one answer; it is no probability, and two answers' scores are not to be compared.
    ``why`` has each signal's part; added up, they are the score. ``duplicates`` are the ids of memories that say nearly
    the same. Times are µs since 1970 UTC, and datetimes under their names without ``_micros``.
    """

    id: str
    text: str
    score: float
    kind: RecalledKind
    why: tuple[Share, ...]
    user: str = ""
    session: str = ""
    agent: str = ""
    speaker: str = ""
    subject: str = ""
    source_id: str = ""
    occurred_at_micros: int | None = None
    recorded_at_micros: int = 0
    valid_from_micros: int | None = None
    valid_to_micros: int | None = None
    tokens: int = 0
    duplicates: tuple[str, ...] = ()

    @property
    def occurred_at(self) -> datetime | None:
        """When it was said or happened, if somebody told."""
        return None if self.occurred_at_micros is None else from_micros(self.occurred_at_micros)

    @property
    def recorded_at(self) -> datetime:
        """When this wording came in."""
        return from_micros(self.recorded_at_micros)

    @property
    def valid_from(self) -> datetime | None:
        """Since when it is true, if somebody told."""
        return None if self.valid_from_micros is None else from_micros(self.valid_from_micros)

    @property
    def valid_to(self) -> datetime | None:
        """Until before when it is true, if somebody told."""
        return None if self.valid_to_micros is None else from_micros(self.valid_to_micros)


class Recollection(msgspec.Struct, frozen=True, kw_only=True):
    """The hits, best first: to be walked through, counted and taken by their place like a list.

    ``lag`` is how many events the vectors have yet to see: what is behind is found by its words alone. ``meaning`` says
    whether vectors were compared at all. ``notes`` tell in words what the answer lacks, if anything.
    """

    hits: tuple[Hit, ...] = ()
    recipe: str = "default"
    meaning: bool = False
    lag: int = 0
    considered: int = 0
    """Memories that were compared with the question one by one."""
    tokens: int = 0
    """Of all the hits' texts, estimated."""
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, place: int) -> Hit: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Hit, ...]: ...

    def __getitem__(self, place: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[place]
