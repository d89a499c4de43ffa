"""Erasing and files: no file holds what was erased, other processes do not show it, and no backup brings it back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tacit
from command_line import CommandLine
from tacit.clock import SystemClock
from tacit.errors import Erased, IntegrityError, NotFound
from tacit.ids import SystemEntropy, parse_id
from tacit.journal.erasing import last_erasure
from tacit.journal.replay import differing_views, scratch_store
from tacit.journal.verify import verify
from tacit.learning.advising.book import Book
from tacit.learning.studying.student import Findings
from tacit.learning.studying.study import Study
from tacit.opening import projections, view_consumers
from tacit.ops import ledger
from tacit.ops.restore import Restored, restore_backup
from tacit.stores import schema
from tacit.stores.sqlite import SqliteStore
from tacit.stores.sqlite_file import anchor_path, ledger_path
from test_erasing import MARKER, assert_sound, attempt, everything_about, holding, store_of
from trials import open_mind

pytestmark = pytest.mark.requirement("JR-06")
FILLER = "one two three four five six seven eight nine ten " * 9


def fill(mind: tacit.Mind, *, many: int = 40) -> tuple[list[str], list[str]]:
    """Episodes and memories, every third with the marker in each of its texts; the ids of those."""
    episodes, memories = [], []
    for number in range(many):
        marked = number % 3 == 0
        word = f"{MARKER} {FILLER}{FILLER[: number * 7]}" if marked else FILLER
        id = attempt(mind, f"Attempt {number} {word}", tags=[MARKER if marked else "plain"])
        memory = mind.remember(f"{number} {word}", user=MARKER if marked else "bob", subject=f"s{number % 5}")
        if marked:
            episodes.append(id)
            memories.append(memory.id)
    mind.settle()
    mind.advise("What was it", domain="airline", task_type="seats")
    return episodes, memories


# ── in no file ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_file_holds_a_piece_of_what_was_erased_while_the_store_is_open_and_after_it(tmp_path: Path) -> None:
    path, log = tmp_path / "store.db", tmp_path / "log.txt"
    with open_mind(path, log__file=str(log), log__level="DEBUG") as mind:
        episodes, _ = fill(mind)
        assert holding(tmp_path, MARKER)
        for id in episodes:
            mind.erase(episode=id)
        mind.erase(user=MARKER)
        assert holding(tmp_path, MARKER) == []
        assert_sound(mind)
        mind.settle()
        for number in range(20):
            attempt(mind, f"Afterwards {number}")
        assert holding(tmp_path, MARKER) == []
    assert holding(tmp_path, MARKER) == []
    with_journal = SqliteStore(path, create=False)
    assert with_journal.integrity() == []
    with_journal.close()


def test_a_reader_of_an_earlier_time_delays_only_the_last_bytes(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path, consumers__poll_seconds=0.1) as mind:
        memory = mind.remember(f"The word is {MARKER}")
        inside, leave = threading.Event(), threading.Event()

        def read() -> None:
            with store_of(mind).snapshot() as snapshot:
                snapshot.rows(schema.mind.select())
                inside.set()
                leave.wait(30)

        reader = threading.Thread(target=read)
        reader.start()
        inside.wait(30)
        assert mind.check_receipt(mind.erase(memory=memory.id)).ok
        mind.remember("others go on writing")
        leave.set()
        reader.join()
        deadline = time.monotonic() + 30
        while holding(tmp_path, MARKER) and time.monotonic() < deadline:
            mind.remember(f"a moment later {time.monotonic_ns()}")
            time.sleep(0.1)
        assert holding(tmp_path, MARKER) == []


def test_an_encrypted_store_erases_too(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", passphrase="correct horse") as mind:
        id = attempt(mind, MARKER)
        assert mind.check_receipt(mind.erase(episode=id)).ok
        assert_sound(mind)


# ── other processes ──────────────────────────────────────────────────────────────────────────────────────────────────

_ASKING = """
import sys, tacit
sys.path.insert(0, {tests!r})
from trials import open_mind
with open_mind({location!r}, learning__embedder="none") as mind:
    mind.settle()
    for line in sys.stdin:
        found = mind.advise("Cancel the flight", domain="airline", task_type="seats", record=False)
        items = [*found.episodes, *found.heuristics, *found.pitfalls, *found.tools, *found.next_steps]
        told = [evidence.event_id for item in items for evidence in item.evidence]
        print(" ".join(sorted(set(told))), flush=True)
"""


@pytest.fixture(params=["file", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store.db") if request.param == "file" else request.getfixturevalue("postgres_url")


def _program(text: str, **named: Any) -> subprocess.Popen[str]:
    text = text.format(tests=str(Path(__file__).parent), **named)
    return subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def test_another_process_that_gave_advice_before_shows_no_evidence_of_it_afterwards(location: str) -> None:
    with open_mind(location, learning__embedder="none") as mind:
        made = [attempt(mind, f"Cancel the flight {number}") for number in range(8)]
        mind.settle()
        with _program(_ASKING, location=location) as other:
            assert other.stdin is not None
            assert other.stdout is not None

            def ask() -> str:
                other.stdin.write("now\n")  # type: ignore[union-attr]
                other.stdin.flush()  # type: ignore[union-attr]
                return other.stdout.readline()  # type: ignore[union-attr]

            before = ask()
            shown = [id for id in made if id in before]
            assert shown
            for id in shown:
                mind.erase(episode=id)
            after = ask()
            assert not [id for id in shown if id in after]
            own = mind.advise("Cancel the flight", domain="airline", task_type="seats", record=False)
            assert not [id for id in shown if id in str(own)]
            other.stdin.close()
            assert other.wait(60) == 0


def test_a_study_that_began_before_an_erasure_does_not_write_what_it_found(tmp_path: Path) -> None:
    with open_mind(":memory:", consumers__enabled=False) as mind:
        id = attempt(mind, "Cancel")
        mind.erase(episode=attempt(mind, "Another"))
        mind_id, study = parse_id(mind.id), Study(SystemClock())
        with store_of(mind).snapshot() as snapshot:
            known = last_erasure(snapshot, mind_id)
        assert known > 0
        found = Findings(Book(position=5, episodes=1, known=1), [], None, (), known)
        mind.recorder.journal.run(lambda appender: study.apply(appender, mind_id, found))
        assert mind.book().position == 5
        mind.erase(episode=id)
        assert mind.book().position == 0
        mind.recorder.journal.run(lambda appender: study.apply(appender, mind_id, found))
        assert mind.book().position == 0


_WRITING = """
import sys
sys.path.insert(0, {tests!r})
from trials import open_mind
with open_mind({location!r}, learning__embedder="none") as mind:
    print("begun", flush=True)
    for number in range(400):
        with mind.episode(f"Write {{number}} " + "w" * (number * 37 % 3_000), domain="airline") as episode:
            episode.step(tool="write", observation="o" * (number * 101 % 6_000), success=True)
            episode.complete("success")
    print("done", flush=True)
"""


@pytest.mark.disk
def test_files_are_scrubbed_while_another_process_writes_and_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path, learning__embedder="none") as mind, _program(_WRITING, location=str(path)) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "begun\n"
        erased = 0
        while other.poll() is None:
            memory = mind.remember(f"{MARKER} {erased} " + "x" * (erased * 71 % 3_000), user="alice")
            attempt(mind, f"Other {erased} " + "y" * (erased * 53 % 2_000))
            mind.erase(memory=memory.id)
            erased += 1
        assert other.stdout.readline() == "done\n"
        assert erased > 3
        assert len(mind.episodes(text="write", limit=1_000)) == 400
        mind.erase(user="alice")
        assert_sound(mind)
        assert store_of(mind).integrity() == []
    assert holding(tmp_path, MARKER) == []
    store = SqliteStore(path, create=False)
    assert store.integrity() == []
    store.close()


# ── killed, and many ─────────────────────────────────────────────────────────────────────────────────────────────────

_ERASING = """
import sys
sys.path.insert(0, {tests!r})
from tacit.experience.erasing import eraser
from trials import open_mind
eraser.BATCH_EVENTS = 20
with open_mind({location!r}, consumers__enabled=False) as mind:
    print("begun", flush=True)
    mind.erase(user="alice")
    print("done", flush=True)
"""


@pytest.mark.disk
def test_a_process_that_is_killed_half_way_leaves_whole_batches_and_the_same_call_finishes(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path, consumers__enabled=False) as mind:
        mind.remember_many({"text": f"{MARKER} {number}", "user": "alice"} for number in range(2_000))
        mind.remember_many({"text": f"fact {number}", "user": "bob"} for number in range(50))
        expected = mind.erase(user="alice", dry_run=True)
    with _program(_ERASING, location=str(path)) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "begun\n"
        time.sleep(0.3)
        other.send_signal(signal.SIGKILL)
        other.wait(30)
    with open_mind(path, consumers__enabled=False) as mind:
        left = mind.erase(user="alice", dry_run=True).counts.get("memory", 0)
        assert 0 < left < 2_000, "it was killed too early or too late to tell anything"
        assert_sound(mind)
        rest = mind.erase(user="alice")
        assert rest.counts["memory"] == left
        whole = mind.erase(user="alice")
        assert len(whole.memories) == 2_000
        assert whole.counts == expected.counts
        assert mind.check_receipt(whole).ok
        assert [one.user for one in mind.memories(limit=1_000)] == ["bob"] * 50
        assert_sound(mind)
        assert {entry.id for entry in ledger.read_ledger(ledger_path(anchor_path(path)))} == {
            ref.id for ref in whole.erasures
        }
    assert holding(tmp_path, MARKER) == []


def test_while_much_is_erased_others_write_without_waiting_long(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", consumers__enabled=False) as mind:
        mind.remember_many({"text": f"word {number}", "user": "alice"} for number in range(10_000))
        done = threading.Event()
        longest = 0.0

        def erase() -> None:
            mind.erase(user="alice")
            done.set()

        thread = threading.Thread(target=erase)
        thread.start()
        number = 0
        while not done.is_set():
            began = time.monotonic()
            mind.remember(f"of bob {number}", user="bob")
            longest = max(longest, time.monotonic() - began)
            number += 1
        thread.join()
        assert number >= 5
        assert longest < 10
        assert {one.user for one in mind.memories(limit=1_000)} == {"bob"}


# ── backups and restores ─────────────────────────────────────────────────────────────────────────────────────────────


def restore(backup: Path, target: str) -> Restored:
    return restore_backup(backup, target, clock=SystemClock(), entropy=SystemEntropy(), force=True)


@pytest.mark.requirement("OP-07")
@pytest.mark.parametrize("into", ["file", "postgres"])
def test_a_backup_that_was_made_before_an_erasure_does_not_bring_it_back(
    tmp_path: Path, into: str, request: pytest.FixtureRequest
) -> None:
    path, folder = tmp_path / "store.db", tmp_path / "backups"
    folder.mkdir()
    told = {"task": {"description": f"Cancel {MARKER}"}, "steps": [{"tool": "t"}], "key": "k"}
    with open_mind(path, backup__directory=str(folder)) as mind:
        kept, gone = attempt(mind, "Keep"), attempt(mind, f"Cancel {MARKER}")
        memory = mind.remember(f"The word is {MARKER}", user="alice", source_id="s")
        mind.settle()
        backup = Path(mind.backup(folder).path)
        later = mind.record(told)
        receipts = [mind.erase(episode=gone), mind.erase(user="alice"), mind.erase(episode=later)]
    assert holding(folder, MARKER)  # the backup itself still has it
    shutil.move(backup, tmp_path / "moved.backup")  # and then all else is lost
    shutil.move(f"{backup}.json", tmp_path / "moved.backup.json")
    shutil.move(folder / ledger.NAME, tmp_path / ledger.NAME)
    for left in (path, anchor_path(path), ledger_path(anchor_path(path))):
        left.unlink()
    target = str(tmp_path / "again.db") if into == "file" else request.getfixturevalue("postgres_url")
    done = restore(tmp_path / "moved.backup", target)
    assert (done.erased, done.ledgers) == (3, (str(tmp_path / ledger.NAME),))
    if into == "file":
        assert not [hit for hit in holding(tmp_path, MARKER) if hit.startswith("again.db")]
    with open_mind(target) as mind:
        assert everything_about(mind, tmp_path, MARKER) == []
        assert [one.id for one in mind.episodes()] == [kept]
        for id in (mind.get, mind.at(datetime.now(UTC)).get):
            with pytest.raises(NotFound):
                id(gone)
        for receipt in receipts:
            assert mind.check_receipt(receipt).ok, mind.check_receipt(receipt).problems
        with pytest.raises(Erased):
            mind.remember("anything", user="alice", source_id="s")
        with pytest.raises(Erased):
            mind.record(told)  # which came after the backup, and is known by its tombstone alone
        with pytest.raises(NotFound):
            mind.memory(memory.id)
        mind.settle()
        assert mind.statistics().totals.episodes == 1
        assert_sound(mind)


@pytest.mark.requirement("OP-07")
def test_a_restore_without_a_ledger_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store.db"
    with open_mind(path) as mind:
        attempt(mind, "Keep")
        backup = Path(mind.backup(tmp_path / "a.backup").path)
    done = restore(backup, str(tmp_path / "again.db"))
    assert (done.ledgers, done.erased) == ((), 0)
    assert "no ledger of erasures" in caplog.text
    ran = CommandLine(tmp_path / "x.db")("restore", str(backup), "--to", str(tmp_path / "third.db"))
    assert ran.code == 0
    assert ran.err.count("no ledger of erasures") == 1


@pytest.mark.requirement("OP-07")
def test_a_backup_in_a_folder_of_its_own_that_is_restored_elsewhere_knows_what_its_store_erased(tmp_path: Path) -> None:
    path, folder = tmp_path / "store.db", tmp_path / "backups"
    folder.mkdir()
    with open_mind(path) as mind:
        gone = mind.remember(f"Mia likes {MARKER}", user="mia")
        kept = mind.remember("Bo likes tea", user="bo")
        backup = Path(mind.backup(folder / "a.backup").path)
        receipt = mind.erase(user="mia")
    ran = CommandLine(tmp_path / "x.db")("restore", str(backup), "--to", str(tmp_path / "again.db"))
    assert (ran.code, ran.err) == (0, "")
    assert "1 erasure came after this backup" in ran.out
    with open_mind(tmp_path / "again.db") as mind:
        assert [one.id for one in mind.memories()] == [kept.id]
        assert gone.id in receipt.memories
        assert mind.check_receipt(receipt).ok


@pytest.mark.requirement("OP-07")
def test_an_old_file_that_is_copied_back_by_hand_is_erased_again_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path) as mind:
        gone = attempt(mind, f"Cancel {MARKER}")
    shutil.copyfile(path, tmp_path / "old.db")
    with open_mind(path) as mind:
        receipt = mind.erase(episode=gone)
    shutil.copyfile(tmp_path / "old.db", path)
    with open_mind(path) as mind:
        with pytest.raises(NotFound):
            mind.get(gone)
        assert mind.check_receipt(receipt).ok
        assert_sound(mind)
    (tmp_path / "old.db").unlink()
    assert holding(tmp_path, MARKER) == []


def test_the_ledger_is_brought_up_to_date_when_a_crash_kept_it_back_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    kept = ledger_path(anchor_path(path))
    with open_mind(path) as mind:
        mind.erase(memory=mind.remember("one").id)
        first = kept.read_bytes()
        mind.erase(memory=mind.remember("two").id)
        whole = kept.read_bytes()
    kept.write_bytes(first + b'{"v":1,"mi')
    with open_mind(path):
        assert kept.read_bytes() == whole
    kept.write_bytes(b"not json\n")
    with pytest.raises(IntegrityError, match="line 1 of the ledger"):
        open_mind(path)


# ── the command line ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_line_erases_after_a_look_and_checks_the_receipt(tmp_path: Path) -> None:
    path, receipt = tmp_path / "tacit.db", tmp_path / "receipt.json"
    with open_mind(path) as mind:
        gone = attempt(mind, f"Cancel {MARKER}")
        others = [mind.remember(f"{MARKER} {number}", user="alice", source_id="s").id for number in range(2)]
        mind.remember("kept", user="bob", session="D8")
        mind.settle()
    cli = CommandLine(path)
    looked = cli.json("erase", "episode", gone[:13], "--dry-run")
    assert (looked["dry_run"], looked["episodes"]) == (True, [gone])
    refused = cli("erase", "episode", gone, "--json")
    assert (refused.code, refused.error["code"]) == (2, "invalid_input")
    done = cli.json("erase", "episode", gone, "--yes", "--receipt", str(receipt))
    assert done["counts"] == looked["counts"]
    assert cli.json("erase", "check", str(receipt)) == {"ok": True, "problems": []}
    assert cli("erase", "episode", gone, "--yes", "--receipt", str(receipt)).code == 4  # it is not overwritten
    both = tmp_path / "both.json"
    assert len(cli.json("erase", "memory", *others, "--yes", "--receipt", str(both))) == 2
    assert cli.json("erase", "check", str(both))["ok"]
    forged = json.loads(receipt.read_text())
    forged["episodes"] = []
    receipt.write_text(json.dumps(forged))
    checked = cli("erase", "check", str(receipt))
    assert (checked.code, "NOT OK" in checked.out) == (8, True)
    assert "1 memory" in cli("erase", "session", "D8", "--yes").out
    for what in ("user", "source"):
        assert cli.json("erase", what, "nobody", "--yes")["counts"] == {}
    assert cli("erase", "everything", "--yes").code == 0
    assert cli.json("journal", "verify")["ok"]
    assert cli.json("journal", "replay")["ok"]
    again = cli("erase", "memory", "018f0000-0000-7000-8000-000000000000", "--yes", "--json")
    assert (again.code, again.error["code"]) == (3, "not_found")
    assert holding(tmp_path, MARKER) == []


def test_a_backup_of_a_store_after_an_erasure_verifies_and_replays(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db") as mind:
        for number in range(3):
            attempt(mind, f"Change {number}")
        mind.settle()
        mind.erase(episode=mind.episodes()[0].id)
        backup = mind.backup(tmp_path / "a.backup")
    store = SqliteStore(backup.path, create=False, read_only=True)
    assert verify(store, None).ok
    with scratch_store() as empty:
        assert differing_views(store, empty, projections(), view_consumers()) == []
    store.close()
