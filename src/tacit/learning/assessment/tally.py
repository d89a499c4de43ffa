"""The first consumer: adds each finished episode's counts to the statistics, and takes them away again exactly.

The statistics are at any time the sum of the contributions that are kept beside them. A contribution is what its
episode was worth as of one event: its end, or the last change of its task after that. It is replaced as a whole, so
neither the size of batches nor a repetition can change the sums.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import bindparam, delete, select, update

from tacit.errors import NotFound
from tacit.experience import kinds
from tacit.experience.recent import RecentEpisodes
from tacit.journal import canonical
from tacit.journal.append import Appender
from tacit.journal.consumer import EventConsumer
from tacit.journal.event import Event
from tacit.journal.read import still_there
from tacit.learning.assessment.contribution import contribution
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

_contribution, _statistic = schema.contribution, schema.statistic
_stored = select(_contribution.c.counts).where(
    _contribution.c.mind == bindparam("mind"), _contribution.c.episode == bindparam("episode")
)
_replace = (
    update(_contribution)
    .where(_contribution.c.mind == bindparam("of"), _contribution.c.episode == bindparam("which"))
    .values(position=bindparam("position"), counts=bindparam("counts"))
)
_forget = delete(_contribution).where(
    _contribution.c.mind == bindparam("of"), _contribution.c.episode == bindparam("which")
)
_add = (
    update(_statistic)
    .where(_statistic.c.mind == bindparam("of"), _statistic.c.key == bindparam("which"))
    .values(count=_statistic.c.count + bindparam("more"))
)
_drop_zero = delete(_statistic).where(
    _statistic.c.mind == bindparam("of"), _statistic.c.key == bindparam("which"), _statistic.c.count == 0
)


class Contribution(msgspec.Struct, frozen=True):
    """What an episode adds to the statistics, as of the event at ``position``."""

    episode: bytes
    position: int
    counts: dict[str, int]
    body: bytes
    """The counts as they are kept."""


class Tally(EventConsumer):
    """Keeps the tables ``contribution`` and ``statistic``.

    An episode whose content was erased before this consumer came to it contributes nothing.
    """

    name = "tally"
    kinds = frozenset({kinds.EPISODE_COMPLETED, kinds.EPISODE_RECORDED, kinds.EPISODE_UPDATED})

    def __init__(self, episodes: RecentEpisodes | None = None) -> None:
        self._episodes = episodes or RecentEpisodes()

    def prepare(self, snapshot: Snapshot, mind: bytes, events: Sequence[Event]) -> list[Contribution]:
        """The contributions that these events set: for each episode, as of the last of its events that matters."""
        last: dict[bytes, int] = {}
        for event in events:
            episode = _episode_of(event)
            if episode is not None:
                last[episode] = event.position
        found = [self._contribution_of(snapshot, mind, episode, position) for episode, position in last.items()]
        return [each for each in found if each is not None]

    def _contribution_of(self, snapshot: Snapshot, mind: bytes, id: bytes, position: int) -> Contribution | None:
        try:
            episode = self._episodes.load(snapshot, mind, id, position)
        except NotFound:  # erased: whoever erased it has taken away what it had contributed
            return None
        counts = contribution(episode)
        return Contribution(id, position, counts, canonical.encode(counts)) if counts else None

    def apply(self, appender: Appender, mind: bytes, effects: Sequence[Contribution]) -> None:
        """Replace the contributions and move the statistics by the differences."""
        if not effects:
            return
        transaction = appender.transaction
        positions = [each.position for each in effects]
        # an episode may have been erased after prepare() had read it; then its counts must not come back
        there = still_there(transaction, mind, min(positions), max(positions))
        deltas: dict[str, int] = defaultdict(int)
        for each in effects:
            if each.position in there:
                _set(transaction, mind, each, deltas)
        _change(transaction, mind, deltas)


def subtract(transaction: Transaction, mind: bytes, episode: bytes) -> bool:
    """Take an episode's counts away, as if it had never been; whether it had contributed.

    Erasing calls this in the transaction that removes the payloads.
    """
    row = transaction.row(_stored, mind=mind, episode=episode)
    if row is None:
        return False
    counts: dict[str, int] = canonical.decode(bytes(row[0]))
    transaction.execute(_forget, of=mind, which=episode)
    _change(transaction, mind, {key: -count for key, count in counts.items()})
    return True


def replace_contribution(transaction: Transaction, mind: bytes, new: Contribution) -> None:
    """Set what an episode contributes, and move the statistics by the difference.

    Expiring calls this in the transaction that removes the payloads: the counts stay, whoever may have to count them.
    """
    deltas: dict[str, int] = defaultdict(int)
    _set(transaction, mind, new, deltas)
    _change(transaction, mind, deltas)


def stored_contribution(snapshot: Snapshot, mind: bytes, episode: bytes) -> dict[str, int]:
    """The counts that an episode has added to the statistics; empty when it has added none (yet)."""
    row = snapshot.row(_stored, mind=mind, episode=episode)
    counts: dict[str, int] = canonical.decode(bytes(row[0])) if row else {}
    return counts


def _episode_of(event: Event) -> bytes | None:
    """The episode whose contribution an event can set, or None."""
    if event.kind == kinds.EPISODE_RECORDED:
        return event.id
    return event.causation if event.kind in (kinds.EPISODE_COMPLETED, kinds.EPISODE_UPDATED) else None


def _set(transaction: Transaction, mind: bytes, new: Contribution, deltas: dict[str, int]) -> None:
    row = transaction.row(_stored, mind=mind, episode=new.episode)
    if row is None:
        transaction.insert(_contribution, ((mind, new.episode, new.position, new.body),))
    else:
        transaction.execute(_replace, of=mind, which=new.episode, position=new.position, counts=new.body)
        for key, count in canonical.decode(bytes(row[0])).items():
            deltas[key] -= count
    for key, count in new.counts.items():
        deltas[key] += count


def _change(transaction: Transaction, mind: bytes, deltas: Mapping[str, int]) -> None:
    """Move each statistic by its difference. One that reaches zero is removed: nothing contributes to it any more."""
    for key in sorted(deltas):
        delta = deltas[key]
        if delta == 0:
            continue
        if transaction.execute(_add, of=mind, which=key, more=delta) == 0:
            transaction.insert(_statistic, ((mind, key, delta),))
        elif delta < 0:
            transaction.execute(_drop_zero, of=mind, which=key)
