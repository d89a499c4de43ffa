"""What the tests of recall share: minds that remember, and rows of memories made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete

import tacit
from tacit.experience.memory.check import said_from
from tacit.experience.memory.remember import Rememberer, Written
from tacit.journal.append import Appender
from tacit.journal.consumer import Span
from tacit.journal.read import head_position
from tacit.recall.embedder import TextEmbedder
from tacit.recall.memory_vectors import MemoryVectors
from tacit.stores import schema
from tacit.stores.port import Snapshot


def remember(mind: tacit.Mind, *texts: str, **fields: Any) -> list[Written]:
    """Remember texts that have all other fields in common."""
    return Rememberer(mind.recorder).remember_many([said_from({"text": text, **fields}) for text in texts])


def embed_some(mind: tacit.Mind, model: TextEmbedder, position: int, most: int) -> int:
    """Make the vectors of up to so many memories after a position, as whoever has the lease does; how far it came."""
    consumer, id, row = MemoryVectors(model), mind.recorder.mind.id, schema.consumer
    with mind.recorder.journal.store.snapshot() as snapshot:
        taken = consumer.take(snapshot, id, Span(position, head_position(snapshot, id), most, True, False))
    assert taken is not None
    effects = taken.think() if taken.think else None

    def apply(appender: Appender) -> None:
        if effects is not None:
            consumer.apply(appender, id, effects)
        transaction = appender.transaction
        transaction.execute(delete(row).where(row.c.mind == id, row.c.name == consumer.kept_as))
        transaction.insert(row, ((id, consumer.kept_as, taken.position, 1, "", 0),))

    mind.recorder.journal.writer.run(apply)
    return taken.position


def numbers(snapshot: Snapshot, mind: bytes) -> dict[str, int]:
    """The number of the newest wording of each text that a mind remembers."""
    rows = snapshot.rows(schema.memory.select().order_by(schema.memory.c.since))
    return {row[5]: row[1] for row in rows if bytes(row[0]) == mind}


def texts_of(snapshot: Snapshot, found: Iterable[int]) -> list[str]:
    """What the memories of some numbers say, in their order."""
    texts = {row[1]: row[5] for row in snapshot.rows(schema.memory.select())}
    return [texts[number] for number in found]
