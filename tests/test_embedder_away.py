"""An embedder that refuses a text, is down, never answers, or was changed: learning and advice go on by words."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import tacit
from embedding_provider import Provider
from tacit.errors import ModelError
from tacit.learning.advising.advisor import BY_WORDS_ALONE
from tacit.mind import Mind
from tacit.models.embedding_cache import CachedEmbedder
from tacit.models.embedding_server import EmbeddingServer
from tacit.models.hashing import HashingEmbedder
from tacit.recall.embedder import embed_each
from tacit.recall.meaning import PATIENCE_SECONDS, Meaning
from tacit.stores import schema
from trials import open_mind, settings

pytestmark = pytest.mark.requirement("RE-11")
MOMENT = PATIENCE_SECONDS + 2.0
"""The longest that advice may take without an embedder, on a machine that is slow."""


def live(mind: Mind, description: str) -> str:
    with mind.episode(description, domain="harbour") as episode:
        episode.step(tool="look", observation="seen", success=True)
        episode.complete("success")
    return episode.id


def vectors(mind: Mind) -> dict[str, int]:
    """How many vectors each model has made of this mind's episodes."""
    counted = select(schema.vector.c.model, func.count()).group_by(schema.vector.c.model)
    with mind.recorder.journal.store.snapshot() as snapshot:
        return {str(model): int(many) for model, many in snapshot.rows(counted)}


def client(provider: Provider) -> EmbeddingServer:
    return EmbeddingServer(provider.url, "test-model", dimension=8, timeout=5, pause=0.001)


@pytest.fixture
def silent() -> Iterator[str]:
    """The embedder of a server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"openai:test-model@http://127.0.0.1:{server.getsockname()[1]}/v1"


# ── texts that are refused ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("places", [[0], [6], [2, 3, 12], list(range(13))])
def test_a_text_that_is_refused_costs_no_other_its_vector(provider: Provider, places: Sequence[int]) -> None:
    provider.refused = "poison"
    texts = [f"{'poison' if place in places else 'task'} {place}" for place in range(13)]
    found = embed_each(CachedEmbedder(client(provider)), texts)
    assert [place for place, vector in enumerate(found) if vector is None] == list(places)
    expected = provider.model.embed([texts[place] for place in range(13) if place not in places])
    kept = [vector for vector in found if vector is not None]
    assert all(abs(one @ other - 1) < 1e-5 for one, other in zip(kept, expected, strict=True))


def test_a_server_that_refuses_everything_has_not_judged_the_texts(provider: Provider) -> None:
    provider.refused = " "
    with pytest.raises(ModelError, match="400"):
        embed_each(client(provider), ["one task", "another task"])
    assert len(provider.asked) == 2


def test_an_episode_that_cannot_be_embedded_is_found_by_its_words_and_said_once(
    provider: Provider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider.refused = "poison"
    with open_mind(tmp_path / "a.db", learning__embedder=provider.embedder) as mind:
        for number in range(5):
            live(mind, f"paint ship {number}")
        poisoned = live(mind, "carry the poison away")
        for number in range(5):
            live(mind, f"sell boat {number}")
        mind.settle(60)
        assert list(vectors(mind).values()) == [10]
        assert mind.advise("carry the barrel away", record=False).episodes[0].id == poisoned
        said = [line for line in caplog.records if line.msg.startswith("the embedder refuses the task")]
        assert [line.__dict__["episode"] for line in said] == [poisoned]
        advice = mind.advise("more poison to carry away", record=False)
        assert advice.episodes[0].id == poisoned
        assert advice.notes == (BY_WORDS_ALONE,)


def test_a_text_that_was_refused_just_before_the_server_came_back_is_asked_for_again() -> None:
    class Back(HashingEmbedder):
        calls = 0

        def embed(self, texts: Sequence[str]) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise ModelError("it is starting")
            return super().embed(texts)

    assert [vector is None for vector in embed_each(Back(8), ["paint the ship"])] == [False]


# ── servers that are away ────────────────────────────────────────────────────────────────────────────────────────────


def test_without_its_server_advice_goes_by_words_says_so_and_closing_waits_for_nobody(
    provider: Provider, tmp_path: Path
) -> None:
    with open_mind(tmp_path / "a.db", learning__embedder=provider.embedder) as mind:
        wanted = live(mind, "paint the red ship")
        live(mind, "sell the blue boat")
        mind.settle(60)
        assert mind.advise("paint a ship", record=False).notes == ()
        provider.refused = " "  # from now on it refuses whatever it is asked
        started = time.monotonic()
        advice = mind.advise("paint another ship", record=False)
        assert time.monotonic() - started < MOMENT
        assert advice.notes == (BY_WORDS_ALONE,)
        assert advice.episodes[0].id == wanted
        asked = len(provider.asked)
        assert mind.advise("paint a third ship", record=False).notes == (BY_WORDS_ALONE,)
        assert len(provider.asked) == asked  # it is left alone for a while
        live(mind, "wash the red ship")
        before = len(provider.asked)
        with pytest.raises(tacit.NotSettled) as caught:
            mind.settle(3)
        assert "vectors" in caught.value.context["failures"]
        assert len(provider.asked) - before < 20  # two calls at each attempt, with pauses that double
        provider.refused = ""
        mind.settle(60)
        assert list(vectors(mind).values()) == [3]


def test_nobody_waits_for_a_server_that_never_answers(silent: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    mind = open_mind(path, learning__embedder=silent)
    wanted = live(mind, "paint the red ship")
    with pytest.raises(tacit.NotSettled):
        mind.settle(4)
    assert mind.advise("paint a ship", record=False).episodes[0].id == wanted
    started = time.monotonic()
    mind.close()
    assert time.monotonic() - started < 2


def test_advice_waits_a_moment_for_an_answer_that_never_comes_and_then_no_more_until_it_has_come() -> None:
    class Stuck(HashingEmbedder):
        go_on = threading.Event()
        calls = 0

        def embed(self, texts: Sequence[str]) -> Any:
            self.calls += 1
            self.go_on.wait(30)
            return super().embed(texts)

    stuck = Stuck(8)
    meaning = Meaning(stuck, patience=0.2)
    assert meaning.of(["one"]) == {}
    started = time.monotonic()
    assert meaning.of(["two"]) == {}
    assert time.monotonic() - started < 0.2
    assert stuck.calls == 1
    stuck.go_on.set()
    for _ in range(100):
        if found := meaning.of(["three"]):
            break
        time.sleep(0.02)
    assert list(found) == ["three"]


def test_an_embedder_that_failed_is_asked_again_after_a_pause(provider: Provider) -> None:
    provider.refused = " "
    meaning = Meaning(client(provider), pause=0.3)
    assert meaning.of(["a task"]) == {}
    provider.refused = ""
    assert meaning.of(["a task"]) == {}
    time.sleep(0.4)
    assert list(meaning.of(["a task"])) == ["a task"]


def test_two_that_ask_for_advice_do_not_wait_for_each_others_vectors(provider: Provider, tmp_path: Path) -> None:
    changed = settings(learning__embedder=provider.embedder)
    with tacit.open_store(tmp_path / "a.db", settings=changed) as store, ThreadPoolExecutor(8) as threads:
        minds = [store.mind("one"), store.mind("two")]
        for mind in minds:
            live(mind, "paint the red ship")
            mind.settle(60)
        provider.seconds = 1.0
        started = time.monotonic()
        asked = [
            threads.submit(minds[number % 2].advise, f"paint ship number {number}", record=False) for number in range(8)
        ]
        assert {future.result().notes for future in asked} == {()}
        assert time.monotonic() - started < 4  # one after the other they would take eight seconds


# ── another embedder ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_embedder_embeds_the_past_anew_and_until_then_words_serve(provider: Provider, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_mind(path, learning__embedder="hashing") as mind:
        wanted = live(mind, "paint the red ship")
        for number in range(9):
            live(mind, f"sell boat {number}")
        mind.settle(60)
        assert list(vectors(mind).values()) == [10]
    with open_mind(path, learning__embedder=provider.embedder, consumers__enabled=False) as mind:
        advice = mind.advise("paint a ship", record=False)
        assert advice.episodes[0].id == wanted
        assert advice.notes == ()
        live(mind, "wash the red ship")
        mind.settle(60)
        assert sorted(vectors(mind).values()) == [10, 11]
    with open_mind(path, learning__embedder="hashing", consumers__enabled=False) as mind:
        mind.settle(60)  # the first one goes on where it stopped
        assert sorted(vectors(mind).values()) == [11, 11]


ENDING = """
from tacit.recall.embedder import ask
from tacit.models.embedders import open_embedder
embedder = open_embedder("minilm")
embedder.embed(["it is loaded"])
ask(embedder, [f"task {number}: " + 30 * "look for the key " for number in range(8)])
"""


def test_a_program_may_end_while_texts_are_embedded() -> None:
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
