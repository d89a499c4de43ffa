"""A store that is dropped without being closed says so, writes what it holds, and lets go of its threads and files."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tacit
from tacit.clock import from_micros
from tacit.ids import parse_id
from trials import assert_sound, open_mind, settings

pytestmark = pytest.mark.requirement("EP-08")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


_elsewhere: set[threading.Thread] = set()
"""Threads of stores that other tests have left behind."""


@pytest.fixture(autouse=True)
def _no_store_from_elsewhere() -> None:
    gc.collect()
    _elsewhere.clear()
    _elsewhere.update(threading.enumerate())


def threads() -> list[str]:
    found = set(threading.enumerate()) - _elsewhere
    return [thread.name for thread in found if thread.name.startswith("tacit-")]


def open_files(folder: Path) -> list[str]:
    """What this process has open in a folder."""
    handles = Path("/proc/self/fd").iterdir()
    return [name for handle in handles if (name := os.path.realpath(handle)).startswith(str(folder))]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def warned(times: int = 1) -> Iterator[None]:
    """The block leaves that many stores unclosed, and afterwards nothing of them is left."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
        eventually(lambda: threads() == [])
    found = [
        str(one.message) for one in caught if one.category is ResourceWarning and "never closed" in str(one.message)
    ]
    assert len(found) == times, found


def buffered(location: Any) -> tacit.LiveEpisode:
    """An episode with a step that is not written yet, and would not be for an hour; its mind is dropped."""
    mind = tacit.open(location, settings=settings(buffer__seconds=3_600, buffer__steps=100))
    episode = mind.episode("buffered", buffered=True)
    assert episode.step(tool="find") is None
    return episode


def test_a_mind_that_is_dropped_is_closed_with_a_warning(path: Path) -> None:
    with warned():
        mind = open_mind(path)
        mind.record({"task": {"description": "kept"}, "steps": []})
        assert threads() != []
        assert open_files(path.parent) != []
        del mind
    assert open_files(path.parent) == []
    assert_sound(path)
    with open_mind(path) as again:
        assert [found.description for found in again.episodes()] == ["kept"]


def test_the_warning_names_the_store_and_the_line_that_dropped_it(path: Path) -> None:
    store = tacit.open_store(path, settings=settings())
    with pytest.warns(ResourceWarning, match="a.db was never closed") as caught:
        del store
    assert caught[0].filename == __file__
    eventually(lambda: threads() == [])


def test_what_was_closed_is_dropped_without_a_warning(path: Path) -> None:
    with warned(times=0):
        with open_mind(path) as mind:
            mind.record({"task": {"description": "kept"}, "steps": []})
        mind.close()
        del mind
        store = tacit.open_store(path, settings=settings())
        store.close()
        del store


def test_a_store_stays_open_while_anything_of_it_can_be_used(path: Path) -> None:
    with warned():
        store = tacit.open_store(path, settings=settings())
        mind = store.mind()
        del store
        episode = mind.episode("lives on")
        past = mind.at(from_micros(mind.recorder.journal.clock.now()))
        every = mind.all_episodes()
        assert next(every).id == episode.id
        del mind
        gc.collect()
        episode.step(tool="find")
        episode.complete("success")
        id = episode.id
        del episode
        every.close()
        del every
        gc.collect()
        assert past.get(id).status == "open"
        assert threads() != []
        del past


def test_the_buffered_steps_of_a_dropped_episode_are_written(path: Path) -> None:
    with warned():
        id = buffered(path).id
    with open_mind(path) as mind:
        assert [step.tool for step in mind.get(id).steps] == ["find"]


def test_a_store_in_a_circle_of_references_is_found_by_the_collector(path: Path) -> None:
    with warned():
        mind: Any = open_mind(path)
        mind.itself = mind
        del mind


def test_a_store_whose_last_user_was_its_own_writing_thread_is_closed_too(path: Path) -> None:
    with warned():
        mind = open_mind(path, consumers__enabled=False)  # else their writes would follow ours
        id = parse_id(mind.episode("lives on").id)
        held, go_on = threading.Event(), threading.Event()
        mind.recorder.journal.submit(lambda appender: (held.set(), go_on.wait(30)))
        held.wait(30)
        done = mind.recorder.update(id, {"domain": "x"})  # its job refers to the recorder
        del mind
        gc.collect()
        assert "tacit-writer" in threads()
        go_on.set()
        done.result(30)


@pytest.mark.parametrize("whose", ["writer", "consumers"])
def test_a_store_can_be_closed_by_its_own_threads(path: Path, whose: str) -> None:
    mind = open_mind(path, consumers__poll_seconds=0.01)
    episode = mind.episode("closed from within", buffered=True)
    episode.step(tool="find")
    if whose == "writer":
        mind.recorder.journal.run(lambda _: mind.close())
    else:
        mind.recorder.journal.consumers.start()
        mind.recorder.journal.consumers._chores = (mind.close,)
    eventually(lambda: threads() == [] and open_files(path.parent) == [])
    with open_mind(path) as again:
        assert [step.tool for step in again.get(episode.id).steps] == ["find"]


def test_memory_and_postgres_are_let_go_in_the_same_way(postgres_url: str) -> None:
    with warned(times=2):
        for location in (":memory:", postgres_url):
            buffered(location)
    with open_mind(postgres_url) as mind:
        (found,) = mind.episodes()
        assert found.steps == 1


def test_an_asynchronous_mind_is_let_go_in_the_same_way(path: Path) -> None:
    async def main() -> None:
        mind = await tacit.aio.open(path, settings=settings())
        await mind.record({"task": {"description": "kept"}, "steps": []})

    with warned():
        asyncio.run(main())
    assert_sound(path)


def test_a_forked_child_that_drops_the_store_of_its_parent_leaves_it_alone(path: Path) -> None:
    with open_mind(path) as mind:
        mind.record({"task": {"description": "kept"}, "steps": []})
        child = os.fork()
        if child == 0:
            warnings.simplefilter("error")
            failed: list[object] = []
            sys.unraisablehook = failed.append
            del mind
            gc.collect()
            os._exit(len(failed))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(mind.episodes()) == 1


@pytest.mark.parametrize("end", ["mind.close()", "del mind", ""])
def test_a_program_that_ends_says_no_more_than_it_must(path: Path, end: str) -> None:
    program = f"""
        import tacit
        mind = tacit.open({str(path)!r})
        mind.record({{"task": {{"description": "kept"}}, "steps": []}})
        {end}
    """
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    assert done.stderr.count("ResourceWarning") == (1 if end == "del mind" else 0), done.stderr
    assert_sound(path)
