"""Reading episodes back from their views, as they are now or as they were at an earlier position of the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import msgspec
from sqlalchemy import Select, and_, bindparam, exists, func, or_, select

from tacit.clock import from_micros
from tacit.errors import Expired, InvalidInput, NotFound
from tacit.experience.episode import Data, Episode, EpisodeStatus, Outcome, Relation, Step, Task
from tacit.experience.fold import EpisodeRow
from tacit.ids import format_id, parse_id
from tacit.journal import canonical
from tacit.journal.event import Recorded
from tacit.journal.expiring import expiry_of
from tacit.journal.read import event_at
from tacit.stores import schema
from tacit.stores.folding import folded
from tacit.stores.port import Snapshot

_episode, _step, _tag, _relation = schema.episode, schema.step, schema.tag, schema.relation
NOW = 2**62
"""A position that no journal reaches: reading as of it is reading the present."""

_versions = select(*_episode.c).where(
    _episode.c.mind == bindparam("mind"),
    _episode.c.id == bindparam("id"),
    _episode.c.since <= bindparam("position"),
    or_(_episode.c.until.is_(None), _episode.c.until > bindparam("position")),
)
_live_steps = (
    select(_step.c.number, schema.event.c.id, schema.event.c.occurred_at, schema.payload.c.body)
    .select_from(
        _step.join(
            schema.event, and_(schema.event.c.mind == _step.c.mind, schema.event.c.position == _step.c.position)
        ).outerjoin(
            schema.payload, and_(schema.payload.c.mind == _step.c.mind, schema.payload.c.position == _step.c.position)
        )
    )
    .where(
        _step.c.mind == bindparam("mind"),
        _step.c.episode == bindparam("episode"),
        _step.c.position > bindparam("after"),
        _step.c.position <= bindparam("position"),
    )
    .order_by(_step.c.number)
)
_relations = (
    select(_relation.c.kind, _relation.c.target)
    .where(
        _relation.c.mind == bindparam("mind"),
        _relation.c.episode == bindparam("episode"),
        _relation.c.since <= bindparam("position"),
        or_(_relation.c.until.is_(None), _relation.c.until > bindparam("position")),
    )
    .order_by(_relation.c.since)
)
_searched = func.coalesce(_episode.c.folded, _episode.c.description)
"""Descriptions that are ASCII are not kept folded: every database ignores the case of ASCII letters itself."""

_steps_of = (
    select(func.max(_step.c.number))
    .where(_step.c.mind == _episode.c.mind, _step.c.episode == _episode.c.id, _step.c.position <= bindparam("position"))
    .correlate(_episode)
    .scalar_subquery()
)


class EpisodeSummary(Data, frozen=True):
    """One line of a list of episodes. Times are µs since 1970 UTC."""

    id: str
    status: EpisodeStatus
    description: str
    started_at: int
    ended_at: int | None = None
    task_type: str = ""
    domain: str = ""
    steps: int = 0
    expired: bool = False
    """Whether it is kept no longer, but for this and what was learned from it."""


class EpisodeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which episodes to list; empty fields do not narrow. All given ones must hold."""

    text: str = ""
    """Words that must all stand in the description, in small or capital letters."""
    status: str = ""
    task_type: str = ""
    domain: str = ""
    tag: str = ""
    tool: str = ""
    started_after: int | None = None
    started_before: int | None = None


MOST_WORDS = 50
"""Words that one search may hold: every one of them is looked for in every description."""

LONGEST_WORD_BYTES = 20_000
"""SQLite takes patterns up to 50,000 bytes, in which each byte may need an escape."""


def check_filter(wanted: EpisodeFilter) -> None:
    """Refuse conditions that no episode could meet, or no database take.

    Raises:
        InvalidInput: a text that is none, holds U+0000 or half of a surrogate pair; a status that no episode has; too
            many words, or too long ones.
    """
    for field in ("text", "status", "task_type", "domain", "tag", "tool"):
        value = getattr(wanted, field)
        if not isinstance(value, str):
            raise InvalidInput(f"{field} must be a text, not {type(value).__name__}", field=field)
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidInput(f"{field} holds a character that no stored text has", field=field)
    if wanted.status and wanted.status not in get_args(EpisodeStatus):
        known = ", ".join(get_args(EpisodeStatus))
        raise InvalidInput(f"{wanted.status!r} is no status of an episode; use one of {known}", field="status")
    words = _words(wanted.text)
    if len(words) > MOST_WORDS:
        raise InvalidInput(
            f"{len(words):,} words are more than the {MOST_WORDS} of one search; give fewer", field="text"
        )
    longest = max((len(word.encode()) for word in words), default=0)
    if longest > LONGEST_WORD_BYTES:
        raise InvalidInput(
            f"a word of {longest:,} bytes is longer than the {LONGEST_WORD_BYTES:,} of one search; shorten it",
            field="text",
        )


def find_row(snapshot: Snapshot, mind: bytes, id: bytes, position: int = NOW) -> EpisodeRow:
    """The row of an episode as of a position.

    Raises:
        NotFound: it did not exist then, or never.
    """
    row = snapshot.row(_versions, mind=mind, id=id, position=position)
    if row is None:
        raise NotFound(f"there is no episode {format_id(id)} in this mind", episode=format_id(id))
    return EpisodeRow(*row)


def load_episode(snapshot: Snapshot, mind: bytes, id: bytes, position: int = NOW) -> Episode:
    """An episode with all its steps, as of a position.

    Raises:
        NotFound: it did not exist then, or its content was erased.
        Expired: its content is kept no longer.
    """
    row = _row_at(snapshot, mind, id, position)
    opened = _payload(event_at(snapshot, mind, row.opened))
    at = {row.opened: opened}
    task = _event_payload(snapshot, mind, row.task_at, at)["task"]
    outcome_at = row.outcome_at
    outcome = None if outcome_at is None else _event_payload(snapshot, mind, outcome_at, at)["outcome"]
    first_steps = opened.get("steps", ())
    live = snapshot.rows(_live_steps, mind=mind, episode=id, after=row.opened, position=position)
    steps = [msgspec.convert(step, Step) for step in first_steps]
    steps += [_live_step(occurred_at, body) for _, _, occurred_at, body in live]
    return Episode(
        id=format_id(id),
        mind=format_id(mind),
        task=msgspec.convert(task, Task),
        status=row.status,
        steps=tuple(steps),
        outcome=None if outcome is None else msgspec.convert(outcome, Outcome),
        relations=tuple(load_relations(snapshot, mind, id, position)),
        step_events=(*(format_id(id) for _ in first_steps), *(format_id(bytes(event)) for _, event, _, _ in live)),
        started_at_micros=row.started_at,
        ended_at_micros=row.ended_at,
    )


def _row_at(snapshot: Snapshot, mind: bytes, id: bytes, position: int) -> EpisodeRow:
    """The row of an episode that is kept whole."""
    try:
        row = find_row(snapshot, mind, id, position)
    except NotFound:
        if position < NOW and (expiry := expiry_of(snapshot, mind, id)) is not None:
            raise expired(expiry) from None  # of the time before it ended nothing stayed
        raise
    if row.is_expired:
        raise expired(event_at(snapshot, mind, row.opened))
    return row


def expired(expiry: Recorded) -> Expired:
    """The error for an episode that expired by this event."""
    payload, at = expiry.payload or {}, expiry.event.recorded_at
    assert expiry.event.causation is not None
    id, outcome = format_id(expiry.event.causation), payload["outcome"]["kind"]
    return Expired(
        f"episode {id} expired at {from_micros(at):%Y-%m-%d %H:%M:%S} UTC (settings 'retention', by {payload['why']}): "
        f"a {outcome} of {len(payload['tools']):,} steps, of which only what was learned from them is kept",
        episode=id,
        expired_at=at,
        why=payload["why"],
        description=payload["task"]["description"],
        outcome=outcome,
        tools=payload["tools"],
    )


def load_task(snapshot: Snapshot, mind: bytes, id: bytes) -> Task:
    """The task of an episode as it is now. Raises NotFound when there is no such episode, or it was erased."""
    row = find_row(snapshot, mind, id, NOW)
    task = _event_payload(snapshot, mind, row.task_at, {})["task"]
    return msgspec.convert(task, Task)


def load_relations(snapshot: Snapshot, mind: bytes, id: bytes, position: int = NOW) -> list[Relation]:
    """The relations that an episode has to others, oldest first."""
    rows = snapshot.rows(_relations, mind=mind, episode=id, position=position)
    return [Relation(kind=kind, episode=format_id(id), target=format_id(bytes(target))) for kind, target in rows]


def list_episodes(
    snapshot: Snapshot, mind: bytes, wanted: EpisodeFilter, *, limit: int, after: str = "", position: int = NOW
) -> list[EpisodeSummary]:
    """Episodes that match, newest first.

    Args:
        limit: how many at most.
        after: the id of the last episode of the page before; empty for the first page.
        position: read as of this position.
    """
    statement = _listing(wanted, present=position == NOW).limit(limit)
    values: dict[str, Any] = {"mind": mind, "position": position}
    if after:
        last = find_row(snapshot, mind, parse_id(after), position)
        started_at, id = _episode.c.started_at, _episode.c.id
        statement = statement.where(
            or_(
                started_at < bindparam("last_start"),
                and_(started_at == bindparam("last_start"), id < bindparam("last_id")),
            )
        )
        values |= {"last_start": last.started_at, "last_id": parse_id(after)}
    return [_summary(row) for row in snapshot.rows(statement, **values)]


def _listing(wanted: EpisodeFilter, *, present: bool) -> Select[Any]:
    episode = _episode.c
    when = (
        episode.until.is_(None)
        if present
        else and_(
            episode.since <= bindparam("position"), or_(episode.until.is_(None), episode.until > bindparam("position"))
        )
    )
    statement = select(
        episode.id, episode.status, episode.description, episode.task_type, episode.domain, episode.started_at,
        episode.ended_at, _steps_of, episode.opened > episode.since,
    ).where(episode.mind == bindparam("mind"), when)  # fmt: skip
    for column, value in (
        (episode.status, wanted.status),
        (episode.task_type, wanted.task_type),
        (episode.domain, wanted.domain),
    ):
        if value:
            statement = statement.where(column == value)
    for word in _words(wanted.text):
        statement = statement.where(_searched.icontains(word, autoescape=True))
    if wanted.tag:
        statement = statement.where(_has_tag(wanted.tag))
    if wanted.tool:
        statement = statement.where(_uses_tool(wanted.tool))
    if wanted.started_after is not None:
        statement = statement.where(episode.started_at >= wanted.started_after)
    if wanted.started_before is not None:
        statement = statement.where(episode.started_at < wanted.started_before)
    return statement.order_by(episode.started_at.desc(), episode.id.desc())


def _words(text: str) -> list[str]:
    return folded(text).split()


def _has_tag(tag: str) -> Any:
    return exists().where(
        _tag.c.mind == _episode.c.mind,
        _tag.c.tag == tag,
        _tag.c.episode == _episode.c.id,
        _tag.c.since <= bindparam("position"),
        or_(_tag.c.until.is_(None), _tag.c.until > bindparam("position")),
    )


def _uses_tool(tool: str) -> Any:
    return exists().where(
        _step.c.mind == _episode.c.mind,
        _step.c.episode == _episode.c.id,
        _step.c.tool == tool,
        _step.c.position <= bindparam("position"),
    )


def _summary(row: Sequence[Any]) -> EpisodeSummary:
    id, status, description, task_type, domain, started_at, ended_at, steps, is_expired = row
    return EpisodeSummary(
        id=format_id(bytes(id)),
        status=status,
        description=description,
        task_type=task_type,
        domain=domain,
        started_at=started_at,
        ended_at=ended_at,
        steps=steps or 0,
        expired=bool(is_expired),
    )


def _event_payload(snapshot: Snapshot, mind: bytes, position: int, known: dict[int, dict[str, Any]]) -> dict[str, Any]:
    return known[position] if position in known else _payload(event_at(snapshot, mind, position))


def _payload(recorded: Recorded) -> dict[str, Any]:
    if recorded.payload is None:
        raise NotFound("this episode was erased", event=format_id(recorded.event.id))
    return recorded.payload


def _live_step(occurred_at: int, body: Any) -> Step:
    if body is None:
        raise NotFound("a step of this episode was erased")
    step = msgspec.convert(canonical.decode(bytes(body))["step"], Step)
    return step if step.occurred_at is not None else msgspec.structs.replace(step, occurred_at=occurred_at)
