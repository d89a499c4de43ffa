"""Says of the evidence that advice rests on whether it can still be read: what was learned outlives what it was learned
from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from sqlalchemy import bindparam, select

from tacit.ids import parse_id
from tacit.learning.advising.advice import Evidence
from tacit.stores import schema
from tacit.stores.port import Snapshot

T = TypeVar("T")
_episode = schema.episode
_expired = select(_episode.c.since).where(
    _episode.c.mind == bindparam("mind"),
    _episode.c.id == bindparam("id"),
    _episode.c.until.is_(None),
    _episode.c.opened > _episode.c.since,
)


def with_expiry(snapshot: Snapshot, mind: bytes, found: T) -> T:
    """The same, with every piece of evidence marked whose episode has expired."""
    cited = {one.event_id for one in _evidence(found) if one.kind == "episode"}
    gone = frozenset(id for id in cited if snapshot.row(_expired, mind=mind, id=parse_id(id)) is not None)
    marked: T = _marked(found, gone) if gone else found
    return marked


def _evidence(value: Any) -> Iterator[Evidence]:
    if isinstance(value, Evidence):
        yield value
    elif isinstance(value, msgspec.Struct):
        for part in msgspec.structs.astuple(value):
            yield from _evidence(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _evidence(part)


def _marked(value: Any, gone: frozenset[str]) -> Any:
    if isinstance(value, Evidence):
        return msgspec.structs.replace(value, expired=True) if value.event_id in gone else value
    if isinstance(value, msgspec.Struct):
        parts = {name: _marked(getattr(value, name), gone) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **parts)
    return tuple(_marked(part, gone) for part in value) if type(value) is tuple else value
