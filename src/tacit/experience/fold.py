"""Folds the events of episodes into their views, in the transaction that appends them."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Integer, bindparam, literal_column, select, update

from tacit.errors import AlreadyCompleted, Conflict, InvalidInput, LimitExceeded, NotFound
from tacit.experience import kinds
from tacit.experience.episode import ACYCLIC_RELATIONS, EpisodeStatus
from tacit.experience.limits import Limits
from tacit.ids import format_id, parse_id
from tacit.journal.event import Event
from tacit.stores import schema
from tacit.stores.folding import folded_or_none
from tacit.stores.port import Row, Snapshot, Transaction

_episode, _step, _tag, _relation = schema.episode, schema.step, schema.tag, schema.relation
MICROS_PER_MS = 1_000

_ONE = literal_column("1", Integer)  # with a bound LIMIT SQLite takes twice as long, and every live step asks this

_current = select(*_episode.c).where(
    _episode.c.mind == bindparam("mind"), _episode.c.id == bindparam("id"), _episode.c.until.is_(None)
)
_end_version = (
    update(_episode)
    .where(_episode.c.mind == bindparam("of"), _episode.c.id == bindparam("which"), _episode.c.until.is_(None))
    .values(until=bindparam("position"))
)
_last_step = (
    select(_step.c.number)
    .where(_step.c.mind == bindparam("mind"), _step.c.episode == bindparam("id"))
    .order_by(_step.c.number.desc())
    .limit(_ONE)
)
_progress = _current.with_only_columns(
    _episode.c.status,
    _last_step.scalar_subquery(),
    _last_step.with_only_columns(_step.c.total_bytes).scalar_subquery(),
)
_current_tags = select(_tag.c.tag).where(
    _tag.c.mind == bindparam("mind"), _tag.c.episode == bindparam("episode"), _tag.c.until.is_(None)
)
_end_tag = (
    update(_tag)
    .where(
        _tag.c.mind == bindparam("of"),
        _tag.c.tag == bindparam("which"),
        _tag.c.episode == bindparam("on"),
        _tag.c.until.is_(None),
    )
    .values(until=bindparam("position"))
)
_current_targets = select(_relation.c.target).where(
    _relation.c.mind == bindparam("mind"),
    _relation.c.episode == bindparam("episode"),
    _relation.c.kind == bindparam("kind"),
    _relation.c.until.is_(None),
)
_end_relation = (
    update(_relation)
    .where(
        _relation.c.mind == bindparam("of"),
        _relation.c.episode == bindparam("on"),
        _relation.c.kind == bindparam("which"),
        _relation.c.target == bindparam("toward"),
        _relation.c.until.is_(None),
    )
    .values(until=bindparam("position"))
)


class EpisodeRow(msgspec.Struct, frozen=True):
    """A version of an episode, in the order of its table.

    ``opened``, ``task_at`` and ``outcome_at`` are the positions of the events that hold what it says. ``folded`` is the
    description as a search compares it; None when it is ASCII.
    """

    mind: bytes
    id: bytes
    since: int
    until: int | None
    status: EpisodeStatus
    description: str
    task_type: str
    domain: str
    source_id: str
    started_at: int
    ended_at: int | None
    opened: int
    task_at: int
    outcome_at: int | None
    folded: str | None

    @property
    def is_expired(self) -> bool:
        """Whether only a summary is kept: it stands in an event that came later than what it tells."""
        return self.opened > self.since


class EpisodeProjection:
    """Keeps the views of episodes. With ``limits`` it also refuses what would exceed them; a replay has none."""

    kinds = frozenset(
        {
            kinds.EPISODE_STARTED,
            kinds.EPISODE_RECORDED,
            kinds.STEP_LOGGED,
            kinds.EPISODE_COMPLETED,
            kinds.EPISODE_UPDATED,
            kinds.EPISODE_RELATED,
            kinds.EPISODE_UNRELATED,
            kinds.EPISODE_CHECKPOINTED,
            kinds.EPISODE_RESUMED,
            kinds.REFLECTION_RECORDED,
        }
    )

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits
        self._handlers = {
            kinds.EPISODE_STARTED: self._opened,
            kinds.EPISODE_RECORDED: self._opened,
            kinds.STEP_LOGGED: self._step_logged,
            kinds.EPISODE_COMPLETED: self._completed,
            kinds.EPISODE_UPDATED: self._updated,
            kinds.EPISODE_RELATED: self._related,
            kinds.EPISODE_UNRELATED: self._unrelated,
            kinds.EPISODE_CHECKPOINTED: self._checkpointed,
            kinds.EPISODE_RESUMED: self._resumed,
            kinds.REFLECTION_RECORDED: self._reflected,
        }

    def apply(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        self._handlers[event.kind](transaction, event, payload, size)

    def _opened(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        task, outcome, steps = payload["task"], payload.get("outcome"), payload.get("steps", ())
        if self._limits is not None:
            _check_room(len(steps), size, self._limits)
        ended_at = payload.get("ended_at", event.occurred_at) if outcome else None
        row = EpisodeRow(
            event.mind, event.id, event.position, None, outcome["kind"] if outcome else "open", task["description"],
            task.get("task_type", ""), task.get("domain", ""), task.get("source_id", ""), event.occurred_at, ended_at,
            event.position, event.position, event.position if outcome else None, folded_or_none(task["description"]),
        )  # fmt: skip
        transaction.insert(_episode, (msgspec.structs.astuple(row),))
        tags = task.get("tags", ())
        if tags:
            transaction.insert(_tag, [(event.mind, tag, event.id, event.position, None) for tag in tags])
        if steps:
            transaction.insert(
                _step, [_step_row(event, event.id, number, step, size) for number, step in enumerate(steps, start=1)]
            )

    def _step_logged(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        episode = _subject(event)
        found = transaction.row(_progress, mind=event.mind, id=episode)
        if found is None:
            raise _no_episode(episode)
        if found[0] != "open":
            raise Conflict(
                f"episode {format_id(episode)} is completed; no step can follow. Start a new episode",
                episode=format_id(episode),
            )
        number, total = found[1] or 0, (found[2] or 0) + size
        step = payload["step"]
        if self._limits is not None:
            _check_room(number + 1, total, self._limits)
        transaction.insert(_step, (_step_row(event, episode, number + 1, step, total),))

    def _completed(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        episode, outcome = _subject(event), payload["outcome"]
        row = _require(transaction, event.mind, episode)
        if row.status != "open":
            raise AlreadyCompleted(
                f"episode {format_id(episode)} is already completed as {row.status}", episode=format_id(episode)
            )
        _replace(transaction, event, row, status=outcome["kind"], ended_at=event.occurred_at, outcome_at=event.position)

    def _updated(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        episode, task = _subject(event), payload["task"]
        row = _require(transaction, event.mind, episode)
        _replace(
            transaction,
            event,
            row,
            description=task["description"],
            task_type=task.get("task_type", ""),
            domain=task.get("domain", ""),
            source_id=task.get("source_id", ""),
            task_at=event.position,
            folded=folded_or_none(task["description"]),
        )
        before = {tag for (tag,) in transaction.rows(_current_tags, mind=event.mind, episode=episode)}
        after = set(task.get("tags", ()))
        for tag in sorted(before - after):
            transaction.execute(_end_tag, of=event.mind, which=tag, on=episode, position=event.position)
        added = [(event.mind, tag, episode, event.position, None) for tag in sorted(after - before)]
        if added:
            transaction.insert(_tag, added)

    def _related(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        episode, kind, target = _subject(event), payload["kind"], parse_id(payload["target"])
        _require(transaction, event.mind, episode)
        _require(transaction, event.mind, target)
        if target == episode:
            raise InvalidInput("an episode cannot be related to itself", episode=payload["target"])
        targets = transaction.rows(_current_targets, mind=event.mind, episode=episode, kind=kind)
        if (target,) in [(bytes(found),) for (found,) in targets]:
            raise Conflict("this relation holds already", kind=kind, target=payload["target"])
        if kind in ACYCLIC_RELATIONS and _leads_to(transaction, event.mind, kind, target, episode):
            raise InvalidInput(
                f"{kind} from {format_id(episode)} to {payload['target']} would close a circle", kind=kind
            )
        transaction.insert(_relation, ((event.mind, episode, kind, target, event.position, None),))

    def _unrelated(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        target = parse_id(payload["target"])
        ended = transaction.execute(
            _end_relation,
            of=event.mind,
            on=_subject(event),
            which=payload["kind"],
            toward=target,
            position=event.position,
        )
        if ended == 0:
            raise NotFound("there is no such relation", kind=payload["kind"], target=payload["target"])

    def _checkpointed(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        episode = _subject(event)
        _require(transaction, event.mind, episode)
        transaction.insert(schema.handoff, ((event.mind, episode, event.position, event.id, payload["number"]),))
        transaction.insert(schema.derived_from, ((event.mind, event.id, episode),))

    def _resumed(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        _require(transaction, event.mind, _subject(event))

    def _reflected(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        episode = _subject(event)
        _require(transaction, event.mind, episode)
        transaction.insert(schema.reflection, ((event.mind, episode, event.position, event.id),))
        sources = {episode, *(parse_id(source) for source in payload["sources"])}
        transaction.insert(schema.derived_from, [(event.mind, event.id, source) for source in sorted(sources)])


def current_row(snapshot: Snapshot, mind: bytes, episode: bytes) -> EpisodeRow | None:
    """The current version of an episode, or None."""
    row = snapshot.row(_current, mind=mind, id=episode)
    return None if row is None else EpisodeRow(*row)


def _require(transaction: Transaction, mind: bytes, episode: bytes) -> EpisodeRow:
    row = current_row(transaction, mind, episode)
    if row is None:
        raise _no_episode(episode)
    return row


def _no_episode(episode: bytes) -> NotFound:
    return NotFound(f"there is no episode {format_id(episode)} in this mind", episode=format_id(episode))


def _subject(event: Event) -> bytes:
    if event.causation is None:
        raise InvalidInput(f"a {event.kind} event must name its episode", kind=event.kind)
    return event.causation


def _replace(transaction: Transaction, event: Event, row: EpisodeRow, **changes: Any) -> None:
    """End the current version of an episode's row and begin the next."""
    transaction.execute(_end_version, of=event.mind, which=row.id, position=event.position)
    new = msgspec.structs.replace(row, since=event.position, **changes)
    transaction.insert(_episode, (msgspec.structs.astuple(new),))


def _step_row(event: Event, episode: bytes, number: int, step: dict[str, Any], total: int) -> Row:
    latency = step.get("latency_ms")
    return (
        event.mind, episode, number, event.position, step.get("tool", ""), step.get("status") or "",
        None if latency is None else round(latency * MICROS_PER_MS), total,
    )  # fmt: skip


def _check_room(number: int, total: int, limits: Limits) -> None:
    if number > limits.steps_per_episode:
        raise LimitExceeded(
            f"the episode has {limits.steps_per_episode:,} steps already, the most that limits.steps_per_episode "
            "allows; complete it and go on in a new one that follows it",
            limit=limits.steps_per_episode,
            size=number,
        )
    if total > limits.episode_bytes:
        raise LimitExceeded(
            f"the episode would grow to {total:,} bytes, more than the {limits.episode_bytes:,} of "
            "limits.episode_bytes",
            limit=limits.episode_bytes,
            size=total,
        )


def _leads_to(transaction: Transaction, mind: bytes, kind: str, start: bytes, goal: bytes) -> bool:
    """Whether the relation ``kind`` leads from ``start`` to ``goal`` over any number of links."""
    seen, waiting = {start}, [start]
    while waiting:
        for (found,) in transaction.rows(_current_targets, mind=mind, episode=waiting.pop(), kind=kind):
            target = bytes(found)
            if target == goal:
                return True
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return False
