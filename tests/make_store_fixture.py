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

import tacit
from tacit.clock import ManualClock
from tacit.ids import SeededEntropy
from tacit.ops.settings import load
from tacit.stores import schema

FIXTURES = Path(__file__).parent / "fixtures"
EPISODES = 3


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        fill(path)
        with closing(sqlite3.connect(path)) as connection:
            dump = "\n".join(connection.iterdump())
    target = FIXTURES / f"store-{schema.SCHEMA_REVISION}.sql"
    target.parent.mkdir(exist_ok=True)
    target.write_text(f"PRAGMA application_id={schema.APPLICATION_ID};\n{dump}\n", encoding="utf-8")


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
