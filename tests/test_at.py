"""Reading the past: what had been recorded by then, and nothing later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tacit
from tacit.clock import ManualClock, from_micros
from tacit.ids import parse_id
from tacit.stores.sqlite import MEMORY
from trials import open_mind

pytestmark = pytest.mark.requirement("JR-05")

SECOND = 1_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def mind(tmp_path: Path, clock: ManualClock) -> Iterator[tacit.Mind]:
    with open_mind(tmp_path / "agent.db", clock=clock, consumers__enabled=False) as mind:
        yield mind


def tick(clock: ManualClock) -> datetime:
    """The present, after which everything is later."""
    now = from_micros(clock.now())
    clock.advance(1)
    return now


def test_an_episode_is_seen_as_it_was_at_each_moment_of_its_life(mind: tacit.Mind, clock: ManualClock) -> None:
    before = tick(clock)
    episode = mind.episode("change the seat", tags=["seat"])
    started = tick(clock)
    episode.step(tool="find")
    stepped = tick(clock)
    mind.update(episode.id, description="change two seats", domain="airline", add_tags=["two"], remove_tags=["seat"])
    updated = tick(clock)
    episode.step(tool="book")
    episode.complete("success", score=1.0)
    ended = tick(clock)

    with pytest.raises(tacit.NotFound):
        mind.at(before).get(episode.id)
    seen = [mind.at(moment).get(episode.id) for moment in (started, stepped, updated, ended)]
    assert [found.task.description for found in seen] == ["change the seat"] * 2 + ["change two seats"] * 2
    assert [found.task.domain for found in seen] == ["", "", "airline", "airline"]
    assert [found.task.tags for found in seen] == [("seat",), ("seat",), ("two",), ("two",)]
    assert [[step.tool for step in found.steps] for found in seen] == [[], ["find"], ["find"], ["find", "book"]]
    assert [found.status for found in seen] == ["open", "open", "open", "success"]
    assert [found.outcome is None for found in seen] == [True, True, True, False]
    assert seen[-1] == mind.get(episode.id)


def test_relations_are_seen_while_they_held(mind: tacit.Mind, clock: ManualClock) -> None:
    one, two = mind.episode("one").id, mind.episode("two").id
    alone = tick(clock)
    mind.relate(one, "follows", two)
    related = tick(clock)
    mind.unrelate(one, "follows", two)
    parted = tick(clock)
    mind.relate(one, "follows", two)
    again = tick(clock)
    held = [len(mind.at(moment).get(one).relations) for moment in (alone, related, parted, again)]
    assert held == [0, 1, 0, 1]


def test_lists_and_filters_are_those_of_then(mind: tacit.Mind, clock: ManualClock) -> None:
    first = mind.episode("sort the post", tags=["old"], domain="office")
    early = tick(clock)
    mind.update(first.id, description="sort the mail", domain="home", add_tags=["new"], remove_tags=["old"])
    first.step(tool="sorter")
    first.complete("failure", reason="too much")
    mind.episode("another")
    past = mind.at(early)
    assert [summary.description for summary in past.episodes()] == ["sort the post"]
    assert [summary.steps for summary in past.episodes()] == [0]
    wanted: list[dict[str, Any]] = [{"text": "post"}, {"domain": "office"}, {"tag": "old"}, {"status": "open"}]
    unwanted: list[dict[str, Any]] = [
        {"text": "mail"}, {"domain": "home"}, {"tag": "new"}, {"status": "failure"}, {"tool": "sorter"}
    ]  # fmt: skip
    for filters in wanted:
        assert len(past.episodes(**filters)) == 1, filters
        assert mind.episodes(**filters) == [] or filters == {"status": "open"}
    for filters in unwanted:
        assert past.episodes(**filters) == [], filters
        assert len(mind.episodes(**filters)) == 1, filters


def test_the_past_does_not_change_while_the_present_does(mind: tacit.Mind, clock: ManualClock) -> None:
    episode = mind.episode("kept")
    episode.step(tool="t")
    past = mind.at(tick(clock))
    before = past.get(episode.id), past.episodes()
    episode.step(tool="later")
    mind.update(episode.id, description="changed")
    mind.episode("new")
    assert (past.get(episode.id), past.episodes()) == before


def test_what_happened_long_ago_but_was_recorded_later_is_not_seen_earlier(
    mind: tacit.Mind, clock: ManualClock
) -> None:
    before = tick(clock)
    id = mind.record({"task": {"description": "old story"}, "started_at": clock.now() - 3_600 * SECOND})
    assert mind.at(before).episodes() == []
    assert mind.at(tick(clock)).get(id).started_at < before


def test_pages_of_the_past_go_on_where_the_last_one_ended(mind: tacit.Mind, clock: ManualClock) -> None:
    ids = []
    for number in range(7):
        ids.append(mind.record({"task": {"description": f"task {number}"}}))
        moment = tick(clock)
    mind.record({"task": {"description": "later"}})
    past, found, after = mind.at(moment), list[str](), ""
    while page := past.episodes(limit=3, after=after):
        found += [summary.id for summary in page]
        after = page[-1].id
    assert found == ids[::-1]


def test_before_the_first_event_there_is_nothing_and_the_future_is_the_present(mind: tacit.Mind) -> None:
    id = mind.record({"task": {"description": "only"}})
    assert mind.at(datetime(1990, 1, 1, tzinfo=UTC)).episodes() == []
    assert mind.at(datetime(2990, 1, 1, tzinfo=UTC)).get(id) == mind.get(id)


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), "2026-01-01T00:00:00Z", 0, None])
def test_a_moment_without_a_zone_is_refused(mind: tacit.Mind, moment: Any) -> None:
    with pytest.raises(tacit.InvalidInput, match="zone"):
        mind.at(moment)


MAKES_CHANGES = ("episode", "record", "ingest", "update", "relate", "unrelate", "handoff", "resume", "settle", "backup")


@pytest.mark.parametrize("name", MAKES_CHANGES)
def test_whatever_only_the_mind_itself_can_do_is_refused_on_its_past(
    mind: tacit.Mind, clock: ManualClock, name: str
) -> None:
    past, before = mind.at(tick(clock)), mind.episodes()
    with pytest.raises(tacit.ReadOnly, match=name):
        getattr(past, name)
    with pytest.raises(AttributeError):
        past.no_such_thing  # noqa: B018 - the lookup is what is tested
    assert mind.episodes() == before
    assert (past.id, past.name, past.tenant) == (mind.id, mind.name, mind.tenant)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["start", "record", "step", "complete", "update", "tag", "relate", "unrelate", "checkpoint"]),
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(-2, 5),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(ACTIONS)
def test_reading_any_moment_of_any_history_gives_what_was_current_then(
    actions: list[tuple[str, int, int, int]],
) -> None:
    clock = ManualClock()
    with open_mind(MEMORY, clock=clock, consumers__enabled=False) as mind:
        ids: list[str] = []
        moments: dict[datetime, list[tacit.Episode]] = {}
        latest = clock.now()
        for number, (action, which, other, seconds) in enumerate(actions):
            act(mind, ids, action, which, other, number)
            latest = max(latest, clock.now())  # recorded times do not go back with the clock
            moments[from_micros(latest)] = list(mind.all_episodes())
            clock.advance(seconds)
        for moment, current in moments.items():
            past = mind.at(moment)
            assert [summary.id for summary in past.episodes(limit=1_000)] == [episode.id for episode in current]
            assert [past.get(episode.id) for episode in current] == current
            for id in set(ids) - {episode.id for episode in current}:
                with pytest.raises(tacit.NotFound):
                    past.get(id)


def act(mind: tacit.Mind, ids: list[str], action: str, which: int, other: int, number: int) -> None:
    """One change; what the rules do not allow at that point is refused, and then it must leave no trace."""
    if action == "start" or not ids:
        ids.append(mind.episode(f"episode {number}", tags=["tag 0"]).id)
        return
    one, two = ids[which % len(ids)], ids[other % len(ids)]
    changes = {
        "record": lambda: ids.append(mind.record({"task": {"description": "whole"}, "steps": [{"tool": "t"}]})),
        "step": lambda: mind.recorder.step(parse_id(one), tacit.Step(tool=f"tool {number}")).result(),
        "complete": lambda: mind.recorder.complete(parse_id(one), tacit.Outcome(kind="success")).result(),
        "update": lambda: mind.update(one, description=f"updated {number}", domain="d" * other),
        "tag": lambda: mind.update(one, add_tags=[f"tag {other}"], remove_tags=[f"tag {which}"]),
        "relate": lambda: mind.relate(one, "refers", two),
        "unrelate": lambda: mind.unrelate(one, "refers", two),
        "checkpoint": lambda: mind.handoff(one),
    }
    try:
        changes[action]()
    except (tacit.Conflict, tacit.InvalidInput, tacit.NotFound):
        return
