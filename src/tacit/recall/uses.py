"""How often each memory was found: counted in the process, and written to the store now and then.

Operational: it decides what may be forgotten, and is itself no experience. A crash loses the uses of some seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from tacit.journal.append import Appender
from tacit.journal.journal import Journal
from tacit.stores import schema
from tacit.stores.port import Snapshot

WRITE_EVERY_SECONDS = 10.0
_MOST_PENDING = 100_000
"""Beyond so many memories whose uses wait to be written, further ones are not counted until they are."""

_use = schema.memory_use
_add = (
    update(_use)
    .where(_use.c.mind == bindparam("of"), _use.c.id == bindparam("which"))
    .values(uses=_use.c.uses + bindparam("more"), last_at=bindparam("at"))
)
_is_there = (
    select(schema.memory.c.since)
    .where(schema.memory.c.mind == bindparam("mind"), schema.memory.c.id == bindparam("id"))
    .limit(1)
)
_all = select(_use.c.id, _use.c.uses, _use.c.last_at).where(_use.c.mind == bindparam("mind"))


class Use(NamedTuple):
    """How often a memory was found, and when last; µs since 1970 UTC."""

    uses: int
    last_at: int


class Uses:
    """What was found by this process and is not written yet. Safe to use from many threads."""

    def __init__(self) -> None:
        self._pending: dict[tuple[bytes, bytes], Use] = {}
        self._lock = threading.RLock()  # guards _pending
        self._written_at = time.monotonic()

    def note(self, mind: bytes, ids: Sequence[bytes], now: int) -> None:
        """These memories were among the hits of a recall."""
        with self._lock:
            for id in ids:
                before = self._pending.get((mind, id))
                if before is not None or len(self._pending) < _MOST_PENDING:
                    self._pending[mind, id] = Use((before.uses if before else 0) + 1, now)

    def write_due(self, journal: Journal) -> None:
        """Write what waits, unless that was done a moment ago. A chore of the store's."""
        if self._pending and time.monotonic() - self._written_at >= WRITE_EVERY_SECONDS:
            self.write(journal)

    def write(self, journal: Journal) -> None:
        """Write what waits."""
        self._written_at = time.monotonic()
        with self._lock:
            pending, self._pending = self._pending, {}
        if pending:
            journal.run(lambda appender: _write(appender, pending))


def _write(appender: Appender, pending: dict[tuple[bytes, bytes], Use]) -> None:
    """Add the uses. Of what was erased since it was found nothing is kept: nobody would remove that again."""
    transaction = appender.transaction
    for (mind, id), use in sorted(pending.items()):  # in one order, so that no two processes wait for each other
        appender.hold(mind)
        if transaction.execute(_add, of=mind, which=id, more=use.uses, at=use.last_at):
            continue
        if transaction.row(_is_there, mind=mind, id=id) is not None:
            transaction.insert(_use, ((mind, id, use.uses, use.last_at),))


def uses_of(snapshot: Snapshot, mind: bytes) -> dict[bytes, Use]:
    """The uses of every memory of a mind that was ever found."""
    return {bytes(id): Use(int(uses), int(at)) for id, uses, at in snapshot.rows(_all, mind=mind)}
