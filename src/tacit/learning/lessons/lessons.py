"""Lessons: what learning sees of each finished episode, kept so that no episode has to be read twice.

A lesson is a cache, a pure function of its episode as of one event: its end, or a change of its task after that. It
holds from ``since`` until the next one, so the past can be read too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import bindparam, delete, func, or_, select, update

from tacit.errors import NotFound
from tacit.experience import kinds
from tacit.experience.recent import RecentEpisodes
from tacit.ids import format_id
from tacit.journal.append import Appender
from tacit.journal.consumer import EventConsumer
from tacit.journal.event import Event
from tacit.journal.read import still_there
from tacit.learning.lessons.trace import Trace, trace_of
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

_PAGE = 500
"""Lessons read at once."""
_lesson = schema.lesson
_CURRENT = _lesson.c.until.is_(None)
_end = (
    update(_lesson)
    .where(  # coalesce, or SQLite looks through all current lessons instead of those of the episode
        _lesson.c.mind == bindparam("of"),
        _lesson.c.episode == bindparam("which"),
        func.coalesce(_lesson.c.until, 0) == 0,
    )
    .values(until=bindparam("position"))
)
_stands = select(_lesson.c.since).where(
    _lesson.c.mind == bindparam("mind"),
    _lesson.c.episode == bindparam("episode"),
    func.coalesce(_lesson.c.until, 0) == 0,
)
_forget = delete(_lesson).where(_lesson.c.mind == bindparam("of"), _lesson.c.episode == bindparam("which"))
_began = (
    select(_lesson.c.episode, _lesson.c.since, _lesson.c.body)
    .where(
        _lesson.c.mind == bindparam("mind"),
        _lesson.c.since > bindparam("after"),
        _lesson.c.since <= bindparam("position"),
        or_(_CURRENT, _lesson.c.until > bindparam("position")),
    )
    .order_by(_lesson.c.since)
    .limit(bindparam("most"))
)
_heads = (
    select(_lesson.c.episode, _lesson.c.since)
    .where(
        _lesson.c.mind == bindparam("mind"),
        _lesson.c.since > bindparam("after"),
        _lesson.c.since <= bindparam("position"),
        or_(_CURRENT, _lesson.c.until > bindparam("position")),
    )
    .order_by(_lesson.c.since.desc())
    .limit(bindparam("most"))
)
_ended = (
    select(_lesson.c.episode, _lesson.c.since, _lesson.c.body)
    .where(
        _lesson.c.mind == bindparam("mind"),
        _lesson.c.until > bindparam("after"),
        _lesson.c.until <= bindparam("position"),
        _lesson.c.since <= bindparam("after"),
    )
    .order_by(_lesson.c.until)
)
_current = (
    select(func.count())
    .select_from(_lesson)
    .where(
        _lesson.c.mind == bindparam("mind"),
        _CURRENT,
        _lesson.c.since > bindparam("after"),
        _lesson.c.since <= bindparam("position"),
    )
)
_replaced_since = (
    select(func.count())
    .select_from(_lesson)
    .where(
        _lesson.c.mind == bindparam("mind"),
        _lesson.c.until > bindparam("position"),
        _lesson.c.since > bindparam("after"),
        _lesson.c.since <= bindparam("position"),
    )
)
_last_began = select(func.max(_lesson.c.since)).where(_lesson.c.mind == bindparam("mind"))
_last_ended = select(func.max(_lesson.c.until)).where(_lesson.c.mind == bindparam("mind"))
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Trace).decode


class Lesson(msgspec.Struct, frozen=True):
    """One episode's trace as of the event at ``since``."""

    episode: str
    since: int
    trace: Trace


class Lessons(EventConsumer):
    """Keeps the table ``lesson``. An episode whose content was erased before it came to it teaches nothing."""

    name = "lessons"
    kinds = frozenset({kinds.EPISODE_COMPLETED, kinds.EPISODE_RECORDED, kinds.EPISODE_UPDATED})

    def __init__(self, episodes: RecentEpisodes | None = None) -> None:
        self._episodes = episodes or RecentEpisodes()

    def prepare(self, snapshot: Snapshot, mind: bytes, events: Sequence[Event]) -> list[tuple[bytes, int, bytes]]:
        """A row for each of these events: episode, position, body."""
        found = []
        for event in events:
            episode = event.id if event.kind == kinds.EPISODE_RECORDED else event.causation
            if episode is None:
                continue
            try:
                trace = trace_of(self._episodes.load(snapshot, mind, episode, event.position))
            except NotFound:
                continue
            if trace is not None:
                found.append((episode, event.position, _encode(trace)))
        return found

    def apply(self, appender: Appender, mind: bytes, effects: Sequence[tuple[bytes, int, bytes]]) -> None:
        """End the lessons that these replace, and write them."""
        if not effects:
            return
        transaction = appender.transaction
        # an episode may have been erased after prepare() had read it; then its lesson must not come back
        there = still_there(transaction, mind, effects[0][1], effects[-1][1])
        for episode, position, body in (each for each in effects if each[1] in there):
            transaction.execute(_end, of=mind, which=episode, position=position)
            transaction.insert(_lesson, ((mind, episode, position, None, body),))


def forget_lessons(transaction: Transaction, mind: bytes, episode: bytes) -> int:
    """Remove all that was kept of an episode; how many rows there were. Erasing calls this in its transaction."""
    return transaction.execute(_forget, of=mind, which=episode)


def keep_lesson(transaction: Transaction, mind: bytes, episode: bytes, since: int, trace: Trace) -> None:
    """Keep the lesson of an episode that expires, unless it is there already. It holds from its event on, as ever."""
    if transaction.row(_stands, mind=mind, episode=episode) is None:
        transaction.insert(_lesson, ((mind, episode, since, None, _encode(trace)),))


def newest_heads(
    snapshot: Snapshot, mind: bytes, position: int, most: int, *, after: int = 0
) -> list[tuple[bytes, int]]:
    """Up to ``most`` of the newest lessons at a position, oldest first: of which episode, and since when."""
    rows = snapshot.rows(_heads, mind=mind, after=after, position=position, most=most)
    return [(bytes(row[0]), int(row[1])) for row in reversed(rows)]


def lessons_between(snapshot: Snapshot, mind: bytes, after: int, position: int) -> Iterator[Lesson]:
    """Lessons that began after one position and stood at another, oldest first; read page by page."""
    while rows := snapshot.rows(_began, mind=mind, after=after, position=position, most=_PAGE):
        yield from map(_read, rows)
        after = int(rows[-1][1])


def lessons_ended(snapshot: Snapshot, mind: bytes, after: int, position: int) -> Iterator[Lesson]:
    """Lessons that stood at one position and were replaced by another."""
    return (_read(row) for row in snapshot.rows(_ended, mind=mind, after=after, position=position))


def count_lessons(snapshot: Snapshot, mind: bytes, position: int, *, after: int = 0) -> int:
    """How many lessons stood at a position, of those that began after another."""
    rows = (snapshot.row(one, mind=mind, after=after, position=position) for one in (_current, _replaced_since))
    return sum(int(row[0]) for row in rows if row)


def last_change(snapshot: Snapshot, mind: bytes) -> int:
    """The position of the last event that began or ended a lesson; 0 when none did."""
    rows = (snapshot.row(one, mind=mind) for one in (_last_began, _last_ended))
    return max((int(row[0] or 0) for row in rows if row), default=0)


def _read(row: Sequence[object]) -> Lesson:
    episode, since, body = row
    return Lesson(format_id(bytes(episode)), int(since), _decode(bytes(body)))  # type: ignore[call-overload]
