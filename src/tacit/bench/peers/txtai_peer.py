"""txtai, asked by words and vectors together, its content in SQLite."""

from __future__ import annotations

import threading
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from txtai import Embeddings

if TYPE_CHECKING:
    from tacit.bench.peers.served import Given


class TxtaiPeer:
    """``index`` for many, ``upsert`` for one, ``search``. What it holds is on disk after ``save`` only."""

    def __init__(self, folder: Path, given: Given) -> None:
        self._given = given
        self._place = str(folder / "index")
        self._waiting: list[int] = []
        self._embeddings = Embeddings(
            method="external", transform=lambda texts: given.embed(texts), content=True, hybrid=True
        )
        if self._embeddings.exists(self._place):
            self._embeddings.load(self._place)
        self._lock = threading.Lock()  # it is not made to be written by several threads at once

    def about(self) -> dict[str, str]:
        return {
            "txtai": version("txtai"),
            "faiss-cpu": version("faiss-cpu"),
            "settings": "hybrid, content in SQLite, Faiss as by default; bulk is one index() and a save(); single"
            " writes are upsert() under a lock, which keeps them in memory until save(), that writes everything anew",
        }

    def write(self, number: int) -> None:
        with self._lock:
            self._embeddings.upsert([(str(number), self._given.items[number])])

    def write_many(self, numbers: range) -> None:
        self._waiting += numbers

    def prepare(self) -> None:
        self._embeddings.index((str(number), self._given.items[number]) for number in self._waiting)
        self._embeddings.save(self._place)

    def ask(self, number: int, k: int) -> list[int]:
        return [int(hit["id"]) for hit in self._embeddings.search(self._given.questions[number], k)]

    def count(self) -> int:
        return int(self._embeddings.count() or 0)

    def close(self) -> None:
        self._embeddings.close()


def open_peer(folder: Path, given: Given) -> TxtaiPeer:
    """Open a store in a folder, or make one."""
    return TxtaiPeer(folder, given)
