"""A mind's memories, vectors and codes, changed as the writers of a journal would, and what is near found by hand."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray
from sqlalchemy import delete, select, update

from tacit.experience.memory.fold import MemoryRow
from tacit.experience.memory.memory import MEMORY_KINDS
from tacit.experience.memory.views import MemoryFilter, conditions
from tacit.experience.views import NOW
from tacit.recall.code_blocks import put_codes
from tacit.recall.codes import NAMES, records_of
from tacit.recall.memory_vectors import forget_memory_vectors, read_vectors
from tacit.recall.vector_index import VectorIndex
from tacit.stores import schema
from tacit.stores.port import Snapshot, Store, Transaction
from tacit.stores.sqlite import MEMORY, SqliteStore

MIND, MODEL, DIMENSION = b"m" * 16, "some model", 20
memory, head, vector = schema.memory, schema.head, schema.memory_vector
CHOICES: dict[str, list[str]] = {name: ["", "a", "b"] for name in NAMES}


class World:
    """A mind's memories, vectors and codes, changed as the writers of a journal would."""

    def __init__(self, store: Store, chance: random.Random, mind: bytes = MIND) -> None:
        self.store, self.chance, self.mind = store, chance, mind
        self.position = 0
        self.generator = numpy.random.default_rng(chance.randrange(2**32))
        with store.transaction() as transaction:
            transaction.insert(head, ((mind, 0, 0, 0, b"", 0, b""),))

    def come(
        self, many: int, dimension: int = DIMENSION, embedded: bool = True, vectors: NDArray[Any] | None = None
    ) -> list[int]:
        """Memories that are remembered, and their vectors, at random unless they are given."""
        with self.store.transaction() as transaction:
            rows = [self._row(self._step(transaction)) for _ in range(many)]
            transaction.insert(memory, [tuple(getattr(row, name) for name in row.__struct_fields__) for row in rows])
            if embedded:
                self.embed(transaction, rows, dimension, vectors)
        return [row.since for row in rows]

    def embed(
        self,
        transaction: Transaction,
        rows: list[MemoryRow],
        dimension: int = DIMENSION,
        vectors: NDArray[Any] | None = None,
    ) -> None:
        if vectors is None:
            vectors = unit(self.generator.standard_normal((len(rows), dimension)))
        halves = vectors.astype("<f2")
        bodies = [(self.mind, MODEL, row.since, each.tobytes()) for row, each in zip(rows, halves, strict=True)]
        transaction.insert(vector, bodies)
        put_codes(transaction, self.mind, MODEL, records_of(rows, halves))

    def end(self, numbers: list[int]) -> None:
        with self.store.transaction() as transaction:
            for number in numbers:
                there = update(memory).where(
                    memory.c.mind == self.mind, memory.c.since == number, memory.c.until.is_(None)
                )
                transaction.execute(there.values(until=self._step(transaction)))

    def erase(self, numbers: list[int]) -> None:
        with self.store.transaction() as transaction:
            self._step(transaction)
            transaction.execute(delete(memory).where(memory.c.mind == self.mind, memory.c.since.in_(numbers)))
            forget_memory_vectors(transaction, self.mind, numbers)

    def reopen(self, number: int) -> None:
        """What had taken its place was erased, so it holds again."""
        with self.store.transaction() as transaction:
            transaction.execute(update(memory).where(memory.c.since == number).values(until=None))

    def numbers(self) -> list[int]:
        with self.store.snapshot() as snapshot:
            rows = snapshot.rows(select(memory.c.since).where(memory.c.mind == self.mind))
            return sorted(int(row[0]) for row in rows)

    def _step(self, transaction: Transaction) -> int:
        self.position += 1
        transaction.execute(update(head).where(head.c.mind == self.mind).values(position=self.position))
        return self.position

    def _row(self, number: int) -> MemoryRow:
        names: dict[str, Any] = {name: self.chance.choice(choices) for name, choices in CHOICES.items()}
        kind: Any = self.chance.choice(MEMORY_KINDS)
        occurred = self.chance.choice([None, self.chance.randrange(100)])
        return MemoryRow(
            mind=self.mind, since=number, until=None, id=number.to_bytes(16, "big"), kind=kind, text="", **names,
            recorded_at=self.chance.randrange(100), occurred_at=occurred, valid_from=None, valid_to=None,
            importance=None, ending="", superseded_by=None,
        )  # fmt: skip


def unit(rows: NDArray[Any]) -> NDArray[numpy.float32]:
    found: NDArray[numpy.float32] = (rows / numpy.linalg.norm(rows, axis=1, keepdims=True)).astype(numpy.float32)
    return found


def exactly(
    snapshot: Snapshot, asked: NDArray[Any], wanted: MemoryFilter, position: int, mind: bytes = MIND
) -> dict[int, float]:
    """The cosine of every memory that is meant, by its number."""
    meant = select(memory.c.since).where(
        memory.c.mind == mind,
        memory.c.since <= position,
        memory.c.until.is_(None) | (memory.c.until > position),
        *conditions(wanted),
    )
    numbers = {row[0] for row in snapshot.rows(meant)}
    rows = snapshot.rows(select(vector.c.number, vector.c.body).where(vector.c.mind == mind, vector.c.model == MODEL))
    return {
        number: float(numpy.frombuffer(body, dtype="<f2").astype(numpy.float32) @ asked)
        for number, body in rows
        if number in numbers and len(body) == 2 * len(asked)
    }


@contextlib.contextmanager
def opened(path: Any = MEMORY) -> Iterator[Store]:
    with contextlib.closing(SqliteStore(path)) as store:
        yield store


def a_filter(chance: random.Random) -> MemoryFilter:
    """No condition, one, or several."""
    given: dict[str, Any] = {name: chance.choice(["", "", "", "a", "z"]) for name in NAMES}
    if chance.random() < 0.3:
        given["kinds"] = tuple(chance.sample(MEMORY_KINDS, chance.randrange(1, 4)))
    for name in ("occurred_after", "occurred_before"):
        if chance.random() < 0.3:
            given[name] = chance.randrange(100)
    return MemoryFilter(**given)


COMPARED = 256
"""Memories of the nearest codes that recall compares exactly, at least."""


class Nearest(NamedTuple):
    """A memory's number, and the cosine of its vector and the one that was asked about."""

    number: int
    cosine: float


def nearest(
    index: VectorIndex,
    snapshot: Snapshot,
    mind: bytes,
    model: str,
    asked: NDArray[Any],
    *,
    most: int,
    wanted: MemoryFilter = MemoryFilter(),  # noqa: B008 - it is frozen
    position: int = NOW,
) -> list[Nearest]:
    """What recall finds by meaning: the nearest codes, and of these the nearest vectors; the most alike first."""
    meant = index.among(snapshot, mind, model, len(asked), wanted=wanted, position=position)
    numbers = meant.nearest(asked, max(COMPARED, 4 * most))
    there, vectors = read_vectors(snapshot, mind, model, numbers.tolist(), len(asked))
    cosines = vectors.astype(numpy.float32) @ asked
    order = numpy.lexsort((-there, -cosines))[:most]
    return [Nearest(int(there[place]), float(cosines[place])) for place in order]
