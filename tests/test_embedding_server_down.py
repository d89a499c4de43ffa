"""A server of embeddings that is away costs one short wait and one line in the log, whoever asks and how often."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from command_line import CommandLine
from embedding_provider import Provider
from memories import remember
from tacit.errors import ModelError
from tacit.models.circuit_breaker import CircuitBreaker
from tacit.models.embedding_server import EmbeddingServer
from tacit.models.hashing import HashingEmbedder
from tacit.opening import shared_embedder
from trials import open_mind

pytestmark = pytest.mark.requirement("RE-11")
AT_ONCE = 2.0
"""Seconds in which an answer comes that waits for nobody, on a machine that is slow."""


@pytest.fixture(autouse=True)
def _no_embedder_is_remembered() -> Iterator[None]:
    yield
    shared_embedder.cache_clear()


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "a.db")


@pytest.fixture
def refusing() -> str:
    """The embedder of a server that is not there: nobody listens at its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"openai:test-model@http://127.0.0.1:{port}/v1"


@pytest.fixture
def silent() -> Iterator[str]:
    """The embedder of a server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"openai:test-model@http://127.0.0.1:{server.getsockname()[1]}/v1"


def is_of(line: str, embedder: str) -> bool:
    """Whether a line of the log tells of this embedder: not of one that another test has left waiting, nor of an
    operation that is slow on a slow machine."""
    address = embedder.partition("@")[2]
    return "slow operation" not in line and ("http://" not in line or address in line)


def lines(caplog: pytest.LogCaptureFixture, embedder: str) -> list[str]:
    """What is said of the embedder, as warning or worse."""
    loud = [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]
    return [line for line in loud if is_of(line, embedder)]


def test_while_a_server_is_away_nobody_waits_for_it_and_the_log_has_one_line(
    refusing: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_mind(tmp_path / "a.db", learning__embedder=refusing) as mind:
        remember(mind, "paint the red ship", "water the garden")
        with mind.episode("mow the lawn") as episode:
            episode.complete("success")
        mind.recall("a ship")  # whatever has to be imported first is
        started = time.monotonic()
        for number in range(20):
            found = mind.recall(f"ship {number}")
            assert found[0].text == "paint the red ship"
            assert found.notes == ("the embedder is away or busy: this answer goes by words alone",)
        assert time.monotonic() - started < AT_ONCE
        assert not mind.embedder_answers()
        with pytest.raises(Exception, match="memory-vectors"):
            mind.settle(1)  # whoever makes vectors fails too, and says nothing more
        mind.advise("paint a ship", record=False)
    said = lines(caplog, refusing)
    assert len(said) == 1, said
    assert said[0].startswith("the embedder is away and left alone for 10 s; it goes by words: ")
    assert not [line for line in caplog.records if line.exc_info and line.levelno >= logging.WARNING]


def test_a_server_that_never_answers_is_waited_for_once(
    silent: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wait = 0.5
    with open_mind(tmp_path / "a.db", learning__embedder=silent, learning__embedder_wait_seconds=wait) as mind:
        remember(mind, "paint the red ship")
        started = time.monotonic()
        for number in range(10):
            assert mind.recall(f"ship {number}")[0].text == "paint the red ship"
        assert wait <= time.monotonic() - started < wait + AT_ONCE
    assert lines(caplog, silent) == ["the embedder gave no answer in 0.5 s; it goes by words alone"]


def test_a_server_that_comes_back_is_asked_again_after_the_pause() -> None:
    class Server(HashingEmbedder):
        away, calls = True, 0

        def embed(self, texts: Sequence[str]) -> Any:
            self.calls += 1
            if self.away:
                raise ModelError("cannot be reached", unreachable=True)
            return super().embed(texts)

    server, now = Server(8), [0.0]
    breaker = CircuitBreaker(server, pause=10, timer=lambda: now[0])
    for now[0] in (0.0, 1.0, 9.9):
        with pytest.raises(ModelError, match="cannot be reached") as caught:
            breaker.embed(["ship"])
        assert caught.value.context["away"]
    assert server.calls == 1
    now[0], server.away = 10.0, False
    assert len(breaker.embed(["ship"])) == 1
    assert len(breaker.embed(["boat"])) == 1


def test_a_text_that_is_refused_keeps_no_other_from_being_embedded(provider: Provider) -> None:
    provider.refused = "poison"
    breaker = CircuitBreaker(EmbeddingServer(provider.url, "test-model", dimension=8))
    with pytest.raises(ModelError, match="400") as caught:
        breaker.embed(["poison"])
    assert "away" not in caught.value.context
    assert len(breaker.embed(["ship"])) == 1


@pytest.mark.parametrize("kind", ["refusing", "silent"])
def test_a_command_waits_no_longer_than_the_setting_says(
    kind: str, request: pytest.FixtureRequest, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("remember", "paint the red ship")
    embedder = request.getfixturevalue(kind)
    monkeypatch.setenv("TACIT_LEARNING__EMBEDDER", embedder)
    monkeypatch.setenv("TACIT_LEARNING__EMBEDDER_WAIT_SECONDS", "1")
    started = time.monotonic()
    ran = cli("recall", "ship")
    assert time.monotonic() - started < 1 + 2 * AT_ONCE
    assert "paint the red ship" in ran.out
    loud = [line for line in ran.err.splitlines() if "[warning" in line or "[error" in line]
    assert len([line for line in loud if is_of(line, embedder)]) == 1, ran.err
    assert "goes by words alone" in ran.err
    assert "Traceback" not in ran.err


def test_advice_does_not_wait_for_vectors_of_memories(
    silent: str, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("remember", "paint the red ship")
    monkeypatch.setenv("TACIT_LEARNING__EMBEDDER", silent)
    started = time.monotonic()
    assert cli("advise", "paint a ship").code == 0
    assert time.monotonic() - started < 2 * AT_ONCE
