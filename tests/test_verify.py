"""Whatever is changed, cut, inserted or damaged in a journal is found, and the first bad event is named."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from journal_builder import (
    ask,
    build_store,
    change,
    journal_on,
    live_a_little,
    recorder_for,
)
from tacit.clock import ManualClock
from tacit.ids import SeededEntropy, format_id
from tacit.journal.event import Event
from tacit.journal.minds import open_mind
from tacit.journal.verify import Problem, Verification, verify
from tacit.stores import schema
from tacit.stores.sqlite import MEMORY, SqliteStore
from tacit.stores.sqlite_file import anchor_path

EVENT_COLUMNS = [column.name for column in schema.event.c]
CHECKPOINT_COLUMNS = [column.name for column in schema.checkpoint.c]
HEAD_COLUMNS = [column.name for column in schema.head.c if column.name != "mind"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "agent.db"
    build_store(path)
    return path


@pytest.fixture
def store_path(sound: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    path = tmp_path / "agent.db"
    shutil.copy(sound, path)
    shutil.copy(anchor_path(sound), anchor_path(path))
    return path


def verified(path: Path, *, anchored: bool = True) -> Verification:
    with contextlib.closing(SqliteStore(path, create=False)) as store:
        return verify(store, anchor_path(path) if anchored else None)


def first_of(path: Path, *, anchored: bool = True) -> Problem:
    found = verified(path, anchored=anchored).first
    assert found is not None
    return found


def middle_event(path: Path, *, kind: str = "step.logged") -> Event:
    """An event in the middle of the first mind, well under a checkpoint."""
    rows = ask(path, "SELECT * FROM event WHERE kind = ? ORDER BY mind, position", (kind,))
    return Event(*rows[len(rows) // 4])


def altered(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bytes):
        return bytes((value[0] ^ 1,)) + value[1:]
    if isinstance(value, int):
        return value + 1_000_000
    if isinstance(value, str):
        return value[:-1] + "x"
    return bytes(15) + b"\x01"


def names(problem: Problem, event: Event) -> bool:
    return (problem.mind, problem.origin, problem.sequence, problem.id) == (
        format_id(event.mind),
        event.origin.hex(),
        event.sequence,
        format_id(event.id),
    )


# ── sound journals ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-01")
def test_a_sound_journal_verifies_and_everything_in_it_is_counted(store_path: Path) -> None:
    report = verified(store_path)
    assert report.problems == ()
    assert report.ok
    assert report.first is None
    assert report.minds == 2
    assert report.events == ask(store_path, "SELECT count(*) FROM event")[0][0]
    assert report.checkpoints == ask(store_path, "SELECT count(*) FROM checkpoint")[0][0] == report.anchored


def test_an_empty_store_verifies() -> None:
    with contextlib.closing(SqliteStore(MEMORY)) as store:
        assert verify(store, None) == Verification(
            minds=0, events=0, checkpoints=0, anchored=0, problems=(), unlisted=0
        )


def test_progress_is_told_as_the_number_of_events_so_far(store_path: Path) -> None:
    told: list[int] = []
    with contextlib.closing(SqliteStore(store_path)) as store:
        report = verify(store, None, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == report.events


@pytest.mark.parametrize("counts", [(1, 2, 3, 1_023, 1), (1_024, 1_025), (2_047, 2_049, 7), (3_500,)])
def test_checkpoints_of_every_size_verify(tmp_path: Path, counts: tuple[int, ...]) -> None:
    path = tmp_path / "agent.db"
    with contextlib.closing(SqliteStore(path)) as store:
        with journal_on(store, anchor=anchor_path(path)) as journal:
            for count in counts:
                notes = [journal.preparer.prepare("note.added", {"n": number}) for number in range(count)]
                journal.run(lambda appender, notes=notes: [appender.append(b"m" * 16, note) for note in notes])
                journal.notary.sign_all()
        report = verify(store, anchor_path(path))
    assert report.problems == ()
    assert (report.events, report.checkpoints, report.anchored) == (sum(counts), len(counts), len(counts))
    root = ask(path, "SELECT root FROM checkpoint ORDER BY last DESC")[0][0]
    change(path, "UPDATE checkpoint SET root = ? WHERE root = ?", (altered(root), root))
    assert "Merkle root" in first_of(path, anchored=False).message


def test_a_payload_too_long_for_a_batch_is_verified_too(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with contextlib.closing(SqliteStore(path)) as store:
        with journal_on(store) as journal:
            for size in (65_000, 65_536, 200_000):
                prepared = journal.preparer.prepare("note.added", {"text": "x" * size})
                journal.run(lambda appender, prepared=prepared: appender.append(b"m" * 16, prepared))
        assert verify(store, None).ok
    body = ask(path, "SELECT body FROM payload ORDER BY position DESC")[0][0]
    change(path, "UPDATE payload SET body = ? WHERE body = ?", (body[:-3] + b'z"}', body))
    assert first_of(path).what == "payload"


def test_a_journal_verifies_while_threads_write_and_sign(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    clock, entropy = ManualClock(), SeededEntropy(3)
    with contextlib.closing(SqliteStore(path)) as store, journal_on(store, anchor=anchor_path(path)) as journal:
        minds = [open_mind(journal, entropy, "acme", name) for name in ("a", "b")]
        done = threading.Event()

        def write(at: int) -> None:
            live_a_little(recorder_for(journal, minds[at]), clock, episodes=12)
            journal.notary.sign_all()

        threads = [threading.Thread(target=write, args=(at,)) for at in (0, 1)]
        watcher = threading.Thread(target=lambda: ([thread.join() for thread in threads], done.set()))
        for thread in (*threads, watcher):
            thread.start()
        reports = [verify(store, anchor_path(path))]
        while not done.is_set():
            reports.append(verify(store, anchor_path(path)))
        watcher.join()
        reports.append(verify(store, anchor_path(path)))
    assert [report.problems for report in reports if not report.ok] == []
    assert reports[-1].events > reports[0].events


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-01")
@pytest.mark.parametrize("column", EVENT_COLUMNS)
def test_a_changed_field_of_an_event_is_found(store_path: Path, column: str) -> None:
    event = middle_event(store_path)
    value = getattr(event, column)
    assert change(store_path, f"UPDATE event SET {column} = ? WHERE id = ?", (altered(value), event.id)) == 1
    found = first_of(store_path, anchored=False)
    if column in ("mind", "position", "origin", "sequence", "id"):  # these are how an event is named
        assert found.sequence == event.sequence
    else:
        assert found.what == "event"
        assert names(found, event)


@pytest.mark.requirement("JR-01")
def test_an_event_that_cannot_be_read_is_named(store_path: Path) -> None:
    event = middle_event(store_path)
    sql = "UPDATE event SET kind = CAST(x'73ff' AS TEXT) WHERE id = ?"  # text that is no UTF-8
    assert change(store_path, sql, (event.id,)) == 1
    found = first_of(store_path)
    assert names(found, event)
    assert "cannot be read" in found.message


@pytest.mark.requirement("JR-01")
@pytest.mark.parametrize("column", ["id", "kind", "actor", "clock", "hash", "digest", "origin", "previous", "version"])
def test_a_field_of_a_wrong_type_is_found_and_raises_nothing(store_path: Path, column: str) -> None:
    event = middle_event(store_path)
    wrong = b"\xff\xfe" if isinstance(getattr(event, column), str) else "text"
    assert change(store_path, f"UPDATE event SET {column} = ? WHERE id = ?", (wrong, event.id)) == 1
    assert first_of(store_path, anchored=False).what == "event"


def test_no_causation_is_not_the_same_as_a_causation_of_zeros(store_path: Path) -> None:
    event = middle_event(store_path, kind="episode.started")
    assert event.causation is None
    change(store_path, "UPDATE event SET causation = ? WHERE id = ?", (bytes(16), event.id))
    found = first_of(store_path)
    assert names(found, event)
    assert "causation" in found.message


@pytest.mark.requirement("JR-01")
def test_a_deleted_event_is_named_by_its_place(store_path: Path) -> None:
    event = middle_event(store_path)
    for table in ("event", "payload"):
        change(store_path, f"DELETE FROM {table} WHERE mind = ? AND position = ?", (event.mind, event.position))
    found = first_of(store_path, anchored=False)
    assert (found.mind, found.origin, found.sequence) == (format_id(event.mind), event.origin.hex(), event.sequence)
    assert "missing" in found.message


def test_deleted_events_whose_places_were_closed_up_are_found(store_path: Path) -> None:
    event = middle_event(store_path)
    place = (event.mind, event.position)
    for table in ("event", "payload"):
        change(store_path, f"DELETE FROM {table} WHERE mind = ? AND position = ?", place)
        rows = ask(store_path, f"SELECT position FROM {table} WHERE mind = ? AND position > ? ORDER BY 1", place)
        for (position,) in rows:
            sql = f"UPDATE {table} SET position = position - 1 WHERE mind = ? AND position = ?"
            change(store_path, sql, (event.mind, position))
    assert first_of(store_path, anchored=False).sequence == event.sequence


@pytest.mark.requirement("JR-01")
def test_a_forged_event_at_the_end_is_found(store_path: Path) -> None:
    last = Event(*ask(store_path, "SELECT * FROM event ORDER BY mind, position DESC")[0])
    row = list(last.row())
    row[1], row[3], row[4] = last.position + 1, last.sequence + 1, altered(last.id)
    change(store_path, f"INSERT INTO event VALUES ({','.join('?' * len(row))})", row)
    found = first_of(store_path)
    assert (found.what, found.sequence, found.id) == ("event", last.sequence + 1, format_id(altered(last.id)))


@pytest.mark.requirement("JR-01")
def test_history_rewritten_with_all_its_hashes_is_found_by_the_checkpoints(store_path: Path) -> None:
    event = middle_event(store_path)
    sql = "SELECT * FROM event WHERE mind = ? AND origin = ? AND sequence >= ? ORDER BY sequence"
    previous = event.previous
    for row in ask(store_path, sql, (event.mind, event.origin, event.sequence)):
        changes = {"occurred_at": 1} if row[4] == event.id else {}
        fields = {**dict(zip(EVENT_COLUMNS, row, strict=True)), **changes, "previous": previous}
        previous = Event(**fields).computed_hash()
        values = (fields["occurred_at"], fields["previous"], previous, row[4])
        change(store_path, "UPDATE event SET occurred_at = ?, previous = ?, hash = ? WHERE id = ?", values)
        change(store_path, "UPDATE head SET hash = ? WHERE hash = ?", (previous, row[14]))
    problems = verified(store_path, anchored=False).problems
    assert problems
    assert {problem.what for problem in problems} == {"checkpoint"}
    assert problems[0].origin == event.origin.hex()


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-01")
@pytest.mark.parametrize("sql", [
    "UPDATE payload SET body = CAST(replace(CAST(body AS TEXT), 'found', 'fount') AS BLOB)",
    "UPDATE payload SET salt = CAST(zeroblob(16) AS BLOB)",
    "UPDATE payload SET salt = CAST(salt || substr(body, 1, 1) AS BLOB), body = substr(body, 2)",
    "UPDATE payload SET body = CAST(body AS TEXT)",
    "DELETE FROM payload",
])  # fmt: skip
def test_a_changed_payload_is_found_and_its_event_named(store_path: Path, sql: str) -> None:
    event = middle_event(store_path)
    assert change(store_path, f"{sql} WHERE mind = ? AND position = ?", (event.mind, event.position)) == 1
    found = first_of(store_path)
    assert found.what == "payload"
    assert names(found, event)


def test_a_payload_without_an_event_is_found(store_path: Path) -> None:
    mind = ask(store_path, "SELECT mind FROM event LIMIT 1")[0][0]
    change(store_path, "INSERT INTO payload VALUES (?, 99999, zeroblob(16), zeroblob(2))", (mind,))
    found = first_of(store_path)
    assert (found.what, found.mind) == ("payload", format_id(mind))
    assert "99999" in found.message


@pytest.mark.parametrize("table", ["payload", "head", "checkpoint"])
def test_rows_of_a_mind_without_events_are_found(store_path: Path, table: str) -> None:
    columns = {"payload": "?, 1, x'00', x'00'", "head": "?, 1, 1, 1, x'00', 1, x'00'"}
    values = columns.get(table, "?, x'00', 1, 1, x'00', x'00', 1, 1, x'00'")
    change(store_path, f"INSERT INTO {table} VALUES ({values})", (b"nobody's mind...",))
    found = first_of(store_path)
    assert (found.what, found.mind) == ("table", format_id(b"nobody's mind..."))


# ── checkpoints, heads, keys ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-01")
@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize("column", CHECKPOINT_COLUMNS)
def test_a_changed_field_of_a_checkpoint_is_found(store_path: Path, column: str, anchored: bool) -> None:
    row = ask(store_path, "SELECT * FROM checkpoint ORDER BY mind, origin, last")[0]
    value = row[CHECKPOINT_COLUMNS.index(column)]
    change(store_path, f"UPDATE checkpoint SET {column} = ? WHERE signature = ?", (altered(value), row[8]))
    assert not verified(store_path, anchored=anchored).ok


def test_a_deleted_checkpoint_is_found_as_a_gap(store_path: Path) -> None:
    row = ask(store_path, "SELECT * FROM checkpoint ORDER BY mind, origin, last")[0]
    change(store_path, "DELETE FROM checkpoint WHERE signature = ?", (row[8],))
    found = first_of(store_path, anchored=False)
    assert found.what == "checkpoint"
    assert "it begins at" in found.message


@pytest.mark.requirement("JR-01")
@pytest.mark.parametrize("column", HEAD_COLUMNS)
def test_a_head_that_is_not_the_last_event_is_found(store_path: Path, column: str) -> None:
    value = ask(store_path, f"SELECT {column} FROM head ORDER BY mind")[0][0]
    change(store_path, f"UPDATE head SET {column} = ? WHERE {column} = ?", (altered(value), value))
    assert first_of(store_path).what == "head"


def test_a_missing_head_is_found(store_path: Path) -> None:
    change(store_path, "DELETE FROM head")
    assert [problem.what for problem in verified(store_path).problems] == ["head", "head"]


@pytest.mark.parametrize("sql", [
    "DELETE FROM node WHERE retired_at IS NULL",
    "UPDATE node SET secret = zeroblob(32)",
    "UPDATE node SET secret = x'00'",
    "UPDATE node SET retired_at = NULL",
])  # fmt: skip
def test_a_missing_or_wrong_key_of_the_node_is_found(store_path: Path, sql: str) -> None:
    change(store_path, sql)
    assert first_of(store_path).what == "node"


# ── tails and the anchor ─────────────────────────────────────────────────────────────────────────────────────────────


def cut_tail(path: Path, *, with_checkpoints: bool) -> tuple[bytes, bytes, int]:
    """Cut the newest chain back to its first checkpoint, leaving nothing inconsistent: (mind, origin, last signed)."""
    mind, origin, last, keep = ask(
        path,
        "SELECT mind, origin, max(last), min(last) FROM checkpoint GROUP BY 1, 2 ORDER BY max(clock) DESC",
    )[0]
    position = ask(path, "SELECT position FROM event WHERE origin = ? AND sequence = ?", (origin, keep))[0][0]
    for table in ("event", "payload"):
        change(path, f"DELETE FROM {table} WHERE mind = ? AND position > ?", (mind, position))
    sql = """UPDATE head SET (position, clock, recorded_at, origin, sequence, hash) = (
        SELECT position, clock, recorded_at, origin, sequence, hash FROM event WHERE event.mind = ? AND position = ?
    ) WHERE mind = ?"""
    change(path, sql, (mind, position, mind))
    if with_checkpoints:
        change(path, "DELETE FROM checkpoint WHERE mind = ? AND origin = ? AND last > ?", (mind, origin, keep))
    return mind, origin, last


@pytest.mark.requirement("JR-01")
def test_a_cut_tail_is_found_by_the_checkpoints_that_it_leaves(store_path: Path) -> None:
    mind, origin, last = cut_tail(store_path, with_checkpoints=False)
    found = first_of(store_path, anchored=False)
    assert (found.what, found.mind, found.origin, found.sequence) == ("checkpoint", format_id(mind), origin.hex(), last)


@pytest.mark.requirement("JR-01")
def test_a_tail_cut_together_with_its_checkpoints_is_found_by_the_anchor(store_path: Path) -> None:
    mind, origin, last = cut_tail(store_path, with_checkpoints=True)
    assert verified(store_path, anchored=False).ok  # nothing inside the database could tell
    report = verified(store_path)
    assert len(report.problems) == 1
    found = report.problems[0]
    assert (found.what, found.mind, found.origin, found.sequence) == ("anchor", format_id(mind), origin.hex(), last)
    assert "cut off" in found.message


@pytest.mark.requirement("JR-01")
def test_a_mind_that_was_removed_whole_is_found_by_the_anchor(store_path: Path) -> None:
    mind = ask(store_path, "SELECT mind FROM head ORDER BY mind")[0][0]
    for table in ("event", "payload", "checkpoint", "head"):
        change(store_path, f"DELETE FROM {table} WHERE mind = ?", (mind,))
    assert {(problem.what, problem.mind) for problem in verified(store_path).problems} == {("anchor", format_id(mind))}


def test_a_checkpoint_that_is_only_in_the_anchor_is_found(store_path: Path) -> None:
    change(store_path, "DELETE FROM checkpoint")
    messages = [problem.message for problem in verified(store_path).problems]
    assert messages
    assert all("gone from the database" in message for message in messages)


@pytest.mark.requirement("JR-01")
@pytest.mark.parametrize("field", [*CHECKPOINT_COLUMNS, "v"])
def test_a_changed_field_in_the_anchor_is_found(store_path: Path, field: str) -> None:
    anchor = anchor_path(store_path)
    lines = anchor.read_text().splitlines()
    fields = json.loads(lines[1])
    value = fields[field]
    if isinstance(value, int):
        fields[field] = value + 1
    else:
        fields[field] = value[:-1] + ("1" if value[-1] == "0" else "0")
    lines[1] = json.dumps(fields, separators=(",", ":"), sort_keys=True)
    anchor.write_text("\n".join(lines) + "\n")
    found = first_of(store_path)
    assert found.what == "anchor"
    assert "line 2" in found.message


def test_any_changed_byte_in_the_anchor_is_found(store_path: Path) -> None:
    anchor = anchor_path(store_path)
    sound = anchor.read_bytes()
    for offset in random.Random(11).sample(range(len(sound) - 1), 60):
        anchor.write_bytes(sound[:offset] + bytes((sound[offset] ^ 0x20,)) + sound[offset + 1 :])
        assert not verified(store_path).ok, (offset, sound[offset : offset + 1])


def test_a_last_line_that_a_crash_cut_off_is_no_problem(store_path: Path) -> None:
    anchor = anchor_path(store_path)
    whole = verified(store_path).anchored
    anchor.write_bytes(anchor.read_bytes()[:-20])
    report = verified(store_path)
    assert report.ok
    assert report.anchored == whole - 1


@pytest.mark.requirement("JR-01")
def test_a_line_that_stands_twice_in_the_anchor_is_no_problem_and_counts_once(store_path: Path) -> None:
    """Two processes may bring the anchor up to date at the same time."""
    anchor, whole = anchor_path(store_path), verified(store_path).anchored
    first, *rest = anchor.read_bytes().splitlines(keepends=True)
    anchor.write_bytes(b"".join([first, first, *rest, first]))
    report = verified(store_path)
    assert (report.ok, report.anchored) == (True, whole)


def test_without_an_anchor_file_nothing_is_anchored(store_path: Path) -> None:
    anchor_path(store_path).unlink()
    report = verified(store_path)
    assert (report.ok, report.anchored) == (True, 0)
    assert report.checkpoints > 0
