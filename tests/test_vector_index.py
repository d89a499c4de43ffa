"""The index of vectors finds what a comparison with every single one would find, whatever came and went meanwhile."""

from __future__ import annotations

import itertools
import math
import random
import threading
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import delete, select

from tacit.experience.memory.fold import MemoryRow
from tacit.experience.memory.views import MemoryFilter
from tacit.experience.views import NOW
from tacit.models.hashing import HashingEmbedder
from tacit.models.minilm import MiniLM
from tacit.recall import hamming
from tacit.recall.code_blocks import MOST, all_blocks
from tacit.recall.codes import codes_of, likeness, name_hash, projected, record_type, width_of
from tacit.recall.memory_vectors import forget_memory_vectors
from tacit.recall.vector_index import VectorIndex
from tacit.stores import schema
from tacit.stores.port import Store
from vector_world import (
    COMPARED,
    DIMENSION,
    MIND,
    MODEL,
    World,
    a_filter,
    exactly,
    memory,
    nearest,
    opened,
    unit,
    vector,
)

pytestmark = pytest.mark.requirement("RE-02")


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
                found = nearest(index, snapshot, MIND, MODEL, asked, most=1_000, wanted=wanted, position=position)
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
    vectors, right, most = model.embed(texts), 0, 10
    with opened() as store:
        index, world = VectorIndex(), World(store, random.Random(0))
        world.come(len(texts), vectors=vectors)
        with store.snapshot() as snapshot:
            for question in model.embed(asked):
                found = nearest(index, snapshot, MIND, MODEL, question, most=most)
                best = numpy.argsort(-(vectors @ question))[:most] + 1  # the numbers that they were given
                right += len(set(best.tolist()) & {one.number for one in found})
    assert len(texts) > 3_000
    assert right / (most * len(asked)) >= 0.99


def test_counts_of_words_are_found_by_their_codes_too() -> None:
    """All their numbers are zero or more, so their signs alone would tell nothing."""
    chance, right, most = random.Random(0), 0, 10
    words = [f"word{number}" for number in range(500)]
    texts = [" ".join(chance.choices(words, k=chance.randrange(4, 30))) for _ in range(2_000)]
    asked = [" ".join(chance.sample(text.split(), 3)) for text in texts[:50]]
    model = HashingEmbedder()
    vectors, questions = model.embed(texts), projected(model.embed(asked))
    codes = codes_of(projected(vectors))
    for question, text in zip(questions, asked, strict=True):
        likest = numpy.argsort(-likeness(codes, question))[:COMPARED]
        best = numpy.argsort(-(vectors @ model.embed([text])[0]))[:most]
        right += len(set(best.tolist()) & set(likest.tolist()))
    assert right / (most * len(asked)) >= 0.9


@pytest.mark.parametrize("dimension", [8, 384, 1_000])
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_how_near_a_memory_is_on_average_is_told_from_codes(dimension: int, spread: float) -> None:
    """Of vectors that lie around one direction, more or less closely; where codes are alike, so are their errors."""
    error = 3 * math.sqrt((math.pi / 2 - 1) / (8 * width_of(dimension)))
    index, generator = VectorIndex(), numpy.random.default_rng(dimension)
    towards = generator.standard_normal(dimension)
    noise = generator.standard_normal((2_000, dimension))
    vectors = unit(towards + spread * noise)
    with opened() as store:
        world = World(store, random.Random(0))
        with store.snapshot() as snapshot:
            assert index.among(snapshot, MIND, MODEL, dimension).background(vectors[0]) is None
        world.come(len(vectors), vectors=vectors)
        with store.snapshot() as snapshot:
            meant = index.among(snapshot, MIND, MODEL, dimension)
    for asked in unit(towards + 2 * generator.standard_normal((5, dimension))):
        told = meant.background(asked)
        assert told is not None
        cosines = vectors @ asked
        assert told[0] == pytest.approx(cosines.mean(), abs=error if spread < 1 or dimension == 8 else 0.03)
        assert told[1] == pytest.approx(cosines.std(), rel=0.3, abs=error / 2)


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
                return {one.number for one in nearest(index, snapshot, mind, MODEL, asked, most=100)}

        assert len(found()) == 30
        with store.transaction() as transaction:
            transaction.execute(delete(memory).where(memory.c.mind == MIND))
            assert forget_memory_vectors(transaction, MIND, range(1, 31)) == 30
        assert found() == set()
        assert found() == set()
        assert found(other.mind) == set(other.numbers())
        assert found() == set()
        assert set(world.come(4)) == found()


@pytest.mark.parametrize("embedded", [True, False])
@pytest.mark.parametrize("more", [0, 3])
def test_what_holds_again_because_its_successor_was_erased_is_found_again(embedded: bool, more: int) -> None:
    index, asked = VectorIndex(), numpy.ones(DIMENSION, dtype=numpy.float32)
    with opened() as store:
        world = World(store, random.Random(5))
        old, third = world.come(2)
        (newer,) = world.come(1, embedded=embedded)
        world.end([old])
        expected = {third, newer} if embedded else {third}
        for erased in (False, True):
            if erased:
                world.erase([newer])
                world.reopen(old)
                expected = {old, third, *(world.come(more) if more else ())}
            with store.snapshot() as snapshot:
                found = {one.number for one in nearest(index, snapshot, MIND, MODEL, asked, most=9)}
            assert found == expected


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
                found = nearest(index, snapshot, MIND, MODEL, asked, most=1_000)
                expected = exactly(snapshot, asked, MemoryFilter(), NOW)
            assert {one.number for one in found} == set(expected)
            assert set(left_out) <= set(expected) or not again
            assert len(found) == len(expected)
        with store.snapshot() as snapshot:
            stored = numpy.concatenate([block.records["code"] for block in all_blocks(snapshot, MIND, MODEL)])
            kept = snapshot.rows(select(vector.c.body).order_by(vector.c.number))
        wanted = codes_of(projected(numpy.array([numpy.frombuffer(row[0], dtype="<f2") for row in kept])))
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
                found = nearest(index, snapshot, MIND, MODEL, asked, most=100)
            assert sorted(one.number for one in found) == numbers


# ── many that ask, and room ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-04")
def test_a_thread_with_an_older_snapshot_is_answered_as_of_that(tmp_path: Any) -> None:
    index, asked = VectorIndex(), numpy.ones(DIMENSION, dtype=numpy.float32)
    with opened(tmp_path / "a.db") as store:
        world = World(store, random.Random(8))
        there = world.come(5)
        with store.snapshot() as older:
            assert len(nearest(index, older, MIND, MODEL, asked, most=9)) == 5
            world.end(there[:2])
            world.come(3)
            with store.snapshot() as newer:
                assert len(nearest(index, newer, MIND, MODEL, asked, most=9)) == 6
            found = nearest(index, older, MIND, MODEL, asked, most=9)
            assert sorted(one.number for one in found) == there


@pytest.mark.requirement("JR-04")
def test_threads_that_ask_while_memories_come_and_go_each_get_what_holds_for_them(tmp_path: Any) -> None:
    index, stop, wrong, erased = VectorIndex(), threading.Event(), list[str](), set[int]()
    with opened(tmp_path / "a.db") as store:
        world = World(store, random.Random(9))
        world.come(50)

        def ask(seed: int) -> None:
            generator = numpy.random.default_rng(seed)
            while not stop.is_set():
                asked = unit(generator.standard_normal((1, DIMENSION)))[0]
                with store.snapshot() as snapshot:
                    found = {one.number for one in nearest(index, snapshot, MIND, MODEL, asked, most=5_000)}
                    expected = set(exactly(snapshot, asked, MemoryFilter(), NOW))
                if not expected - erased <= found <= expected:  # what was erased since is not shown any more
                    wrong.append(f"{sorted(found ^ expected)}")

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(60):
            some = world.chance.sample(world.numbers(), 2)
            if turn % 2:
                world.end(some)
            else:
                erased.update(some)
                world.erase(some)
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
            nearest(index, snapshot, minds[0], MODEL, asked, most=3)
            alone = index.size_bytes
            index = VectorIndex(most_bytes=int(2.5 * alone))
            for mind in [*minds, minds[0], minds[0]]:
                assert len(nearest(index, snapshot, mind, MODEL, asked, most=3)) == 3
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
    assert (
        bits_apart(codes_of(projected(vectors)).ravel(), expected.ravel()) <= 2
    )  # another processor may round otherwise


def test_a_record_is_laid_out_as_ever() -> None:
    assert record_type(48).itemsize == 113
    assert name_hash("alice") == 9_933_345_172_075_899_469
    assert name_hash("") == 0
