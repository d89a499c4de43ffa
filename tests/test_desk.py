"""The desk's counts are always those of the newest lessons that stand, whatever came, changed and went."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import tacit
from tacit.clock import SystemClock
from tacit.ids import parse_id
from tacit.journal.consumer import Span, consumer_position
from tacit.learning.lessons.lessons import Lessons, forget_lessons, lessons_between, newest_heads
from tacit.learning.patterns.counts import PatternCounts
from tacit.learning.patterns.pattern import Key
from tacit.learning.studying.desk import Desk
from tacit.learning.studying.study import Study
from tacit.mind import Mind
from trials import open_mind, settings

pytestmark = pytest.mark.requirement("LE-08")


@pytest.fixture
def mind(tmp_path: Path) -> Iterator[Mind]:
    with open_mind(tmp_path / "a.db", learning__embedder="none") as opened:
        yield opened


def live(mind: Mind, number: int, tool: str) -> str:
    with mind.episode(f"Carry box {number}", task_type="carry") as episode:
        episode.step(tool=tool, observation=f"box {number}", success=True)
        episode.step(tool="put", observation=f"put {number}", success=True)
        episode.complete("success" if number % 3 else "failure")
    return episode.id


def cells(counts: PatternCounts) -> dict[Key, object]:
    return {key: counts.cells(key) for key in counts}


def check(mind: Mind, desk: Desk, window: int) -> None:
    """Bring the desk up to date, and compare it with counts made anew."""
    mind.settle(60)
    id = mind.recorder.mind.id
    with mind.recorder.journal.store.snapshot() as snapshot:
        position = consumer_position(snapshot, id, Lessons.name)
        desk.catch_up(snapshot, id, position)
        newest = newest_heads(snapshot, id, position, window)
        expected = PatternCounts()
        for lesson in lessons_between(snapshot, id, newest[0][1] - 1 if newest else 0, position):
            expected.add(lesson.episode, lesson.trace)
    assert len(desk) == len(newest)
    assert cells(desk.counts) == cells(expected)


@pytest.mark.parametrize(("window", "every"), [(8, 1), (8, 3), (24, 3)])
def test_a_desk_follows_what_comes_and_changes_within_its_window(mind: Mind, window: int, every: int) -> None:
    chance = random.Random(3)
    desk, ids = Desk(window), list[str]()
    check(mind, desk, window)
    for number in range(30):
        ids.append(live(mind, number, chance.choice(["lift", "push", "pull"])))
        if number % 4 == 3:
            mind.update(chance.choice(ids), domain=chance.choice(["harbour", "airport", ""]))
        if number % every == every - 1:
            check(mind, desk, window)
    check(mind, desk, window)
    assert len(desk) == window
    assert desk.known == 30


def test_after_many_at_once_it_begins_anew_instead_of_taking_away_what_left_its_window(
    mind: Mind, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(6)
    for number in range(6):
        live(mind, number, "lift")
    check(mind, desk, 6)
    live(mind, 6, "push")
    check(mind, desk, 6)
    monkeypatch.setattr(PatternCounts, "remove", lambda *_: pytest.fail("one by one takes too long"))
    for number in range(7, 20):
        live(mind, number, "pull")
    check(mind, desk, 6)


@pytest.mark.parametrize("erased", [2, 15])
def test_an_erased_lesson_leaves_nothing_on_the_desk_though_there_are_more_than_it_holds(
    mind: Mind, erased: int
) -> None:
    desk = Desk(10)
    ids = [live(mind, number, f"tool-{number}") for number in range(20)]
    check(mind, desk, 10)
    journal = mind.recorder.journal
    with journal.store.transaction() as transaction:
        assert forget_lessons(transaction, mind.recorder.mind.id, parse_id(ids[erased])) == 1
    live(mind, 20, "tool-20")
    check(mind, desk, 10)
    assert ("sequence", f"tool-{erased}", "put") not in list(desk.counts)


def test_each_of_many_minds_is_studied_without_a_rest_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tacit.learning.studying.study.BEGIN_SECONDS", 0.0)
    changed = settings(learning__embedder="none", consumers__enabled=False)
    with tacit.open_store(tmp_path / "c.db", settings=changed) as store:
        minds = [store.mind(f"mind {number}") for number in range(4)]
        for mind in minds:
            for number in range(6):
                live(mind, number, "lift")
            mind.settle(60, only="lessons")
        study = Study(SystemClock())
        with store.store.snapshot() as snapshot:
            for mind in minds:
                id = mind.recorder.mind.id
                position = consumer_position(snapshot, id, Lessons.name)
                taken = study.take(snapshot, id, Span(0, position, 500, hurried=False, busy=False))
                assert taken is not None
                assert taken.think is not None
                assert taken.think().book.episodes == 6


def test_closing_does_not_wait_for_a_study_to_end_and_the_next_opening_does_it(tmp_path: Path) -> None:
    with open_mind(tmp_path / "b.db", learning__embedder="none") as mind:
        for number in range(12):
            live(mind, number, "lift")
        journal, id = mind.recorder.journal, mind.recorder.mind.id
        mind.settle(60, only="lessons")
        (thinker,) = journal.thinkers
        study = thinker._consumers[0]
        with journal.store.snapshot() as snapshot:
            position = consumer_position(snapshot, id, Lessons.name)
            closing = Span(0, position, 500, hurried=True, busy=False, stopped=lambda: True)
            assert study.take(snapshot, id, closing) is None
            going_on = Span(0, position, 500, hurried=True, busy=False)
            taken = study.take(snapshot, id, going_on)
        assert taken is not None
        assert taken.think is not None
        assert taken.think().book.episodes == 12
