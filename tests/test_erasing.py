"""Erasing: what is erased is gone from everything that holds it, does not come back, and a receipt says so."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tacit
from tacit.errors import Erased, InvalidInput, NotFound, ReadOnly
from tacit.experience.erasing import eraser
from tacit.experience.erasing.receipt import Receipt
from tacit.ids import parse_id
from tacit.journal.replay import differing_views, scratch_store, view_digests
from tacit.journal.verify import verify
from tacit.opening import projections, view_consumers
from tacit.stores import schema
from tacit.stores.port import Store
from trials import events_of, kinds_of, open_mind

pytestmark = pytest.mark.requirement("JR-06")

MARKER = "zyzzogetonquaxil"
MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["file", "memory", "postgres"])
def mind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tacit.Mind]:
    location = {"file": str(tmp_path / "store.db"), "memory": ":memory:", "postgres": ""}[request.param]
    with open_mind(location or request.getfixturevalue("postgres_url")) as mind:
        yield mind


def store_of(mind: tacit.Mind) -> Store:
    return mind.recorder.journal.store


def attempt(mind: tacit.Mind, description: str, *, well: bool = True, **fields: Any) -> str:
    """A finished episode of two steps; its id."""
    with mind.episode(description, domain="airline", task_type="seats", **fields) as episode:
        episode.step(tool="look_up", action=f"look for {description}", observation=description, success=True)
        episode.step(tool="change", parameters={"of": description}, observation="done", success=well)
        episode.complete("success" if well else "failure", verdict=description)
    return episode.id


def counts_of(mind: tacit.Mind) -> dict[str, int]:
    """How many rows each view, and each cache of learning, has of a mind."""
    found = {}
    with store_of(mind).snapshot() as snapshot:
        for table in (*schema.tables("view"), *schema.tables("operational"), schema.payload):
            if "mind" in table.c:
                rows = snapshot.rows(table.select().where(table.c.mind == parse_id(mind.id)))
                found[str(table.name)] = len(rows)
    return found


def assert_sound(mind: tacit.Mind) -> None:
    """The chains verify, and a replay gives the same views."""
    report = verify(store_of(mind), None)
    assert report.ok, "\n".join(map(str, report.problems[:5]))
    with scratch_store() as empty:
        assert differing_views(store_of(mind), empty, projections(), view_consumers()) == []


def everything_about(mind: tacit.Mind, folder: Path, word: str) -> list[str]:
    """Every surface that shows a word: lists, advice, what was learned, the export, the journal."""
    found = {
        "list": mind.episodes(text=word),
        "all": [episode for episode in mind.all_episodes() if word in str(episode)],
        "tag": mind.episodes(tag=word),
        "tool": mind.episodes(tool=f"tool_{word}"),
        "memories": [one for one in mind.memories() if word in str(one)],
        "book": [word] if word in str(mind.book()) else [],
        "statistics": [word] if word in str(mind.statistics()) else [],
        "advice": [word] if word in str(mind.advise("what was it", record=False)) else [],
        "journal": [one for one in events_of(mind) if word in str(one.payload)],
    }
    target = folder / f"{time.monotonic_ns()}.jsonl"
    mind.export(target)
    found["export"] = [word] if word in target.read_text() else []
    return [name for name, hits in found.items() if hits]


def holding(folder: Path, word: str) -> list[str]:
    """The files that hold a word, or six letters of it in a row."""
    pieces = [word[start : start + 6].encode() for start in range(len(word) - 5)]
    found = []
    for path in folder.rglob("*"):
        raw = path.read_bytes() if path.is_file() else b""
        found += [f"{path.name}: {piece.decode()}" for piece in pieces if piece in raw]
    return found


# ── what goes ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("EP-06")
def test_an_erased_episode_is_gone_from_every_surface_and_the_chain_still_verifies(
    mind: tacit.Mind, tmp_path: Path
) -> None:
    kept = attempt(mind, "Change the seat")
    other = attempt(mind, "Book a meal")
    gone = attempt(mind, f"Cancel {MARKER}", tags=[MARKER], metadata={"note": MARKER}, source_id=MARKER)
    mind.update(gone, description=f"Cancel {MARKER} again", add_tags=["x"])
    mind.relate(kept, "refers", gone)
    mind.relate(gone, "follows", kept)
    mind.relate(other, "refers", gone)
    mind.unrelate(other, "refers", gone)
    before = datetime.now(UTC)
    mind.settle()
    mind.advise(f"Cancel {MARKER}", domain="airline")
    assert "list" in everything_about(mind, tmp_path, MARKER)
    receipt = mind.erase(episode=gone)
    mind.settle()
    assert everything_about(mind, tmp_path, MARKER) == []
    with pytest.raises(NotFound):
        mind.get(gone)
    for view in (mind.at(before), mind.at(datetime.now(UTC))):
        assert {one.id for one in view.episodes()} == {kept, other}
        assert MARKER not in str(view.advise("what was it", domain="airline"))
        with pytest.raises(NotFound):
            view.get(gone)
    assert mind.get(kept).relations == ()
    assert mind.statistics().totals.episodes == 2
    assert mind.check_receipt(receipt).ok
    assert receipt.episodes == (gone,)
    assert_sound(mind)


@pytest.mark.requirement("EP-06", "JR-03")
def test_handoffs_reflections_and_resumptions_go_along_and_so_does_what_was_derived_from_it(mind: tacit.Mind) -> None:
    kept = attempt(mind, "Change the seat")
    with mind.episode(f"Cancel {MARKER}") as episode:
        step = episode.step(tool="look_up", observation="x", success=True)
        pack = mind.handoff(episode.id, note=MARKER, state={"at": MARKER})
        mind.resume(episode.id, agent=MARKER)
        episode.complete("success")
    recorder = mind.recorder
    cites = {"reflection": {"text": MARKER}, "model": "m", "sources": [step or ""]}
    recorder.reflection(parse_id(kept), cites).result()  # of another episode, resting on a step of this one
    recorder.reflection(parse_id(episode.id), {"reflection": {}, "model": "m", "sources": []}).result()
    receipt = mind.erase(episode=episode.id)
    assert {name: receipt.counts[name] for name in ("handoff", "reflection", "derived_from")} == {
        "handoff": 1, "reflection": 2, "derived_from": 4,
    }  # fmt: skip
    assert not [one for one in events_of(mind) if MARKER in str(one.payload)]
    with pytest.raises(NotFound):
        mind.read_handoff(pack.checkpoint)
    assert mind.get(kept).status == "success"
    assert_sound(mind)


@pytest.mark.requirement("LE-08")
def test_advice_that_an_episode_was_begun_with_goes_along_with_its_outcome(mind: tacit.Mind) -> None:
    for number in range(3):
        attempt(mind, f"Change seat {number}")
    mind.settle()
    advice = mind.advise(f"Cancel {MARKER}", domain="airline", key="once")
    lone = mind.advise(f"Cancel {MARKER}", domain="airline", key="twice")
    other = mind.advise("Change seat 1", domain="airline")
    mind.feedback(lone.exposure_id, outcome="success")
    mind.feedback(other.exposure_id, outcome="success")
    gone = attempt(mind, f"Cancel {MARKER}", exposure=advice.exposure_id)
    mind.feedback(advice.exposure_id, outcome="success")
    receipt = mind.erase(episode=gone)
    assert receipt.counts["exposure"] == 2
    assert not [one for one in events_of(mind) if MARKER in str(one.payload)]
    assert counts_of(mind)["exposure"] == 1
    with pytest.raises(Erased):
        mind.advise(f"Cancel {MARKER}", domain="airline", key="once")
    with pytest.raises(NotFound):
        mind.feedback(advice.exposure_id, outcome="success")
    assert_sound(mind)


def test_an_erased_memory_is_gone_with_every_wording(mind: tacit.Mind, tmp_path: Path) -> None:
    gone = mind.remember(f"The word is {MARKER}", user="alice", session="D8", metadata={"m": MARKER})
    mind.correct(gone.id, f"The word was {MARKER}")
    forgotten = mind.remember(f"Forget {MARKER}", user="bob")
    mind.forget(forgotten.id)
    kept = mind.remember("The seat is 4A", user="alice")
    before = datetime.now(UTC)
    assert mind.erase(memory=gone.id).counts == {"memory": 2, "payload": 2, "tombstone": 5}
    assert mind.erase(memory=forgotten.id).counts["payload"] == 2
    assert everything_about(mind, tmp_path, MARKER) == []
    assert [one.id for one in mind.memories()] == [one.id for one in mind.at(before).memories()] == [kept.id]
    for read in (mind.memory, mind.memory_history, mind.at(before).memory):
        with pytest.raises(NotFound):
            read(gone.id)
    with pytest.raises(NotFound):
        mind.correct(gone.id, "something else")
    assert_sound(mind)


@pytest.mark.requirement("JR-03")
def test_what_an_erased_memory_had_closed_holds_again_as_a_replay_says(mind: tacit.Mind) -> None:
    first = mind.remember("Alice sits at the window", user="alice", subject="seat", occurred_at=MAY)
    second = mind.remember("Alice sits at the aisle", user="alice", subject="seat", occurred_at=MAY + timedelta(days=1))
    third = mind.remember("Alice sits in 1A", user="alice", subject="seat", occurred_at=MAY + timedelta(days=2))
    mind.erase(memory=second.id)
    (closed,) = mind.memory_history(first.id)
    assert (closed.ending, closed.superseded_by) == ("superseded", third.id)
    assert_sound(mind)
    mind.erase(memory=third.id)
    assert [one.id for one in mind.memories()] == [first.id]
    assert mind.memory(first.id).ending == ""
    assert_sound(mind)


def test_users_sessions_and_sources_go_as_a_whole_and_nobody_elses(mind: tacit.Mind) -> None:
    for user in ("alice", "bob"):
        for session in ("D1", "D2"):
            mind.remember_many(
                {"text": f"{user} {session} {turn}", "user": user, "session": session, "source_id": f"{session}:{turn}"}
                for turn in range(3)
            )
    hers = attempt(mind, "Hers", metadata={"user": "alice"})
    his = attempt(mind, "His", metadata={"user_id": "bob", "of": "alice"})
    attempt(mind, "A trace", source_id="trace-7")
    assert len(mind.erase(session="D2").memories) == 6
    assert len(mind.erase(source_id="D1:0").memories) == 2
    assert [one.id for one in mind.episodes()][1:] == [his, hers]
    receipt = mind.erase(user="alice")
    assert (len(receipt.memories), receipt.episodes) == (2, (hers,))
    assert {one.user for one in mind.memories()} == {"bob"}
    assert len(mind.erase(source_id="trace-7").episodes) == 1
    assert [one.id for one in mind.episodes()] == [his]
    assert_sound(mind)


def test_erasing_everything_leaves_an_empty_mind_that_can_go_on(mind: tacit.Mind, tmp_path: Path) -> None:
    for number in range(5):
        attempt(mind, f"{MARKER} {number}", tags=[MARKER])
    mind.remember(f"{MARKER} too", user="alice")
    mind.settle()
    mind.advise(f"Another {MARKER}")
    expected = mind.erase(everything=True, dry_run=True)
    receipt = mind.erase(everything=True)
    assert receipt.counts == expected.counts
    assert set(kinds_of(mind)) >= {"mind.created", "content.erased"}
    assert {one.event.kind for one in events_of(mind) if one.payload is not None} == {"mind.created", "content.erased"}
    kept = {name: count for name, count in counts_of(mind).items() if count}
    # of the indexes only that there is one: its own number, and a block without a memory in it
    assert set(kept) <= {"payload", "erasure", "tombstone", "head", "consumer", "text_space", "code"}
    assert mind.check_receipt(receipt).ok
    mind.settle()
    assert everything_about(mind, tmp_path, MARKER) == []
    attempt(mind, "A new beginning")
    mind.settle()
    assert mind.statistics().totals.episodes == 1
    assert_sound(mind)


@pytest.mark.parametrize("asked", [{}, {"user": ""}, {"user": "a", "session": "b"}, {"episode": "no id"}, {"user": 3}])
def test_a_request_names_exactly_one_thing(tmp_path: Path, asked: dict[str, Any]) -> None:
    with open_mind(":memory:") as mind, pytest.raises(InvalidInput):
        mind.erase(**asked)


def test_what_was_never_there_is_not_found_and_a_view_of_the_past_erases_nothing(mind: tacit.Mind) -> None:
    absent = "018f0000-0000-7000-8000-000000000000"
    for asked in ({"episode": absent}, {"memory": absent}, {"episode": absent, "dry_run": True}):
        with pytest.raises(NotFound):
            mind.erase(**asked)  # type: ignore[arg-type]
    assert mind.erase(user="nobody").counts == {}
    with pytest.raises(ReadOnly):
        mind.at(datetime.now(UTC)).erase(everything=True)


# ── dry runs, and asking again ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("batch", [1, 7, 1_000])
def test_a_dry_run_tells_the_counts_of_the_real_run_whatever_the_batches(
    mind: tacit.Mind, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(eraser, "BATCH_EVENTS", batch)
    made = [attempt(mind, f"Change seat {number}", metadata={"user": "alice"}) for number in range(4)]
    mind.relate(made[0], "refers", made[1])
    mind.relate(made[2], "follows", made[0])
    attempt(mind, "Of somebody else")
    for number in range(9):
        mind.remember(f"fact {number}", user="alice", subject=f"s{number % 2}")
    mind.settle()
    before, views = counts_of(mind), _digests(mind)
    expected = mind.erase(user="alice", dry_run=True)
    assert (counts_of(mind), _digests(mind)) == (before, views)
    receipt = mind.erase(user="alice")
    assert receipt.counts == expected.counts
    assert (receipt.episodes, receipt.memories) == (expected.episodes, expected.memories)
    assert (expected.dry_run, expected.signature) == (True, "")
    assert len(receipt.erasures) >= (13 if batch == 1 else 1)
    after = counts_of(mind)
    for table in ("episode", "step", "relation", "memory", "contribution", "lesson", "vector", "payload"):
        added = len(receipt.erasures) if table == "payload" else 0
        assert before[table] - after[table] + added == expected.counts.get(table, 0), table
    assert_sound(mind)


def _digests(mind: tacit.Mind) -> dict[str, str]:
    with store_of(mind).snapshot() as snapshot:
        return view_digests(snapshot)


def test_asking_again_erases_nothing_more_and_gives_the_receipt_of_what_went(mind: tacit.Mind) -> None:
    gone = attempt(mind, "Cancel")
    first = mind.erase(episode=gone)
    events = len(events_of(mind))
    again = mind.erase(episode=gone)
    assert len(events_of(mind)) == events
    assert (again.erasures, again.episodes, again.counts) == (first.erasures, first.episodes, first.counts)
    assert (first.repeated, again.repeated, again.erased_at) == (False, True, first.erased_at)
    assert mind.check_receipt(again).ok
    assert mind.check_receipt(again.to_json()).ok
    assert not mind.erase(user="nobody was here").repeated


@pytest.mark.requirement("JR-06")
def test_a_user_of_whom_more_has_come_is_erased_once_more(mind: tacit.Mind) -> None:
    mind.remember("the window", user="ann")
    mind.erase(user="ann")
    mind.remember("the aisle", user="ann")
    more = mind.erase(user="ann")
    assert (more.repeated, len(more.memories)) == (False, 1)
    assert (mind.erase(user="ann").repeated, len(mind.erase(user="ann").memories)) == (True, 2)


# ── coming again ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _told(description: str, answer: str, **fields: Any) -> dict[str, Any]:
    return {
        "task": {"description": description, "domain": "airline"},
        "steps": [{"tool": "look_up", "observation": answer, "status": "success"}],
        "outcome": {"kind": "success"},
        **fields,
    }


def test_an_erased_attempt_is_refused_by_its_key_its_id_and_its_content(mind: tacit.Mind) -> None:
    keyed = mind.record(_told("A", "x", key="k"))
    plain = mind.record(_told("B", "x"))
    lived = attempt(mind, "C", key="live")
    for id in (keyed, plain, lived):
        mind.erase(episode=id)
    for again in (
        _told("A", "x", key="k"),
        _told("A", "y", key="k"),
        _told("A", "y", id=keyed),
        _told("B", "x"),
        _told("B", "x", key="another"),
    ):
        with pytest.raises(Erased) as caught:
            mind.record(again)
        assert (caught.value.code, caught.value.exit_code) == ("erased", 11)
    with pytest.raises(Erased):
        mind.episode("C", domain="airline", task_type="seats", key="live")
    mind.record(_told("B", "something else"))
    mind.record(_told("A", "y", key="anew"))
    assert_sound(mind)


def test_an_import_of_erased_attempts_refuses_and_counts_them(mind: tacit.Mind, tmp_path: Path) -> None:
    traces = tmp_path / "traces.jsonl"
    traces.write_text("".join(json.dumps(_told(f"Task {number}", MARKER)) + "\n" for number in range(5)))
    assert mind.ingest(traces).imported == 5
    mind.export(tmp_path / "out.jsonl")
    gone = [one.id for one in mind.episodes()][:2]
    for id in gone:
        mind.erase(episode=id)
    for path, options in ((traces, {}), (traces, {"domain": "rail"}), (tmp_path / "out.jsonl", {})):
        report = mind.ingest(path, **options)  # type: ignore[arg-type]
        assert (report.imported, report.refused, report.skipped, report.rejected) == (0, 2, 3, [])
    renamed = tmp_path / "renamed.jsonl"
    renamed.write_text(traces.read_text())
    report = mind.ingest(renamed)  # under another name they are other attempts, but of the erased nothing comes back
    assert report.refused == 2
    assert_sound(mind)


def test_an_erased_memory_is_refused_by_its_key_its_source_and_its_words(mind: tacit.Mind) -> None:
    mind.remember("Alice's code is 7", user="alice", key="k")
    mind.remember("Alice likes tea", user="alice", session="D8", source_id="D8:6", occurred_at=MAY)
    mind.remember("Alice has a cat", user="alice")
    mind.erase(user="alice")
    for text, fields in (
        ("Alice's code is 7", {"key": "k"}),
        ("something else", {"key": "k"}),
        ("Alice likes tea", {"session": "D8", "source_id": "D8:6", "occurred_at": MAY}),
        ("Alice likes coffee", {"source_id": "D8:6"}),
        ("Alice likes tea", {}),
        ("Alice has a cat", {}),
    ):
        with pytest.raises(Erased):
            mind.remember(text, user="alice", **fields)  # type: ignore[arg-type]
    batch = [{"text": "Alice has a cat", "user": "alice"}, {"text": "Alice has a dog", "user": "alice"}]
    report = mind.remember_many(batch)
    assert (report.remembered, report.refused) == (1, 1)
    assert report.ids[0] == ""
    assert mind.memory(report.ids[1]).text == "Alice has a dog"
    with pytest.raises(Erased):
        mind.correct(report.ids[1], "Alice has a cat")
    assert_sound(mind)


def test_erasing_one_yes_does_not_forbid_every_yes(mind: tacit.Mind) -> None:
    gone = mind.remember("yes", user="alice", session="D8", source_id="D8:1")
    mind.erase(memory=gone.id)
    mind.remember("yes", user="bob", session="D8", source_id="D8:1")
    mind.remember("yes", user="alice", session="D8", source_id="D8:2")
    mind.remember("yes", user="alice", session="D9")
    mind.remember("yes", user="alice", occurred_at=MAY)
    assert len(mind.memories()) == 4


# ── receipts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_receipt_is_checked_whatever_form_it_has_and_holds_no_content(mind: tacit.Mind) -> None:
    mind.remember(f"{MARKER}", user=f"{MARKER}", session=MARKER)
    receipt = mind.erase(user=MARKER)
    raw = receipt.to_json()
    assert MARKER.encode() not in raw
    assert Receipt.from_json(raw) == receipt
    for form in (receipt, raw, raw.decode(), json.loads(raw)):
        assert mind.check_receipt(form).ok
    for bad in ("{}", "not json", {"mind": 3}, 7):
        with pytest.raises(InvalidInput):
            mind.check_receipt(bad)  # type: ignore[arg-type]


def test_a_receipt_that_was_changed_or_is_of_another_mind_is_found_out(mind: tacit.Mind) -> None:
    gone = mind.remember("one", user="alice").id
    kept = mind.remember("two", user="alice").id
    receipt = mind.erase(memory=gone)
    forged = msgspec.structs.replace(receipt, memories=(kept,))
    problems = mind.check_receipt(forged).problems
    assert "signature is not valid" in problems[0]
    assert f"still tells of memory {kept}" in problems[1]
    assert "dry run" in mind.check_receipt(mind.erase(memory=kept, dry_run=True)).problems[0]
    with open_mind(":memory:") as other:
        assert not other.check_receipt(receipt).ok
        foreign = other.check_receipt(msgspec.structs.replace(receipt, mind=other.id))
        assert not foreign.ok


def test_a_receipt_does_not_hold_when_the_content_or_the_way_back_is_there_again(mind: tacit.Mind) -> None:
    id = mind.remember("one", user="alice").id
    position = events_of(mind)[-1].event.position
    mind_id = parse_id(mind.id)
    payload = schema.payload.c
    with store_of(mind).snapshot() as snapshot:
        (row,) = snapshot.rows(schema.payload.select().where(payload.mind == mind_id, payload.position == position))
    receipt = mind.erase(memory=id)
    with store_of(mind).transaction() as transaction:
        transaction.insert(schema.payload, (row,))
        transaction.execute(schema.tombstone.delete())
    problems = " ".join(mind.check_receipt(receipt).problems)
    assert f"the content of event {id} is there" in problems
    assert "could come again" in problems
    with store_of(mind).transaction() as transaction:
        transaction.execute(schema.payload.delete().where(payload.position > position))
    assert "does not hold the erasure" in " ".join(mind.check_receipt(receipt).problems)


@pytest.mark.requirement("JR-01")
def test_a_payload_that_is_missing_without_an_erasure_is_still_found(mind: tacit.Mind) -> None:
    gone, kept = attempt(mind, "Cancel"), attempt(mind, "Keep")
    mind.erase(episode=gone)
    assert verify(store_of(mind), None).ok
    (position,) = [one.event.position for one in events_of(mind) if one.event.id == parse_id(kept)]
    with store_of(mind).transaction() as transaction:
        transaction.execute(schema.payload.delete().where(schema.payload.c.position == position))
    first = verify(store_of(mind), None).first
    assert first is not None
    assert (first.what, first.message, first.id) == ("payload", "its payload is missing", kept)
