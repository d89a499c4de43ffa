"""How much there is that was told to a mind and not learned from yet."""

from __future__ import annotations

from sqlalchemy import bindparam, func, or_, select

from tacit.experience import kinds
from tacit.journal.consumer import consumer_position
from tacit.learning.studying.study import Study
from tacit.stores import schema
from tacit.stores.port import Snapshot

_event = schema.event
_ended = (
    select(func.count())
    .select_from(_event)
    .where(
        _event.c.mind == bindparam("mind"),
        _event.c.position > bindparam("after"),
        or_(_event.c.kind == kinds.EPISODE_RECORDED, _event.c.kind == kinds.EPISODE_COMPLETED),
    )
)


def unstudied_episodes(snapshot: Snapshot, mind: bytes) -> int:
    """How many episodes were recorded or completed since the newest event that study has seen."""
    row = snapshot.row(_ended, mind=mind, after=consumer_position(snapshot, mind, Study.name))
    return int(row[0]) if row else 0
