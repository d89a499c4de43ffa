"""Advice as text for a prompt: what matters most is kept, and no budget is exceeded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.errors import InvalidInput
from tacit.learning.advising.advice import NOTHING_KNOWN, Advice, Item, NextStep, Playbook, PlaybookStep, ToolAdvice
from tacit.learning.advising.budget import LEAST_TOKENS, Line, tokens_of, within
from tacit.learning.assessment.evidence import Estimate

pytestmark = pytest.mark.requirement("LE-09")
PLAYBOOK = Playbook(
    title="How to bake",
    score=0.8,
    why="",
    preconditions=("these tools are at hand: oven",),
    steps=tuple(PlaybookStep(tool=tool, text=tool, support=3, recoveries=("try again",)) for tool in ("mix", "bake")),
    pitfalls=("opening the door",),
)
ADVICE = Advice(
    success=Estimate(0.63, 0.41, 0.82),
    abstained=False,
    tools=(ToolAdvice(name="oven", score=0.9, why=""),),
    next_steps=(NextStep(tool="mix", action="mix flour", score=0.7, why=""),),
    heuristics=(Item(id="h", text="weigh first", score=0.4, why="9 of 10 went well"),),
    pitfalls=(Item(id="p", text="avoid: guess", score=0.3, why="1 of 9 went well"),),
    playbook=PLAYBOOK,
)


def test_everything_is_said_where_there_is_room() -> None:
    assert ADVICE.prompt(10_000).splitlines() == [
        "Tasks like this succeed in 63 % of cases (41 … 82).",
        "What helps: weigh first (9 of 10 went well)",
        "Pitfall: avoid: guess (1 of 9 went well)",
        "Next, most promising first: mix (mix flour).",
        "Tools used in such tasks: oven.",
        "How to bake:",
        "- first make sure: these tools are at hand: oven",
        "1. mix",
        "   if it fails: try again",
        "2. bake",
        "   if it fails: try again",
        "- beware: opening the door",
    ]


def test_what_matters_less_is_left_out_first() -> None:
    assert ADVICE.prompt(70).splitlines()[-1] == "Next, most promising first: mix (mix flour)."
    assert PLAYBOOK.prompt(20).splitlines() == ["How to bake:", "1. mix", "2. bake", "- beware: opening the door"]


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=60))), st.integers(LEAST_TOKENS, 200))
def test_no_budget_is_exceeded_in_any_script(lines: list[tuple[int, str]], tokens: int) -> None:
    assert tokens_of(within([Line(*each) for each in lines], tokens)) <= tokens


def test_a_mind_that_knows_nothing_says_so_in_one_line() -> None:
    assert Advice(success=None, abstained=True).prompt() == NOTHING_KNOWN


@pytest.mark.parametrize("tokens", [-1, 0, LEAST_TOKENS - 1])
def test_a_budget_in_which_nothing_can_be_said_is_refused(tokens: int) -> None:
    with pytest.raises(InvalidInput, match="allow 20 or more"):
        ADVICE.prompt(tokens)
