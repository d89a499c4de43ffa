"""What rests on an episode: its events, its rows in views, its links from both sides, and what was derived from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias

from sqlalchemy import Select, Table, and_, bindparam, select, text

from tacit.experience import kinds
from tacit.experience.memory import kinds as memory_kinds
from tacit.ids import parse_id
from tacit.journal.expiring import expiry_of
from tacit.journal.forgetting import PLACE, Doomed, Fresh, Rows
from tacit.journal.minds import MindInfo
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

_episode, _step, _relation, _event, _derived = (
    schema.episode, schema.step, schema.relation, schema.event, schema.derived_from,
)  # fmt: skip


def _where(table: Table, column: str, *wanted: str) -> Select[Any]:
    columns = table.c
    return select(*(columns[name] for name in wanted)).where(
        columns.mind == bindparam("mind"), columns[column] == bindparam("episode")
    )


_positions = (
    _where(_episode, "id", "since", "opened"),
    _where(_relation, "episode", "since", "until"),
    _where(schema.handoff, "episode", "position"),
    _where(schema.reflection, "episode", "position"),
)
"""Where the views tell of events of an episode, or of events of others that tell of it."""
_steps = (
    select(*PLACE)
    .select_from(_step.join(_event, and_(_event.c.mind == _step.c.mind, _event.c.position == _step.c.position)))
    .where(_step.c.mind == bindparam("mind"), _step.c.episode == bindparam("episode"))
)
# The next three name nothing that their index does not hold, or SQLite reads all rows of the mind instead of it.
_resumed = select(_event.c.position).where(
    _event.c.mind == bindparam("mind"), _event.c.causation == bindparam("episode"), text("kind = 'episode.resumed'")
)
_toward = _where(_relation, "target", "episode", "kind", "since")
_tags = _where(schema.tag, "episode", "tag").distinct()
_until = select(_relation.c.until).where(
    _relation.c.mind == bindparam("mind"),
    _relation.c.episode == bindparam("episode"),
    _relation.c.kind == bindparam("kind"),
    _relation.c.target == bindparam("target"),
    _relation.c.since == bindparam("since"),
)
_any_derived = select(_derived.c.derived).where(_derived.c.mind == bindparam("mind")).limit(1)
_derived_of = select(_derived.c.derived).where(
    _derived.c.mind == bindparam("mind"), _derived.c.source == bindparam("source")
)
_OPENING = (kinds.EPISODE_STARTED, kinds.EPISODE_RECORDED)
Keys: TypeAlias = Iterable[Sequence[object]]
KeysOf: TypeAlias = Callable[[Snapshot, bytes, Doomed], Keys]


def _by_event(kind: str) -> KeysOf:
    """Rows that one kind of event made: by the episode that it tells of, and its position."""
    return lambda _snapshot, _mind, doomed: [
        (place.causation, place.position) for place in doomed.of_kinds(frozenset({kind}))
    ]


def _by_episode(_snapshot: Snapshot, _mind: bytes, doomed: Doomed) -> Keys:
    return [(id,) for id in sorted(doomed.episodes)]


def _tag_keys(snapshot: Snapshot, mind: bytes, doomed: Doomed) -> Keys:
    return [(tag, id) for id in sorted(doomed.episodes) for (tag,) in snapshot.rows(_tags, mind=mind, episode=id)]


def _derived_keys(_snapshot: Snapshot, _mind: bytes, doomed: Doomed) -> Keys:
    return [(id,) for id, place in doomed.events.items() if place.kind != kinds.STEP_LOGGED]


_ROWS: tuple[tuple[Rows, KeysOf], ...] = (
    (Rows(_episode, "id"), _by_episode),
    (Rows(_step, "episode"), _by_episode),
    (Rows(schema.tag, "tag", "episode"), _tag_keys),
    (Rows(_relation, "episode", "since"), _by_event(kinds.EPISODE_RELATED)),
    (Rows(schema.handoff, "episode", "position"), _by_event(kinds.EPISODE_CHECKPOINTED)),
    (Rows(schema.reflection, "episode", "position"), _by_event(kinds.REFLECTION_RECORDED)),
    (Rows(_derived, "derived"), _derived_keys),
)


class EpisodeKeeper:
    """The views of episodes, and the edges from what was derived to what it was derived from."""

    def follow(self, snapshot: Snapshot, mind: MindInfo, fresh: Fresh, doomed: Doomed) -> None:
        for episode in fresh.episodes:
            self._add_episode(snapshot, mind.id, episode, doomed)
        derives = snapshot.row(_any_derived, mind=mind.id) is not None
        for id in fresh.events:
            kind, causation = doomed.events[id].kind, doomed.events[id].causation
            if kind in _OPENING:
                doomed.episode(id)
            elif kind == memory_kinds.MEMORY_REMEMBERED:
                doomed.memory(id)
            elif kind == memory_kinds.MEMORY_CORRECTED and causation is not None:
                doomed.memory(causation)
            if derives:
                found = snapshot.rows(_derived_of, mind=mind.id, source=id)
                doomed.add_ids(snapshot, mind.id, (bytes(derived) for (derived,) in found))

    def _add_episode(self, snapshot: Snapshot, mind: bytes, episode: bytes, doomed: Doomed) -> None:
        rows = chain.from_iterable(snapshot.rows(one, mind=mind, episode=episode) for one in _positions)
        positions = {at for row in rows for at in row}
        for source, kind, since in snapshot.rows(_toward, mind=mind, episode=episode):
            row = snapshot.row(_until, mind=mind, episode=source, kind=kind, target=episode, since=since)
            positions |= {since, *(row or ())}
        positions |= {at for (at,) in snapshot.rows(_resumed, mind=mind, episode=episode)}
        doomed.add_at(snapshot, mind, sorted(int(at) for at in positions if at is not None))
        doomed.add(snapshot.rows(_steps, mind=mind, episode=episode))
        if (expiry := expiry_of(snapshot, mind, episode)) is not None:  # the views know no longer what it was made of
            told = (expiry.payload or {})["events"]
            doomed.add_ids(snapshot, mind, (expiry.event.id, *map(parse_id, told)))

    def count(self, snapshot: Snapshot, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        found: Counter[str] = Counter()
        for rows, keys in _ROWS:
            found[rows.table] = rows.count(snapshot, mind.id, keys(snapshot, mind.id, doomed))
        return found

    def forget(self, transaction: Transaction, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        gone: Counter[str] = Counter()
        for rows, keys in _ROWS:
            gone[rows.table] = rows.forget(transaction, mind.id, keys(transaction, mind.id, doomed))
        return gone
