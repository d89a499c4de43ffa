"""Acknowledged means durable: killed processes, power cuts, torn writes, and what a commit costs the disk."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import select

from faults import journal_writer, lossy
from faults.kill import KillRun
from faults.nursery import Nursery
from tacit.ids import format_id
from tacit.stores import schema
from tacit.stores.sqlite import SqliteStore
from trials import assert_sound, kinds_of, open_mind

pytestmark = pytest.mark.disk

TESTS = Path(__file__).parent
WRITER = journal_writer.__name__
THREADS = "3"
SSD_US = 1_000
"""A sync that takes as long as on a common disk, so that power cuts find something unsynced."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lossy.build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that can lose power; the log of what to undo stands beside it."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def durable(file: Path) -> set[str]:
    """What the store holds, in the words of the writer's acknowledgements."""
    store = SqliteStore(file, create=False)
    event, episode = schema.event.c, schema.episode.c
    named = {"episode.started": "episode", "step.logged": "step"}
    with store.snapshot() as snapshot:
        found = {
            f"{named[kind]}:{format_id(bytes(id))}"
            for kind, id in snapshot.rows(select(event.kind, event.id).where(event.kind.in_(named)))
        }
        ended = select(episode.id).where(episode.until.is_(None), episode.status != "open")
        found |= {f"end:{format_id(bytes(id))}" for (id,) in snapshot.rows(ended)}
    store.close()
    return found


def check_after(runs: Iterator[KillRun], file: Path, *, sound_every: int = 25) -> list[KillRun]:
    """After each kill, what was acknowledged so far is there; the store is whole now and then, and at the end."""
    acknowledged: set[str] = set()
    finished: list[KillRun] = []
    for run in runs:
        finished.append(run)
        acknowledged |= set(run.acknowledged)
        missing = acknowledged - durable(file)
        assert not missing, f"run {len(finished)} lost {len(missing)} acknowledged writes, such as {min(missing)}"
        if len(finished) % sound_every == 0:
            assert_sound(file)
    assert_sound(file)
    return finished


def cut_after(runs: Iterator[KillRun], log: Path, disk: random.Random | None, lost: list[int]) -> Iterator[KillRun]:
    """The same runs, with the power cut after each kill."""
    for run in runs:
        lost.append(lossy.drop_unsynced(log, disk).lost_writes)
        yield run


def run_child(environment: dict[str, str], program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a short program to its end; it has ``sys``, ``os``, ``lossy``, ``open_mind`` and ``arguments``."""
    with start_child(environment, program, *arguments) as child:
        said, complained = child.communicate(timeout=60)
    return subprocess.CompletedProcess(child.args, child.returncode, said, complained)


def start_child(environment: dict[str, str], program: str, *arguments: object) -> subprocess.Popen[str]:
    """Starts such a program."""
    start = "import os, sys\nfrom faults import lossy\nfrom trials import open_mind\narguments = sys.argv[1:]\n"
    command: Sequence[str] = [sys.executable, "-c", start + textwrap.dedent(program), *map(str, arguments)]
    own = {**environment, "PYTHONPATH": f"{TESTS}:{environment.get('PYTHONPATH', '')}"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=own, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.requirement("JR-02", "JR-01", "QU-02")
def test_two_hundred_kills_lose_nothing_that_was_acknowledged_and_leave_every_chain_and_view_whole(
    folder: Path,
) -> None:
    file = folder / "agent.db"
    with Nursery(WRITER) as nursery:
        runs = check_after(nursery.kill_runs([str(file), THREADS], 200, seed=11, longest_s=0.02), file, sound_every=50)
    busy = sum(run.in_flight > 0 for run in runs)
    assert busy >= 180, f"only {busy} of 200 kills landed while writes were in flight"


@pytest.mark.requirement("JR-02", "QU-02")
@pytest.mark.parametrize("tidy", [True, False], ids=["all-unsynced-lost", "some-sectors-survive"])
def test_power_cuts_lose_nothing_that_was_acknowledged(library: Path, folder: Path, tmp_path: Path, tidy: bool) -> None:
    file, log, lost = folder / "agent.db", tmp_path / "log", list[int]()
    disk = None if tidy else random.Random(23)
    environment = lossy.environment(library, folder, log, slow_us=SSD_US)
    with Nursery(WRITER, environment) as nursery:
        runs = nursery.kill_runs([str(file), THREADS], 40, seed=5)
        finished = check_after(cut_after(runs, log, disk, lost), file, sound_every=10)
    assert sum(lost) > 0, "no power cut came while something was unsynced"
    assert sum(run.in_flight > 0 for run in finished) >= 36


@pytest.mark.requirement("JR-02")
def test_each_call_of_a_lone_writer_is_synced_before_it_returns(library: Path, folder: Path, tmp_path: Path) -> None:
    program = """
        from pathlib import Path
        log = Path(os.environ["TACIT_FAULT_LOG"])
        with open_mind(arguments[0], consumers__enabled=False) as mind:
            syncs = lambda: lossy.fsync_count(log, "agent.db-wal")
            calls, before = [], syncs()
            episode = mind.episode("count the syncs")
            calls.append(syncs() - before)
            for number in range(20):
                before = syncs()
                episode.step(tool="count")
                calls.append(syncs() - before)
            before = syncs()
            episode.complete("success")
            print(*calls, syncs() - before)
    """
    child = run_child(lossy.environment(library, folder, tmp_path / "log"), program, folder / "agent.db")
    assert [int(count) for count in child.stdout.split()] == [1] * 22, child.stderr


@pytest.mark.requirement("JR-02")
def test_writes_that_wait_together_are_committed_with_one_sync(library: Path, folder: Path, tmp_path: Path) -> None:
    program = """
        import threading
        from pathlib import Path
        from tacit.experience.episode import Step
        from tacit.ids import parse_id
        log = Path(os.environ["TACIT_FAULT_LOG"])
        with open_mind(arguments[0], consumers__enabled=False) as mind:
            recorder, episode = mind.recorder, parse_id(mind.episode("count the syncs").id)
            held, go = threading.Event(), threading.Event()
            blocker = recorder.journal.submit(lambda appender: (held.set(), go.wait()))
            held.wait()
            futures = [recorder.step(episode, Step(tool="count")) for number in range(500)]
            before = lossy.fsync_count(log, "agent.db-wal")
            go.set()
            for future in futures:
                future.result()
            print(lossy.fsync_count(log, "agent.db-wal") - before)
    """
    child = run_child(lossy.environment(library, folder, tmp_path / "log"), program, folder / "agent.db")
    assert child.stdout.split() == ["1"], child.stderr  # the blocker itself changed nothing, so it had nothing to sync


@pytest.mark.requirement("JR-02", "JR-12")
@pytest.mark.parametrize("number", range(1, 9))
def test_a_torn_write_costs_only_what_was_never_acknowledged(
    library: Path, folder: Path, tmp_path: Path, number: int
) -> None:
    file = folder / "agent.db"
    program = f"""
        mind = open_mind(arguments[0], consumers__enabled=False)
        episode = mind.episode("torn")
        print(episode.step(tool="before"), flush=True)
        lossy.arm("short:{number}")
        for count in range(8):
            episode.step(tool="torn", observation="x" * 5_000)
            print("more", flush=True)
    """
    child = run_child(lossy.environment(library, folder, tmp_path / "log"), program, file)
    assert child.returncode == -signal.SIGKILL, child.stderr
    acknowledged = child.stdout.split()
    assert f"step:{acknowledged[0]}" in durable(file)
    assert len([one for one in durable(file) if one.startswith("step:")]) >= len(acknowledged)
    assert_sound(file)


@contextlib.contextmanager
def makers_of_stores(environment: dict[str, str], file: Path) -> Iterator[Callable[[int], int]]:
    """Calls it with a number to have a process make the store that dies at that write; with what it ended."""
    program = """
        from tacit.stores.sqlite import SqliteStore
        for number in sys.stdin:
            process = os.fork()
            if process == 0:
                lossy.arm(f"short:{int(number)}")
                SqliteStore(arguments[0]).close()
                os._exit(0)
            print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    """
    with start_child(environment, program, file) as mother:
        assert mother.stdin is not None
        assert mother.stdout is not None

        def make(number: int) -> int:
            print(number, file=mother.stdin, flush=True)
            return int(mother.stdout.readline())

        yield make
        mother.stdin.close()


@pytest.mark.requirement("JR-12", "QU-02")
def test_a_process_killed_while_it_makes_a_store_leaves_no_half_made_one(
    library: Path, folder: Path, tmp_path: Path
) -> None:
    """Killed at one write after the other (in growing steps), until it gets through."""
    file, number, step = folder / "agent.db", 0, 1
    with makers_of_stores(lossy.environment(library, folder, tmp_path / "log"), file) as make:
        while True:
            number, step = number + step, max(number, 1)
            ended = make(number)
            lossy.drop_unsynced(tmp_path / "log")
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
            assert not file.exists() or assert_sound(file) == 0
            shutil.rmtree(folder)
            folder.mkdir()
    assert number > 3, "making a store takes more writes than that"
    assert assert_sound(file) == 0
    with open_mind(file) as mind:
        assert mind.episodes() == []


@pytest.mark.requirement("EP-08", "JR-02")
def test_a_kill_before_the_flush_loses_only_what_was_buffered(folder: Path) -> None:
    program = """
        import signal
        mind = open_mind(arguments[0], buffer__steps=5, buffer__seconds=3600)
        episode = mind.episode("buffered", buffered=True)
        answers = [episode.step(tool=f"tool {number}") for number in range(7)]
        print(answers, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    child = run_child(dict(os.environ), program, folder / "agent.db")
    assert child.stdout.strip() == str([None] * 7), child.stderr
    with open_mind(folder / "agent.db") as mind:
        (summary,) = mind.episodes()
        assert [step.tool for step in mind.get(summary.id).steps] == [f"tool {number}" for number in range(5)]
        assert kinds_of(mind).count("step.logged") == 5
    assert_sound(folder / "agent.db")
