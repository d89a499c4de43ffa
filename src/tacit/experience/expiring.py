"""Retention of episodes: which finished ones have expired, what of them goes, and what the journal keeps instead.

The summary that stays is the payload of ``episode.expired``: the task without its metadata, the outcome without its
texts, and the tools that were used. The rest of that payload is what learning keeps: see ``tacit.learning.expiring``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import and_, bindparam, delete, func, select, text

from tacit.experience.episode import Episode
from tacit.experience.erasing.target import METADATA
from tacit.experience.fold import EpisodeRow
from tacit.ids import format_id, parse_id
from tacit.journal.event import Event
from tacit.journal.expiring import EPISODE_EXPIRED
from tacit.stores import schema
from tacit.stores.folding import folded_or_none
from tacit.stores.port import Row, Snapshot, Transaction

MICROS_PER_DAY = 86_400_000_000
_episode, _step, _event, _payload = schema.episode, schema.step, schema.event, schema.payload
_of_episode = (_episode.c.mind == bindparam("mind"), _episode.c.id == bindparam("episode"))
_finished = (
    select(_episode.c.id, _episode.c.task_type, _episode.c.domain, _event.c.recorded_at)
    .select_from(_episode.join(_event, and_(_event.c.mind == _episode.c.mind, _event.c.position == _episode.c.since)))
    .where(
        _episode.c.mind == bindparam("mind"),
        _episode.c.until.is_(None),
        _episode.c.status != "open",
        _episode.c.opened <= _episode.c.since,
    )
    .order_by(_episode.c.since.desc())
)
_versions = select(_episode.c.since, _episode.c.opened).where(*_of_episode)
_marked = [
    select(table.c.position).where(table.c.mind == bindparam("mind"), table.c.episode == bindparam("episode"))
    for table in (schema.handoff, schema.reflection)
]
# It names nothing that its index does not hold, or SQLite reads all rows of the mind instead of it.
_resumed = select(_event.c.position).where(
    _event.c.mind == bindparam("mind"), _event.c.causation == bindparam("episode"), text("kind = 'episode.resumed'")
)
_steps = select(_step.c.position).where(_step.c.mind == bindparam("mind"), _step.c.episode == bindparam("episode"))
_size = (
    select(_event.c.id, func.octet_length(_payload.c.body))
    .select_from(
        _event.join(_payload, and_(_payload.c.mind == _event.c.mind, _payload.c.position == _event.c.position))
    )
    .where(_event.c.mind == bindparam("mind"), _event.c.position == bindparam("position"))
)
_position = select(_event.c.position).where(_event.c.mind == bindparam("mind"), _event.c.id == bindparam("id"))
_derived = [
    select(table.c.id).where(table.c.mind == bindparam("mind"), table.c.episode == bindparam("episode"))
    for table in (schema.handoff, schema.reflection)
]
_forget_derived = delete(schema.derived_from).where(
    schema.derived_from.c.mind == bindparam("of"), schema.derived_from.c.derived == bindparam("which")
)
_forget = [
    delete(table).where(table.c.mind == bindparam("of"), column == bindparam("which"))
    for table, column in (
        (_episode, _episode.c.id),
        (_step, _step.c.episode),
        (schema.handoff, schema.handoff.c.episode),
        (schema.reflection, schema.reflection.c.episode),
    )
]
_tags = select(schema.tag.c.tag, schema.tag.c.since).where(
    schema.tag.c.mind == bindparam("mind"), schema.tag.c.episode == bindparam("episode")
)
_forget_tag = delete(schema.tag).where(
    schema.tag.c.mind == bindparam("of"),
    schema.tag.c.tag == bindparam("named"),
    schema.tag.c.episode == bindparam("which"),
    schema.tag.c.since == bindparam("version"),
)


class EpisodeRetention(msgspec.Struct, frozen=True, kw_only=True):
    """How many finished episodes of a mind are kept whole; None is no bound.

    Args:
        episodes: how many at most; the oldest expire.
        per_kind: how many of one kind of task (its type and domain) at most.
        bytes: how many bytes of their payloads at most.
        days: how long, from when they ended here or were last changed.
    """

    episodes: int | None = None
    per_kind: int | None = None
    bytes: int | None = None
    days: float | None = None

    @property
    def is_bounded(self) -> bool:
        return msgspec.structs.astuple(self) != (None, None, None, None)


class ExpiredEpisode(msgspec.Struct, frozen=True, kw_only=True):
    """An episode that expires: why ("age", "kind", "count" or "bytes"), and how much of the journal goes with it."""

    id: str
    why: str
    events: int
    """Events whose payloads go."""
    bytes: int
    """Of these payloads."""


class Content(NamedTuple):
    """The payloads of an episode: by position the event's id and the bytes of its payload."""

    at: dict[int, tuple[bytes, int]]

    @property
    def size(self) -> int:
        """Bytes of the payloads together."""
        return sum(size for _, size in self.at.values())

    def told(self, episode: bytes, why: str) -> ExpiredEpisode:
        """As the report says it."""
        return ExpiredEpisode(id=format_id(episode), why=why, events=len(self.at), bytes=self.size)


def content_of(snapshot: Snapshot, mind: bytes, episode: bytes) -> Content:
    """What of an episode goes when it expires: all that tells of it alone. Its relations stay."""
    statements = (_versions, _steps, _resumed, *_marked)
    positions = {int(at) for one in statements for row in snapshot.rows(one, mind=mind, episode=episode) for at in row}
    found = {at: snapshot.row(_size, mind=mind, position=at) for at in sorted(positions)}
    return Content({at: (bytes(row[0]), int(row[1])) for at, row in found.items() if row is not None})


def due_episodes(snapshot: Snapshot, mind: bytes, retention: EpisodeRetention, now: int) -> list[ExpiredEpisode]:
    """Which episodes are beyond what is kept now, oldest first. Open ones never are: somebody may go on with them."""
    if not retention.is_bounded:
        return []
    found = list(_due(snapshot, mind, retention, now))
    return found[::-1]


def _due(snapshot: Snapshot, mind: bytes, retention: EpisodeRetention, now: int) -> Iterator[ExpiredEpisode]:
    of_kind: Counter[tuple[str, str]] = Counter()
    kept = size = 0
    full = False
    for id, task_type, domain, recorded_at in snapshot.rows(_finished, mind=mind):
        id, kind = bytes(id), (task_type, domain)
        if retention.days is not None and now - recorded_at > retention.days * MICROS_PER_DAY:
            yield content_of(snapshot, mind, id).told(id, "age")
        elif retention.per_kind is not None and of_kind[kind] >= retention.per_kind:
            yield content_of(snapshot, mind, id).told(id, "kind")
        elif retention.episodes is not None and kept >= retention.episodes:
            yield content_of(snapshot, mind, id).told(id, "count")
        else:
            if retention.bytes is not None:
                content = content_of(snapshot, mind, id)
                full = full or size + content.size > retention.bytes
                if full:  # an older one that would still fit goes, too: what is kept has no gaps
                    yield content.told(id, "bytes")
                    continue
                size += content.size
            of_kind[kind] += 1
            kept += 1


def summary_of(episode: Episode) -> dict[str, Any]:
    """What stays of an episode to be shown, and to be found when somebody's is to be erased."""
    assert episode.outcome is not None
    names = {name for of in METADATA.values() for name in of}
    metadata = {name: value for name, value in episode.task.metadata.items() if name in names}
    task = msgspec.structs.replace(episode.task, metadata=metadata)
    outcome: dict[str, Any] = {"kind": episode.outcome.kind}
    if episode.outcome.score is not None:
        outcome["score"] = episode.outcome.score
    return {
        "task": msgspec.to_builtins(task),
        "outcome": outcome,
        "started_at": episode.started_at_micros,
        "ended_at": episode.ended_at_micros,
        "tools": [step.tool for step in episode.steps],
    }


class ExpiryProjection:
    """Puts the summary in place of an episode in its views: from the event on that changed the episode last."""

    kinds = frozenset({EPISODE_EXPIRED})

    def apply(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        episode, mind = event.causation, event.mind
        assert episode is not None
        for one in _derived:
            for (id,) in transaction.rows(one, mind=mind, episode=episode):
                transaction.execute(_forget_derived, of=mind, which=bytes(id))
        for tag, since in transaction.rows(_tags, mind=mind, episode=episode):
            transaction.execute(_forget_tag, of=mind, named=tag, which=episode, version=since)
        for forget in _forget:
            transaction.execute(forget, of=mind, which=episode)
        self._write(transaction, event, episode, payload)

    def _write(self, transaction: Transaction, event: Event, episode: bytes, payload: dict[str, Any]) -> None:
        task, mind, tools = payload["task"], event.mind, payload["tools"]
        since = position_of(transaction, mind, payload["as_of"])
        row = EpisodeRow(
            mind, episode, since, None, payload["outcome"]["kind"], task["description"],
            task.get("task_type", ""), task.get("domain", ""), task.get("source_id", ""), payload["started_at"],
            payload["ended_at"], event.position, event.position, event.position, folded_or_none(task["description"]),
        )  # fmt: skip
        transaction.insert(_episode, (msgspec.structs.astuple(row),))
        if tags := task.get("tags", ()):
            transaction.insert(schema.tag, [(mind, tag, episode, since, None) for tag in tags])
        if tools:
            rows: list[Row] = [
                (mind, episode, number, since, tool, "", None, 0) for number, tool in enumerate(tools, start=1)
            ]
            transaction.insert(_step, rows)


def position_of(snapshot: Snapshot, mind: bytes, id: str) -> int:
    """Where the journal holds an event that is known to be there."""
    row = snapshot.row(_position, mind=mind, id=parse_id(id))
    assert row is not None
    return int(row[0])
