"""A child that writes rows to a plain SQLite file until it is killed: ``python -m faults.raw_writer FILE SYNCHRONOUS``.

It proves the tools; each thread inserts one row per transaction and acknowledges it.
"""

from __future__ import annotations

import itertools
import sys
import threading
from pathlib import Path

from sqlcipher3 import dbapi2

from faults.kill import Child

THREADS = 3
BUSY_S = 30.0
PAYLOAD = "x" * 1500
"""Long enough for a transaction to touch several pages now and then."""


def connect(file: Path, synchronous: str = "FULL") -> dbapi2.Connection:
    """A connection in WAL mode without implicit transactions; makes the table."""
    connection = dbapi2.connect(str(file), timeout=BUSY_S, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("CREATE TABLE IF NOT EXISTS row (token TEXT PRIMARY KEY, payload TEXT NOT NULL)")
    return connection


def insert(connection: dbapi2.Connection, token: str) -> None:
    """One row in one transaction."""
    connection.execute("INSERT INTO row VALUES (?, ?)", (token, PAYLOAD))


def tokens(file: Path) -> set[str]:
    """What the file holds after recovery; raises where the file is not whole."""
    connection = connect(file)
    (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        raise AssertionError(verdict)
    found = {token for (token,) in connection.execute("SELECT token FROM row")}
    connection.close()
    return found


def _write(file: Path, synchronous: str, child: Child, slot: int) -> None:
    connection = connect(file, synchronous)
    (first,) = connection.execute("SELECT count(*) FROM row").fetchone()
    for number in itertools.count(first):
        token = f"{slot}-{number}-{threading.get_native_id()}"
        with child.attempt(slot):
            insert(connection, token)
        child.acknowledge(token)


if __name__ == "__main__":
    arguments = Path(sys.argv[1]), sys.argv[2], Child.from_environment()
    for thread_slot in range(THREADS):
        threading.Thread(target=_write, args=(*arguments, thread_slot)).start()
