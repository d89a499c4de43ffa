"""What a store does when its surroundings fail: full, slow and read-only disks, locks, forks, signals, its own end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import tacit
from faults import lossy
from tacit.experience.episode import Step
from tacit.ids import parse_id
from trials import assert_sound, kinds_of, open_mind, settings

pytestmark = [pytest.mark.requirement("JR-12", "QU-02"), pytest.mark.disk]

TESTS = Path(__file__).parent
START = """
import os, signal, sys, threading
import tacit
from faults import lossy
from trials import open_mind
path = sys.argv[1]
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lossy.build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def start_child(program: str, path: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """A Python process that runs a short program with ``path``, ``tacit``, ``open_mind`` and ``lossy``."""
    own = dict(os.environ) if environment is None else environment
    own["PYTHONPATH"] = os.pathsep.join(filter(None, (str(TESTS), own.get("PYTHONPATH"))))
    command = [sys.executable, "-c", START + textwrap.dedent(program), str(path)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=own, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def run_child(program: str, path: Path, environment: dict[str, str] | None = None) -> str:
    """What the program wrote, after it ended well."""
    child = start_child(program, path, environment)
    said, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    return said


def stored_tools(path: Path) -> list[str]:
    """The tools of the steps of the only episode."""
    with open_mind(path) as mind:
        (summary,) = mind.episodes()
        return [step.tool for step in mind.get(summary.id).steps]


# ── disks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("write", [1, 2, 3, 7])
def test_a_full_disk_refuses_the_write_keeps_what_was_acknowledged_and_recovers_when_there_is_room(
    library: Path, disk: Path, tmp_path: Path, write: int
) -> None:
    program = f"""
        mind = open_mind(path, consumers__enabled=False)
        episode = mind.episode("a full disk")
        episode.step(tool="before")
        lossy.arm("write:{write}")
        for number in range(9):
            try:
                episode.step(tool=f"during {{number}}", observation="x" * 9_000)
                print(f"during {{number}}")
            except tacit.StoreFull as error:
                assert path in str(error)
        lossy.arm("")
        episode.step(tool="after")
        mind.close()
    """
    acknowledged = run_child(program, disk / "a.db", lossy.environment(library, disk, tmp_path / "log")).splitlines()
    assert len(acknowledged) < 9
    assert stored_tools(disk / "a.db") == ["before", *acknowledged, "after"]
    assert_sound(disk / "a.db")


def test_no_room_for_a_new_store_is_said_and_nothing_half_made_is_left(
    library: Path, disk: Path, tmp_path: Path
) -> None:
    program = """
        lossy.arm("write:5")
        try:
            open_mind(path)
        except tacit.StoreFull:
            print(os.listdir(os.path.dirname(path)))
        lossy.arm("")
        open_mind(path).close()
    """
    said = run_child(program, disk / "a.db", lossy.environment(library, disk, tmp_path / "log"))
    assert said.strip() == "[]"
    assert assert_sound(disk / "a.db") == 1


def test_closing_on_a_full_disk_says_so_and_lets_go_all_the_same(library: Path, disk: Path, tmp_path: Path) -> None:
    program = """
        mind = open_mind(path, consumers__enabled=False)
        mind.episode("never signed")
        lossy.arm("write:1")
        try:
            mind.close()
        except tacit.StoreFull:
            print("full")
        try:
            mind.episode("too late")
        except tacit.Closed:
            print("closed")
        lossy.arm("")
    """
    said = run_child(program, disk / "a.db", lossy.environment(library, disk, tmp_path / "log"))
    assert said.split() == ["full", "closed"]
    open_mind(disk / "a.db").close()
    assert_sound(disk / "a.db")


def test_a_limit_on_the_size_of_files_is_an_error_of_the_store_and_nothing_is_lost(disk: Path) -> None:
    program = """
        import resource
        mind = open_mind(path, consumers__enabled=False)
        episode = mind.episode("a limit")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        refused = 0
        for number in range(60):
            try:
                episode.step(tool=str(number), observation="x" * 9_000)
                print(number)
            except tacit.StoreError:
                refused += 1
        assert refused > 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        episode.step(tool="after")
        mind.close()
    """
    acknowledged = run_child(program, disk / "a.db").splitlines()
    assert acknowledged
    assert stored_tools(disk / "a.db") == [*acknowledged, "after"]
    assert_sound(disk / "a.db")


@pytest.mark.requirement("JR-02")
def test_on_a_slow_disk_many_threads_share_each_sync(library: Path, disk: Path, tmp_path: Path) -> None:
    program = """
        from pathlib import Path
        mind = open_mind(path, consumers__enabled=False)
        episode = mind.episode("a slow disk")
        log = Path(os.environ["TACIT_FAULT_LOG"])
        before = lossy.fsync_count(log, "a.db-wal")
        work = lambda: [episode.step(tool="t") for _ in range(5)]
        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(lossy.fsync_count(log, "a.db-wal") - before)
        mind.close()
    """
    slow = lossy.environment(library, disk, tmp_path / "log", slow_us=50_000)
    assert int(run_child(program, disk / "a.db", slow)) <= 40, "80 steps, and far fewer syncs"
    assert stored_tools(disk / "a.db") == ["t"] * 80


# ── permissions ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that also a user without rights can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


UNPRIVILEGED = """
with open_mind(":memory:") as warm:  # everything is imported while the interpreter's files can be read
    warm.record({"task": {"description": "warm"}})
if os.getuid() == 0:  # nothing is forbidden to root, so become somebody else
    os.setgid(65534); os.setuid(65534)
def attempt(call):
    try:
        print(call())
    except tacit.TacitError as error:
        assert os.path.dirname(path) in str(error) and "permission" in str(error).lower(), error
        print(type(error).__name__)
"""


def test_a_read_only_file_can_be_read_and_a_write_says_what_is_wrong(public: Path) -> None:
    path = public / "a.db"
    with open_mind(path) as mind:
        mind.record({"task": {"description": "kept"}})
    path.chmod(0o444)
    public.chmod(0o777)
    program = """
        mind = open_mind(path, consumers__enabled=False)
        attempt(lambda: mind.episodes()[0].description)
        attempt(lambda: mind.episode("new"))
        mind.close()
    """
    before = path.read_bytes()
    assert run_child(UNPRIVILEGED + textwrap.dedent(program), path).split() == ["kept", "ReadOnly"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(("file_mode", "folder_mode", "exists"), [(0o644, 0o755, False), (0o600, 0o777, True)])
def test_without_the_right_to_use_file_or_folder_the_error_says_so(
    public: Path, file_mode: int, folder_mode: int, exists: bool
) -> None:
    path = public / "a.db"
    if exists:
        open_mind(path).close()
        path.chmod(file_mode)
    public.chmod(folder_mode)
    before = {found.name: found.read_bytes() for found in public.iterdir()}
    if os.getuid() != 0 and exists and file_mode == 0o600:
        path.chmod(0o000)
    said = run_child(UNPRIVILEGED + "attempt(lambda: open_mind(path))", path)
    assert said.strip() in ("PermissionDenied", "ReadOnly")  # the second is a kind of the first
    if exists:
        path.chmod(0o644)
    assert {found.name: found.read_bytes() for found in public.iterdir()} == before


# ── locks ────────────────────────────────────────────────────────────────────────────────────────────────────────────

LOCKING = """
from sqlcipher3 import dbapi2
connection = dbapi2.connect(path, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
print("free", flush=True)
"""


def test_a_store_locked_for_longer_than_the_patience_is_busy_still_read_and_recovers(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_mind(
        path,
        journal__busy_timeout_seconds=0.05,
        retry__attempts=2,
        retry__first_delay_seconds=0.001,
        retry__max_delay_seconds=0.001,
        consumers__enabled=False,
    ) as mind:
        episode = mind.episode("locked out")
        other = start_child(LOCKING, path)
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "locked"
        with pytest.raises(tacit.StoreBusy, match="locked") as caught:
            episode.step(tool="too early", key="k")
        assert caught.value.retryable
        assert mind.get(episode.id).steps == ()
        other.communicate("go on\n", timeout=60)
        episode.step(tool="in time", key="k")
        assert [step.tool for step in mind.get(episode.id).steps] == ["in time"]
    assert_sound(path)


@pytest.mark.requirement("JR-04")
def test_a_write_waits_for_another_process_within_its_patience(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_mind(path, consumers__enabled=False) as mind:
        episode = mind.episode("patient")
        other = start_child(LOCKING, path)
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "locked"
        waiting = mind.recorder.step(parse_id(episode.id), Step(tool="later"))
        assert not waiting.done()
        other.communicate("go on\n", timeout=60)
        assert waiting.result(60).new


# ── forks and ends ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_forked_child_is_told_so_and_the_parent_goes_on(tmp_path: Path) -> None:
    program = """
        with open_mind(path) as mind:
            episode = mind.episode("forked")
            episode.step(tool="parent")
            mind.settle()
            child = os.fork()
            if child == 0:
                calls = [lambda: episode.step(tool="child"), lambda: mind.get(episode.id), lambda: mind.episodes(),
                         lambda: mind.settle(), lambda: mind.episode("child"), lambda: mind.backup(path + ".copy")]
                for call in calls:
                    try:
                        call()
                    except tacit.ForkedStore:
                        print("forked")
                sys.exit(0)  # leaves the block: closing what belongs to the parent is nothing
            print(os.waitpid(child, 0)[1], flush=True)
            episode.step(tool="parent again")
            child = os.fork()
            if child == 0:
                with open_mind(path) as own:
                    own.resume(episode.id).step(tool="child")
                os._exit(0)
            print(os.waitpid(child, 0)[1])
    """
    assert run_child(program, tmp_path / "a.db").split() == [*["forked"] * 6, "0", "0"]
    assert stored_tools(tmp_path / "a.db") == ["parent", "parent again", "child"]
    assert_sound(tmp_path / "a.db")


@pytest.mark.requirement("JR-01")
def test_a_process_that_is_asked_to_stop_finishes_what_was_submitted_and_signs_it(tmp_path: Path) -> None:
    program = """
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
        with open_mind(path) as mind:
            episode = mind.episode("until the end")
            def work(thread):
                for number in range(10_000):
                    try:
                        event = episode.step(tool=f"{thread}-{number}")
                    except (tacit.Closed, tacit.LimitExceeded):
                        return
                    os.write(1, f"{event}\\n".encode())
            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
    """
    child = start_child(program, tmp_path / "a.db")
    assert child.stdout is not None
    acknowledged = [child.stdout.readline().strip() for _ in range(20)]
    child.send_signal(signal.SIGTERM)
    rest, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    acknowledged += rest.splitlines()
    with open_mind(tmp_path / "a.db", consumers__enabled=False) as mind:
        stored = set(mind.get(mind.episodes()[0].id).step_events)
        assert set(acknowledged) <= stored
        assert mind.recorder.journal.notary.sign_all() == [], "everything was signed before the end"
    assert_sound(tmp_path / "a.db")


CALLS: dict[str, Callable[[tacit.Mind, tacit.LiveEpisode], object]] = {
    "episode": lambda mind, episode: mind.episode("late"),
    "record": lambda mind, episode: mind.record({"task": {"description": "late"}}),
    "step": lambda mind, episode: episode.step(tool="late"),
    "complete": lambda mind, episode: episode.complete("success"),
    "get": lambda mind, episode: mind.get(episode.id),
    "episodes": lambda mind, episode: mind.episodes(),
    "update": lambda mind, episode: mind.update(episode.id, add_tags=["late"]),
    "handoff": lambda mind, episode: mind.handoff(episode.id),
    "settle": lambda mind, episode: mind.settle(),
    "lag": lambda mind, episode: mind.lag(),
    "statistics": lambda mind, episode: mind.statistics(),
    "at": lambda mind, episode: mind.at(datetime.now(UTC)),
    "backup": lambda mind, episode: mind.backup("nowhere"),
}


def test_after_the_end_every_call_says_closed_and_closing_again_is_nothing(tmp_path: Path) -> None:
    mind = open_mind(tmp_path / "a.db")
    episode = mind.episode("ended")
    mind.close()
    mind.close()
    for name, call in CALLS.items():
        with pytest.raises(tacit.Closed):
            raise AssertionError(f"{name} returned {call(mind, episode)!r}")
    with tacit.open_store(tmp_path / "a.db", settings=settings()) as store:
        pass
    with pytest.raises(tacit.Closed):
        store.mind("another")


def test_a_mind_of_an_open_store_leaves_the_store_open_when_it_is_closed(tmp_path: Path) -> None:
    with tacit.open_store(tmp_path / "a.db", settings=settings()) as store:
        with store.mind("one") as mind:
            mind.episode("first")
        store.mind("one").episode("second")
        assert kinds_of(store.mind("one")).count("episode.started") == 2
