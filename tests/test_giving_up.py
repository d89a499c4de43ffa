"""Whatever is fitted looks again and again whether it is still wanted, so that closing a store waits for nothing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from learning_trials import DAY, NOW, attempt, call
from tacit.experience.episode import Episode
from tacit.learning.fitting.giving_up import Check
from tacit.learning.fitting.reading import read_episodes
from tacit.learning.lessons.trace import trace_of
from tacit.learning.next_step.model import NextStepModel
from tacit.learning.patterns.counts import PatternCounts
from tacit.learning.patterns.mining import MiningPolicy, mine
from tacit.learning.pointing.actions import ActionModel
from tacit.learning.ranking.ranker import Example, ToolRanker
from tacit.learning.studying.fits import fit_to
from tacit.learning.success.model import SuccessModel
from trials import open_mind

pytestmark = pytest.mark.requirement("LE-12")
LONGEST_SECONDS = 1.0


def episodes(count: int, steps: int) -> list[Episode]:
    chance = random.Random(5)
    tools = [f"tool {number}" for number in range(12)]
    return [
        attempt(
            [
                call(
                    chance.choice(tools), f"found {chance.randrange(50)} of {chance.randrange(50)}", of=f"thing {step}"
                )
                for step in range(steps)
            ],
            chance.choice(["success", "failure"]),
            id=f"e{number}",
            ended_at=NOW - number * DAY,
            description=f"fetch thing {number % 40} from room {number % 9} word{number % 70}",
            domain=f"domain {number % 3}",
        )
        for number in range(count)
    ]


def examples(count: int) -> list[Example]:
    chance = random.Random(5)
    return [
        Example(f"fetch thing {chance.randrange(300)} word{number % 70}", (f"tool {number % 12}",), True)
        for number in range(count)
    ]


class Watch:
    """A check that knows the longest time in which it was not called."""

    def __init__(self) -> None:
        self.longest, self.last, self.calls = 0.0, time.monotonic(), 0

    def __call__(self) -> None:
        now = time.monotonic()
        self.longest, self.last, self.calls = max(self.longest, now - self.last), now, self.calls + 1


def test_a_fit_looks_at_least_every_second_whether_it_is_wanted() -> None:
    lived, watch = episodes(400, 12), Watch()
    ranker = ToolRanker.fit(examples(2_000), "", watch)
    fit_to(lived, lambda: ranker, len(lived), watch)
    watch()
    assert watch.longest < LONGEST_SECONDS


class UnwantedError(Exception):
    """What is worked on is not wanted any more."""


@pytest.mark.parametrize(
    "learn",
    [
        lambda check: ToolRanker.fit(examples(300), "", check),
        lambda check: SuccessModel.learn(read_episodes(episodes(40, 6)), check),
        lambda check: NextStepModel.learn(read_episodes(episodes(40, 6)), check=check),
        lambda check: ActionModel.fit(episodes(40, 6), check),
        lambda check: mine(_counts(), NOW, MiningPolicy(), check),
    ],
    ids=["tools", "success", "next step", "actions", "patterns"],
)
def test_what_is_not_wanted_any_more_is_given_up(learn: Callable[[Check], object]) -> None:
    def check() -> None:
        raise UnwantedError

    with pytest.raises(UnwantedError):
        learn(check)


def _counts() -> PatternCounts:
    counts = PatternCounts()
    for each in episodes(20, 5):
        found = trace_of(each)
        assert found is not None
        counts.add(each.id, found)
    return counts


def test_closing_a_store_in_the_midst_of_a_study_takes_less_than_two_seconds(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_mind(path, learning__embedder="none", consumers__enabled=False) as mind:
        for number in range(300):
            steps = [
                {"tool": f"t{number * step % 12}", "action": f"go {step}", "observation": f"found {number} {step}"}
                for step in range(12)
            ]
            task = {"description": f"do thing {number} of kind {number % 7} word{number % 50}", "domain": "d"}
            mind.record({"task": task, "steps": steps, "outcome": {"kind": "success" if number % 3 else "failure"}})
        mind.settle(60, only="lessons")
    mind = open_mind(path, learning__embedder="none")
    (study,) = mind.recorder.journal.thinkers
    with study.hurried(mind.recorder.mind.id):
        study.wake()
        time.sleep(1.5)  # by now models are being fitted
        started = time.monotonic()
        mind.close()
    assert time.monotonic() - started < 2
