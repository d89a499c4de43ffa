"""Things remembered as text: what may be remembered, what becomes of it, and how it is read back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tacit
from tacit.clock import ManualClock
from tacit.errors import Conflict, InvalidInput, LimitExceeded, NotFound, ReadOnly
from tacit.experience.limits import DEFAULT_LIMITS
from tacit.journal.replay import differing_views, scratch_store
from tacit.opening import projections, view_consumers
from tacit.stores.port import Store
from trials import open_mind

pytestmark = pytest.mark.requirement("RE-01")

MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["file", "memory", "postgres"])
def mind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tacit.Mind]:
    location = {"file": str(tmp_path / "store.db"), "memory": ":memory:", "postgres": ""}[request.param]
    with open_mind(location or request.getfixturevalue("postgres_url")) as mind:
        yield mind


def texts(memories: list[tacit.Memory]) -> list[str]:
    return [memory.text for memory in memories]


def assert_views_are_what_the_journal_says(store: Store) -> None:

    with scratch_store() as empty:
        assert differing_views(store, empty, projections(), view_consumers()) == []


def test_what_is_remembered_is_read_back_as_it_was_said(mind: tacit.Mind) -> None:
    said: dict[str, Any] = {
        "kind": "turn", "user": "alice", "session": "D8", "agent": "support", "speaker": "Alice", "subject": "seat",
        "source_id": "D8:6", "importance": 0.25, "metadata": {"channel": ["chat", 1]},
    }  # fmt: skip
    made = mind.remember(
        "Fensterplatz, bitte – 窓側 🙂", **said, occurred_at=MAY, valid_from=MAY, valid_to=MAY + timedelta(days=9)
    )
    assert made == mind.memory(made.id)
    assert {name: getattr(made, name) for name in said} == said
    assert (made.text, made.when, made.ending) == ("Fensterplatz, bitte – 窓側 🙂", MAY, "")
    assert (made.occurred_at, made.valid_from, made.valid_to) == (MAY, MAY, MAY + timedelta(days=9))
    assert made.valid_to_micros == round((MAY + timedelta(days=9)).timestamp() * 1_000_000)


def test_memories_are_listed_newest_first_by_page_and_narrowed_by_what_is_given(mind: tacit.Mind) -> None:
    mind.remember_many(
        {"text": f"{user} {number}", "user": user, "kind": kind, "occurred_at": MAY + timedelta(days=number)}
        for number in range(3)
        for user, kind in (("alice", "fact"), ("bob", "note"))
    )
    assert texts(mind.memories(user="alice")) == ["alice 2", "alice 1", "alice 0"]
    assert texts(mind.memories(kinds=["note"])) == ["bob 2", "bob 1", "bob 0"]
    assert texts(mind.memories(occurred_after=MAY + timedelta(days=2))) == ["bob 2", "alice 2"]
    assert texts(mind.memories(occurred_before=MAY + timedelta(days=1), user="bob")) == ["bob 0"]
    first = mind.memories(limit=4)
    assert texts([*first, *mind.memories(limit=4, after=first[-1].id)]) == [
        "bob 2", "alice 2", "bob 1", "alice 1", "bob 0", "alice 0",
    ]  # fmt: skip


def test_the_same_content_of_a_source_is_nothing_and_other_content_corrects_it(mind: tacit.Mind) -> None:
    first = mind.remember("window", user="alice", source_id="D8:6")
    assert mind.remember("window", user="alice", source_id="D8:6") == first
    other = mind.remember("window", user="bob", source_id="D8:6")
    assert other.id != first.id
    corrected = mind.remember("aisle", user="alice", source_id="D8:6")
    assert (corrected.id, corrected.text) == (first.id, "aisle")
    assert mind.remember("window", user="alice", source_id="D8:6").text == "window"  # it changed back, which is news
    assert [(one.text, one.ending) for one in mind.memory_history(first.id)] == [
        ("window", "corrected"), ("aisle", "corrected"), ("window", ""),
    ]  # fmt: skip
    assert sorted(texts(mind.memories())) == ["window", "window"]


@pytest.mark.requirement("JR-06")
def test_a_correction_holds_and_the_history_tells_of_it(mind: tacit.Mind) -> None:
    wrong = mind.remember("Alice prefers the window", kind="preference", user="alice")
    right = mind.correct(wrong.id, "Alice prefers the aisle")
    assert (right.id, right.kind, right.user) == (wrong.id, "preference", "alice")
    assert texts(mind.memories(user="alice")) == ["Alice prefers the aisle"]
    assert mind.correct(wrong.id, "Alice prefers the aisle") == right
    assert mind.correct(wrong.id, importance=1.0).importance == 1.0
    assert texts(mind.memory_history(wrong.id)) == ["Alice prefers the window", *["Alice prefers the aisle"] * 2]
    with pytest.raises(InvalidInput, match="no field 'colour'"):
        mind.correct(wrong.id, colour="red")
    with pytest.raises(InvalidInput, match="nothing to correct"):
        mind.correct(wrong.id)


@pytest.mark.requirement("RE-05")
def test_a_newer_memory_of_a_subject_closes_the_older_whichever_comes_in_first(mind: tacit.Mind) -> None:
    paris = mind.remember("lives in Paris", subject="alice.city", user="alice", valid_from=MAY)
    rome = mind.remember("lives in Rome", subject="alice.city", user="alice", valid_from=MAY + timedelta(days=5))
    late = mind.remember("lives in Oslo", subject="alice.city", user="alice", valid_from=MAY - timedelta(days=5))
    mind.remember("lives in Lima", subject="alice.city", user="bob")
    assert texts(mind.memories(user="alice")) == ["lives in Rome"]
    assert (late.ending, late.superseded_by) == ("superseded", rome.id)
    [closed] = mind.memory_history(paris.id)
    assert (closed.ending, closed.superseded_by) == ("superseded", rome.id)
    with pytest.raises(NotFound):
        mind.memory(paris.id)


def test_what_is_forgotten_is_no_longer_listed_but_its_history_is(mind: tacit.Mind) -> None:
    kept, gone = mind.remember("keep"), mind.remember("drop")
    assert mind.forget(gone.id, gone.id) == 1
    assert mind.forget(gone.id) == 0
    assert texts(mind.memories()) == ["keep"]
    assert [one.ending for one in mind.memory_history(gone.id)] == ["forgotten"]
    with pytest.raises(NotFound):
        mind.correct(gone.id, "again")
    assert mind.memory(kept.id).text == "keep"


@pytest.mark.requirement("JR-05")
def test_the_past_knows_only_what_had_been_said_by_then(tmp_path: Path) -> None:
    clock = ManualClock()
    with open_mind(tmp_path / "store.db", clock=clock) as mind:
        memory = mind.remember("window", subject="seat")
        before = datetime.fromtimestamp(clock.now() / 1e6, UTC)
        clock.advance(10)
        mind.correct(memory.id, "aisle")
        newer = mind.remember("none", subject="seat")
        past = mind.at(before)
        assert texts(past.memories()) == ["window"]
        assert (past.memory(memory.id).text, past.memory(memory.id).ending) == ("window", "")
        assert [one.ending for one in past.memory_history(memory.id)] == [""]
        with pytest.raises(NotFound):
            past.memory(newer.id)
        with pytest.raises(ReadOnly):
            past.remember("too late")


@pytest.mark.requirement("JR-03")
def test_memories_are_rebuilt_from_the_journal_alone(mind: tacit.Mind) -> None:
    memory = mind.remember("one", subject="s", source_id="1")
    mind.remember("two", subject="s", importance=0.1)
    mind.remember("three", source_id="1")
    mind.forget(mind.remember("four").id)
    mind.settle()
    assert mind.memory_history(memory.id)
    assert_views_are_what_the_journal_says(mind.recorder.journal.store)


@pytest.mark.requirement("JR-10")
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": ""}, "needs a text"),
        ({"text": " \n"}, "needs a text"),
        ({"text": 5}, "text must be a text"),
        ({"text": "nul \0"}, "U\\+0000|control"),
        ({"text": "half \ud83d"}, "surrogate|cannot be stored"),
        ({"text": "a", "kind": "rumour"}, "no kind of memory"),
        ({"text": "a", "occurred_at": datetime(2026, 5, 1)}, "must have a zone"),
        ({"text": "a", "occurred_at": "yesterday"}, "must be a datetime"),
        ({"text": "a", "valid_from": MAY, "valid_to": MAY}, "stops being true before"),
        ({"text": "a", "importance": 1.5}, "not between 0 and 1"),
        ({"text": "a", "importance": float("nan")}, "not between 0 and 1"),
        ({"text": "a", "metadata": {"deep": {"x": object()}}}, "cannot be stored"),
        ({"text": "a", "user": "u" * 257}, "limits.name_bytes"),
    ],
)
def test_what_cannot_be_remembered_is_refused_with_its_reason_and_nothing_is_stored(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    with open_mind(tmp_path / "store.db") as mind:
        with pytest.raises(InvalidInput, match=said):
            mind.remember(**fields)
        with pytest.raises(InvalidInput, match="memory 2: "):
            mind.remember_many([{"text": "good"}, fields])
        assert mind.memories() == []


@pytest.mark.requirement("JR-10")
def test_the_longest_text_passes_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db") as mind:
        longest = "é" * (DEFAULT_LIMITS.memory_bytes // 2)
        assert mind.remember(longest).text == longest
        with pytest.raises(LimitExceeded, match=r"limits\.memory_bytes"):
            mind.remember(longest + "a")


def test_a_field_that_is_not_there_is_named(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db") as mind:
        with pytest.raises(InvalidInput, match=r"memory 1: .*colour"):
            mind.remember_many([{"text": "a", "colour": "red"}])
        with pytest.raises(InvalidInput, match="must be a list"):
            mind.remember_many({"text": "a"})
        with pytest.raises(InvalidInput, match="not a whole number"):
            mind.memories(limit=0)
        with pytest.raises(InvalidInput, match="no kind of memory"):
            mind.memories(kinds=["rumour"])  # type: ignore[list-item]


def test_a_key_makes_a_retry_one_memory(mind: tacit.Mind) -> None:
    first = mind.remember("window", key="k")
    assert mind.remember("window", key="k").id == first.id
    with pytest.raises(Conflict):
        mind.remember("aisle", key="k")
    assert texts(mind.memories()) == ["window"]


def test_a_report_counts_what_became_of_each(mind: tacit.Mind) -> None:
    mind.remember_many([{"text": "a", "source_id": "1"}, {"text": "b", "source_id": "2"}])
    report = mind.remember_many(
        [{"text": "a", "source_id": "1"}, {"text": "B", "source_id": "2"}, {"text": "c", "source_id": "3"}]
    )
    assert (report.remembered, report.corrected, report.unchanged) == (1, 1, 1)
    assert [mind.memory(id).text for id in report.ids] == ["a", "B", "c"]


@pytest.mark.requirement("RE-07")
def test_two_thousand_like_texts_are_two_thousand_memories(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db") as mind:
        report = mind.remember_many({"text": f"Order {number} was shipped to Alice"} for number in range(2_000))
        again = mind.remember_many([{"text": "Order 1 was shipped to Alice"}])
        assert (report.remembered, len(set(report.ids)), again.remembered) == (2_000, 2_000, 1)


@pytest.mark.requirement("JR-18")
def test_a_secret_in_a_memory_is_masked_before_it_is_stored(tmp_path: Path) -> None:
    key = "sk-proj-" + "Ab3dEf6hIj9lMn2pQr5tUv8xYz1bCd4fGh7jKl0nOp3r"
    with open_mind(tmp_path / "store.db") as mind:
        memory = mind.remember(f"the key is {key}")
        assert key not in memory.text
        assert key not in mind.memory(memory.id).text
    assert all(key.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_many_threads_remember_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db") as mind:

        def work(name: str) -> None:
            for number in range(25):
                mind.remember(f"{name} {number}", user=name, source_id=f"{number}")

        run_all([lambda name=name: work(name) for name in "abcdefgh"])  # type: ignore[misc]
        assert len(mind.memories(limit=1_000)) == 200


def run_all(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.requirement("RE-01", "AP-07")
@pytest.mark.parametrize(
    ("given", "said", "field"),
    [
        ({"text": 3}, "text must be a text, not a whole number", "text"),
        ({"text": "a", "importance": "x"}, "importance must be a number or nothing, not a text", "importance"),
        ({}, "it needs the field 'text'", "text"),
        ({"text": "a", "mood": 1}, "it has no field 'mood'; its fields are text, kind, ", "mood"),
        ({"text": "a", "metadata": {1: 2}}, "the names in metadata must be texts", "metadata"),
        ({"text": "a", "valid_to": "x"}, "valid_to: a time must be a datetime with a zone, not str", "valid_to"),
    ],
)
def test_a_wrong_field_is_named_in_a_sentence(mind: tacit.Mind, given: Any, said: str, field: str) -> None:
    with pytest.raises(tacit.InvalidInput) as caught:
        mind.remember_many([{"text": "fine"}, given])
    assert said in caught.value.message
    assert caught.value.message.startswith("memory 2: ")
    assert "`" not in caught.value.message
    assert caught.value.context["field"] == field
    assert mind.memories() == []


@pytest.mark.requirement("RE-01")
def test_memories_that_were_read_can_be_remembered_elsewhere(mind: tacit.Mind) -> None:
    mind.remember("the window", user="ann", occurred_at=MAY, valid_from=MAY, metadata={"a": 1}, importance=0.5)
    with tacit.open(":memory:") as other:
        other.remember_many(mind.memories())
        [there], [here] = other.memories(), mind.memories()
    told = ("text", "user", "occurred_at", "valid_from", "valid_to", "metadata", "importance")
    assert [getattr(there, name) for name in told] == [getattr(here, name) for name in told]


@pytest.mark.requirement("RE-01", "RE-02")
def test_times_have_the_same_names_in_memories_and_in_hits(mind: tacit.Mind) -> None:
    made = mind.remember("the window", occurred_at=MAY, valid_from=MAY)
    [hit] = mind.recall("window")
    for name in ("occurred_at", "recorded_at", "valid_from", "valid_to"):
        assert getattr(hit, name) == getattr(made, name)
        assert getattr(hit, f"{name}_micros") == getattr(made, f"{name}_micros")
    assert made.recorded_at_micros == round(made.recorded_at.timestamp() * 1_000_000)
