"""Lets episodes expire: their payloads go, and what was learned from them stays.

The event says, besides the summary (see ``tacit.experience.expiring``), what the episode has contributed to the
statistics (``counts``), its lesson (``trace``), which advice it was begun with (``exposure``), and the mark by which it
would be recognised were it erased (``mark``). What is learned from stays as it is: vectors of tasks, books, fits and
forecasts. For recall there is one wording with the summary instead of those before, which the vectors follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from tacit.errors import NotFound
from tacit.experience.erasing.marks import mark_of_episode
from tacit.experience.expiring import Content, ExpiredEpisode, content_of, position_of, summary_of
from tacit.experience.fold import current_row
from tacit.experience.memory.fold import wordings
from tacit.experience.views import load_episode
from tacit.ids import SystemEntropy, format_id, parse_id
from tacit.journal import canonical
from tacit.journal.append import Appender, Preparer
from tacit.journal.erasing import remove_payloads
from tacit.journal.event import Event
from tacit.journal.expiring import EPISODE_EXPIRED, expiry_id
from tacit.journal.journal import Journal
from tacit.journal.masking import NoMasking
from tacit.journal.minds import MindInfo
from tacit.journal.read import event_at, event_by_id
from tacit.learning.assessment.contribution import contribution
from tacit.learning.assessment.tally import Contribution, replace_contribution
from tacit.learning.lessons.lessons import keep_lesson
from tacit.learning.lessons.trace import Trace, trace_of
from tacit.recall.memory_vectors import forget_memory_vectors
from tacit.stores.port import Snapshot, Transaction

BATCH_EVENTS = 500
"""A batch is full with so many events: it takes a fraction of a second, and everybody else's writes wait for it."""
_EPISODE_EVENTS = 10
"""What an episode takes beside its own, in events: its views, and what was learned."""


class LearnedProjection:
    """Keeps what was learned from an episode that expires, also where a consumer had not come to it before."""

    kinds = frozenset({EPISODE_EXPIRED})

    def apply(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        episode, counts = event.causation, payload["counts"]
        assert episode is not None
        if counts:
            kept = Contribution(episode, event.position, counts, canonical.encode(counts))
            replace_contribution(transaction, event.mind, kept)
        trace = msgspec.convert(payload["trace"], Trace)
        keep_lesson(transaction, event.mind, episode, position_of(transaction, event.mind, payload["as_of"]), trace)


def expire(journal: Journal, mind: MindInfo, due: Iterable[ExpiredEpisode]) -> list[ExpiredEpisode]:
    """Let these episodes expire, batch by batch, each batch whole; those that did, with what went.

    One that was erased meanwhile is passed over; one that changed meanwhile goes as it is now.
    """
    # what was taken in once is within every bound, and without secrets
    preparer = Preparer(journal.clock, SystemEntropy(), NoMasking())
    done: list[ExpiredEpisode] = []
    for batch in _batches(due):

        def job(appender: Appender, batch: Sequence[ExpiredEpisode] = batch) -> list[ExpiredEpisode]:
            appender.hold(mind.id)  # nobody adds to what is found
            found = (_expire_one(appender, preparer, mind, parse_id(one.id), one.why) for one in batch)
            return [each for each in found if each is not None]

        done += journal.submit(job, bounded=False).result()
    return done


def _batches(due: Iterable[ExpiredEpisode]) -> Iterator[list[ExpiredEpisode]]:
    batch: list[ExpiredEpisode] = []
    events = 0
    for one in due:
        batch.append(one)
        events += one.events + _EPISODE_EVENTS
        if events >= BATCH_EVENTS:
            yield batch
            batch, events = [], 0
    if batch:
        yield batch


def _expire_one(
    appender: Appender, preparer: Preparer, mind: MindInfo, episode: bytes, why: str
) -> ExpiredEpisode | None:
    snapshot, id = appender.transaction, expiry_id(mind.secret, episode)
    if (earlier := event_by_id(snapshot, mind.id, id)) is not None:  # the commit before was said to have failed
        told = earlier.payload
        if told is None:
            return None
        return ExpiredEpisode(id=format_id(episode), why=told["why"], events=len(told["events"]), bytes=told["bytes"])
    row = current_row(snapshot, mind.id, episode)
    if row is None or row.status == "open":
        return None
    try:
        content = content_of(snapshot, mind.id, episode)
        payload = _payload(snapshot, mind, episode, content, why)
    except NotFound:
        return None  # a part of it is missing
    before = [row.since for row in wordings(snapshot, mind.id, episode)]
    appender.append(mind.id, preparer.prepare(EPISODE_EXPIRED, payload, id=id, causation=episode))
    forget_memory_vectors(appender.transaction, mind.id, before)
    remove_payloads(appender.transaction, mind.id, content.at)
    return content.told(episode, why)


def _payload(snapshot: Snapshot, mind: MindInfo, episode: bytes, content: Content, why: str) -> dict[str, Any]:
    row, whole = current_row(snapshot, mind.id, episode), load_episode(snapshot, mind.id, episode)
    assert row is not None
    assert row.outcome_at is not None  # it is finished
    opened = event_at(snapshot, mind.id, row.opened)
    assert opened.payload is not None  # or it could not have been loaded
    ended, as_of = event_at(snapshot, mind.id, row.outcome_at), event_at(snapshot, mind.id, row.since)
    given = opened.payload.get("exposure")
    return {
        **summary_of(whole),
        "why": why,
        "ended": format_id(ended.event.id),
        "as_of": format_id(as_of.event.id),
        "events": sorted(format_id(id) for id, _ in content.at.values()),
        "bytes": content.size,
        "mark": mark_of_episode(snapshot, mind, opened, opened.payload).hex(),
        "counts": contribution(whole),
        "trace": msgspec.to_builtins(trace_of(whole)),
        **({} if given is None else {"exposure": given}),
    }
