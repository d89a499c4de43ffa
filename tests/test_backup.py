"""Backups are made while a store is in use, are what the store was, and come back without overwriting by accident."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from journal_builder import MARKER, build_store, change, journal_on, live_a_little, projections, recorder_for
from tacit.clock import ManualClock, SystemClock
from tacit.errors import Conflict, IntegrityError, InvalidInput, NotFound, PermissionDenied, StoreBusy
from tacit.ids import SeededEntropy, SystemEntropy
from tacit.journal.journal import Journal
from tacit.journal.minds import list_minds, open_mind
from tacit.journal.node import load_node
from tacit.journal.replay import differing_views, scratch_store, view_digests
from tacit.journal.verify import verify
from tacit.ops import backup as backups
from tacit.ops.backup import (
    BackupInfo,
    create_backup,
    due,
    list_backups,
    read_heads,
    rotate,
    verify_backup,
)
from tacit.ops.backup_catalog import metadata_path
from tacit.ops.restore import Restored, restore_backup
from tacit.ops.schedule import Backups, Schedule
from tacit.stores import schema
from tacit.stores.opening import open_store
from tacit.stores.port import Store
from tacit.stores.sqlite import SqliteStore
from tacit.stores.sqlite_file import anchor_path

CLOCK = ManualClock()
PASSPHRASE = "correct horse"


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "agent.db"
    build_store(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


def back_up(path: Path, target: Path, *, clock: ManualClock = CLOCK, **options: Any) -> BackupInfo:
    with contextlib.closing(SqliteStore(path, passphrase=options.pop("opened_with", None))) as store:
        return create_backup(store, target, clock=clock, entropy=SystemEntropy(), **options)


def restore(made: BackupInfo, destination: Path | str, **options: Any) -> Restored:
    return restore_backup(Path(made.path), str(destination), clock=CLOCK, entropy=SystemEntropy(), **options)


def state(store: Store) -> tuple[Any, dict[str, str]]:
    """The heads of the journal, and the digests of the views."""
    with store.snapshot() as snapshot:
        return read_heads(snapshot), view_digests(snapshot)


def wipe(path: Path) -> None:
    for file in path.parent.iterdir():
        if file.name != anchor_path(path).name:
            file.unlink()


@contextlib.contextmanager
def writers(journal: Journal, count: int) -> Iterator[None]:
    """That many threads write to minds of their own until the block ends."""
    stop = threading.Event()
    minds = [open_mind(journal, SystemEntropy(), "acme", f"m{number}") for number in range(count)]
    begun = threading.Barrier(count + 1)

    def write(number: int) -> None:
        begun.wait()
        while not stop.is_set():
            live_a_little(recorder_for(journal, minds[number]), ManualClock(), episodes=1)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    begun.wait()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# ── making ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("OP-07")
def test_a_backup_under_load_is_restored_to_equal_digests_after_a_wipe(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "agent.db"
    with contextlib.closing(SqliteStore(path)) as store:
        with journal_on(store, clock=None, entropy=SystemEntropy(), anchor=anchor_path(path)) as journal:
            with writers(journal, 4):
                made = []
                for _ in range(3):
                    journal.notary.sign_all()
                    made.append(create_backup(store, folder, clock=SystemClock()))
            journal.notary.sign_all()
        after = verify(store, anchor_path(path)).events
    assert made[0].events < made[-1].events <= after
    assert [info.path for info in list_backups(folder)] == [info.path for info in reversed(made)]
    wipe(path)
    report = restore(made[1], path)
    assert report.missing_events == after - made[1].events
    with contextlib.closing(SqliteStore(path)) as store:
        assert state(store) == (made[1].heads, made[1].views)
        assert verify(store, anchor_path(path)).problems == ()
        with scratch_store() as target:
            assert differing_views(store, target, projections()) == []


@pytest.mark.requirement("OP-07")
def test_a_backup_says_what_it_is(store_path: Path, folder: Path) -> None:
    made = back_up(store_path, folder)
    path = Path(made.path)
    assert path.name.startswith("tacit-20260101T000000Z-")
    fields = json.loads(metadata_path(path).read_bytes())
    assert fields["source"] == str(store_path)
    assert fields["bytes"] == path.stat().st_size
    assert fields["created_at"] == "2026-01-01T00:00:00Z"
    assert fields["encrypted"] is False
    assert {"path", "problem"}.isdisjoint(fields)
    assert sum(head["position"] for head in fields["heads"]) == fields["events"] == made.events
    assert list_backups(folder) == [made]
    checked = verify_backup(path)
    assert (checked.ok, checked.info) == (True, made)
    assert sorted(file.name for file in folder.iterdir()) == [path.name, metadata_path(path).name]


def test_a_backup_can_have_a_name_of_ones_own_but_never_overwrites(store_path: Path, folder: Path) -> None:
    made = back_up(store_path, folder / "mine.db")
    assert made.path == str(folder / "mine.db")
    assert verify_backup(folder / "mine.db").ok
    with pytest.raises(Conflict, match="never overwrites"):
        back_up(store_path, folder / "mine.db")
    with pytest.raises(NotFound, match="create it first"):
        back_up(store_path, folder / "nowhere" / "mine.db")


@pytest.mark.requirement("OP-07")
def test_a_damaged_store_gives_no_backup(store_path: Path, folder: Path) -> None:
    change(store_path, "UPDATE event SET occurred_at = 5 WHERE position = 9")
    with pytest.raises(IntegrityError, match="does not verify"):
        back_up(store_path, folder)
    assert list(folder.iterdir()) == []


@pytest.mark.requirement("OP-07")
def test_a_crash_at_any_moment_leaves_no_half_backup_under_a_final_name(
    store_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("_copy", "_describe", "sync_folder"):
        child = os.fork()
        if child == 0:  # a power cut: nothing is cleaned up
            monkeypatch.setattr(backups, step, lambda *_: os._exit(9))
            try:
                back_up(store_path, folder)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        for info in list_backups(folder):
            assert verify_backup(Path(info.path)).ok
    assert len(list_backups(folder)) == 1  # the last one had its name already


def test_what_a_crash_left_is_removed_by_a_later_backup(store_path: Path, folder: Path) -> None:
    old, young = folder / ".tacit-1.backup.partial", folder / ".tacit-2.backup.partial"
    now = CLOCK.now() / 1_000_000
    for file, age in ((old, 90_000), (young, 60)):
        file.write_bytes(b"half")
        os.utime(file, (now - age, now - age))
    back_up(store_path, folder)
    assert not old.exists()
    assert young.exists()  # somebody may be writing it


# ── listing, rotating, scheduling ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("OP-07")
def test_only_backups_beyond_the_newest_are_deleted(store_path: Path, folder: Path) -> None:
    clock = ManualClock()
    made = []
    for _ in range(4):
        clock.advance(3600)
        made.append(back_up(store_path, folder, clock=clock))
    bystanders = [folder / "notes.txt", folder / "other.backup"]
    for file in bystanders:
        file.write_text("mine")
    metadata_path(Path(made[0].path)).write_text("{")  # damaged: left for a person to look at
    assert rotate(folder, 2) == [Path(made[1].path)]
    assert [info.path for info in list_backups(folder)] == [made[3].path, made[2].path, made[0].path]
    assert all(file.exists() for file in bystanders)
    assert not metadata_path(Path(made[1].path)).exists()
    with pytest.raises(InvalidInput, match="at least one"):
        rotate(folder, 0)


@pytest.mark.requirement("OP-07")
def test_damaged_metadata_is_listed_and_stops_nothing(store_path: Path, folder: Path) -> None:
    clock, made = ManualClock(), []
    for _ in range(4):
        clock.advance(60)
        made.append(Path(back_up(store_path, folder, clock=clock).path))
    metadata_path(made[0]).unlink()
    metadata_path(made[1]).write_bytes(b'{"format":99}')
    made[2].write_bytes(made[2].read_bytes()[:-10])
    found = list_backups(folder)
    assert [info.path for info in found] == [str(path) for path in reversed(made)]
    assert [bool(info.problem) for info in found] == [False, True, True, True]
    assert list_backups(folder / "nowhere") == []


@pytest.mark.requirement("OP-07")
def test_backups_are_made_when_due_and_old_ones_go(store_path: Path, tmp_path: Path) -> None:
    clock, folder = ManualClock(), tmp_path / "scheduled"
    with contextlib.closing(SqliteStore(store_path)) as store, journal_on(store, clock=clock) as journal:
        schedule = Backups(journal, Schedule(directory=str(folder), every_seconds=3600, keep=2), SeededEntropy(3))
        schedule.run_due()
        first = list_backups(folder)
        assert len(first) == 1
        clock.advance(3599)
        assert not due(folder, 3600, clock.now())
        schedule.run_due()
        assert list_backups(folder) == first
        for _ in range(3):
            clock.advance(3600)
            schedule.run_due()
        assert len(list_backups(folder)) == 2
        assert first[0] not in list_backups(folder)
        Backups(journal, Schedule(), SeededEntropy(3)).run_due()
        assert len(list_backups(folder)) == 2


# ── verifying ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("OP-07")
def test_a_damaged_backup_is_found_and_not_restored(store_path: Path, folder: Path, tmp_path: Path) -> None:
    made = back_up(store_path, folder)
    path, sound = Path(made.path), Path(made.path).read_bytes()
    generator = random.Random(2)
    for _ in range(10):
        at = generator.randrange(len(sound))
        path.write_bytes(sound[:at] + bytes((sound[at] ^ 0x10,)) + sound[at + 1 :])
        assert not verify_backup(path).ok
        with pytest.raises(IntegrityError, match="was not restored"):
            restore(made, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_a_backup_that_was_changed_along_with_its_digest_is_found(store_path: Path, folder: Path) -> None:
    made = back_up(store_path, folder)
    path = Path(made.path)
    change(path, "DELETE FROM tag WHERE 1 = 1")
    fields = json.loads(metadata_path(path).read_bytes())
    metadata_path(path).write_text(json.dumps({**fields, "sha256": backups.file_digest(path)}))
    assert verify_backup(path).problems == ("view tag is not as its metadata says",)


def test_a_backup_can_be_verified_where_nothing_can_be_written(store_path: Path, folder: Path) -> None:
    made = back_up(store_path, folder)
    before = sorted(folder.iterdir())
    folder.chmod(0o500)
    try:
        assert verify_backup(Path(made.path)).ok
    finally:
        folder.chmod(0o700)
    assert sorted(folder.iterdir()) == before


def test_a_missing_backup_is_said_to_be_missing(folder: Path) -> None:
    with pytest.raises(NotFound, match="no backup at"):
        verify_backup(folder / "none.backup")


# ── restoring ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("OP-07", "JR-12")
def test_a_restore_refuses_to_overwrite(store_path: Path, folder: Path) -> None:
    made = back_up(store_path, folder)
    before = store_path.read_bytes()
    with pytest.raises(Conflict, match="with force"):
        restore(made, store_path)
    assert store_path.read_bytes() == before


@pytest.mark.requirement("OP-07")
def test_a_forced_restore_keeps_what_was_there(store_path: Path, folder: Path) -> None:
    made = back_up(store_path, folder)
    with contextlib.closing(SqliteStore(store_path)) as store:
        with journal_on(store, clock=ManualClock(CLOCK.now() * 2), anchor=anchor_path(store_path)) as journal:
            mind = open_mind(journal, SeededEntropy(99), "acme", "later")
            live_a_little(recorder_for(journal, mind), ManualClock())
        newer = state(store)
    report = restore(made, store_path, force=True)
    assert report.missing_events > 20
    with contextlib.closing(SqliteStore(Path(report.safety_copy))) as kept:
        assert state(kept) == newer
        assert verify(kept, Path(report.old_anchor)).ok
    with contextlib.closing(SqliteStore(store_path)) as store:
        assert state(store) == (made.heads, made.views)
        assert verify(store, Path(report.anchor)).ok
    again = restore(made, store_path, force=True)
    assert again.safety_copy != report.safety_copy
    assert (again.old_anchor, again.missing_events) == ("", 0)
    assert not list(store_path.parent.glob(".*"))


@pytest.mark.requirement("OP-07")
def test_a_store_that_is_open_is_not_replaced(store_path: Path, folder: Path) -> None:
    made = back_up(store_path, folder)
    with contextlib.closing(SqliteStore(store_path)) as store:
        before = state(store)
        with pytest.raises(StoreBusy, match="in use"):
            restore(made, store_path, force=True)
        assert state(store) == before
    assert not list(store_path.parent.glob(".*"))


@pytest.mark.requirement("OP-07", "JR-12")
@pytest.mark.parametrize("damage", ["rubbish", "cut", "another program's"])
def test_a_damaged_store_is_kept_as_it_is_when_it_is_replaced(store_path: Path, folder: Path, damage: str) -> None:
    made = back_up(store_path, folder)
    raw = store_path.read_bytes()
    broken = {"rubbish": b"x" * 5_000, "cut": raw[: len(raw) // 2]}.get(damage, b"SQLite format 3\x00" + bytes(500))
    store_path.write_bytes(broken)
    stale_log = store_path.with_name(store_path.name + "-wal")
    stale_log.write_bytes(b"log" * 100)
    report = restore(made, store_path, force=True)
    assert Path(report.safety_copy).read_bytes() == broken
    assert not stale_log.exists()
    with contextlib.closing(SqliteStore(store_path)) as store:
        assert state(store) == (made.heads, made.views)


@pytest.mark.requirement("OP-07")
def test_a_restored_store_goes_on_under_a_key_of_its_own(store_path: Path, folder: Path, tmp_path: Path) -> None:
    with contextlib.closing(SqliteStore(store_path)) as store:
        old = load_node(store, SystemEntropy(), 0, create=False)
    made = back_up(store_path, folder)
    report = restore(made, tmp_path / "restored.db")
    with contextlib.closing(SqliteStore(tmp_path / "restored.db")) as store:
        with journal_on(store, clock=CLOCK, entropy=SystemEntropy(), anchor=Path(report.anchor)) as journal:
            assert old is not None
            assert journal.node.origin.hex() == report.origin != old.origin.hex()
            with store.snapshot() as snapshot:
                mind = list_minds(snapshot)[0]
            live_a_little(recorder_for(journal, mind), CLOCK)
        checked = verify(store, Path(report.anchor))
        assert checked.ok
        assert checked.events > made.events
        with store.snapshot() as snapshot:
            assert report.origin in {head.origin for head in read_heads(snapshot)}


@pytest.mark.requirement("OP-07")
def test_what_no_checkpoint_covered_is_signed_before_the_old_key_retires(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "unsigned.db"
    with contextlib.closing(SqliteStore(path)) as store, journal_on(store, entropy=SystemEntropy()) as journal:
        mind = open_mind(journal, SystemEntropy(), "acme", "a")
        live_a_little(recorder_for(journal, mind), ManualClock())
        made = create_backup(store, folder, clock=CLOCK)  # nothing was signed
    checked = verify_backup(Path(made.path)).verification
    assert checked is not None
    assert checked.checkpoints == 0
    report = restore(made, tmp_path / "restored.db")
    with contextlib.closing(SqliteStore(tmp_path / "restored.db")) as store:
        assert (verify(store, Path(report.anchor)).ok, verify(store, Path(report.anchor)).anchored) == (True, 1)


def test_a_restore_frees_the_leases_of_other_processes(store_path: Path, folder: Path, tmp_path: Path) -> None:
    sql = "INSERT INTO consumer SELECT mind, 'tally', 3, 7, 'host:1:x', 9000000000000000000 FROM head"
    change(store_path, sql)
    restore(back_up(store_path, folder), tmp_path / "restored.db")
    with contextlib.closing(SqliteStore(tmp_path / "restored.db")) as store, store.snapshot() as snapshot:
        rows = snapshot.rows(select(*schema.consumer.c))
    assert {tuple(row[1:]) for row in rows} == {("tally", 3, 7, "", 0)}


def test_a_damaged_old_anchor_is_kept(store_path: Path, folder: Path) -> None:
    made = back_up(store_path, folder)
    wipe(store_path)
    anchor = anchor_path(store_path)
    anchor.write_bytes(b"rubbish\n" + anchor.read_bytes())
    report = restore(made, store_path)
    assert Path(report.old_anchor).read_bytes().startswith(b"rubbish\n")
    assert report.missing_events == 0
    with contextlib.closing(SqliteStore(store_path)) as store:
        assert verify(store, anchor).ok


@pytest.mark.requirement("OP-07")
def test_a_backup_is_restored_into_an_empty_database_only(store_path: Path, folder: Path, postgres_url: str) -> None:
    made = back_up(store_path, folder)
    report = restore(made, postgres_url)
    with contextlib.closing(open_store(postgres_url, pool_min=1)) as store:
        assert state(store) == (made.heads, made.views)
        assert verify(store, None).problems == ()
        node = load_node(store, SystemEntropy(), 0, create=False)
        assert node is not None
        assert node.origin.hex() == report.origin
        from_database = create_backup(store, folder, clock=CLOCK, passphrase=PASSPHRASE)
    with pytest.raises(Conflict, match="empty database"):
        restore(made, postgres_url, force=True)
    assert from_database.encrypted
    assert (from_database.heads, from_database.views) == (made.heads, made.views)
    restored = restore(from_database, folder / "back.db", passphrase=PASSPHRASE)
    with contextlib.closing(SqliteStore(restored.destination, passphrase=PASSPHRASE)) as store:
        assert state(store) == (made.heads, made.views)


# ── encryption ───────────────────────────────────────────────────────────────────────────────────────────────────────


def holding(folder: Path, text: str) -> list[str]:
    return [str(file) for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


@pytest.mark.requirement("SE-05", "OP-07")
def test_the_backup_of_an_encrypted_store_is_encrypted_and_so_is_what_is_restored(tmp_path: Path, folder: Path) -> None:
    path, restored = tmp_path / "secret.db", tmp_path / "restored.db"
    build_store(path, passphrase=PASSPHRASE)
    made = back_up(path, folder, opened_with=PASSPHRASE)
    assert made.encrypted
    with pytest.raises(InvalidInput, match="give its passphrase"):
        verify_backup(Path(made.path))
    with pytest.raises(PermissionDenied, match="passphrase"):
        verify_backup(Path(made.path), "wrong")
    restore(made, restored, passphrase=PASSPHRASE)
    with contextlib.closing(SqliteStore(restored, passphrase=PASSPHRASE)) as store:
        assert state(store) == (made.heads, made.views)
    assert holding(tmp_path, MARKER) == []


@pytest.mark.requirement("SE-05")
def test_a_plain_store_can_have_an_encrypted_backup(store_path: Path, folder: Path) -> None:
    assert holding(store_path.parent, MARKER) == [str(store_path)]  # so the marker would be found
    made = back_up(store_path, folder, passphrase=PASSPHRASE)
    assert verify_backup(Path(made.path), PASSPHRASE).ok
    assert holding(folder, MARKER) == []
    assert len(list(folder.iterdir())) == 2


@pytest.mark.skipif(os.name != "posix", reason="file permissions are told this way on POSIX only")
@pytest.mark.requirement("OP-07", "SE-05")
def test_backups_and_restored_stores_are_private_to_their_owner(store_path: Path, folder: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        made = back_up(store_path, folder)
        restored = Path(restore(made, tmp_path / "restored.db").destination)
    finally:
        os.umask(before)
    assert [oct(path.stat().st_mode & 0o777) for path in (Path(made.path), restored)] == ["0o600", "0o600"]
