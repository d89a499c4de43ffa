"""The index of vectors finds what a comparison with every single one would find, whatever came and went meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import delete, select, update

from tacit.experience.memory.fold import MemoryRow
from tacit.experience.memory.memory import MEMORY_KINDS
from tacit.experience.memory.views import MemoryFilter, conditions
from tacit.experience.views import NOW
from tacit.models.minilm import MiniLM
from tacit.recall import hamming, vector_index
from tacit.recall.code_blocks import MOST, all_blocks, put_codes
from tacit.recall.codes import NAMES, codes_of, name_hash, record_type, records_of
from tacit.recall.memory_vectors import forget_all_memory_vectors, forget_memory_vectors
from tacit.recall.vector_index import VectorIndex
from tacit.stores import schema
from tacit.stores.port import Snapshot, Store, Transaction
from tacit.stores.sqlite import MEMORY, SqliteStore

pytestmark = pytest.mark.requirement("RE-02")
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

    def come(self, many: int, dimension: int = DIMENSION, embedded: bool = True) -> list[int]:
        """Memories that are remembered, and their vectors."""
        with self.store.transaction() as transaction:
            rows = [self._row(self._step(transaction)) for _ in range(many)]
            transaction.insert(memory, [tuple(getattr(row, name) for name in row.__struct_fields__) for row in rows])
            if embedded:
                self.embed(transaction, rows, dimension)
        return [row.since for row in rows]

    def embed(self, transaction: Transaction, rows: list[MemoryRow], dimension: int = DIMENSION) -> None:
        vectors = unit(self.generator.standard_normal((len(rows), dimension))).astype("<f2")
        bodies = [(self.mind, MODEL, row.since, each.tobytes()) for row, each in zip(rows, vectors, strict=True)]
        transaction.insert(vector, bodies)
        put_codes(transaction, self.mind, MODEL, records_of(rows, vectors))

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


# ── the same as by comparing all ─────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_whatever_came_ended_and_was_erased_the_answer_is_that_of_comparing_all(chance: random.Random) -> None:
    index = VectorIndex()
    with opened() as store:
        world = World(store, chance)
        for _ in range(8):
            there = world.numbers()
            some = chance.sample(there, min(len(there), chance.randrange(6)))
            what = chance.randrange(4)
            if what == 0 and some:
                world.erase(some)
            elif what == 1 and some:
                world.end(some)
            else:
                world.come(chance.choice([1, 1, 3, 20]), embedded=chance.random() < 0.9)
            if chance.random() < 0.3:
                continue  # so that several changes are followed at once
            asked = unit(world.generator.standard_normal((1, DIMENSION)))[0]
            wanted, position = a_filter(chance), chance.choice([NOW, NOW, chance.randrange(world.position + 1)])
            with store.snapshot() as snapshot:
                found = index.search(snapshot, MIND, MODEL, asked, most=1_000, wanted=wanted, position=position)
                expected = exactly(snapshot, asked, wanted, min(position, world.position))
            assert {one.number for one in found} == set(expected)
            assert all(one.cosine == pytest.approx(expected[one.number], abs=1e-3) for one in found)
            assert [one.cosine for one in found] == sorted((one.cosine for one in found), reverse=True)


def bits_apart(one: NDArray[Any], other: NDArray[Any]) -> int:
    return sum((int(a) ^ int(b)).bit_count() for a, b in zip(one, other, strict=True))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 300), st.integers(1, 3), st.integers(0, 40), st.sampled_from([0.0, 0.05, 0.5, 1.0, None]))
@pytest.mark.parametrize("many", [1, hamming.MANY])
def test_the_nearest_codes_are_those_that_differ_in_the_fewest_bits(
    many: int, codes: int, words: int, most: int, share: float | None
) -> None:
    """With FAISS from the first code on, and without it."""
    generator = numpy.random.default_rng([codes, words, most])
    all_codes = generator.integers(0, 2**63, (codes, words), dtype=numpy.uint64)
    meant = None if share is None else generator.random(codes) < share
    code = generator.integers(0, 2**63, words, dtype=numpy.uint64)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hamming, "MANY", many)
        places = hamming.nearest(all_codes, code, meant, most)
    distances = [bits_apart(row, code) for row in all_codes]
    allowed = [place for place in range(codes) if meant is None or meant[place]]
    expected = sorted(distances[place] for place in allowed)[:most]
    assert [distances[place] for place in places] == expected
    assert len(set(places.tolist())) == len(places)
    assert set(places.tolist()) <= set(allowed)


def test_what_is_meant_is_found_though_all_that_is_near_is_not_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "MANY", 1)
    codes = numpy.zeros((4_000, 2), dtype=numpy.uint64)
    codes[3_000:] = 2**64 - 1
    meant = numpy.arange(4_000) >= 3_000
    assert (hamming.nearest(codes, codes[0], meant, 300) >= 3_000).sum() == 300


@pytest.mark.requirement("RE-10")
def test_real_vectors_are_found_by_their_codes_as_by_comparing_all() -> None:
    """Of some thousand sentences that are much alike."""
    who = ["Alice", "Bob", "my mother", "the new neighbour", "our captain", "Dr. Chen", "the twins", "a stranger"]
    did = ["painted", "sold", "lost", "repaired", "was given", "wants to buy", "talked for hours about", "never liked"]
    what = ["the red boat", "a house by the sea", "an old violin", "the garden", "a bicycle", "three books", "the dog"]
    when = ["last summer", "on Tuesday", "before the storm", "in Paris", "with a friend", "after the wedding", "again"]
    texts = [f"{a} {b} {c} {d}." for a in who for b in did for c in what for d in when]
    asked = [f"{b} {c}?" for b in did for c in what]
    model = MiniLM()
    vectors, questions = model.embed(texts), model.embed(asked)
    codes, right, most = codes_of(vectors), 0, 10
    for question in questions:
        places = hamming.nearest(codes, codes_of(question.reshape(1, -1))[0], None, vector_index.RESCORED)
        best = numpy.argsort(-(vectors @ question))[:most]
        right += len(set(best.tolist()) & set(places.tolist()))
    assert len(texts) > 3_000
    assert right / (most * len(asked)) >= 0.99


# ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("batch", [1, 7, 128])
def test_codes_lie_in_few_blocks_and_each_is_written_only_some_times(batch: int) -> None:
    with opened() as store:
        newest = select(schema.code.c.size).order_by(schema.code.c.revision.desc())
        world, written, many = World(store, random.Random(1)), 0, 3_000
        for _ in range(many // batch):
            world.come(batch)
            with store.snapshot() as snapshot:
                written += int(snapshot.rows(newest)[0][0])
        with store.snapshot() as snapshot:
            blocks = list(all_blocks(snapshot, MIND, MODEL))
        assert sum(block.size for block in blocks) == many // batch * batch
        assert len(blocks) < many / MOST + 16
        assert max(block.size for block in blocks) <= MOST
        assert written < 16 * many
        assert all(one.last < other.block for one, other in itertools.pairwise(blocks))


@pytest.mark.requirement("JR-06")
def test_erasing_leaves_no_byte_of_a_vector_or_of_its_code() -> None:
    with opened() as store:
        world = World(store, random.Random(2))
        first, second, third = world.come(3)
        world.erase([second])
        with store.snapshot() as snapshot:
            blocks = list(all_blocks(snapshot, MIND, MODEL))
            assert [block.records["number"].tolist() for block in blocks] == [[first, third]]
            assert len(blocks[0].body) == 2 * blocks[0].records.dtype.itemsize
            assert [row[0] for row in snapshot.rows(select(vector.c.number).order_by(vector.c.number))] == [
                first,
                third,
            ]
        with store.transaction() as transaction:
            assert forget_memory_vectors(transaction, MIND, [second]) == 0
            assert forget_memory_vectors(transaction, MIND, [first, third]) == 2


@pytest.mark.requirement("JR-06")
def test_when_all_of_a_mind_is_erased_the_index_is_empty_and_goes_on_with_what_comes() -> None:
    index, asked = VectorIndex(), numpy.ones(DIMENSION, dtype=numpy.float32)
    with opened() as store:
        world, other = World(store, random.Random(3)), World(store, random.Random(4), b"o" * 16)
        world.come(30)
        other.come(5)

        def found(mind: bytes = MIND) -> set[int]:
            with store.snapshot() as snapshot:
                return {one.number for one in index.search(snapshot, mind, MODEL, asked, most=100)}

        assert len(found()) == 30
        with store.transaction() as transaction:
            transaction.execute(delete(memory).where(memory.c.mind == MIND))
            assert forget_all_memory_vectors(transaction, MIND) == 30
        assert found() == set()
        assert found() == set()
        assert found(other.mind) == set(other.numbers())
        assert found() == set()
        assert set(world.come(4)) == found()


def test_what_holds_again_because_its_successor_was_erased_is_found_again() -> None:
    index, asked = VectorIndex(), numpy.ones(DIMENSION, dtype=numpy.float32)
    with opened() as store:
        world = World(store, random.Random(5))
        old, newer, third = world.come(3)
        world.end([old])
        for erased in (False, True):
            if erased:
                world.erase([newer])
                world.reopen(old)
            with store.snapshot() as snapshot:
                found = {one.number for one in index.search(snapshot, MIND, MODEL, asked, most=9)}
            assert found == ({old, third} if erased else {newer, third})


def test_whoever_embeds_anew_replaces_what_is_there_and_fills_what_was_left_out() -> None:
    index, asked = VectorIndex(), numpy.ones(DIMENSION, dtype=numpy.float32)
    with opened() as store:
        world = World(store, random.Random(6))
        world.come(5)
        left_out = world.come(2, embedded=False)
        world.come(40)
        world.come(300)
        for again in (False, True):
            if again:
                rows = [MemoryRow(*row) for row in _rows(store)]
                with store.transaction() as transaction:
                    transaction.execute(delete(vector))
                    world.embed(transaction, rows)
            with store.snapshot() as snapshot:
                found = index.search(snapshot, MIND, MODEL, asked, most=1_000)
                expected = exactly(snapshot, asked, MemoryFilter(), NOW)
            assert {one.number for one in found} == set(expected)
            assert set(left_out) <= set(expected) or not again
            assert len(found) == len(expected)
        with store.snapshot() as snapshot:
            stored = numpy.concatenate([block.records["code"] for block in all_blocks(snapshot, MIND, MODEL)])
            kept = snapshot.rows(select(vector.c.body).order_by(vector.c.number))
        wanted = codes_of(numpy.array([numpy.frombuffer(row[0], dtype="<f2") for row in kept]))
        assert (stored == wanted).all()


def _rows(store: Store) -> list[Any]:
    with store.snapshot() as snapshot:
        return snapshot.rows(select(*memory.c).order_by(memory.c.since))


def test_when_a_model_of_the_same_name_has_another_dimension_older_vectors_are_left_out() -> None:
    index = VectorIndex()
    with opened() as store:
        world = World(store, random.Random(7))
        narrow, wide = world.come(5), world.come(6, dimension=130)
        for numbers, dimension in ((narrow, DIMENSION), (wide, 130), (narrow, DIMENSION), ([], 300)):
            asked = numpy.ones(dimension, dtype=numpy.float32)
            with store.snapshot() as snapshot:
                found = index.search(snapshot, MIND, MODEL, asked, most=100)
            assert sorted(one.number for one in found) == numbers


# ── many that ask, and room ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-04")
def test_a_thread_with_an_older_snapshot_is_answered_as_of_that(tmp_path: Any) -> None:
    index, asked = VectorIndex(), numpy.ones(DIMENSION, dtype=numpy.float32)
    with opened(tmp_path / "a.db") as store:
        world = World(store, random.Random(8))
        there = world.come(5)
        with store.snapshot() as older:
            assert len(index.search(older, MIND, MODEL, asked, most=9)) == 5
            world.end(there[:2])
            world.come(3)
            with store.snapshot() as newer:
                assert len(index.search(newer, MIND, MODEL, asked, most=9)) == 6
            found = index.search(older, MIND, MODEL, asked, most=9)
            assert sorted(one.number for one in found) == there


@pytest.mark.requirement("JR-04")
def test_threads_that_ask_while_memories_come_and_go_each_get_what_holds_for_them(tmp_path: Any) -> None:
    index, stop, wrong = VectorIndex(), threading.Event(), list[str]()
    with opened(tmp_path / "a.db") as store:
        world = World(store, random.Random(9))
        world.come(50)

        def ask(seed: int) -> None:
            generator = numpy.random.default_rng(seed)
            while not stop.is_set():
                asked = unit(generator.standard_normal((1, DIMENSION)))[0]
                with store.snapshot() as snapshot:
                    found = {one.number for one in index.search(snapshot, MIND, MODEL, asked, most=5_000)}
                    expected = set(exactly(snapshot, asked, MemoryFilter(), NOW))
                if found != expected:
                    wrong.append(f"{sorted(found ^ expected)}")

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(60):
            there = world.numbers()
            (world.erase, world.end)[turn % 2](world.chance.sample(there, 2))
            world.come(3)
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_indexes_take_no_more_room_than_they_may_and_minds_asked_lately_stay() -> None:
    asked = numpy.ones(DIMENSION, dtype=numpy.float32)
    with opened() as store:
        minds = [bytes([number]) * 16 for number in range(5)]
        for mind in minds:
            World(store, random.Random(mind[0]), mind).come(400)
        index = VectorIndex()
        with store.snapshot() as snapshot:
            index.search(snapshot, minds[0], MODEL, asked, most=3)
            alone = index.size_bytes
            index = VectorIndex(most_bytes=int(2.5 * alone))
            for mind in [*minds, minds[0], minds[0]]:
                assert len(index.search(snapshot, mind, MODEL, asked, most=3)) == 3
                assert index.size_bytes <= 2.5 * alone
        assert index.size_bytes == 2 * alone


# ── what is kept must be understood by every version and machine ─────────────────────────────────────────────────────


CODES = (
    "ca3f9f73b172c0d2f9f8ddfff0804fefb92aa78577201e4e16a7fc93834838754f3d16008f712b4a38bfb54109e501a1"
    "9bd03e535ec71220b9fa0b0c230cf3d2f5a9a7edbb67a6a56f348e278c36f431ffdc89b83b85643cf2a6394b5a083b5c"
    "93d02e57dec750003cf20b0c210cf396f5e9e7ebbf67a6a56f348e272c36f532fbd489f2338764b4f2a4294b72083b7c"
)


def test_codes_are_the_same_as_ever() -> None:
    vectors = numpy.linspace(-1, 2, 3 * 384, dtype=numpy.float32).reshape(3, 384) ** 3
    expected = numpy.frombuffer(bytes.fromhex(CODES), dtype="<u8").reshape(3, 6)
    assert bits_apart(codes_of(vectors).ravel(), expected.ravel()) <= 2  # another processor may round otherwise


def test_a_record_is_laid_out_as_ever() -> None:
    assert record_type(48).itemsize == 113
    assert name_hash("alice") == 9_933_345_172_075_899_469
    assert name_hash("") == 0
