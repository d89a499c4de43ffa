"""Expiring, as the journal knows it: the event that says which payloads are kept no longer, and what stays of them.

The event carries, besides the ids of the events that lost their payloads, whatever the views need of these. So they
can be rebuilt from the journal alone: a replay folds it in the place of the events that it names.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, select

from tacit.ids import format_id, keyed_id, parse_id
from tacit.journal import canonical
from tacit.journal.event import Event, Recorded
from tacit.journal.read import event_by_id
from tacit.stores import schema
from tacit.stores.port import Snapshot

EPISODE_EXPIRED = "episode.expired"
"""Its causation is the episode. ``events`` are those whose payloads went; ``ended`` is the one that ended the episode,
``as_of`` the last that changed it; see ``experience.expiring`` and ``learning.expiring`` for the rest."""

_event, _payload = schema.event, schema.payload
_secret = select(schema.mind.c.secret).where(schema.mind.c.id == bindparam("id"))
_bodies = (
    select(_event.c.id, _event.c.causation, _payload.c.body)
    .select_from(_event.join(_payload, (_payload.c.mind == _event.c.mind) & (_payload.c.position == _event.c.position)))
    .where(_event.c.mind == bindparam("mind"), _event.c.kind == bindparam("kind"))
)


class Expired(NamedTuple):
    """By which event another one lost its payload, and whether that one is folded in its place."""

    by: bytes
    stands_in: bool


def expiry_id(secret: bytes, episode: bytes) -> bytes:
    """The id of the event by which an episode expires: once."""
    return keyed_id(secret, "expired", format_id(episode))


def expiry_of(snapshot: Snapshot, mind: bytes, episode: bytes) -> Recorded | None:
    """The event by which an episode expired; None when it has not, or was erased since."""
    row = snapshot.row(_secret, id=mind)
    found = None if row is None else event_by_id(snapshot, mind, expiry_id(bytes(row[0]), episode))
    return None if found is None or found.payload is None else found


def is_expired(snapshot: Snapshot, event: Event) -> bool:
    """Whether an event whose payload is missing has lost it by expiring."""
    found = expiry_of(snapshot, event.mind, event.causation or event.id)
    return found is not None and format_id(event.id) in (found.payload or {})["events"]


def expired_events(snapshot: Snapshot, mind: bytes) -> dict[bytes, Expired]:
    """Every event whose payload expired, from the journal alone."""
    found: dict[bytes, Expired] = {}
    for id, episode, body in snapshot.rows(_bodies, mind=mind, kind=EPISODE_EXPIRED):
        payload = canonical.decode(bytes(body))
        folded = {bytes(episode), parse_id(payload["ended"])}
        for event in map(parse_id, payload["events"]):
            found[event] = Expired(bytes(id), event in folded)
    return found
