"""What rests on an episode: its events, its rows in views, its links from both sides, and what was derived from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias

from sqlalchemy import Select, Table, and_, bindparam, select, text

from tacit.experience import kinds
from tacit.experience.memory import kinds as memory_kinds
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
    _where(_relation, "target", "since", "until"),
    _where(schema.handoff, "episode", "position"),
    _where(schema.reflection, "episode", "position"),
)
"""Where the views tell of events of an episode, or of events of others that tell of it."""
_steps = (
    select(*PLACE)
    .select_from(_step.join(_event, and_(_event.c.mind == _step.c.mind, _event.c.position == _step.c.position)))
    .where(_step.c.mind == bindparam("mind"), _step.c.episode == bindparam("episode"))
)
_resumed = select(*PLACE).where(
    _event.c.mind == bindparam("mind"), _event.c.causation == bindparam("episode"), text("kind = 'episode.resumed'")
)
_any_derived = select(_derived.c.derived).where(_derived.c.mind == bindparam("mind")).limit(1)
_derived_of = select(_derived.c.derived).where(
    _derived.c.mind == bindparam("mind"), _derived.c.source == bindparam("source")
)
_OPENING = (kinds.EPISODE_STARTED, kinds.EPISODE_RECORDED)
Keys: TypeAlias = Iterable[Sequence[object]]


def _by_event(kind: str) -> Callable[[Doomed], Keys]:
    """Rows that one kind of event made: by the episode that it tells of, and its position."""
    return lambda doomed: [(place.causation, place.position) for place in doomed.of_kinds(frozenset({kind}))]


def _by_episode(doomed: Doomed) -> Keys:
    return [(id,) for id in sorted(doomed.episodes)]


def _derived_keys(doomed: Doomed) -> Keys:
    return [(id,) for id, place in doomed.events.items() if place.kind != kinds.STEP_LOGGED]


_ROWS: tuple[tuple[Rows, Callable[[Doomed], Keys]], ...] = (
    (Rows(_episode, "id"), _by_episode),
    (Rows(_step, "episode"), _by_episode),
    (Rows(schema.tag, "episode"), _by_episode),
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
        doomed.add_at(snapshot, mind, {int(at) for row in rows for at in row if at is not None})
        for one in (_steps, _resumed):
            doomed.add(snapshot.rows(one, mind=mind, episode=episode))

    def count(self, snapshot: Snapshot, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        return Counter({rows.table: rows.count(snapshot, mind.id, keys(doomed)) for rows, keys in _ROWS})

    def forget(self, transaction: Transaction, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        return Counter({rows.table: rows.forget(transaction, mind.id, keys(doomed)) for rows, keys in _ROWS})
