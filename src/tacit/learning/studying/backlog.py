"""How much there is that was told to a mind and not learned from yet."""

from __future__ import annotations

from sqlalchemy import bindparam, func, or_, select

from tacit.experience import kinds
from tacit.journal.consumer import consumer_position
from tacit.learning.studying.study import Study
from tacit.stores import schema
from tacit.stores.port import Snapshot

_event = schema.event
_ends = (
    select(_event.c.position)
    .where(
        _event.c.mind == bindparam("mind"),
        _event.c.position > bindparam("after"),
        or_(_event.c.kind == kinds.EPISODE_RECORDED, _event.c.kind == kinds.EPISODE_COMPLETED),
    )
    .order_by(_event.c.position)
)
_ended = _ends.with_only_columns(func.count()).order_by(None)
_first = _ends.limit(1)


def unstudied_episodes(snapshot: Snapshot, mind: bytes) -> int:
    """How many episodes were recorded or completed since the newest event that study has seen."""
    row = snapshot.row(_ended, mind=mind, after=consumer_position(snapshot, mind, Study.name))
    return int(row[0]) if row else 0


def behind_note(snapshot: Snapshot, mind: bytes, position: int, lag: int) -> tuple[str, ...]:
    """What is to be said where an episode had ended by a position that study has not seen: that it is ``lag`` events
    behind. Looks for the first such episode only, so it takes no time that grows with what there is to learn."""
    row = snapshot.row(_first, mind=mind, after=consumer_position(snapshot, mind, Study.name)) if lag else None
    if row is None or int(row[0]) > position:
        return ()
    events = "1 event" if lag == 1 else f"{lag:,} events"
    return (f"learning is {events} behind the journal, so this does not know of the newest episodes yet",)
