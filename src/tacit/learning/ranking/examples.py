"""What the ranker of tools learns from, read from a store: tasks of finished episodes, and what these used."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import and_, bindparam, func, or_, select

from tacit.ids import format_id
from tacit.learning.lessons.lessons import lessons_between
from tacit.learning.lessons.vectors import read_vectors
from tacit.learning.ranking.ranker import MOST_EXAMPLES, Example
from tacit.learning.ranking.sketch import LONGEST_TEXT
from tacit.stores import schema
from tacit.stores.port import Snapshot

_PAGE = 500
_lesson, _episode = schema.lesson, schema.episode
_tasks = (
    select(_lesson.c.since, func.substr(_episode.c.description, 1, LONGEST_TEXT))
    .select_from(
        _lesson.join(
            _episode,
            and_(
                _episode.c.mind == _lesson.c.mind,
                _episode.c.id == _lesson.c.episode,
                _episode.c.since <= _lesson.c.since,
                or_(_episode.c.until.is_(None), _episode.c.until > _lesson.c.since),
            ),
        )
    )
    .where(
        _lesson.c.mind == bindparam("mind"),
        _lesson.c.since > bindparam("after"),
        _lesson.c.since <= bindparam("position"),
    )
    .order_by(_lesson.c.since)
    .limit(bindparam("most"))
)


def read_examples(snapshot: Snapshot, mind: bytes, after: int, position: int, model: str = "") -> list[Example]:
    """Examples of the episodes whose lessons began after one position and stood at another, oldest first.

    Args:
        model: the fingerprint of the embedder whose vectors are read, as far as they are there; empty for none.
    """
    vectors = {}
    if model:
        owners, _, whole = read_vectors(snapshot, mind, model, after=after, position=position, most=MOST_EXAMPLES)
        vectors = {format_id(owner): vector for owner, vector in zip(owners, whole, strict=True)}
    texts = dict(_texts(snapshot, mind, after, position))
    return [
        Example(
            texts[lesson.since],
            tuple(dict.fromkeys(call.tool for call in lesson.trace.calls)),
            lesson.trace.success,
            vectors.get(lesson.episode),
        )
        for lesson in lessons_between(snapshot, mind, after, position)
        if lesson.since in texts
    ]


def _texts(snapshot: Snapshot, mind: bytes, after: int, position: int) -> Iterator[tuple[int, str]]:
    while rows := snapshot.rows(_tasks, mind=mind, after=after, position=position, most=_PAGE):
        yield from ((int(since), str(text)) for since, text in rows)
        after = int(rows[-1][0])
