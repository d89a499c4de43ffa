"""The crash tests' tools do what they say: tried here on plain SQLite files and plain files, without Tacit."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from faults import kill, lossy, raw_writer

pytestmark = pytest.mark.disk

TESTS = Path(__file__).parent
SSD_US = 1000
"""A sync that takes as long as on a common disk, so that power cuts find something unsynced."""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lossy.build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that can lose power; the log stands beside it."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def run_child(
    library: Path, folder: Path, log: Path, program: str, fail: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a short program in the folder that can lose power and waits for its end."""
    start = "import os, sys\nfrom sqlcipher3 import dbapi2\nfrom pathlib import Path\n"
    start += "from faults import lossy, raw_writer\n"
    own = lossy.environment(library, folder, log, fail) | {"PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", start + textwrap.dedent(program)]
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=60)


def writer(file: Path, synchronous: str) -> list[str]:
    return [sys.executable, "-m", "faults.raw_writer", str(file), synchronous]


@pytest.mark.parametrize("tidy", [True, False], ids=["all-unsynced-lost", "some-sectors-survive"])
def test_a_full_sync_writer_keeps_every_acknowledged_row_through_kills_and_power_cuts(
    library: Path, folder: Path, log: Path, tidy: bool
) -> None:
    file, acknowledged, lost = folder / "rows.db", set[str](), 0
    disk = None if tidy else random.Random(5)
    environment = lossy.environment(library, folder, log, slow_us=SSD_US)
    for run in kill.kill_runs(writer(file, "FULL"), 6, seed=7, environment=environment):
        acknowledged |= set(run.acknowledged)
        lost += lossy.drop_unsynced(log, disk).lost_writes
        assert acknowledged <= raw_writer.tokens(file)
    assert lost > 0, "no power cut came while something was unsynced"


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_a_writer_that_does_not_sync_its_commits_loses_acknowledged_rows(
    library: Path, tmp_path: Path, folder: Path, log: Path, synchronous: str
) -> None:
    file = folder / "rows.db"
    raw_writer.connect(file).close()
    (run,) = kill.kill_runs(writer(file, synchronous), 1, seed=1, environment=lossy.environment(library, folder, log))
    shutil.copytree(folder, tmp_path / "copy")
    assert set(run.acknowledged) <= raw_writer.tokens(tmp_path / "copy" / "rows.db"), "a kill alone loses nothing"
    lossy.drop_unsynced(log)
    assert not set(run.acknowledged) <= raw_writer.tokens(file)


def test_fsyncs_are_counted_per_file(library: Path, folder: Path, log: Path) -> None:
    program = """
        log = Path(os.environ["TACIT_FAULT_LOG"])
        connection = raw_writer.connect(Path("rows.db"))
        before = lossy.fsync_count(log, "rows.db-wal")
        for number in range(20):
            raw_writer.insert(connection, str(number))
        print(lossy.fsync_count(log, "rows.db-wal") - before)
    """
    assert run_child(library, folder, log, program).stdout.split() == ["20"]


def test_a_failed_fsync_is_an_error_in_sqlite_and_the_retried_commit_is_safe(
    library: Path, folder: Path, log: Path
) -> None:
    program = """
        connection = raw_writer.connect(Path("rows.db"))
        raw_writer.insert(connection, "before")
        lossy.arm("fsync:1")
        try:
            raw_writer.insert(connection, "retried")
        except dbapi2.OperationalError as error:
            print(error)
            raw_writer.insert(connection, "retried")
        sys.stdout.flush()
        os._exit(0)
    """
    child = run_child(library, folder, log, program)
    assert child.stdout.strip() == "disk I/O error", child.stderr
    lossy.drop_unsynced(log)
    assert raw_writer.tokens(folder / "rows.db") == {"before", "retried"}


def test_a_full_disk_is_an_error_in_sqlite_and_what_was_acknowledged_stays(
    library: Path, folder: Path, log: Path
) -> None:
    program = """
        connection = raw_writer.connect(Path("rows.db"))
        raw_writer.insert(connection, "before")
        lossy.arm("write:3")
        for attempt in range(2):
            try:
                raw_writer.insert(connection, "during")
            except dbapi2.OperationalError as error:
                print(error)
        lossy.arm("")
        raw_writer.insert(connection, "after")
        sys.stdout.flush()
        os._exit(0)
    """
    child = run_child(library, folder, log, program)
    assert child.stdout.splitlines() == ["database or disk is full"] * 2, child.stderr
    lossy.drop_unsynced(log)
    assert raw_writer.tokens(folder / "rows.db") == {"before", "after"}


def test_an_error_can_be_injected_from_the_start_of_a_process(library: Path, folder: Path, log: Path) -> None:
    child = run_child(library, folder, log, "raw_writer.connect(Path('rows.db'))", fail="write:1")
    assert "database or disk is full" in child.stderr


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_torn_write_kills_the_writer_and_the_checksums_of_the_log_find_it(
    library: Path, folder: Path, log: Path, number: int
) -> None:
    program = f"""
        connection = raw_writer.connect(Path("rows.db"))
        raw_writer.insert(connection, "before")
        lossy.arm("short:{number}")
        raw_writer.insert(connection, "torn")
    """
    child = run_child(library, folder, log, program)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert raw_writer.tokens(folder / "rows.db") == {"before"}


def test_what_was_synced_before_a_power_cut_stays_and_what_was_written_after_goes(
    library: Path, folder: Path, log: Path
) -> None:
    program = """
        with open("notes", "wb", buffering=0) as notes:
            notes.write(b"synced.")
            os.fsync(notes)
            folder = os.open(".", os.O_RDONLY)
            os.fsync(folder)
            notes.write(b"unsynced.")
            os.pwrite(notes.fileno(), b"SYN", 0)
            notes.truncate(2)
    """
    child = run_child(library, folder, log, program)
    assert child.returncode == 0, child.stderr
    assert (folder / "notes").read_bytes() == b"SY"
    cut = lossy.drop_unsynced(log)
    assert (folder / "notes").read_bytes() == b"synced."
    assert (cut.lost_writes, cut.lost_entries, cut.survived) == (3, 0, 0)


def test_what_a_failed_fsync_should_have_stored_is_lost_even_if_a_later_one_succeeds(
    library: Path, folder: Path, log: Path
) -> None:
    (folder / "notes").write_bytes(b"....")
    program = """
        notes = os.open("notes", os.O_WRONLY)
        os.write(notes, b"AA")
        try:
            os.fsync(notes)
        except OSError as error:
            print(error.strerror)
        os.write(notes, b"BB")
        os.fsync(notes)
    """
    child = run_child(library, folder, log, program, fail="fsync:1")
    assert child.stdout.strip() == "Input/output error", child.stderr
    lossy.drop_unsynced(log)
    assert (folder / "notes").read_bytes() == b"..BB"


@pytest.mark.parametrize(
    ("file_synced", "folder_synced", "after"),
    [(True, True, b"new"), (False, True, b""), (True, False, b"old"), (False, False, b"old")],
)
def test_a_replaced_file_is_safe_only_when_its_bytes_and_its_folder_were_synced(
    library: Path, folder: Path, log: Path, file_synced: bool, folder_synced: bool, after: bytes
) -> None:
    (folder / "anchor").write_bytes(b"old")
    program = f"""
        with open("anchor.new", "wb") as anchor:
            anchor.write(b"new")
            anchor.flush()
            if {file_synced}:
                os.fsync(anchor)
        os.replace("anchor.new", "anchor")
        if {folder_synced}:
            os.fsync(os.open(".", os.O_RDONLY))
    """
    child = run_child(library, folder, log, program)
    assert child.returncode == 0, child.stderr
    assert (folder / "anchor").read_bytes() == b"new"
    lossy.drop_unsynced(log)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"anchor": after}


def test_processes_share_one_log(library: Path, folder: Path, log: Path) -> None:
    program = """
        file = Path("rows.db")
        raw_writer.connect(file).close()
        children = []
        for process in range(4):
            child = os.fork()
            if child == 0:
                connection = raw_writer.connect(file)
                for number in range(25):
                    raw_writer.insert(connection, f"{process}-{number}")
                os._exit(0)
            children.append(child)
        print([os.waitpid(child, 0)[1] for child in children], flush=True)
        os._exit(0)
    """
    child = run_child(library, folder, log, program)
    assert child.stdout.strip() == "[0, 0, 0, 0]", child.stderr
    lossy.drop_unsynced(log)
    rows = {f"{process}-{number}" for process in range(4) for number in range(25)}
    assert raw_writer.tokens(folder / "rows.db") == rows


def test_removed_and_new_files_are_back_and_gone_after_a_power_cut(library: Path, folder: Path, log: Path) -> None:
    (folder / "old").write_bytes(b"old")
    program = """
        os.unlink("old")
        Path("brief").write_bytes(b"brief")
        os.unlink("brief")
        Path("old").write_bytes(b"another")
    """
    child = run_child(library, folder, log, program)
    assert child.returncode == 0, child.stderr
    assert lossy.drop_unsynced(log).lost_entries == 4
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"old": b"old"}


def test_the_same_seed_leaves_the_same_disk_and_other_seeds_leave_others(library: Path, tmp_path: Path) -> None:
    def disk_after(seed: int) -> bytes:
        folder, log = tmp_path / f"disk{seed}", tmp_path / "log"
        folder.mkdir(exist_ok=True)
        (folder / "notes").write_bytes(bytes(100 * lossy.SECTOR_BYTES))
        program = f"os.write(os.open('notes', os.O_RDWR), b'x' * {100 * lossy.SECTOR_BYTES})"
        assert run_child(library, folder, log, program).returncode == 0
        lossy.drop_unsynced(log, random.Random(seed))
        return (folder / "notes").read_bytes()

    disks = [disk_after(seed) for seed in (1, 1, 2)]
    assert disks[0] == disks[1] != disks[2]
    assert 0 < disks[0].count(b"x") < len(disks[0])
    assert disks[0].count(b"x") % lossy.SECTOR_BYTES == 0


def test_most_kills_land_while_writes_are_in_flight(library: Path, folder: Path, log: Path) -> None:
    environment = lossy.environment(library, folder, log, slow_us=SSD_US)
    runs = list(kill.kill_runs(writer(folder / "rows.db", "FULL"), 8, seed=3, environment=environment))
    assert sum(run.in_flight > 0 for run in runs) > 4
    assert all(0 < len(run.acknowledged) <= run.begun for run in runs)


def test_a_child_that_waits_between_its_writes_is_seen_to_have_none_in_flight() -> None:
    program = """
        import signal
        from faults.kill import Child
        child = Child.from_environment()
        with child.attempt(0):
            pass
        child.acknowledge("first")
        signal.pause()
    """
    run = kill.kill_once([sys.executable, "-c", textwrap.dedent(program)], 0.0)
    assert run == kill.KillRun(acknowledged=("first",), in_flight=0, begun=1)


def test_a_child_that_fails_by_itself_is_reported_with_its_standard_error() -> None:
    with pytest.raises(kill.ChildError, match=r"code 3 before it was killed(?s:.)*out of ideas"):
        kill.kill_once([sys.executable, "-c", "import sys; print('out of ideas', file=sys.stderr); sys.exit(3)"], 0.0)


def test_a_fault_that_does_not_exist_is_refused(library: Path, folder: Path, log: Path) -> None:
    with pytest.raises(ValueError, match="fsync:N"):
        lossy.environment(library, folder, log, "fsync:0")


def test_without_a_compiler_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(lossy.NoCompilerError, match="install gcc"):
        lossy.build(tmp_path)
