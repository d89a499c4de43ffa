"""Hand-off packs: an episode as it stands, with a note and state, for whoever goes on with it."""

from __future__ import annotations

import msgspec

from tacit.errors import InvalidInput, NotFound
from tacit.experience import kinds
from tacit.experience.episode import Data, Json, Record
from tacit.experience.importers.export import record_of
from tacit.experience.views import load_episode
from tacit.ids import format_id
from tacit.journal.read import event_by_id
from tacit.stores.port import Snapshot

FORMAT = "tacit-handoff-1"


class HandOff(Data, frozen=True):
    """Everything that another agent needs to go on.

    ``mind`` and ``checkpoint`` are ids; ``made_at`` is µs since 1970 UTC.
    """

    mind: str
    checkpoint: str
    record: Record
    made_at: int
    note: str = ""
    state: dict[str, Json] = msgspec.field(default_factory=dict)
    format: str = FORMAT

    def to_json(self) -> bytes:
        """The pack as JSON, to be kept or sent."""
        return msgspec.json.encode({**msgspec.to_builtins(self), "format": self.format})

    @classmethod
    def from_json(cls, raw: bytes | str) -> HandOff:
        """A pack from its JSON.

        Raises:
            InvalidInput: it is not a hand-off pack, or one of a newer format.
        """
        try:
            pack = msgspec.json.decode(raw, type=cls)
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"this is not a hand-off pack: {error}") from error
        if pack.format != FORMAT:
            raise InvalidInput(
                f"the pack has format {pack.format!r}, this program reads {FORMAT!r}", format=pack.format
            )
        return pack


def read_handoff(snapshot: Snapshot, mind: bytes, checkpoint: bytes) -> HandOff:
    """The pack of a checkpoint, with the episode as it stood then.

    Raises:
        NotFound: there is no such checkpoint.
    """
    found = event_by_id(snapshot, mind, checkpoint)
    if found is None or found.payload is None or found.event.kind != kinds.EPISODE_CHECKPOINTED:
        raise NotFound(f"there is no checkpoint {format_id(checkpoint)} in this mind", checkpoint=format_id(checkpoint))
    event, payload = found.event, found.payload
    assert event.causation is not None
    episode = load_episode(snapshot, mind, event.causation, event.position)
    return HandOff(
        mind=format_id(mind),
        checkpoint=format_id(checkpoint),
        record=record_of(episode),
        made_at=event.recorded_at,
        note=payload["note"],
        state=payload["state"],
    )
