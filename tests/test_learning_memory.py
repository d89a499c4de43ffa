"""What learning takes of memory while models are fitted: bounded, however many different tools there are."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import scipy.linalg
import scipy.optimize
import scipy.sparse

from runs import call, episode
from tacit.experience.episode import Episode, Task
from tacit.learning.fitting.ridge import scale_of
from tacit.learning.next_step import moments
from tacit.learning.next_step.model import NextStepModel
from tacit.learning.next_step.successors import counted
from tacit.learning.pointing.choice import ChoiceLog
from tacit.learning.ranking.ranker import Example, ToolRanker
from trials import open_mind

WORDS = [first + middle + last for first in "bdfgklmnpr" for middle in "aeiou" for last in "stvz"]


USED_BY_FITS = (scipy.linalg, scipy.optimize, scipy.sparse)
"""Imported beforehand, so that they do not count as memory of the work."""


def peak(work: Callable[[], object]) -> float:
    """The most memory that some work holds at once beyond what was there before, in MB."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1_000_000
    finally:
        tracemalloc.stop()


def own_tools(number: int) -> Episode:
    """An episode whose tools nobody else uses."""
    steps = [call(f"tool{number}x{place}", "", f"{number} {place}") for place in range(20)]
    return episode(Task(description=f"thing {number}", domain=f"domain{number}"), steps, number % 2 == 0)


@pytest.mark.no_cover
@pytest.mark.requirement("LE-12")
def test_memory_does_not_grow_with_the_tools_that_each_episode_has_of_its_own() -> None:
    episodes = [own_tools(number) for number in range(100)]
    assert peak(lambda: NextStepModel.fit(episodes)) < 60


@pytest.mark.requirement("LE-12")
def test_only_the_tools_used_most_are_told_apart_and_the_others_share_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moments, "MOST_TOOLS", 3)
    usual = [
        episode(Task(description=f"job {number}"), [call(tool, "", "done") for tool in ("open", "read", "close")], True)
        for number in range(30)
    ]
    rare = [
        episode(Task(description=f"odd {number}"), [call("open", "", "done"), call(f"rare{number}", "", "done")], True)
        for number in range(20)
    ]
    model = NextStepModel.fit([*usual, *rare])
    for each in (model, NextStepModel.from_bytes(model.to_bytes())):
        first = each.forecast(usual[0].task, ())
        assert first.tools[0][0] == "open"
        assert {tool for tool, _ in first.tools} == {"open", "read", "close"}
        after = each.forecast(rare[0].task, rare[0].steps[:1])
        assert sum(chance for _, chance in after.tools) + after.end < 0.9, "the rest is for what is not told apart"
        assert each.forecast(usual[0].task, usual[0].steps).end > 0.5
        assert each.predict(rare[0].task, rare[0].steps)


@pytest.mark.requirement("LE-12")
def test_choices_are_taken_down_and_scaled_without_a_second_copy_of_their_clues() -> None:
    chance = numpy.random.default_rng(4)

    def learn() -> None:
        log = ChoiceLog()
        for _ in range(1_000):
            log.add(0, chance.random((100, 32)), 3)
        assert scale_of(log.choices().clues) == pytest.approx(numpy.full(32, 12**-0.5), rel=0.02)

    assert peak(learn) < 1.5 * 1_000 * 100 * 32 * 4 / 1_000_000


@pytest.mark.requirement("LE-12")
def test_the_ranker_of_tools_takes_little_more_than_what_it_looks_at() -> None:
    rng = random.Random(5)
    examples = [
        Example(" ".join(rng.sample(WORDS, 8)), (f"tool{rng.randrange(30)}",), rng.random() < 0.7) for _ in range(1_500)
    ]
    looked_at = 1_500 * 512 * 4 / 1_000_000
    assert peak(lambda: ToolRanker.fit(examples)) < 4 * looked_at


@pytest.mark.requirement("LE-09")
def test_cells_are_counted_by_how_their_runs_ended() -> None:
    chance = numpy.random.default_rng(6)
    cells, solved = chance.integers(0, 50, 1_000), chance.random(1_000) < 0.3
    found, good, others = counted(cells.copy(), solved)
    assert found.tolist() == sorted(set(cells.tolist()))
    assert good.tolist() == [int(solved[cells == cell].sum()) for cell in found]
    assert others.tolist() == [int((~solved[cells == cell]).sum()) for cell in found]
    assert [len(each) for each in counted(cells[:0].copy(), solved[:0])] == [0, 0, 0]


@pytest.mark.requirement("LE-09")
def test_a_new_book_is_read_as_soon_as_it_is_written_and_an_old_one_still_answers_for_the_past(tmp_path: Path) -> None:
    def live(asked: bool) -> None:
        with mind.episode("Change the seat", domain="airline", task_type="seat") as running:
            running.step(tool="ask" if asked else "guess", observation="an answer", success=True)
            running.step(tool="book", observation="an end", success=asked)
            running.complete("success" if asked else "failure")

    def advised() -> list[str]:
        found = mind.advise("Change the seat", domain="airline", task_type="seat", record=False)
        return [each.text for each in found.heuristics]

    with open_mind(tmp_path / "a.db") as mind:
        live(True)
        mind.settle(60)
        assert advised() == advised() == []
        for number in range(40):
            live(number % 2 == 0)
        mind.settle(60)
        assert advised() == advised() != []
