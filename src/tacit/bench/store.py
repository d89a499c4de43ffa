"""A store to measure: as users open it, with the default settings, on the bench's disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from tacit.clock import SystemClock
from tacit.ids import SystemEntropy
from tacit.opening import OpenStore
from tacit.ops.setting_groups import CacheSettings, ConsumerSettings, Settings
from tacit.recall.embedder import TextEmbedder
from tacit.stores import schema
from tacit.stores.port import Store, Transaction
from tacit.stores.sqlite import SqliteStore

_furthest = select(func.max(schema.head.c.position))
_steps = select(func.count()).select_from(schema.step)
_episodes = select(func.count()).select_from(schema.episode).where(schema.episode.c.until.is_(None))
_memories = select(func.count()).select_from(schema.memory).where(schema.memory.c.until.is_(None))
_finished = _episodes.where(schema.episode.c.status != "open")


class WatchedStore(SqliteStore):
    """An embedded store that notes where in the journal each of its commits ended."""

    def __init__(self, path: Path) -> None:
        self.ends: list[int] = []
        super().__init__(path)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as transaction:
            yield transaction
            row = transaction.row(_furthest)
        self.ends.append(row[0] or 0 if row else 0)


def settings(*, consumers: bool = True) -> Settings:
    """The default settings, whatever the environment says; with the learning in the background, or without."""
    return Settings(consumers=ConsumerSettings(enabled=consumers))


@contextmanager
def open_default(store: Store, *, consumers: bool = True) -> Iterator[OpenStore]:
    """Open a database as Tacit does by default."""
    with OpenStore(store, settings(consumers=consumers), clock=SystemClock(), entropy=SystemEntropy()) as opened:
        yield opened


@contextmanager
def open_with_vectors(store: Store, embedder: TextEmbedder) -> Iterator[OpenStore]:
    """Open a database as Tacit does by default, but with an embedder of the bench, and without keeping answers: what
    is asked twice is measured twice."""
    own = Settings(cache=CacheSettings(bytes=0))
    with OpenStore(store, own, clock=SystemClock(), entropy=SystemEntropy(), embedder=embedder) as opened:
        yield opened


def count_steps(store: Store) -> int:
    """How many steps are in the store."""
    return _count(store, _steps)


def count_episodes(store: Store) -> int:
    """How many episodes are in the store."""
    return _count(store, _episodes)


def count_finished(store: Store) -> int:
    """How many finished episodes are in the store."""
    return _count(store, _finished)


def count_memories(store: Store) -> int:
    """How many memories are remembered in the store."""
    return _count(store, _memories)


def _count(store: Store, statement: object) -> int:
    with store.snapshot() as snapshot:
        row = snapshot.row(statement)  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])
