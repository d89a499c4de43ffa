"""What recall asks of the database is answered from indexes, on both databases, however many memories there are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tacit.experience.memory import fold
from tacit.experience.memory.fold import MemoryRow
from tacit.recall import code_blocks, memory_vectors, mind_index, rows
from tacit.stores import schema
from tacit.stores.opening import open_store
from tacit.stores.port import Store
from tacit.stores.sqlite import SqliteStore

pytestmark = pytest.mark.requirement("JR-17")
MIND, MODEL, MANY = b"m" * 16, "some model", 3_000
OF = {"mind": MIND, "model": MODEL}
NUMBERS = {f"number{place}": place for place in range(memory_vectors.READ_AT_ONCE)}
ASKED: dict[str, tuple[Any, dict[str, Any]]] = {
    "memories to embed": (memory_vectors._after, {"mind": MIND, "after": 2_900, "most": 50}),
    "whether they are still there": (memory_vectors._there, {"mind": MIND, "first": 2_900, "last": 2_950}),
    "vectors": (memory_vectors._read, {**OF, **NUMBERS}),
    "how far models have come": (memory_vectors._reached, {"mind": MIND}),
    "the newest change of codes": (code_blocks._revision, OF),
    "codes that were changed": (code_blocks._changed, {**OF, "after": 2_990}),
    "the block around a number": (code_blocks._around, {**OF, "number": 2_000}),
    "the last block": (code_blocks._last, OF),
    "blocks in order": (code_blocks._from, {**OF, "first": 0}),
    "memories that ended since": (mind_index._ended, {"mind": MIND, "after": MANY - 5}),
    "the memory of a source": (fold._of_source, {"mind": MIND, "source_id": "a", "user": ""}),
    "memories of a subject": (fold._of_subject, {"mind": MIND, "subject": "a", "user": ""}),
    "rows of memories": (rows._rows, {"mind": MIND, **NUMBERS}),
    "neighbours of memories": (rows._around, {"mind": MIND, "position": MANY, **NUMBERS}),
    "which of the new ones ended": (mind_index._ended_since, {"mind": MIND, "first": MANY - 5}),
}


def fill(store: Store) -> None:
    """Three minds with as many memories, of which every tenth has ended, each with a vector and a block of its own."""
    with store.transaction() as transaction:
        for mind in (MIND, b"o" * 16, b"p" * 16):
            rows = [memory(mind, number) for number in range(1, MANY + 1)]
            transaction.insert(schema.memory, rows)
            transaction.insert(schema.memory_vector, [(mind, MODEL, row[1], b"v" * 768) for row in rows])
            transaction.insert(schema.code, [(mind, MODEL, row[1], row[1], row[1], 48, 1, b"c") for row in rows])
        transaction.execute(text("ANALYZE"))


def memory(mind: bytes, number: int) -> tuple[Any, ...]:
    row = MemoryRow(
        mind=mind, since=number, until=number + 1 if number % 10 == 0 else None, id=number.to_bytes(16, "big"),
        kind="note", text="x" * 100, user="", session="", agent="", speaker="", subject="", source_id="", recorded_at=0,
        occurred_at=None, valid_from=None, valid_to=None, importance=None, ending="", superseded_by=None,
    )  # fmt: skip
    return tuple(getattr(row, name) for name in row.__struct_fields__)


@pytest.fixture(scope="module", params=["file", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        location = server.url_of(server.new_database())
    else:
        location = str(tmp_path_factory.mktemp("recall") / "a.db")
    with contextlib.closing(open_store(location)) as opened:
        fill(opened)
        yield opened


@pytest.mark.parametrize("name", ASKED)
def test_an_index_answers(store: Store, name: str) -> None:
    statement, values = ASKED[name]
    with store.snapshot() as snapshot:
        plan = snapshot.query_plan(statement, **values)  # type: ignore[attr-defined]
    scans = [line for line in plan if line.strip("-> ").startswith(("SCAN", "Seq Scan"))]
    assert not [line for line in scans if "consumer" not in line], plan


@pytest.mark.parametrize(
    ("name", "index"), [("the memory of a source", "source"), ("memories of a subject", "subject")]
)
def test_what_is_looked_up_at_each_write_takes_the_index_made_for_it(store: Store, name: str, index: str) -> None:
    """Another one, such as that of users, would read all memories of a user for each that comes."""
    statement, values = ASKED[name]
    with store.snapshot() as snapshot:
        plan = snapshot.query_plan(statement, **values)  # type: ignore[attr-defined]
    assert any(f"memory_{index}" in line for line in plan), plan


@pytest.mark.parametrize("name", ["rows of memories", "neighbours of memories"])
def test_memories_are_read_by_their_numbers(store: Store, name: str) -> None:
    """Another index, such as that of sessions, would read all memories of the mind for each question. PostgreSQL can
    skip to the numbers in any of them."""
    statement, values = ASKED[name]
    with store.snapshot() as snapshot:
        plan = snapshot.query_plan(statement, **values)  # type: ignore[attr-defined]
    if isinstance(store, SqliteStore):
        assert any("sqlite_autoindex_memory_1" in line for line in plan), plan
    else:
        assert any("since = ANY" in line for line in plan), plan
