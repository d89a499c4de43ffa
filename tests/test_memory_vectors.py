"""Every memory gets a vector in the background, by whichever process has the lease, and loses it when it is erased."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest
from sqlalchemy import delete, select

import tacit
import vector_world
from embedding_provider import Provider
from memories import embed_some, numbers, remember, texts_of
from tacit.experience.memory.check import said_from
from tacit.experience.memory.remember import Rememberer
from tacit.experience.memory.views import MemoryFilter
from tacit.experience.views import NOW
from tacit.journal.consumer import Span, consumer_position
from tacit.journal.read import head_position
from tacit.models.embedders import embedder_by
from tacit.models.embedding_server import EmbeddingServer
from tacit.models.hashing import HashingEmbedder
from tacit.models.minilm import MiniLM
from tacit.recall.code_blocks import all_blocks
from tacit.recall.embedder import embed_each
from tacit.recall.memory_vectors import (
    MemoryVectors,
    forget_memory_vectors,
    former_models,
    memory_vectors_kept_as,
    reached_by_models,
)
from tacit.recall.vector_index import VectorIndex
from tacit.recall.wording import wording
from tacit.stores import schema
from tacit.stores.port import Snapshot
from trials import open_mind

pytestmark = pytest.mark.requirement("RE-11")
HASHING = HashingEmbedder()
TESTS = Path(__file__).parent


@pytest.fixture(params=["file", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "a.db")


@contextmanager
def reading(mind: tacit.Mind) -> Iterator[Snapshot]:
    with mind.recorder.journal.store.snapshot() as snapshot:
        yield snapshot


def nearest(
    mind: tacit.Mind,
    text: str,
    most: int = 10,
    *,
    index: VectorIndex | None = None,
    model: Any = HASHING,
    position: int = NOW,
    **wanted: Any,
) -> list[str]:
    """What the memories say that mean most nearly what a text does."""
    asked = model.embed([text])[0]
    with reading(mind) as snapshot:
        found = vector_world.nearest(
            index or VectorIndex(),
            snapshot,
            mind.recorder.mind.id,
            model.fingerprint,
            asked,
            most=most,
            wanted=MemoryFilter(**wanted),
            position=position,
        )
        return texts_of(snapshot, [one.number for one in found])


def embedded(mind: tacit.Mind, model: str = HASHING.fingerprint) -> list[int]:
    """The numbers of the memories that have a vector; the same ones have a code."""
    vector = schema.memory_vector.c
    with reading(mind) as snapshot:
        rows = snapshot.rows(select(vector.number).where(vector.model == model).order_by(vector.number))
        blocks = all_blocks(snapshot, mind.recorder.mind.id, model)
        coded = [int(number) for block in blocks for number in block.records["number"]]
    assert coded == [row[0] for row in rows]
    return coded


# ── memories that come, change and go ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-07")
def test_memories_are_found_by_their_vectors_as_they_hold_and_as_they_held(location: str) -> None:
    index = VectorIndex()
    with open_mind(location, learning__embedder="hashing") as mind:
        ship, other = remember(mind, "paint the red ship", "water the garden", user="alice", kind="note")
        remember(mind, "paint the red shed", user="bob", kind="fact", session="D1")
        mind.settle(60)
        with reading(mind) as snapshot:
            before = head_position(snapshot, mind.recorder.mind.id)
        assert nearest(mind, "paint a red ship", index=index)[0] == "paint the red ship"
        assert nearest(mind, "paint a red ship", index=index, user="bob") == ["paint the red shed"]
        assert nearest(mind, "paint a red ship", index=index, kinds=("note", "turn"))[0] == "paint the red ship"
        assert nearest(mind, "paint a red ship", index=index, user="nobody") == []
        rememberer = Rememberer(mind.recorder)
        rememberer.correct(ship.id, lambda _: said_from({"text": "sell the red ship", "user": "alice"}))
        rememberer.forget([other.id], "of no use").result()
        assert nearest(mind, "red ship", index=index) == ["paint the red shed"]  # its new wording has no vector yet
        mind.settle(60)
        assert set(nearest(mind, "red ship", index=index)) == {"sell the red ship", "paint the red shed"}
        past = nearest(mind, "paint a red ship", index=index, position=before)
        assert set(past) == {"paint the red ship", "water the garden", "paint the red shed"}
        assert len(embedded(mind)) == 4


def test_what_is_said_is_embedded_with_who_said_it_unless_that_is_a_role() -> None:
    assert wording("I went sailing", "Caroline") == "Caroline: I went sailing"
    assert wording("I went sailing", "Assistant") == wording("I went sailing") == "I went sailing"


def test_who_said_it_leads_to_what_was_said(tmp_path: Path) -> None:
    with open_mind(tmp_path / "a.db", learning__embedder="hashing") as mind:
        remember(mind, "I went sailing", kind="turn", speaker="Caroline")
        remember(mind, "I went swimming", kind="turn", speaker="Melanie")
        mind.settle(60)
        assert nearest(mind, "Melanie?", 1) == ["I went swimming"]


def test_a_memory_that_never_held_is_not_embedded(tmp_path: Path) -> None:
    """It came after one of the same subject that is true since later."""
    with open_mind(tmp_path / "a.db", learning__embedder="hashing") as mind:
        remember(mind, "a window seat", subject="seat", valid_from=2_000_000)
        remember(mind, "an aisle seat", subject="seat", valid_from=1_000_000)
        mind.settle(60)
        assert len(embedded(mind)) == 1


@pytest.mark.requirement("JR-06")
def test_what_was_erased_while_it_was_embedded_gets_no_vector(tmp_path: Path) -> None:
    consumer = MemoryVectors(HASHING)
    with open_mind(tmp_path / "a.db", learning__embedder="none") as mind:
        remember(mind, "paint the red ship", "water the garden")
        store, id = mind.recorder.journal.store, mind.recorder.mind.id
        with reading(mind) as snapshot:
            taken = consumer.take(snapshot, id, Span(0, head_position(snapshot, id), 500, True, False))
        assert taken is not None
        assert taken.think is not None
        effects = taken.think()
        with store.transaction() as transaction:
            transaction.execute(delete(schema.memory).where(schema.memory.c.text == "paint the red ship"))
            forget_memory_vectors(transaction, id, [2])
        mind.recorder.journal.writer.run(lambda appender: consumer.apply(appender, id, effects))
        with reading(mind) as snapshot:
            assert embedded(mind) == [numbers(snapshot, id)["water the garden"]]


@pytest.mark.requirement("JR-06")
def test_erased_memories_are_found_by_no_index_and_their_bytes_are_gone(location: str) -> None:
    index = VectorIndex()
    with open_mind(location, learning__embedder="hashing") as mind:
        remember(mind, *(f"ship number {number}" for number in range(300)))
        mind.settle(60)
        assert nearest(mind, "ship number 123", 1, index=index) == ["ship number 123"]
        store, id = mind.recorder.journal.store, mind.recorder.mind.id
        with reading(mind) as snapshot:
            erased = [number for text, number in numbers(snapshot, id).items() if text.endswith("3")]
        with store.transaction() as transaction:
            transaction.execute(delete(schema.memory).where(schema.memory.c.since.in_(erased)))
            assert forget_memory_vectors(transaction, id, erased) == 30
        found = nearest(mind, "ship number 123", 300, index=index)
        assert len(found) == 270
        assert not any(text.endswith("3") for text in found)
        assert len(embedded(mind)) == 270
        assert not set(erased) & set(embedded(mind))


@pytest.mark.requirement("JR-06")
def test_no_file_holds_a_byte_of_what_was_erased(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    def held(pieces: list[bytes]) -> list[bool]:
        files = [file.read_bytes() for file in tmp_path.iterdir()]
        return [any(piece in file for file in files) for piece in pieces]

    with open_mind(path, learning__embedder="hashing") as mind:
        remember(mind, *(f"ship number {number}" for number in range(200)), "the marker", "water the garden")
        mind.settle(60)
        id = mind.recorder.mind.id
        with reading(mind) as snapshot:
            number = numbers(snapshot, id)["the marker"]
            blocks = all_blocks(snapshot, id, HASHING.fingerprint)
            records = numpy.concatenate([block.records for block in blocks])
        vector = HASHING.embed(["the marker"])[0].astype("<f2").tobytes()
        pieces = [vector, records[records["number"] == number]["code"].tobytes()]
    assert held(pieces) == [True, True]
    with open_mind(path, learning__embedder="none") as mind, mind.recorder.journal.store.transaction() as transaction:
        assert forget_memory_vectors(transaction, id, [number]) == 1
    assert held(pieces) == [False, False]


# ── embedders that refuse, fail or are changed ───────────────────────────────────────────────────────────────────────


def test_a_text_that_is_refused_costs_no_other_its_vector(
    provider: Provider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider.refused = "poison"
    model = EmbeddingServer(provider.url, "test-model", dimension=8)
    with open_mind(tmp_path / "a.db", learning__embedder=provider.embedder) as mind:
        remember(mind, "paint the ship", "carry the poison away", "sell the boat")
        mind.settle(60)
        assert set(nearest(mind, "a ship", model=model)) == {"paint the ship", "sell the boat"}
        said = [line for line in caplog.records if line.msg == "the embedder refuses the text of a memory"]
        assert len(said) == 1


@pytest.mark.parametrize(
    "numbers_of_a_vector",
    ["0, 0, 0, 0, 0, 0, 0, 0", "1, 2, 3", "1e999, 1, 1, 1, 1, 1, 1, 1", "NaN, 1, 1, 1, 1, 1, 1, 1"],
)
def test_vectors_that_cannot_be_used_are_never_stored(
    provider: Provider, tmp_path: Path, numbers_of_a_vector: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    model = EmbeddingServer(provider.url, "test-model", dimension=8)
    with open_mind(tmp_path / "a.db", learning__embedder=provider.embedder) as mind:
        remember(mind, "paint the ship")
        mind.settle(60)
        answer = f'{{"data": [{{"index": 0, "embedding": [{numbers_of_a_vector}]}}]}}'
        provider.script = [(200, answer.encode())] * 1_000
        remember(mind, "sell the ship")
        with pytest.raises(tacit.NotSettled) as caught:
            mind.settle(1)
        assert "memory-vectors" in caught.value.context["failures"]
        assert len(embedded(mind, model.fingerprint)) == 1
        provider.script = []
        mind.settle(60)
        assert len(embedded(mind, model.fingerprint)) == 2


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_vectors_of_an_embedder_of_ones_own_that_cannot_be_used_are_never_stored(bad: float) -> None:
    class Careless(HashingEmbedder):
        def embed(self, texts: Sequence[str]) -> Any:
            vectors = super().embed(texts)
            for row, text in enumerate(texts):
                if "poison" in text:
                    vectors[row] = bad
            return vectors

    class Short(HashingEmbedder):
        def embed(self, texts: Sequence[str]) -> Any:
            return super().embed(texts)[1:]

    found = embed_each(Careless(8), ["paint the ship", "carry the poison away", "sell the boat"])
    assert [vector is None for vector in found] == [False, True, False]
    with pytest.raises(tacit.ModelError, match="answered 0 vectors for 1 texts"):
        embed_each(Short(8), ["paint the ship", "sell the boat"])


@pytest.mark.requirement("RE-06")
def test_while_the_embedder_fails_what_has_a_vector_is_found_and_the_lag_is_told(
    provider: Provider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    model = EmbeddingServer(provider.url, "test-model", dimension=8)
    with open_mind(tmp_path / "a.db", learning__embedder=provider.embedder) as mind:
        remember(mind, "paint the ship")
        mind.settle(60)
        provider.refused = " "
        remember(mind, "sell the ship")
        with pytest.raises(tacit.NotSettled) as caught:
            mind.settle(1)
        assert "memory-vectors" in caught.value.context["failures"]
        assert caught.value.context["lag"]["memory-vectors"] == 1
        provider.refused = ""
        mind.settle(60)
        assert len(nearest(mind, "ship", model=model)) == 2


def test_after_a_change_of_the_model_the_former_one_serves_until_the_new_one_has_caught_up(tmp_path: Path) -> None:
    path, index = tmp_path / "a.db", VectorIndex()
    former, model = MiniLM(), HASHING
    texts = [f"ship number {number}" for number in range(40)]
    with open_mind(path, learning__embedder="minilm") as mind:
        remember(mind, *texts)
        mind.settle(60)
    with open_mind(path, learning__embedder="none") as mind:
        store, id = mind.recorder.journal.store, mind.recorder.mind.id
        served, position = list[str](), 0
        while True:
            with reading(mind) as snapshot:
                ahead = former_models(reached_by_models(snapshot, id), model.fingerprint)
                served.append(ahead[0] if ahead else model.fingerprint)
                head = head_position(snapshot, id)
            serving = embedder_by(served[-1])
            assert serving is not None
            assert len(nearest(mind, "ship number 7", 40, model=serving, index=index)) == 40
            if position == head:
                break
            position = embed_some(mind, model, position, 10)
        assert served == [former.fingerprint] * (len(served) - 1) + [model.fingerprint]
        assert len(served) > 4
        with store.snapshot() as snapshot:
            assert consumer_position(snapshot, id, memory_vectors_kept_as(former.fingerprint)) == head
        assert len(embedded(mind, former.fingerprint)) == len(embedded(mind)) == 40


def test_only_embedders_that_come_along_are_opened_by_what_a_store_says() -> None:
    for embedder in (MiniLM(), HashingEmbedder(33)):
        found = embedder_by(embedder.fingerprint)
        assert found is not None
        assert (found.fingerprint, found.dimension) == (embedder.fingerprint, embedder.dimension)
    for name in (
        "openai:model@http://example.org/v1",
        "sentence-transformers:x",
        "all-MiniLM-L6-v2:0:0",
        "hashing:1:0",
    ):
        assert embedder_by(name) is None


# ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────────

WRITER = """
import sys
sys.path.insert(0, sys.argv[3])
from memories import remember
from trials import open_mind
with open_mind(sys.argv[1], learning__embedder="hashing") as mind:
    print("open", flush=True)
    for turn in range(1_000_000):
        remember(mind, *(f"{sys.argv[2]} {turn} {place}" for place in range(10)))
        print("written", flush=True)
        if turn % 3 == 2:
            mind.settle(60)
            print("settled", flush=True)
        if sys.argv[4] == str(turn):
            break
"""


def writer(location: str, name: str, last: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, location, name, str(TESTS), last]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.requirement("JR-04")
def test_of_several_processes_one_embeds_and_the_index_of_each_follows_them_all(location: str) -> None:
    index = VectorIndex()
    with open_mind(location, learning__embedder="hashing") as mind:
        others = [writer(location, name, "8") for name in ("one", "two")]
        for number in range(30):
            remember(mind, f"mine {number}")
            nearest(mind, "mine", index=index)
        for other in others:
            assert other.stdout is not None
            other.stdout.read()
            assert other.wait(120) == 0
        mind.settle(120)
        assert len(embedded(mind)) == len(set(embedded(mind))) == 30 + 2 * 90
        assert len(nearest(mind, "one", 1_000, index=index)) == 210
        assert nearest(mind, "one 5 5", 1, index=index) == ["one 5 5"]


@pytest.mark.requirement("JR-02")
@pytest.mark.parametrize("moment", ["written", "settled"])
def test_after_a_kill_every_memory_has_one_vector_again(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "a.db"
    for turn in range(3):
        killed, seen = writer(str(path), f"killed {turn}"), 0
        assert killed.stdout is not None
        for line in killed.stdout:
            seen += line.strip() == moment
            if seen == 2 + turn:
                break
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=60)
    with open_mind(path, learning__embedder="hashing") as mind:
        mind.settle(60)
        with reading(mind) as snapshot:
            expected = sorted(numbers(snapshot, mind.recorder.mind.id).values())
        assert embedded(mind) == expected
        assert len(expected) >= 20
        assert len(nearest(mind, "killed", 10_000)) == len(expected)


def test_vectors_are_kept_in_half_precision_under_the_fingerprint_of_their_model(tmp_path: Path) -> None:
    with open_mind(tmp_path / "a.db", learning__embedder="hashing") as mind:
        remember(mind, "paint the red ship")
        mind.settle(60)
        with reading(mind) as snapshot:
            ((_, model, _, body),) = snapshot.rows(schema.memory_vector.select())
        kept = numpy.frombuffer(body, dtype="<f2").astype(numpy.float32)
        assert model == HASHING.fingerprint
        assert abs(kept @ HASHING.embed(["paint the red ship"])[0] - 1) < 1e-3
