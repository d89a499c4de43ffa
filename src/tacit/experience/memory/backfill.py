"""Brings the finished episodes of a store in which recall did not find them yet into the view of memories.

That is done once, when such a store is opened for writing; a counter of the store says that it is done. Each mind is
one transaction, so after a kill the rest is done with the next opening.
"""

from __future__ import annotations

import logging
from functools import partial

from sqlalchemy import bindparam, select, update

from tacit.experience.memory.episodes import EpisodeMemoryProjection
from tacit.experience.memory.memory import EPISODE
from tacit.journal.append import Appender
from tacit.journal.counters import read_counters
from tacit.journal.journal import Journal
from tacit.journal.minds import list_minds
from tacit.journal.read import event_at, events_after
from tacit.stores import schema

DONE = "episodes in recall"
"""The counter that says so."""
_BATCH = 1_000
_log = logging.getLogger("tacit.experience.memory.backfill")
_memory, _consumer = schema.memory, schema.consumer
_any_wording = select(_memory.c.since).where(_memory.c.mind == bindparam("mind"), _memory.c.kind == EPISODE).limit(1)
_embed_again = (
    update(_consumer)
    .where(
        _consumer.c.mind == bindparam("of"),
        _consumer.c.name.startswith("memory-vectors ", autoescape=True),
        _consumer.c.position > bindparam("before"),
    )
    .values(position=bindparam("before"))
)


def bring_episodes(journal: Journal) -> int:
    """Bring in what is missing; how many minds had something. Nothing is done in a store that can only be read."""
    store = journal.store
    if store.read_only:
        return 0
    with store.snapshot() as snapshot:
        if DONE in read_counters(snapshot):
            return 0
        minds = [info.id for info in list_minds(snapshot)]
    found = sum(journal.submit(partial(_bring, mind), bounded=False).result() for mind in minds)
    if found:
        _log.info("finished episodes are found by recall from now on", extra={"minds": found})
    journal.submit(_note_done, bounded=False).result()
    return found


def _bring(mind: bytes, appender: Appender) -> bool:
    """Fold the events of a mind's episodes into the view of memories, unless that holds some already."""
    transaction = appender.transaction
    appender.hold(mind)
    if transaction.row(_any_wording, mind=mind) is not None:
        return False
    projection, after, first = EpisodeMemoryProjection(), 0, 0
    while events := events_after(transaction, mind, after, _BATCH, projection.kinds):
        for event in events:
            payload = event_at(transaction, mind, event.position).payload
            if payload is not None:  # else it was erased
                projection.apply(transaction, event, payload, 0)
                first = first or event.position
        after = events[-1].position
    if not first or transaction.row(_any_wording, mind=mind) is None:
        return False
    transaction.execute(_embed_again, of=mind, before=first - 1)
    return True


def _note_done(appender: Appender) -> None:
    transaction = appender.transaction
    transaction.row(schema.whole_store)
    if DONE not in read_counters(transaction):
        transaction.insert(schema.counter, ((DONE, 1),))
