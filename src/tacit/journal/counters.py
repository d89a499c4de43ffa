"""Counters of a store: what its processes have counted together. Operational, so they are not replayed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sqlalchemy import bindparam, select, update

from tacit.journal.append import Appender
from tacit.journal.journal import Journal
from tacit.stores import schema
from tacit.stores.analyser import OWN
from tacit.stores.port import Snapshot

WRITE_EVERY_SECONDS = 10.0

_counter = schema.counter
_add = update(_counter).where(_counter.c.name == bindparam("which")).values(count=_counter.c.count + bindparam("more"))
_all = select(_counter.c.name, _counter.c.count)


class Counters:
    """Writes what a process has counted to the store, now and then, and at the end.

    Args:
        news: what was counted since it was last asked, by name.
    """

    def __init__(self, news: Callable[[], Mapping[str, int]]) -> None:
        self._news = news
        self._written_at = time.monotonic()

    def write_due(self, journal: Journal) -> None:
        """Write the news, unless that was done a moment ago. A chore of the store's."""
        if time.monotonic() - self._written_at >= WRITE_EVERY_SECONDS:
            self.write(journal)

    def write(self, journal: Journal) -> None:
        """Write the news."""
        self._written_at = time.monotonic()
        news = {name: count for name, count in self._news().items() if count}
        if news:
            journal.run(lambda appender: _write(appender, news))


def _write(appender: Appender, news: Mapping[str, int]) -> None:
    transaction = appender.transaction
    transaction.row(schema.whole_store)  # counters belong to no mind
    for name, more in sorted(news.items()):
        if not transaction.execute(_add, which=name, more=more):
            transaction.insert(_counter, ((name, more),))


def read_counters(snapshot: Snapshot) -> dict[str, int]:
    """Every counter of the store, by name."""
    return {str(name): int(count) for name, count in snapshot.rows(_all) if not name.startswith(OWN)}
