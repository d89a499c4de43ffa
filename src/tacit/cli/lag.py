"""How far each consumer has come with each mind, read without running any of them."""

from __future__ import annotations

import time

import msgspec
from sqlalchemy import select

from tacit.clock import SystemClock
from tacit.journal.minds import list_minds
from tacit.journal.read import head_position
from tacit.opening import thinkers, view_consumers
from tacit.stores import schema
from tacit.stores.port import Snapshot

_states = select(schema.consumer.c.mind, schema.consumer.c.name, *schema.consumer.c["position", "holder", "expires_at"])


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer of a mind: of how many ``events`` it has yet to see how many, and who runs it at the moment."""

    tenant: str
    mind: str
    consumer: str
    model: str
    """For which model, where there is a choice: for another one it begins with the oldest event. Else empty."""
    events: int
    behind: int
    holder: str
    """``host:process:…`` of the process whose lease has not run out; empty when nobody runs it."""


def read_lag(snapshot: Snapshot) -> list[Lag]:
    """Every consumer of every mind."""
    states = {(bytes(mind), name): rest for mind, name, *rest in snapshot.rows(_states)}
    now = time.time() * 1_000_000
    names = [consumer.kept_as for consumer in (*view_consumers(), *thinkers(SystemClock()))]
    names += sorted({name for _, name in states} - set(names))  # such as vectors, which not every setting makes
    found = []
    for mind in list_minds(snapshot):
        events = head_position(snapshot, mind.id)
        for kept_as in names:
            position, holder, expires_at = states.get((mind.id, kept_as), (0, "", 0))
            consumer, _, model = kept_as.partition(" ")
            found.append(
                Lag(
                    tenant=mind.tenant,
                    mind=mind.name,
                    consumer=consumer,
                    model=model,
                    events=events,
                    behind=events - position,
                    holder=holder if expires_at > now else "",
                )
            )
    return found
