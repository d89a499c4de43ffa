"""Scrubbing a plain file: what moved rows leave behind is overwritten, and no connection writes it back."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlcipher3 import dbapi2 as driver

from tacit.stores import sqlite_scrub
from tacit.stores.sqlite_file import identity, log_paths

pytestmark = pytest.mark.requirement("JR-06")
WORD = b"zyzzogetonquaxil"
PAGE = 4_096


@contextlib.contextmanager
def connected(path: Path) -> Iterator[Any]:
    with contextlib.closing(driver.connect(str(path), isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA busy_timeout=100")
        yield connection


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "plain.db"
    with connected(path) as connection:
        connection.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, body BLOB)")
    held = identity(path)
    sqlite_scrub.begin(held)
    yield path
    sqlite_scrub.end(held)


def fill(connection: Any) -> None:
    """Rows in no order, so that pages are split again and again; half of them with the word. Then these are deleted."""
    source = random.Random(7)
    for number in source.sample(range(3_000), 3_000):
        body = (WORD if number % 2 else b"another thing...") * source.randint(1, 20)
        connection.execute("INSERT INTO thing VALUES (?, ?)", (number, body))
    connection.execute("DELETE FROM thing WHERE id % 2")


def test_pieces_that_deleting_leaves_are_overwritten_and_nothing_else(path: Path) -> None:
    cleared: list[int] = []
    with connected(path) as connection:
        fill(connection)
        kept = connection.execute("SELECT * FROM thing").fetchall()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert WORD in path.read_bytes(), "SQLite leaves nothing any more: scrubbing could go"
        assert sqlite_scrub.empty_log(connection, log_paths(path)[0], lambda: cleared.append(_clear(path)))
        assert cleared.pop() > 0
        assert WORD not in path.read_bytes()
        assert connection.execute("SELECT * FROM thing").fetchall() == kept
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert _clear(path) == 0


def _clear(path: Path) -> int:
    return sqlite_scrub.clear_gaps(path, PAGE)


def test_a_connection_that_had_read_the_pages_before_does_not_write_the_pieces_back(path: Path) -> None:
    cleared: list[int] = []
    with connected(path) as writer, connected(path) as scrubbing:
        fill(writer)
        writer.execute("UPDATE thing SET body = body")  # it has every page in its memory now
        assert sqlite_scrub.empty_log(scrubbing, log_paths(path)[0], lambda: cleared.append(_clear(path)))
        assert cleared.pop() > 0
        writer.execute("UPDATE thing SET body = body")
        assert writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        assert WORD not in path.read_bytes()
        assert writer.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_nothing_is_touched_while_somebody_reads_an_earlier_time_or_writes(path: Path) -> None:
    with connected(path) as writer, connected(path) as reader, connected(path) as scrubbing:
        fill(writer)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM thing").fetchone()
        writer.execute("DELETE FROM thing WHERE id = 2")
        log = log_paths(path)[0]
        assert not sqlite_scrub.empty_log(scrubbing, log, lambda: pytest.fail("somebody reads"))
        reader.execute("ROLLBACK")
        writer.execute("BEGIN IMMEDIATE")
        assert not sqlite_scrub.empty_log(scrubbing, log, lambda: pytest.fail("somebody writes"))
        writer.execute("ROLLBACK")
        assert sqlite_scrub.empty_log(scrubbing, log, lambda: None)
