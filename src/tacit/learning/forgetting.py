"""What learning keeps of episodes, and how it forgets them: counts, lessons, vectors, forecasts, exposures, and what
was learned from them.

Books and fits are made of all episodes up to a position, so every one that may know of an erased episode goes; study
begins anew with the lessons that are left. What is in memory (shelves, models, counts) is dropped by whoever holds it
as soon as it sees a newer erasure than it knows: ``journal.erasing.last_erasure``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sqlalchemy import bindparam, func, select

from tacit.experience import kinds
from tacit.ids import format_id, keyed_id
from tacit.journal import canonical
from tacit.journal.forgetting import Doomed, Fresh, Rows
from tacit.journal.minds import MindInfo
from tacit.learning.advising.book import forget_books
from tacit.learning.assessment.tally import subtract
from tacit.learning.lessons.lessons import forget_lessons
from tacit.learning.lessons.vectors import forget_vectors, models_of
from tacit.learning.studying.fits import forget_fits
from tacit.learning.studying.forecasts import forget_forecast
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

_exposure, _payload = schema.exposure, schema.payload
_begun_by = select(_exposure.c.id).where(
    _exposure.c.mind == bindparam("mind"), _exposure.c.episode == bindparam("episode")
)
_unattached = (
    select(_exposure.c.id, _payload.c.body)
    .select_from(
        _exposure.join(_payload, (_payload.c.mind == _exposure.c.mind) & (_payload.c.position == _exposure.c.position))
    )
    .where(_exposure.c.mind == bindparam("mind"), _exposure.c.id > bindparam("after"), _exposure.c.episode.is_(None))
    .order_by(_exposure.c.id)
    .limit(bindparam("most"))
)
_body_of = (
    select(_payload.c.body)
    .select_from(
        _exposure.join(_payload, (_payload.c.mind == _exposure.c.mind) & (_payload.c.position == _exposure.c.position))
    )
    .where(_exposure.c.mind == bindparam("mind"), _exposure.c.id == bindparam("id"))
)
_descriptions = select(schema.episode.c.description).where(
    schema.episode.c.mind == bindparam("mind"), schema.episode.c.id == bindparam("episode")
)
_PAGE = 500
_LEARNED = frozenset({kinds.EPISODE_COMPLETED, kinds.EPISODE_RECORDED, kinds.EPISODE_UPDATED})
"""Events from which something may have been learned."""
_OF_EPISODES = (
    (Rows(schema.contribution, "episode"), subtract),
    (Rows(schema.lesson, "episode"), forget_lessons),
    (Rows(schema.forecast, "episode"), forget_forecast),
)
_OF_ALL = ((schema.book, forget_books), (schema.fit, forget_fits))
_counts_from = {
    table: select(func.count())
    .select_from(table)
    .where(table.c.mind == bindparam("mind"), table.c.position >= bindparam("first"))
    for table, _ in _OF_ALL
}
_vectors = Rows(schema.vector, "model", "owner")
_exposures = Rows(_exposure, "id")
_draws = Rows(schema.draw, "item", "exposure")
_demotions = Rows(schema.demotion, "position")


class LearningKeeper:
    """All that learning keeps."""

    def follow(self, snapshot: Snapshot, mind: MindInfo, fresh: Fresh, doomed: Doomed) -> None:
        """Advice that an episode was begun with, or that was asked for the very same task and taken by none."""
        told: set[str] = set()
        for episode in fresh.episodes:
            for (id,) in snapshot.rows(_begun_by, mind=mind.id, episode=episode):
                doomed.exposure(bytes(id))
            told.update(row[0] for row in snapshot.rows(_descriptions, mind=mind.id, episode=episode))
        for id in _asked_for(snapshot, mind.id, told) if told else ():
            doomed.exposure(id)
        for id in fresh.events:
            if doomed.events[id].kind == kinds.ADVICE_GIVEN:
                doomed.exposure(id)
        for id in fresh.exposures:
            judged = keyed_id(mind.secret, "judged", format_id(id))
            doomed.add_ids(snapshot, mind.id, (id, judged))

    def count(self, snapshot: Snapshot, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        found: Counter[str] = Counter()
        for rows, _ in _OF_EPISODES:
            found[rows.table] = rows.count(snapshot, mind.id, [(id,) for id in doomed.episodes])
        models = models_of(snapshot, mind.id)
        found[_vectors.table] = _vectors.count(
            snapshot, mind.id, [(model, id) for model in models for id in doomed.episodes]
        )
        first = _first(doomed)
        for table, _ in _OF_ALL if first is not None else ():
            row = snapshot.row(_counts_from[table], mind=mind.id, first=first)
            found[str(table.name)] = int(row[0]) if row else 0
        for rows, keys in _keys(snapshot, mind.id, doomed):
            found[rows.table] = rows.count(snapshot, mind.id, keys)
        return found

    def forget(self, transaction: Transaction, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        gone: Counter[str] = Counter()
        for rows, forget in _OF_EPISODES:
            gone[rows.table] = sum(int(forget(transaction, mind.id, id)) for id in sorted(doomed.episodes))
        gone[_vectors.table] = sum(forget_vectors(transaction, mind.id, id) for id in sorted(doomed.episodes))
        first = _first(doomed)
        for table, forget_from in _OF_ALL if first is not None else ():
            assert first is not None
            gone[str(table.name)] = forget_from(transaction, mind.id, first)
        for rows, keys in _keys(transaction, mind.id, doomed):
            gone[rows.table] = rows.forget(transaction, mind.id, keys)
        return gone


def _first(doomed: Doomed) -> int | None:
    """The first event from which anything may have been learned that is to be erased."""
    return min((place.position for place in doomed.of_kinds(_LEARNED)), default=None)


def _keys(snapshot: Snapshot, mind: bytes, doomed: Doomed) -> Iterator[tuple[Rows, Sequence[Sequence[object]]]]:
    """The rows of exposures, their lots, and demotions."""
    exposures = sorted(doomed.exposures)
    yield _draws, [(item, id) for id in exposures for item in _items_of(snapshot, mind, id)]
    yield _exposures, [(id,) for id in exposures]
    yield _demotions, [(place.position,) for place in doomed.of_kinds(frozenset({kinds.ADVICE_DEMOTED}))]


def _items_of(snapshot: Snapshot, mind: bytes, exposure: bytes) -> list[str]:
    """The pieces of advice for which lots were drawn."""
    row = snapshot.row(_body_of, mind=mind, id=exposure)
    return [] if row is None else [item for item, _, _ in canonical.decode(bytes(row[0]))["items"]]


def _asked_for(snapshot: Snapshot, mind: bytes, descriptions: set[str]) -> Iterator[bytes]:
    """Advice for tasks of these words that no episode was begun with."""
    after = b""
    while rows := snapshot.rows(_unattached, mind=mind, after=after, most=_PAGE):
        for id, body in rows:
            if canonical.decode(bytes(body))["task"]["description"] in descriptions:
                yield bytes(id)
        after = bytes(rows[-1][0])
