"""The baselines: what the database binding can do by itself on this disk, without Tacit."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from sqlalchemy import Column, Table
from sqlcipher3 import dbapi2 as driver

from tacit.stores import schema
from tacit.stores.port import Row
from tacit.stores.sqlite import SqliteStore

_SAME = (
    "journal_mode",
    "synchronous",
    "wal_autocheckpoint",
    "secure_delete",
    "foreign_keys",
    "cache_size",
    "page_size",
)
_GROUP = 1_000
_PLACE: dict[Table, Column[Any]] = {
    schema.event: schema.event.c.position,
    schema.payload: schema.payload.c.position,
    schema.episode: schema.episode.c.since,
    schema.step: schema.step.c.position,
    schema.tag: schema.tag.c.since,
    schema.contribution: schema.contribution.c.position,
}
"""For each table that grows with the journal, the column that says which event made a row."""

Commit: TypeAlias = list[tuple[str, list[Row]]]
"""What one transaction inserts: statements with their rows."""


def connect(path: Path) -> Any:
    """A bare connection to a new file with the tables and pragmas of a store: exactly those that a store has set."""
    store = SqliteStore(path)
    try:
        with store.snapshot() as snapshot:
            values = {name: snapshot.pragma(name)[0][0] for name in _SAME}  # type: ignore[attr-defined]
    finally:
        store.close()
    connection = driver.connect(str(path), isolation_level=None, check_same_thread=False, cached_statements=512)
    for name, value in values.items():
        connection.execute(f"PRAGMA {name}={value}")
    return connection


def read_commits(source: Path, ends: Sequence[int], learned: int) -> tuple[list[Commit], list[Row]]:
    """The rows of a store as its own commits wrote them, and the head as each commit left it.

    Args:
        ends: for each commit, the position of the journal at its end.
        learned: how far consumers had come when the clock was stopped; what they wrote later is left out.
    """
    connection = driver.connect(f"{source.as_uri()}?mode=ro", uri=True)
    try:
        commits: list[Commit] = [[] for _ in ends]
        for table in schema.metadata.sorted_tables:
            if table not in (schema.head, schema.revision, schema.counter):  # a new store has its own counters
                _spread(connection, table, ends, learned, commits)
        (head,) = connection.execute('SELECT * FROM "head"').fetchall()
    finally:
        connection.close()
    return commits, [(head[0], end, *head[2:]) for end in ends]


def _spread(connection: Any, table: Table, ends: Sequence[int], learned: int, commits: list[Commit]) -> None:
    place = _PLACE.get(table)
    order = f' ORDER BY "{place.name}"' if place is not None else ""
    rows = connection.execute(f'SELECT * FROM "{table.name}"{order}').fetchall()  # noqa: S608 - names of the schema
    sql = f'INSERT INTO "{table.name}" VALUES ({", ".join("?" * len(table.columns))})'  # noqa: S608
    if place is None:
        commits[-1].append((sql, rows))
        return
    at = list(table.columns).index(place)
    parts: dict[int, list[Row]] = {}
    last = learned if table is schema.contribution else ends[-1]
    for row in rows:
        if row[at] <= last:
            parts.setdefault(bisect_left(ends, row[at]), []).append(row)
    for commit, part in parts.items():
        commits[commit].append((sql, part))


def write_commits(connection: Any, commits: Sequence[Commit], heads: Sequence[Row]) -> float:
    """Insert the same rows in the same commits; how many seconds that took."""
    start = time.perf_counter()
    execute, many = connection.execute, connection.executemany
    for commit, head in zip(commits, heads, strict=True):
        execute("BEGIN IMMEDIATE")
        for sql, rows in commit:
            many(sql, rows)
        execute('INSERT OR REPLACE INTO "head" VALUES (?, ?, ?, ?, ?, ?, ?)', head)
        execute("COMMIT")
    return time.perf_counter() - start


class GroupCommit:
    """The least that a group commit can be: a queue, one writing thread, one table, one row a caller."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._connection.execute('CREATE TABLE "row" (number INTEGER PRIMARY KEY, body BLOB NOT NULL)')
        self._queue: SimpleQueue[tuple[bytes, Future[None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="bare-writer", daemon=True)
        self._thread.start()

    def write(self, body: bytes) -> None:
        """Returns when the row is durable."""
        future: Future[None] = Future()
        self._queue.put((body, future))
        future.result()

    def count(self) -> int:
        """How many rows are in the table."""
        return int(self._connection.execute('SELECT count(*) FROM "row"').fetchone()[0])

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            group = [item]
            while len(group) < _GROUP:
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
                if item is None:
                    self._queue.put(None)
                    break
                group.append(item)
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany('INSERT INTO "row" (body) VALUES (?)', [(body,) for body, _ in group])
            self._connection.execute("COMMIT")
            for _, future in group:
                future.set_result(None)
