"""While the server of a PostgreSQL store is down, calls fail in bounded time; when it is back, they work again."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tacit
from postgres_fixture import Server
from tacit.ops.logging import configure, unconfigure
from tacit.ops.settings import LogSettings
from trials import open_mind

pytestmark = pytest.mark.requirement("JR-14")

TESTS = Path(__file__).parent
POOL_TIMEOUT = 2.0
BOUND = 2.5 * POOL_TIMEOUT  # for one wait and a slow machine; three waits, one for each attempt, would be longer


@pytest.fixture
def mind(postgres_url: str) -> Iterator[tacit.Mind]:
    opened = open_mind(postgres_url, postgres__pool_timeout_seconds=POOL_TIMEOUT, consumers__poll_seconds=0.1)
    with opened as mind:
        yield mind


def tools(mind: tacit.Mind, episode: tacit.LiveEpisode) -> list[str]:
    return [step.tool for step in mind.get(episode.id).steps]


@pytest.mark.requirement("JR-16")
def test_a_step_fails_within_one_pool_timeout_and_the_next_one_works_when_the_server_is_back(
    mind: tacit.Mind, postgres_server: Server
) -> None:
    episode = mind.episode("a server that goes away")
    episode.step(tool="before")
    with postgres_server.down():
        started = time.monotonic()
        with pytest.raises(tacit.StoreUnavailable, match="Try again when the server is back") as caught:
            episode.step(tool="meanwhile")
        assert time.monotonic() - started < BOUND
        assert caught.value.retryable
    episode.step(tool="after")
    assert tools(mind, episode) == ["before", "after"]


def test_many_that_call_while_the_server_is_down_wait_for_one_pool_timeout_together(
    mind: tacit.Mind, postgres_server: Server
) -> None:
    episode = mind.episode("a server that goes away")

    def step(number: int) -> bool:
        try:
            episode.step(tool=f"meanwhile {number}")
        except tacit.StoreUnavailable:
            return False
        return True

    with postgres_server.down(), ThreadPoolExecutor(8) as threads:
        started = time.monotonic()
        assert not any(threads.map(step, range(24)))
        assert time.monotonic() - started < BOUND
        with pytest.raises(tacit.StoreUnavailable):
            mind.episodes()
    assert tools(mind, episode) == []


def test_a_step_that_waits_for_a_server_that_restarts_is_stored_once(mind: tacit.Mind, postgres_server: Server) -> None:
    episode = mind.episode("a server that restarts")
    back = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        with postgres_server.down():
            waiting = thread.submit(episode.step, tool="patient")
            assert not back.wait(POOL_TIMEOUT / 3)
        waiting.result()
    assert tools(mind, episode) == ["patient"]


def test_the_background_says_once_that_it_waits_and_catches_up_by_itself_when_the_server_is_back(
    mind: tacit.Mind, postgres_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def levels() -> list[str]:
        return [line.levelname for line in list(caplog.records) if line.msg.startswith("a consumer waits")]

    with caplog.at_level(logging.DEBUG, "tacit.journal.consumers"), postgres_server.down():
        for _ in range(600):
            if len(levels()) >= 3:
                break
            time.sleep(0.1)
        assert levels()[:3] == ["WARNING", "DEBUG", "DEBUG"]
    mind.record({"task": {"description": "after"}, "outcome": {"kind": "success"}})
    mind.settle(60)
    assert mind.statistics().totals.episodes == 1


@pytest.mark.requirement("OP-02")
def test_nothing_is_written_to_standard_error_unasked(postgres_server: Server, postgres_url: str) -> None:
    program = """
        import sys, tacit
        from trials import open_mind
        mind = open_mind(sys.argv[1], postgres__pool_timeout_seconds=1.0)
        episode = mind.episode("a server that goes away")
        print("open", flush=True)
        sys.stdin.readline()
        for call in (lambda: episode.step(tool="t"), mind.episodes, mind.close):
            try:
                call()
            except tacit.StoreUnavailable:
                print("unavailable", flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), postgres_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=TESTS, text=True, **pipes) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with postgres_server.down():
            said, complained = child.communicate("\n", timeout=60)
    assert said.split() == ["unavailable"] * 3
    assert complained == ""


@pytest.mark.requirement("OP-02")
@pytest.mark.parametrize(("level", "asked"), [("DEBUG", True), ("INFO", False)])
def test_what_the_driver_warns_of_is_logged_as_tacits_own_lines_when_the_level_asks_for_it(
    mind: tacit.Mind, postgres_server: Server, level: str, asked: bool
) -> None:
    stream = io.StringIO()
    configure(LogSettings(format="json", level=level), stream=stream)  # type: ignore[arg-type]
    try:
        with postgres_server.down(), pytest.raises(tacit.StoreUnavailable):
            mind.episode("never")
        logging.getLogger("psycopg.pool").error("an error is always logged")
    finally:
        unconfigure()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    driver = [line["level"] for line in lines if line["logger"].startswith("psycopg")]
    assert ("warning" in driver, "error" in driver) == (asked, True)
