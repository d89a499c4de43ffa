"""Retention of episodes: what is beyond the bounds goes, what was learned stays, and a dry run tells the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, select

import tacit
from tacit.clock import ManualClock, SystemClock
from tacit.errors import Conflict, Erased, Expired, InvalidInput
from tacit.ids import SystemEntropy, parse_id
from tacit.journal import expiring
from tacit.journal.read import all_events
from tacit.journal.replay import differing_views, replay, scratch_store
from tacit.journal.verify import verify
from tacit.learning.advising.book import Book
from tacit.opening import projections, view_consumers
from tacit.ops.restore import restore_backup
from tacit.stores import schema
from tacit.stores.port import Store
from trials import kinds_of, open_mind

pytestmark = pytest.mark.requirement("JR-09")

DAY = 86_400.0
WORD = "quizzaciously"
"""Stands in what expires alone."""


@pytest.fixture(params=["file", "memory", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    where = {"file": str(tmp_path / "store.db"), "memory": ":memory:", "postgres": ""}[request.param]
    return where or request.getfixturevalue("postgres_url")


@pytest.fixture
def mind(location: str) -> Iterator[tacit.Mind]:
    """A mind that keeps two finished episodes."""
    with open_mind(location, retention__episodes=2) as mind:
        yield mind


def store_of(mind: tacit.Mind) -> Store:
    return mind.recorder.journal.store


def attempt(mind: tacit.Mind, description: str, *, well: bool = True, **fields: Any) -> str:
    """A finished episode of three steps; its id."""
    with mind.episode(description, domain=fields.pop("domain", "airline"), **fields) as episode:
        episode.step(tool="look_up", action=f"look {WORD}", observation={"found": WORD}, success=True, latency_ms=12.5)
        episode.step(thought=WORD)
        episode.step(tool="change", parameters={"of": WORD}, observation=f"done {WORD}", success=well, tokens=7)
        episode.complete("success" if well else "failure", verdict=WORD)
    return episode.id


def recorded(mind: tacit.Mind, number: int, *, key: str = "", seed: int | None = None) -> str:
    """A whole attempt written at once; its id."""
    well = (number if seed is None else seed) % 3 != 0
    steps = [
        {"tool": "look_up", "parameters": {"number": number}, "observation": WORD, "status": "success"},
        {"tool": "change" if well else "cancel", "observation": f"{WORD} {number}", "status": "success"},
    ]
    task = {"description": f"Task {number}", "domain": "airline", "task_type": "ab"[number % 2]}
    outcome = {"kind": "success" if well else "failure"}
    return mind.record({"task": task, "steps": steps, "outcome": outcome, "key": key or f"{number}"})


def assert_sound(mind: tacit.Mind) -> None:
    """The chains verify, and a replay gives the same views, also from a copy of the journal."""
    report = verify(store_of(mind), None)
    assert report.ok, "\n".join(map(str, report.problems[:5]))
    with scratch_store() as empty:
        assert differing_views(store_of(mind), empty, projections(), view_consumers()) == []


def whole(mind: tacit.Mind) -> list[str]:
    """The ids of the episodes that are kept whole, oldest first."""
    return [each.id for each in reversed(mind.episodes(limit=1_000)) if not each.expired]


def dump(mind: tacit.Mind) -> str:
    """All that the journal and the views still say."""
    with store_of(mind).snapshot() as snapshot:
        told = [str(recorded.payload) for recorded in all_events(snapshot, mind.recorder.mind.id)]
        told += [str(row) for table in schema.tables("view") for row in snapshot.rows(table.select())]
    return "\n".join(told)


# ── what expires ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_oldest_beyond_the_count_expire_and_a_dry_run_tells_the_same(mind: tacit.Mind) -> None:
    ids = [attempt(mind, f"Change seat {number}") for number in range(4)]
    told = mind.maintain(dry_run=True)
    assert whole(mind) == ids
    done = mind.maintain()
    assert done.expired == told.expired
    assert [(each.id, each.why, each.events) for each in done.expired] == [(id, "count", 5) for id in ids[:2]]
    assert whole(mind) == ids[2:]
    assert mind.maintain().expired == ()
    assert_sound(mind)


def test_the_bytes_that_go_are_those_that_the_journal_held(mind: tacit.Mind) -> None:
    def size() -> int:
        with store_of(mind).snapshot() as snapshot:
            rows = snapshot.rows(
                select(schema.payload.c.body, schema.event.c.kind).select_from(
                    schema.payload.join(
                        schema.event,
                        (schema.event.c.mind == schema.payload.c.mind)
                        & (schema.event.c.position == schema.payload.c.position),
                    )
                )
            )
        return sum(len(bytes(body)) for body, kind in rows if kind != expiring.EPISODE_EXPIRED)

    for number in range(5):
        attempt(mind, f"Change seat {number} é")
    before = size()
    done = mind.maintain()
    assert before - size() == sum(each.bytes for each in done.expired) > 0


def test_each_bound_acts_alone_and_without_any_nothing_expires(tmp_path: Path) -> None:
    clock = ManualClock()

    def expired(name: str, **bounds: Any) -> list[tuple[int, str]]:
        with open_mind(tmp_path / f"{name}.db", clock=clock, consumers__enabled=False, **bounds) as mind:
            ids = []
            for number in range(6):
                ids.append(recorded(mind, number))
                clock.advance(DAY)
            return [(ids.index(each.id), each.why) for each in mind.maintain().expired]

    with open_mind(tmp_path / "size.db", retention__episodes=1) as mind:
        recorded(mind, 0), recorded(mind, 1)
        size = mind.maintain(dry_run=True).expired[0].bytes
    assert expired("none") == []
    assert expired("count", retention__episodes=4) == [(0, "count"), (1, "count")]
    assert expired("days", retention__episode_days=4.5) == [(0, "age"), (1, "age")]
    assert expired("kind", retention__episodes_per_kind=2) == [(0, "kind"), (1, "kind")]
    assert expired("bytes", retention__episode_bytes=size * 3 + 20) == [(0, "bytes"), (1, "bytes"), (2, "bytes")]
    assert expired("both", retention__episodes=4, retention__episode_days=5.5) == [(0, "age"), (1, "count")]


def test_open_episodes_never_expire_however_old_and_can_be_resumed(tmp_path: Path) -> None:
    clock = ManualClock()
    with open_mind(tmp_path / "store.db", clock=clock, retention__episode_days=1, retention__episodes=1) as mind:
        running = mind.episode("still running")
        running.step(tool="look_up", observation=WORD)
        pack = mind.handoff(running.id, note="go on here")
        clock.advance(400 * DAY)
        done = attempt(mind, "done")
        clock.advance(2 * DAY)
        assert [each.id for each in mind.maintain().expired] == [done]
        assert mind.read_handoff(pack.checkpoint).record.steps[0].observation == WORD
        with mind.resume(pack) as again:
            again.complete("success")
        assert mind.maintain().expired == ()  # it has ended just now
        clock.advance(2 * DAY)
        assert [each.id for each in mind.maintain().expired] == [running.id]
        assert_sound(mind)


def test_a_change_keeps_an_episode_from_expiring_by_age(tmp_path: Path) -> None:
    clock = ManualClock()
    with open_mind(tmp_path / "store.db", clock=clock, retention__episode_days=10) as mind:
        old, changed = attempt(mind, "old"), attempt(mind, "changed")
        clock.advance(8 * DAY)
        mind.update(changed, add_tags=["looked at"])
        clock.advance(3 * DAY)
        assert [each.id for each in mind.maintain().expired] == [old]


# ── what stays ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_of_the_steps_is_left_and_reading_says_that_it_expired(mind: tacit.Mind) -> None:
    gone = attempt(mind, "Change the seat", tags=["seat"], metadata={"note": WORD, "user": "alice"}, source_id="S7")
    mind.handoff(gone, note=WORD)
    mind.settle()
    before = datetime.now(UTC)
    for number in range(2):
        mind.record({"task": {"description": f"{number}"}, "outcome": {"kind": "success"}})
    assert WORD in dump(mind)
    assert [each.id for each in mind.maintain().expired] == [gone]
    assert WORD not in dump(mind)
    with pytest.raises(Expired, match=r"expired at .* by count.* 3 steps") as caught:
        mind.get(gone)
    assert caught.value.code == "expired"
    assert caught.value.context["description"] == "Change the seat"
    assert caught.value.context["tools"] == ["look_up", "", "change"]
    for read in (lambda: mind.at(before).get(gone), lambda: mind.reward(gone), lambda: mind.reflection(gone)):
        with pytest.raises(Expired):
            read()
    for change in (lambda: mind.update(gone, language="fr"), lambda: mind.resume(gone), lambda: mind.handoff(gone)):
        with pytest.raises(Expired):
            change()
    assert [each.id for each in mind.episodes(tag="seat", tool="change")] == [gone]
    assert [(each.steps, each.expired) for each in mind.at(before).episodes()] == [(3, True)]
    assert gone not in {each.id for each in mind.all_episodes()}
    assert_sound(mind)


def test_before_it_had_ended_the_past_says_that_it_expired_and_nothing_else(tmp_path: Path) -> None:
    clock = ManualClock()
    with open_mind(tmp_path / "store.db", clock=clock, retention__episode_days=1) as mind:
        running = mind.episode("Change the seat")
        running.step(tool="look_up", observation=WORD)
        clock.advance(60)
        then = datetime.fromtimestamp(clock.now() / 1e6, UTC)
        clock.advance(60)
        running.complete("success")
        clock.advance(2 * DAY)
        assert mind.at(then).get(running.id).steps[0].observation == WORD
        mind.maintain()
        with pytest.raises(Expired):
            mind.at(then).get(running.id)
        assert mind.at(then).episodes() == []
        assert len(mind.at(datetime.fromtimestamp(clock.now() / 1e6, UTC)).episodes()) == 1


def test_statistics_patterns_and_trials_are_the_same_afterwards_and_evidence_says_that_it_expired(
    location: str,
) -> None:
    with open_mind(location, retention__episodes=5, advice__withhold_share=0.5) as mind:
        for number in range(60):
            recorded(mind, number)
        mind.settle()
        for number in range(60, 66):
            advice = mind.advise(f"Task {number}", domain="airline", task_type="a")
            attempt(mind, f"Task {number}", task_type="a", well=number % 2 == 0, exposure=advice.exposure_id)
        mind.settle()
        statistics, trials, book = mind.statistics(), mind.trials(), mind.book()
        assert book.patterns
        assert len(mind.maintain().expired) == 61
        mind.settle()
        assert mind.statistics() == statistics
        assert mind.trials() == trials
        assert learned(mind.book()) == learned(book)
        advice = mind.advise("Task 3", domain="airline", task_type="a", record=False)
        evidence = [one for item in (*advice.heuristics, *advice.pitfalls, *advice.episodes) for one in item.evidence]
        assert evidence
        kept = set(whole(mind))
        assert {one.expired for one in evidence} >= {True}
        assert all(one.expired == (one.event_id not in kept) for one in evidence)
        assert_sound(mind)
    if location == ":memory:":
        return
    with open_mind(location, retention__episodes=5) as mind:  # nothing of it was in this process alone
        recorded(mind, 1_000)
        mind.settle()
        assert {each.id for each in mind.book().patterns} >= {each.id for each in book.patterns if each.support > 10}


def learned(book: Book) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(each.id, each.support, each.evidence) for each in book.patterns]


def test_what_was_not_learned_yet_is_learned_from_what_stays(location: str) -> None:
    with open_mind(location, "a", retention__episodes=1, consumers__enabled=False) as mind:
        for number in range(30):
            recorded(mind, number)
        mind.maintain()
        assert_sound(mind)  # while the consumers have seen nothing
        mind.settle()
        found = mind.statistics()
        with open_mind(location, "b", consumers__enabled=False) as other:
            for number in range(30):
                recorded(other, number)
            other.settle()
            assert found == other.statistics()
            assert [each.id for each in mind.book().patterns] == [each.id for each in other.book().patterns]
        assert_sound(mind)


def test_the_same_attempt_again_is_a_duplicate_and_is_not_stored(mind: tacit.Mind) -> None:
    first = recorded(mind, 0)
    with mind.episode("live", key="live") as live:
        live.step(tool="look_up", key="one")
        live.complete("success")
    for number in range(1, 4):
        recorded(mind, number)
    mind.maintain()
    events = kinds_of(mind)
    assert recorded(mind, 0) == first
    again = mind.episode("live", key="live")
    assert again.id == live.id
    again.step(tool="look_up", key="one")
    with pytest.raises(Conflict, match="completed"):
        again.step(tool="look_up", key="two")
    assert kinds_of(mind) == events


def test_an_import_counts_what_expired_as_there_already(mind: tacit.Mind, tmp_path: Path) -> None:
    with open_mind(":memory:") as other:
        for number in range(5):
            recorded(other, number)
        other.export(tmp_path / "traces.jsonl")
    assert mind.ingest(tmp_path / "traces.jsonl").imported == 5
    assert len(mind.maintain().expired) == 3
    report = mind.ingest(tmp_path / "traces.jsonl")
    assert (report.imported, report.skipped, report.refused, report.rejected) == (0, 5, 0, [])
    assert len(whole(mind)) == 2


def test_another_process_sees_at_once_that_it_expired(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path, retention__episodes=1) as mind, open_mind(path) as other:
        gone = attempt(mind, "Change the seat")
        attempt(mind, "Change it again")
        assert other.get(gone).steps  # and it is in its cache
        mind.maintain()
        with pytest.raises(Expired):
            other.get(gone)


@pytest.mark.requirement("JR-06", "JR-15")
@pytest.mark.parametrize("how", ["erased", "expired"])
def test_what_was_read_of_the_past_is_not_served_from_memory_once_it_has_gone(tmp_path: Path, how: str) -> None:
    clock = ManualClock()
    with open_mind(tmp_path / "store.db", clock=clock, retention__episode_days=1) as mind:
        running = mind.episode("Change the seat")
        running.step(tool="look_up", observation=WORD)
        then = datetime.fromtimestamp(clock.now() / 1e6, UTC)
        clock.advance(2 * DAY)
        running.complete("success")
        clock.advance(2 * DAY)
        assert mind.at(then).get(running.id).steps
        mind.erase(episode=running.id) if how == "erased" else mind.maintain()
        with pytest.raises(tacit.NotFound) as caught:
            mind.at(then).get(running.id)
        assert caught.value.code == {"erased": "not_found", "expired": "expired"}[how]


# ── erasing what has expired ─────────────────────────────────────────────────────────────────────────────────────────


def test_erasing_an_expired_episode_takes_all_that_stayed_and_refuses_it_again(mind: tacit.Mind) -> None:
    mind.settle()
    nothing = mind.statistics()
    record = {
        "task": {"description": "Change the seat", "metadata": {"user": "alice"}},
        "steps": [{"tool": "look_up", "observation": WORD}],
        "outcome": {"kind": "success"},
    }
    first = mind.record(record)
    second = attempt(mind, "Another of alice", metadata={"user_id": "alice"})
    kept = [mind.record({"task": {"description": f"{number}"}, "outcome": {"kind": "failure"}}) for number in (1, 2)]
    assert {each.id for each in mind.maintain().expired} == {first, second}
    mind.settle()
    told = mind.erase(user="alice", dry_run=True)
    receipt = mind.erase(user="alice")
    assert receipt.episodes == tuple(sorted((first, second)))
    assert receipt.counts == told.counts
    assert receipt.counts["payload"] == 2  # of the two events that said that they expired
    assert mind.check_receipt(receipt).ok
    assert "Change the seat" not in dump(mind)
    assert [each.id for each in mind.episodes()] == kept[::-1]
    with pytest.raises(tacit.NotFound) as caught:
        mind.get(first)
    assert caught.value.code == "not_found"
    with pytest.raises(Erased):
        mind.record(record)
    assert_sound(mind)
    for id in kept:
        mind.erase(episode=id)
    mind.settle()
    assert mind.statistics() == nothing


def test_relations_stay_and_go_with_what_is_erased(mind: tacit.Mind) -> None:
    gone, other = attempt(mind, "Change the seat"), attempt(mind, "Change it again")
    mind.relate(gone, "follows", other)
    mind.relate(other, "refers", gone)
    attempt(mind, "last")
    assert [each.id for each in mind.maintain().expired] == [gone]
    assert [relation.target for relation in mind.get(other).relations] == [gone]
    with pytest.raises(InvalidInput, match="circle"):
        mind.relate(other, "follows", gone)
    mind.unrelate(other, "refers", gone)
    mind.relate(other, "refers", gone)
    assert_sound(mind)
    mind.erase(episode=gone)
    assert mind.get(other).relations == ()
    assert_sound(mind)


def test_backups_of_before_and_after_are_restored_whole_and_without_what_was_erased(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", retention__episodes=1) as mind:
        ids = [attempt(mind, f"Change seat {number}") for number in range(3)]
        before = mind.backup(tmp_path / "before.backup")
        mind.maintain()
        after = mind.backup(tmp_path / "after.backup")
        mind.erase(episode=ids[0])
    for made, kept in ((before, [(ids[1], False), (ids[2], False)]), (after, [(ids[1], True), (ids[2], False)])):
        target = tmp_path / f"{kept[0][1]}.db"
        restore_backup(Path(made.path), str(target), clock=SystemClock(), entropy=SystemEntropy())
        with open_mind(target, retention__episodes=1) as mind:
            assert [(each.id, each.expired) for each in reversed(mind.episodes())] == kept
            mind.maintain()
            assert whole(mind) == ids[2:]
            mind.settle(only="tally")
            assert_sound(mind)


# ── the journal ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_outcome_of_advice_is_replayed_where_it_became_known(mind: tacit.Mind) -> None:
    for number in range(12):
        recorded(mind, number)
    mind.settle()
    told_before = mind.advise("Task 1", domain="airline", task_type="a")
    running = mind.episode("Task 1", domain="airline", exposure=told_before.exposure_id)
    assert told_before.exposure_id
    mind.feedback(told_before.exposure_id, outcome="failure")  # what comes first counts
    running.complete("success")
    told_after = mind.advise("Task 2", domain="airline", task_type="a")
    attempt(mind, "Task 2", exposure=told_after.exposure_id)
    assert told_after.exposure_id
    mind.feedback(told_after.exposure_id, outcome="success")
    bulk = mind.advise("Task 4", domain="airline", task_type="a")
    attempt(mind, "Task 4", exposure=bulk.exposure_id, well=False)
    for number in (20, 21):
        recorded(mind, number)
    mind.settle()
    assert len(mind.maintain().expired) == 15
    mind.settle()
    assert_sound(mind)


def test_a_payload_that_is_missing_without_having_expired_is_found(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", retention__episodes=1) as mind:
        attempt(mind, "Change the seat")
        attempt(mind, "Change it again")
        mind.maintain()
        assert verify(store_of(mind), None).ok
        event, payload = schema.event.c, schema.payload.c
        with store_of(mind).snapshot() as snapshot:
            last = snapshot.rows(select(event.position).where(event.kind == "step.logged"))[-1][0]
        with store_of(mind).transaction() as transaction:
            transaction.execute(delete(schema.payload).where(payload.position == last))
        report = verify(store_of(mind), None)
        assert [problem.message for problem in report.problems] == ["its payload is missing"]


def test_the_views_are_the_same_when_the_journal_is_copied_into_an_empty_store_twice(mind: tacit.Mind) -> None:
    for number in range(8):
        attempt(mind, f"Change seat {number}", tags=[f"tag {number % 3}"], well=number % 2 == 0)
    mind.settle()
    mind.maintain()
    mind.settle()
    with scratch_store() as first, scratch_store() as second:
        once = replay(store_of(mind), first, projections(), view_consumers())
        assert replay(first, second, projections(), view_consumers()) == once
        with first.snapshot() as snapshot:  # lessons are no view, and come back from the journal all the same
            mine = snapshot.rows(select(schema.lesson.c.episode, schema.lesson.c.since, schema.lesson.c.body))
    with store_of(mind).snapshot() as snapshot:
        lesson = schema.lesson.c
        live = snapshot.rows(select(lesson.episode, lesson.since, lesson.body).where(lesson.mind == parse_id(mind.id)))
    assert sorted(map(tuple, mine)) == sorted(map(tuple, live))


def test_what_the_event_keeps_is_less_than_what_goes(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", retention__episodes=1) as mind:
        with mind.episode("Change the seat of a passenger", domain="airline") as episode:
            for number in range(10):
                episode.step(
                    tool=f"tool_{number % 4}", action=f"step {number}", observation="word " * 120, success=True
                )
            episode.complete("success")
        attempt(mind, "last")
        (gone,) = mind.maintain().expired
        with store_of(mind).snapshot() as snapshot:
            (kept,) = [one for one in all_events(snapshot, parse_id(mind.id)) if one.event.kind == "episode.expired"]
        assert len(msgspec.json.encode(kept.payload)) < gone.bytes / 2
