"""LangGraph's store in SQLite, with its index of vectors.

It loads an extension into SQLite, which not every Python lets it do: the binding comes from pysqlite3, which does.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pysqlite3
from langgraph.store.base import PutOp
from langgraph.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from tacit.bench.peers.served import Given

_SPACE = ("bench",)


class LangGraphPeer:
    """``put`` and ``search``; many at once by ``batch``."""

    def __init__(self, folder: Path, given: Given) -> None:
        self._given = given
        self._connection = pysqlite3.connect(folder / "store.db", check_same_thread=False, isolation_level=None)
        self._store = SqliteStore(
            self._connection,
            index={"dims": given.dimension, "embed": given.embed, "fields": ["text"], "text_fields": ["text"]},
        )
        self._store.setup()

    def about(self) -> dict[str, str]:
        journal, durable = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        )
        return {
            "langgraph-checkpoint-sqlite": version("langgraph-checkpoint-sqlite"),
            "sqlite-vec": version("sqlite-vec"),
            "sqlite": pysqlite3.sqlite_version,
            "settings": "index of the field text, which its code calls text_fields and its documentation fields;"
            f" journal_mode={journal}, synchronous={durable} as it opens by itself;"
            " bulk by batch() of 1,000; search by vectors alone, all of them compared",
        }

    def write(self, number: int) -> None:
        self._store.put(_SPACE, str(number), {"text": self._given.items[number]})

    def write_many(self, numbers: range) -> None:
        self._store.batch([PutOp(_SPACE, str(one), {"text": self._given.items[one]}) for one in numbers])

    def prepare(self) -> None:
        """There is nothing to build: this store compares everything."""

    def ask(self, number: int, k: int) -> list[int]:
        return [int(hit.key) for hit in self._store.search(_SPACE, query=self._given.questions[number], limit=k)]

    def count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM store_vectors").fetchone()[0])

    def close(self) -> None:
        self._connection.close()


def open_peer(folder: Path, given: Given) -> LangGraphPeer:
    """Open a store in a folder, or make one."""
    return LangGraphPeer(folder, given)
