"""A store that cannot be written is read all the same, and whoever wants to write is told why that cannot be."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tacit
from command_line import run_here, write_traces
from memory_folder import MEMORY
from tacit.clock import SystemClock
from tacit.ids import SystemEntropy
from tacit.stores.sqlite import SqliteStore
from tacit.stores.sqlite_file import log_paths
from trials import assert_sound, open_mind, settings

pytestmark = pytest.mark.requirement("JR-12")

NOBODY = 65_534
PASSPHRASE = "correct horse"
LOCKED_FOLDER, LOCKED_FILE, LOCKED_BOTH = (0o644, 0o755), (0o444, 0o777), (0o444, 0o555)


def mounting_works() -> bool:
    """Whether this user may mount something that only a process of its own sees."""
    if shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        tried = subprocess.run(mounted(Path(folder), ["true"]), capture_output=True, check=False)
    return tried.returncode == 0


def mounted(folder: Path, command: list[str]) -> list[str]:
    """The command, run where ``folder`` is a read-only mount."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(folder), *command]


needs_mounts = pytest.mark.skipif(not mounting_works(), reason="mounting needs root's rights in a namespace of its own")
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user can reach, too."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        Path(name).chmod(0o755)
        yield Path(name)
        Path(name).chmod(0o700)


@pytest.fixture
def store(folder: Path) -> Path:
    """A store with three finished episodes, closed in order."""
    with open_mind(folder / "a.db") as mind:
        mind.ingest(write_traces(folder / "traces.jsonl"))
        mind.settle()
    return folder / "a.db"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def run_on_mount(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command line where the folder is mounted read-only."""
    command = mounted(folder, [sys.executable, "-m", "tacit", *arguments])
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


AS_NOBODY = f"""
import os, sys, tacit
from tacit.stores.sqlite import SqliteStore
from trials import open_mind
path = sys.argv[1]
with open_mind(":memory:") as warm:  # everything is imported while the interpreter's files can be read
    warm.record({{"task": {{"description": "warm"}}}})
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
def told(call):
    try:
        return call()
    except tacit.TacitError as error:
        return f"{{type(error).__name__}}: {{error}}"
"""


def start_as_nobody(program: str, path: Path) -> subprocess.Popen[str]:
    """A program without any rights to what belongs to others; it has ``path`` and ``told``."""
    known = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")
    }  # it may not be written
    environment = {**known, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", AS_NOBODY + textwrap.dedent(program), str(path)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def as_nobody(program: str, path: Path) -> str:
    """What the program wrote, after it ended well."""
    said, errors = (started := start_as_nobody(program, path)).communicate(timeout=120)
    assert (started.returncode, errors) == (0, "")
    return said


# ── a read-only mount ────────────────────────────────────────────────────────────────────────────────────────────────


@needs_mounts
@pytest.mark.requirement("AP-04")
@pytest.mark.parametrize(
    "verb",
    [
        "episode list",
        "episode search item",
        "stats",
        "stats lag",
        "mind list",
        "journal verify",
        "journal replay",
        "journal tail",
        "journal checkpoint",
        "export -",
    ],
)
def test_verbs_that_only_read_say_the_same_on_a_read_only_mount(store: Path, verb: str) -> None:
    arguments = ("--store", str(store), *verb.split())
    before = contents(store.parent)
    found = run_on_mount(store.parent, *arguments)
    assert contents(store.parent) == before
    here = run_here(*arguments)
    assert here.code == 0
    assert (found.returncode, found.stdout, found.stderr) == (0, here.out, here.err)


@needs_mounts
@pytest.mark.requirement("AP-07")
@pytest.mark.parametrize(
    "verb", ["episode start Buy", "episode tag ID x", "--mind new episode start Buy", "import FOLDER/traces.jsonl"]
)
def test_verbs_that_write_fail_with_read_only_on_a_read_only_mount(store: Path, verb: str) -> None:
    id = run_here("--store", str(store), "episode", "list", "--json").json[0]["id"]
    verb = verb.replace("ID", id).replace("FOLDER", str(store.parent))
    if verb.startswith("import"):
        write_traces(store.parent / "traces.jsonl", good=5)
    before = contents(store.parent)
    refused = run_on_mount(store.parent, "--store", str(store), *verb.split())
    assert (refused.returncode, refused.stdout) == (5, "")
    assert str(store) in refused.stderr
    assert "mounted read-only" in refused.stderr
    assert refused.stderr.count("\n") == 1, "one line, and nothing of the background"
    assert contents(store.parent) == before


@needs_mounts
@pytest.mark.requirement("OP-07")
def test_a_store_is_backed_up_from_a_read_only_mount(store: Path, tmp_path: Path) -> None:
    made = run_on_mount(store.parent, "--store", str(store), "backup", "create", str(tmp_path / "b.backup"))
    assert made.returncode == 0
    assert run_here("restore", str(tmp_path / "b.backup"), "--to", str(tmp_path / "new.db")).code == 0
    assert assert_sound(tmp_path / "new.db") > 3


@needs_mounts
@pytest.mark.requirement("AP-07")
@pytest.mark.parametrize("verb", ["--store FOLDER/new.db episode start Buy", "--store OLD backup create FOLDER/b"])
def test_what_cannot_be_made_on_a_read_only_mount_is_named_although_nothing_can_be_cleaned_up_there(
    store: Path, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "mount").mkdir()
    words = [word.replace("FOLDER", str(tmp_path / "mount")).replace("OLD", str(store)) for word in verb.split()]
    refused = run_on_mount(tmp_path / "mount", *words)
    assert refused.returncode == 5
    assert "cannot be made: Read-only file system" in refused.stderr


@needs_mounts
@pytest.mark.requirement("OP-07")
def test_a_restore_to_a_read_only_mount_says_so(store: Path, tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    assert run_here("--store", str(store), "backup", "create", str(tmp_path / "b")).code == 0
    refused = run_on_mount(tmp_path / "mount", "restore", str(tmp_path / "b"), "--to", str(tmp_path / "mount" / "a.db"))
    assert refused.returncode == 5
    assert "Read-only file system" in refused.stderr


# ── a log ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def left_open(path: Path, *, index: bool) -> Iterator[Path]:
    """A folder as a crash leaves it: the store, its log, with something in it, and perhaps the log's index."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        Path(name).chmod(0o755)
        with open_mind(path) as mind:
            mind.episode("only in the log")
            for part in (path, *log_paths(path)[: 2 if index else 1]):
                shutil.copy(part, name)
        yield Path(name) / path.name


@needs_mounts
def test_what_is_only_in_the_log_is_read_on_a_read_only_mount_if_the_index_of_the_log_is_there(store: Path) -> None:
    with left_open(store, index=True) as path:
        found = run_on_mount(path.parent, "--store", str(path), "episode", "list")
        assert (found.returncode, found.stderr) == (0, "")
    assert "only in the log" in found.stdout


@needs_mounts
@pytest.mark.requirement("AP-07")
def test_a_log_that_cannot_be_read_is_never_ignored(store: Path, tmp_path: Path) -> None:
    with left_open(store, index=False) as path:
        before = contents(path.parent)
        refused = run_on_mount(path.parent, "--store", str(path), "episode", "list")
        assert (refused.returncode, refused.stdout) == (5, "")
        assert "was not closed" in refused.stderr
        assert "-wal" in refused.stderr
        assert contents(path.parent) == before
        copied = Path(shutil.copytree(path.parent, tmp_path / "copy")) / path.name
    assert "only in the log" in run_here("--store", str(copied), "episode", "list").out, "what the error says to do"


# ── another user ─────────────────────────────────────────────────────────────────────────────────────────────────────


@needs_root
@pytest.mark.requirement("AP-07")
@pytest.mark.parametrize(
    ("modes", "why"),
    [(LOCKED_FOLDER, "file"), (LOCKED_FILE, "file"), (LOCKED_BOTH, "file"), ((0o666, 0o755), "folder")],
)
def test_without_the_right_to_write_a_store_is_read_and_left_as_it_is(
    store: Path, modes: tuple[int, int], why: str
) -> None:
    store.chmod(modes[0])
    store.parent.chmod(modes[1])
    before = contents(store.parent)
    program = """
        with open_mind(path) as mind:
            print(mind.episodes()[0].status, mind.statistics().totals.episodes)
            print(told(lambda: mind.episode("new")))
            print(told(lambda: mind.settle()))
        print(told(lambda: open_mind(path, "another mind")))
        SqliteStore(path, read_only=True).close()
    """
    read, *refused, settled, unmade = as_nobody(program, store).splitlines()
    assert read == "failure 3"
    assert settled == "None"
    for told in (*refused, unmade):
        assert told.startswith(f"ReadOnly: {store} can only be read: this user has no permission to write")
        assert ("where its log belongs" in told) == (why == "folder")
    assert contents(store.parent) == before


@needs_root
@pytest.mark.requirement("SE-05")
def test_an_encrypted_store_is_read_without_the_right_to_write_and_not_without_its_passphrase(folder: Path) -> None:
    path = folder / "a.db"
    with open_mind(path, passphrase=PASSPHRASE) as mind:
        mind.record({"task": {"description": "kept"}})
    path.chmod(0o444)
    program = f"""
        with open_mind(path, passphrase={PASSPHRASE!r}) as mind:
            print(mind.episodes()[0].description)
        print(told(lambda: open_mind(path, passphrase="wrong")))
    """
    read, refused = as_nobody(program, path).splitlines()
    assert read == "kept"
    assert refused == f"PermissionDenied: {path} cannot be opened with this passphrase"


@needs_root
@pytest.mark.requirement("JR-04")
def test_a_reader_without_the_right_to_write_sees_what_its_owner_writes_meanwhile(store: Path) -> None:
    store.chmod(0o644)
    program = """
        with open_mind(path) as mind:
            for _ in sys.stdin:
                print(len(mind.episodes()), flush=True)
    """
    with start_as_nobody(program, store) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def seen() -> int:
            print(file=reader.stdin, flush=True)
            return int(reader.stdout.readline())  # type: ignore[union-attr]

        assert seen() == 3
        with open_mind(store) as mind:
            mind.episode("while the reader has it open")
            assert seen() == 4, "from the log of the process that is writing"
        assert seen() == 4, "from the file, which was closed"
        reader.stdin.close()
    assert reader.returncode == 0


# ── one process ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def guest(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """The store as a user has it who may not write it."""
    monkeypatch.setattr("tacit.stores.sqlite_guest.obstacle", lambda path: "this user has no permission to write it")
    with contextlib.closing(SqliteStore(store)) as opened:
        monkeypatch.undo()
        yield opened


def test_a_read_during_which_the_file_changes_is_an_error_worth_repeating(store: Path, guest: SqliteStore) -> None:
    changed = pytest.raises(tacit.StoreBusy, match="changed by another process while it was read")
    with changed, guest.snapshot(), open_mind(store) as mind:
        mind.episode("in between")
    with guest.snapshot():
        pass


@pytest.mark.parametrize("change", [lambda store: store.seal(), lambda store: store.transaction().__enter__()])
def test_nothing_changes_a_store_that_can_only_be_read(
    guest: SqliteStore, change: Callable[[SqliteStore], object]
) -> None:
    assert guest.read_only
    with pytest.raises(tacit.ReadOnly, match="no permission to write it"):
        change(guest)


def test_consumers_that_cannot_catch_up_are_not_waited_for(tmp_path: Path) -> None:
    with open_mind(tmp_path / "behind.db", consumers__enabled=False) as mind:
        mind.record({"task": {"description": "not counted"}})
    with (
        contextlib.closing(SqliteStore(tmp_path / "behind.db", read_only=True)) as database,
        tacit.OpenStore(database, settings(), clock=SystemClock(), entropy=SystemEntropy()) as opened,
        pytest.raises(tacit.NotSettled, match="can only be read"),
    ):
        opened.mind("default").settle(3_600)
