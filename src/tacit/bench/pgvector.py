"""The nearest vectors in PostgreSQL: by pgvector's graph (HNSW), by Tacit's codes, and by all of them.

Both stand in one database and answer the same questions, one after the other, on one connection: ten memories by
meaning alone, without words and ranking. What is found is compared with the ten that are nearest by all vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from tacit.bench.run import Run
from tacit.bench.scale_texts import DIMENSION, Made, ScaleTexts
from tacit.experience.memory.views import MemoryFilter
from tacit.recall.finding import COMPARED
from tacit.recall.memory_vectors import read_vectors
from tacit.recall.vector_index import VectorIndex
from tacit.stores import schema
from tacit.stores.postgres import PostgresStore

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]
    Whole = NDArray[numpy.int64]

K = 10
QUESTIONS = 200
EF_SEARCH = (40, 100, 200)
"""How many neighbours pgvector keeps in hand while it looks; 40 is its default, and 64 and 16 are those of building."""
USER = 7
_EXACT = 20
"""So many questions are enough to time a look at all vectors."""
_memories = select(schema.memory.c.mind, schema.memory.c.since, schema.memory.c.text)
_TABLE = """
    CREATE TABLE near (number bigint PRIMARY KEY, owner integer NOT NULL, body halfvec({0}) NOT NULL)
"""
_INDEX = "CREATE INDEX near_body ON near USING hnsw (body halfvec_ip_ops)"
_FIND = "SELECT number FROM near ORDER BY body <#> %s::halfvec LIMIT 10"
_FIND_OF_USER = "SELECT number FROM near WHERE owner = %s ORDER BY body <#> %s::halfvec LIMIT 10"

Ask = Callable[[int], Sequence[int]]
"""Gives the numbers that are found for a question, by its place."""


class Asked(msgspec.Struct):
    """The questions, and the answers that are right: of all memories, and of one user's."""

    vectors: Real
    right: Whole
    right_of_user: Whole


def measure(run: Run, url: str, single: int) -> None:
    """Fill a table of pgvector with the vectors of the memories in a store, and ask both.

    Args:
        url: of a store that ``tacit bench scale`` has built, with vectors of everything; the table is left there.
        single: so many of its memories came in one by one, before all others.
    """
    import psycopg

    texts = ScaleTexts()
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        try:
            # not in the store's own schema, where "vector" is a table
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        except psycopg.Error as error:
            run.note("pgvector", f"not measured: {error}")
            return
        chunks = [*texts.memories(0, single), *texts.memories(single, run.size - single)]
        asked = _build(run, connection, texts, chunks)

        def of_all(one: int) -> list[int]:
            return _of_server(connection, asked.vectors[one], None)

        def of_user(one: int) -> list[int]:
            return _of_server(connection, asked.vectors[one], USER)

        with _exact(connection):
            _measure(run, "pgvector_exact", of_all, asked.right[:_EXACT])
        for size in EF_SEARCH:
            connection.execute(f"SET hnsw.ef_search = {size}")
            _measure(run, f"pgvector_ef_{size}", of_all, asked.right)
        connection.execute("SET hnsw.iterative_scan = 'relaxed_order'")
        for size in EF_SEARCH:
            connection.execute(f"SET hnsw.ef_search = {size}")
            _measure(run, f"pgvector_filtered_ef_{size}", of_user, asked.right_of_user)
    with closing(PostgresStore(url, pool_min=1, pool_max=2, read_only=True)) as store:
        _measure_codes(run, store, texts, asked, chunks)


def _build(run: Run, connection: Any, texts: ScaleTexts, chunks: Sequence[Sequence[Made]]) -> Asked:
    import numpy

    connection.execute(_TABLE.format(DIMENSION))
    questions = texts.embed(texts.questions(0, QUESTIONS))
    best = [_Best(len(questions)), _Best(len(questions))]
    number, start = 0, time.perf_counter()
    with connection.cursor() as cursor:
        for chunk in chunks:
            vectors = texts.embed([made.text for made in chunk]).astype(numpy.float16).astype(numpy.float32)
            of_user = numpy.array([made.user == f"u{USER}" for made in chunk])
            places = numpy.arange(number, number + len(chunk))
            best[0].take(questions @ vectors.T, places)
            best[1].take(questions @ vectors[of_user].T, places[of_user])
            with cursor.copy("COPY near FROM STDIN") as copy:
                for place, (made, vector) in enumerate(zip(chunk, vectors, strict=True), number):
                    copy.write_row((place, int(made.user[1:]), _literal(vector)))
            number += len(chunk)
    run.figure("pgvector_load", number / (time.perf_counter() - start), "memories/s")
    connection.execute("SET maintenance_work_mem = '1GB'")
    start = time.perf_counter()
    connection.execute(_INDEX)
    run.figure("pgvector_index_build", time.perf_counter() - start, "s")
    connection.execute("ANALYZE near")
    for name, relation in (("pgvector_index_size", "near_body"), ("pgvector_table_size", "near")):
        row = connection.execute("SELECT pg_relation_size(%s::regclass)", (relation,)).fetchone()
        run.figure(name, row[0] / 1e6, "MB")
    return Asked(questions, best[0].numbers, best[1].numbers)


class _Best:
    """The best numbers of each question so far."""

    def __init__(self, questions: int) -> None:
        import numpy

        self.numbers: Whole = numpy.zeros((questions, 0), dtype=numpy.int64)
        self._likeness: Real = numpy.zeros((questions, 0), dtype=numpy.float32)

    def take(self, likeness: Real, numbers: Whole) -> None:
        import numpy

        all_likeness = numpy.hstack([self._likeness, likeness])
        all_numbers = numpy.hstack([self.numbers, numpy.broadcast_to(numbers, likeness.shape)])
        order = numpy.argsort(-all_likeness, axis=1, kind="stable")[:, :K]
        self._likeness = numpy.take_along_axis(all_likeness, order, axis=1)
        self.numbers = numpy.take_along_axis(all_numbers, order, axis=1)


def _literal(vector: Real) -> str:
    return "[" + ",".join(f"{value:.6g}" for value in vector.tolist()) + "]"


def _of_server(connection: Any, vector: Real, user: int | None) -> list[int]:
    if user is None:
        rows = connection.execute(_FIND, (_literal(vector),), prepare=True).fetchall()
    else:
        rows = connection.execute(_FIND_OF_USER, (user, _literal(vector)), prepare=True).fetchall()
    return [row[0] for row in rows]


@contextmanager
def _exact(connection: Any) -> Iterator[None]:
    connection.execute("SET enable_indexscan = off")
    try:
        yield
    finally:
        connection.execute("RESET enable_indexscan")
        connection.execute("DISCARD PLANS")  # a prepared statement would go on without the index


def _measure_codes(
    run: Run, store: PostgresStore, texts: ScaleTexts, asked: Asked, chunks: Sequence[Sequence[Made]]
) -> None:
    """By the same texts, as memories come in by several threads, in no order that is known."""
    import numpy

    made = {one.text: place for place, one in enumerate(chain.from_iterable(chunks))}
    with store.snapshot() as snapshot:
        rows = snapshot.rows(_memories)
    mind, places = bytes(rows[0][0]), {number: made[text] for _, number, text in rows}
    index = VectorIndex()

    def ask(one: int, wanted: MemoryFilter) -> list[int]:
        with store.snapshot() as snapshot:
            vector = asked.vectors[one]
            meant = index.among(snapshot, mind, texts.fingerprint, len(vector), wanted=wanted)
            numbers = meant.nearest(vector, max(COMPARED, K))
            there, matrix = read_vectors(snapshot, mind, texts.fingerprint, numbers.tolist(), len(vector))
        cosines = numpy.einsum("ij,j->i", matrix.astype(numpy.float32), vector)
        return [places[int(there[place])] for place in numpy.lexsort((-there, -cosines))[:K]]

    start = time.perf_counter()
    ask(0, MemoryFilter())
    run.figure("codes_first_answer", time.perf_counter() - start, "s")
    run.figure("codes_memory", index.size_bytes / 1e6, "MB")
    _measure(run, "codes", lambda one: ask(one, MemoryFilter()), asked.right)
    _measure(run, "codes_filtered", lambda one: ask(one, MemoryFilter(user=f"u{USER}")), asked.right_of_user)


def _measure(run: Run, name: str, ask: Ask, right: Whole) -> None:
    ask(0)
    spent, shares = [], []
    for one, wanted in enumerate(right.tolist()):
        start = time.perf_counter()
        found = ask(one)
        spent.append(time.perf_counter() - start)
        shares.append(len({*found} & {*wanted}) / len(wanted))
    run.timing(name, spent)
    run.figure(f"{name}_recall_at_10", sum(shares) / len(shares), "of 1")
