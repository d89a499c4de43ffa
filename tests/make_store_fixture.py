"""Writes ``fixtures/store-<revision>.sql``: a small real store of the present schema, as SQL text.

Run it (``python tests/make_store_fixture.py``) whenever the schema changes before its first release. The fixture of a
released schema is never written again: stores in the field look like it, and every later Tacit must be able to open it.
Its clock and its randomness are fixed, so the same code writes the same file.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from sqlcipher3 import dbapi2 as driver

import tacit
from tacit.clock import ManualClock
from tacit.ids import SeededEntropy
from tacit.ops.settings import load
from tacit.stores import schema, sqlite_text

FIXTURES = Path(__file__).parent / "fixtures"
EPISODES = 3


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        fill(path)
        text = dump(path)
    target = FIXTURES / f"store-{schema.SCHEMA_REVISION}.sql"
    target.parent.mkdir(exist_ok=True)
    target.write_text(f"PRAGMA application_id={schema.APPLICATION_ID};\n{text}\n", encoding="utf-8")


def dump(path: Path) -> str:
    """The SQL that makes such a store; it is taken to pieces on the way. FTS5 filled its own tables so."""
    with closing(driver.connect(str(path), isolation_level=None)) as connection:
        index = [f"{sql};" for sql in sqlite_text.CREATE.values()]
        for name in sqlite_text.SHADOWS:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            values = " || ', ' || ".join(f"quote({column})" for column in columns)
            rows = connection.execute(
                f"SELECT 'INSERT INTO {name} VALUES (' || {values} || ');' FROM {name} ORDER BY 1"
            )
            index += [f"DELETE FROM {name};", *[row[0] for row in rows]]
        for name in reversed(sqlite_text.CREATE):
            connection.execute(f"DROP TABLE {name}")
    with closing(sqlite3.connect(path)) as connection:
        *lines, commit = connection.iterdump()
    return "\n".join([*lines, *index, commit])


def fill(path: Path) -> None:
    """A store in which a few episodes with steps were lived."""
    clock = ManualClock()
    quiet = load({"consumers.enabled": False}, environ={}).settings  # how far consumers come is a matter of luck
    with tacit.open_store(path, settings=quiet, clock=clock, entropy=SeededEntropy(1)) as store:
        mind = store.mind("support", tenant="acme")
        for number in range(EPISODES):
            with mind.episode(
                f"Change seat {number}", domain="airline", tags=["seat", "é"], key=f"run {number}"
            ) as episode:
                clock.advance(1)
                episode.step(
                    tool="get_user", action="look up", parameters={"id": number}, observation="found", success=True
                )
                clock.advance(1)
                episode.complete("success" if number else "failure")


if __name__ == "__main__":
    main()
