"""What the tests of recall share: minds that remember, and rows of memories made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tacit
from tacit.experience.memory.check import said_from
from tacit.experience.memory.remember import Rememberer, Written
from tacit.stores import schema
from tacit.stores.port import Snapshot


def remember(mind: tacit.Mind, *texts: str, **fields: Any) -> list[Written]:
    """Remember texts that have all other fields in common."""
    return Rememberer(mind.recorder).remember_many([said_from({"text": text, **fields}) for text in texts])


def numbers(snapshot: Snapshot, mind: bytes) -> dict[str, int]:
    """The number of the newest wording of each text that a mind remembers."""
    rows = snapshot.rows(schema.memory.select().order_by(schema.memory.c.since))
    return {row[5]: row[1] for row in rows if bytes(row[0]) == mind}


def texts_of(snapshot: Snapshot, found: Iterable[int]) -> list[str]:
    """What the memories of some numbers say, in their order."""
    texts = {row[1]: row[5] for row in snapshot.rows(schema.memory.select())}
    return [texts[number] for number in found]
