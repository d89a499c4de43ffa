"""mem0 with its default local store of vectors (Qdrant in a folder), without a language model."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import mem0

if TYPE_CHECKING:
    from tacit.bench.peers.served import Given

_USER = "bench"


class Lookup:
    """What mem0 takes for a model that embeds."""

    def __init__(self, given: Given) -> None:
        self._given = given

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return self._given.vector(text)

    def embed_batch(self, texts: list[str], memory_action: str | None = None) -> list[list[float]]:
        return self._given.embed(texts)


class Mem0Peer:
    """``add(..., infer=False)`` and ``search``."""

    def __init__(self, folder: Path, given: Given) -> None:
        self._given = given
        place = {"collection_name": "bench", "path": str(folder / "qdrant"), "on_disk": True}
        self._memory = mem0.Memory.from_config(
            {
                "vector_store": {"provider": "qdrant", "config": {**place, "embedding_model_dims": given.dimension}},
                "history_db_path": str(folder / "history.db"),
            }
        )
        self._memory.embedding_model = Lookup(given)

    def about(self) -> dict[str, str]:
        history = self._memory.db.connection.execute("PRAGMA synchronous").fetchone()[0]
        return {
            "mem0ai": version("mem0ai"),
            "qdrant-client": version("qdrant-client"),
            "settings": "infer=False; Qdrant in a folder, on_disk; no language model is called; by vectors alone, since"
            f" its words need a model to be downloaded; its history's SQLite has synchronous={history};"
            " bulk by insert() of its store of vectors, since add() writes one by one, with its history left out",
        }

    def write(self, number: int) -> None:
        self._memory.add(self._given.items[number], user_id=_USER, metadata={"number": number}, infer=False)

    def write_many(self, numbers: range) -> None:
        texts = [self._given.items[number] for number in numbers]
        payloads = [
            {"data": text, "user_id": _USER, "number": number} for number, text in zip(numbers, texts, strict=True)
        ]
        vectors = self._given.embed(texts)
        self._memory.vector_store.insert(vectors=vectors, payloads=payloads, ids=[str(uuid4()) for _ in numbers])

    def prepare(self) -> None:
        """There is nothing to build: this store compares everything."""

    def ask(self, number: int, k: int) -> list[int]:
        found: dict[str, Any] = self._memory.search(
            self._given.questions[number], top_k=k, filters={"user_id": _USER}, threshold=0.0
        )
        return [int(hit["metadata"]["number"]) for hit in found["results"]]

    def count(self) -> int:
        return int(self._memory.vector_store.client.count("bench").count)

    def close(self) -> None:
        self._memory.vector_store.client.close()


def open_peer(folder: Path, given: Given) -> Mem0Peer:
    """Open a store in a folder, or make one."""
    return Mem0Peer(folder, given)
