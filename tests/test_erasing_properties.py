"""Whatever was said and erased, in whatever order: what is left is as if the erased had never been."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies
from sqlalchemy import select

import tacit
from tacit.ids import parse_id
from tacit.journal.replay import differing_views, replay, scratch_store, view_digests
from tacit.journal.verify import verify
from tacit.opening import projections, view_consumers
from tacit.stores import schema
from trials import open_mind

START = datetime(2026, 5, 1, tzinfo=UTC)
TOOLS = ("look_up", "change", "cancel")


def record_of(number: int, seed: int) -> dict[str, Any]:
    """An attempt that its number and seed decide."""
    steps = [
        {"tool": TOOLS[(seed + place) % 3], "status": "error" if (seed >> place) & 1 else "success", "latency_ms": seed}
        for place in range(seed % 5)
    ]
    task = {"description": f"Task {number}", "domain": "ab"[seed % 2], "task_type": "xy"[seed // 2 % 2]}
    outcome = {"kind": ("success", "failure", "partial")[seed % 3]}
    return {"task": task, "steps": steps, "outcome": outcome, "key": f"{number}"}


def statistics_of(mind: tacit.Mind) -> dict[str, int]:
    """Every count, by its key."""
    mind.settle(only="tally")
    of_mind = schema.statistic.c.mind == parse_id(mind.id)
    with mind.recorder.journal.store.snapshot() as snapshot:
        return dict(snapshot.rows(select(schema.statistic.c.key, schema.statistic.c.count).where(of_mind)))  # type: ignore[arg-type]


def assert_replays(mind: tacit.Mind) -> None:
    """The chains verify; the live views are what the journal says, and the same twice over."""
    store = mind.recorder.journal.store
    assert verify(store, None).ok
    with scratch_store() as first, scratch_store() as second:
        assert differing_views(store, first, projections(), view_consumers()) == []
        with first.snapshot() as snapshot:
            before = view_digests(snapshot)
        rebuilt = replay(first, second, projections(), view_consumers())
        assert {name: rebuilt[name] for name in ("episode", "memory", "erasure", "tombstone")} == {
            name: before[name] for name in ("episode", "memory", "erasure", "tombstone")
        }


_seeds = strategies.lists(strategies.tuples(strategies.integers(0, 59), strategies.booleans()), min_size=1, max_size=12)


@pytest.mark.requirement("LE-08", "JR-06")
@settings(max_examples=25)
@given(attempts=_seeds, settled=strategies.booleans())
def test_counts_after_erasing_are_those_of_a_mind_that_never_had_it(
    attempts: list[tuple[int, bool]], settled: bool
) -> None:
    with open_mind(":memory:", consumers__enabled=False) as mind, open_mind(":memory:", "b") as other:
        made = [mind.record(record_of(number, seed)) for number, (seed, _) in enumerate(attempts)]
        if settled:
            mind.settle(only="tally")
        for number, (seed, erased) in enumerate(attempts):
            if erased:
                mind.erase(episode=made[number])
            else:
                other.record(record_of(number, seed))
        assert statistics_of(mind) == statistics_of(other)
        assert mind.statistics() == other.statistics()


_said = strategies.tuples(
    strategies.just("remember"),
    strategies.sampled_from(["", "seat", "meal"]),
    strategies.integers(0, 4),
    strategies.sampled_from(["alice", "bob"]),
)
_done = strategies.tuples(
    strategies.sampled_from(["correct", "forget", "erase", "episode", "relate", "erase episode", "erase user"]),
    strategies.integers(0, 9),
    strategies.integers(0, 9),
    strategies.sampled_from(["alice", "bob"]),
)


class Story:
    """Says, does and erases things as told, skipping what is impossible by then."""

    def __init__(self, mind: tacit.Mind) -> None:
        self.mind = mind
        self.memories: list[str] = []
        self.episodes: list[str] = []
        self.number = 0

    def tell(self, verb: str, first: Any, second: int, user: str) -> None:
        self.number += 1
        if verb == "remember":
            when = START + timedelta(days=second)
            made = self.mind.remember(f"{self.number}", user=user, subject=first, occurred_at=when)
            self.memories.append(made.id)
        elif verb in ("correct", "forget", "erase") and self.memories:
            self._change(verb, self.memories[first % len(self.memories)], second)
        elif verb == "episode":
            self.episodes.append(self.mind.record(record_of(self.number, first * 10 + second)))
        elif verb == "erase user":
            self.mind.erase(user=user)
        elif self.episodes:
            self._relate(verb, self.episodes[first % len(self.episodes)], self.episodes[second % len(self.episodes)])

    def _change(self, verb: str, memory: str, day: int) -> None:
        there = {one.id for one in self.mind.memories()}
        if verb == "erase":
            try:
                self.mind.erase(memory=memory)
            except tacit.NotFound:
                return
        elif memory in there and verb == "correct":
            self.mind.correct(memory, f"{self.number}", occurred_at=START + timedelta(days=day))
        elif memory in there:
            self.mind.forget(memory)

    def _relate(self, verb: str, one: str, other: str) -> None:
        try:
            if verb == "erase episode":
                self.mind.erase(episode=one)
            elif other in {relation.target for relation in self.mind.get(one).relations}:
                self.mind.unrelate(one, "refers", other)
            elif one != other:
                self.mind.relate(one, "refers", other)
        except tacit.NotFound:
            return


@pytest.mark.requirement("JR-03", "JR-06")
@settings(max_examples=60)
@given(story=strategies.lists(strategies.one_of(_said, _done), min_size=3, max_size=25))
def test_views_after_any_story_are_what_a_replay_of_its_journal_gives(
    story: list[tuple[str, Any, int, str]],
) -> None:
    with open_mind(":memory:", consumers__enabled=False) as mind:
        told = Story(mind)
        for line in story:
            told.tell(*line)
        mind.settle(only="tally")
        assert_replays(mind)


@pytest.mark.requirement("JR-06", "JR-05")
@settings(max_examples=30)
@given(
    days=strategies.lists(strategies.integers(0, 5), min_size=2, max_size=8),
    erased=strategies.sets(strategies.integers(0, 7), min_size=1, max_size=4),
)
def test_memories_of_one_subject_hold_as_if_the_erased_had_never_been_said(days: list[int], erased: set[int]) -> None:
    with open_mind(":memory:", consumers__enabled=False) as mind, open_mind(":memory:", "b") as other:
        made = []
        for number, day in enumerate(days):
            said: dict[str, Any] = {"user": "alice", "subject": "seat", "occurred_at": START + timedelta(days=day)}
            made.append(mind.remember(f"{number}", **said).id)
            if number not in erased:
                other.remember(f"{number}", **said)
        for number in sorted(erased):
            if number < len(made):
                mind.erase(memory=made[number])
        assert [one.text for one in mind.memories()] == [one.text for one in other.memories()]
