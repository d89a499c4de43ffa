"""LanceDB, asked by words and vectors together."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lancedb
import pyarrow
from lancedb.rerankers import RRFReranker

if TYPE_CHECKING:
    from tacit.bench.peers.served import Given

_INDEXED_FROM = 100_000
"""Rows from which its documentation advises an index of vectors; below, all are compared."""


class LanceDBPeer:
    """``add`` and a hybrid search, whose two lists are fused by reciprocal ranks, which is its own default."""

    def __init__(self, folder: Path, given: Given) -> None:
        self._given = given
        self._database = lancedb.connect(folder / "lance")
        vector = pyarrow.list_(pyarrow.float32(), given.dimension)
        fields = [("number", pyarrow.int64()), ("text", pyarrow.string()), ("vector", vector)]
        self._table = self._database.create_table("memory", schema=pyarrow.schema(fields), exist_ok=True)
        self._reranker = RRFReranker()

    def about(self) -> dict[str, str]:
        return {
            "lancedb": version("lancedb"),
            "settings": "hybrid, fused by reciprocal ranks; cosine; index of words built after the bulk, then"
            f" optimize(); index of vectors (IVF_PQ, refine_factor 10) from {_INDEXED_FROM:,} rows on, below that all"
            " are compared; single writes are add() of one row, which enters no index until optimize()",
        }

    def write(self, number: int) -> None:
        self._table.add([self._row(number)])

    def write_many(self, numbers: range) -> None:
        self._table.add([self._row(number) for number in numbers])

    def _row(self, number: int) -> dict[str, Any]:
        text = self._given.items[number]
        return {"number": number, "text": text, "vector": self._given.vector(text)}

    def prepare(self) -> None:
        self._table.create_fts_index("text", replace=True)
        if self._table.count_rows() >= _INDEXED_FROM:
            self._table.create_index(metric="cosine", vector_column_name="vector")
        self._table.optimize()

    def ask(self, number: int, k: int) -> list[int]:
        text = self._given.questions[number]
        query = self._table.search(query_type="hybrid", vector_column_name="vector", fts_columns="text")
        query = query.vector(self._given.vector(text)).text(text).distance_type("cosine")
        found = query.refine_factor(10).rerank(self._reranker).limit(k).select(["number"]).to_list()
        return [int(row["number"]) for row in found]

    def count(self) -> int:
        return int(self._table.count_rows())

    def close(self) -> None:
        del self._table, self._database


def open_peer(folder: Path, given: Given) -> LanceDBPeer:
    """Open a store in a folder, or make one."""
    return LanceDBPeer(folder, given)
