"""Tacit, measured as a peer is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tacit.bench.store import open_with_vectors
from tacit.errors import ModelError
from tacit.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from tacit.bench.peers.served import Given

_SETTLE_SECONDS = 3_600.0


class GivenVectors:
    """An embedder that has every vector already."""

    fingerprint = "given:1"

    def __init__(self, given: Given) -> None:
        self._given = given
        self.dimension = given.dimension

    def embed(self, texts: Sequence[str]) -> NDArray[numpy.float32]:
        """The vectors that were given for these texts, one a row. Raises ModelError for another text."""
        import numpy

        try:
            rows = [numpy.frombuffer(self._given.body(text), dtype=numpy.float32) for text in texts]
        except KeyError as error:
            raise ModelError(f"no vector was given for {error}", model=self.fingerprint) from error
        return numpy.array(rows, dtype=numpy.float32).reshape(len(rows), self.dimension)


class TacitPeer:
    """One mind of a store in a file, with Tacit's own settings but for the cache of answers, which is off."""

    def __init__(self, folder: Path, given: Given) -> None:
        self._given = given
        self._opening = open_with_vectors(SqliteStore(folder / "tacit.db"), GivenVectors(given))
        self._opened = self._opening.__enter__()
        self._mind = self._opened.mind()

    def about(self) -> dict[str, str]:
        return {"settings": "the defaults, the cache of answers off; every write durable (fsync, shared by a group)"}

    def write(self, number: int) -> None:
        self._mind.remember(self._given.items[number], source_id=str(number))

    def write_many(self, numbers: range) -> None:
        self._mind.remember_many({"text": self._given.items[one], "source_id": str(one)} for one in numbers)

    def prepare(self) -> None:
        self._mind.settle(_SETTLE_SECONDS)

    def ask(self, number: int, k: int) -> list[int]:
        found = self._mind.recall(self._given.questions[number], k=k)
        if not found.meaning:
            raise ModelError(f"Tacit went by words alone: {'; '.join(found.notes)}", model=GivenVectors.fingerprint)
        return [int(hit.source_id) for hit in found]

    def count(self) -> int:
        from tacit.bench.store import count_memories

        return count_memories(self._opened.store)

    def close(self) -> None:
        self._opening.__exit__(None, None, None)


def open_peer(folder: Path, given: Given) -> TacitPeer:
    """Open a store in a folder, or make one."""
    return TacitPeer(folder, given)
