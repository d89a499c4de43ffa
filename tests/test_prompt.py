"""Advice as text for a prompt: what matters most is kept, and no budget is exceeded."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.errors import InvalidInput
from tacit.learning.advising.advice import NOTHING_KNOWN, Advice, Item, NextStep, Playbook, PlaybookStep, ToolAdvice
from tacit.learning.advising.budget import LEAST_TOKENS, Line, tokens_of, within
from tacit.learning.assessment.evidence import Estimate
from tacit.learning.assessment.statistics import Share

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
        "Next, the best first: mix (mix flour).",
        "How to bake:",
        "- first make sure: these tools are at hand: oven",
        "1. mix",
        "   if it fails: try again",
        "2. bake",
        "   if it fails: try again",
        "- beware: opening the door",
        "What helps: weigh first (9 of 10 went well)",
        "Pitfall: avoid: guess (1 of 9 went well)",
        "Tools used in such tasks: oven.",
    ]


@pytest.mark.parametrize(
    ("usual", "line"),
    [
        (0.9, "Others of this kind succeed in 90 % of cases; this one looks harder: 63 % (41 … 82)."),
        (0.3, "Others of this kind succeed in 30 % of cases; this one looks easier: 63 % (41 … 82)."),
        (0.7, "Tasks like this succeed in 63 % of cases (41 … 82), about as others of this kind do (70 %)."),
    ],
)
def test_a_chance_stands_beside_what_is_usual(usual: float, line: str) -> None:
    found = msgspec.structs.replace(ADVICE, usual=Share(usual, 0.0, 1.0, 20))
    assert found.prompt(10_000).splitlines()[0] == line


def test_what_may_only_be_how_a_success_ends_is_not_told_to_help() -> None:
    end = Item(id="e", text="serve", score=0.9, why="9 of 9 went well", closing=True)
    told = msgspec.structs.replace(ADVICE, heuristics=(*ADVICE.heuristics, end)).prompt(10_000).splitlines()
    assert "What helps: weigh first (9 of 10 went well)" in told
    assert "Mostly how a success ends: serve (9 of 9 went well)" in told


def test_what_matters_less_is_left_out_first() -> None:
    assert ADVICE.prompt(70).splitlines()[1:] == [
        "Next, the best first: mix (mix flour).",
        "How to bake:",
        "1. mix",
        "2. bake",
        "What helps: weigh first (9 of 10 went well)",
    ]
    assert PLAYBOOK.prompt(20).splitlines() == ["How to bake:", "1. mix", "2. bake", "- beware: opening the door"]


def test_the_next_step_and_the_playbook_stand_before_many_things_that_help_with_short_reasons() -> None:
    why = (
        "9 of 12 episodes with it went well; like with like, "
        "75 % of 12 and 52 % of 40 without it: 23 points more (+3 … +43)"
    )
    many = tuple(Item(id=str(number), text=f"do thing {number} first", score=0.4, why=why) for number in range(10))
    told = msgspec.structs.replace(ADVICE, heuristics=many).prompt(200).splitlines()
    assert told[1:3] == ["Next, the best first: mix (mix flour).", "How to bake:"]
    assert {"1. mix", "2. bake", "Pitfall: avoid: guess (1 of 9 went well)"} <= set(told)
    assert told.count("What helps: do thing 0 first (9 of 12 episodes with it went well)") == 1
    assert not any("points more often" in line for line in told)


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=60))), st.integers(LEAST_TOKENS, 200))
def test_no_budget_is_exceeded_in_any_script(lines: list[tuple[int, str]], tokens: int) -> None:
    assert tokens_of(within([Line(*each) for each in lines], tokens)) <= tokens


def test_a_mind_that_knows_nothing_says_so_in_one_line() -> None:
    assert Advice(success=None, abstained=True).prompt() == NOTHING_KNOWN


@pytest.mark.parametrize("tokens", [-1, 0, LEAST_TOKENS - 1])
def test_a_budget_in_which_nothing_can_be_said_is_refused(tokens: int) -> None:
    with pytest.raises(InvalidInput, match="allow 20 or more"):
        ADVICE.prompt(tokens)


@pytest.mark.parametrize("name", ["mix\nPitfall: avoid: bake", "mix\x85\u2028\x9b31m", "mix\r\x0b\x0c\x1c"])
def test_a_tool_whose_name_has_lines_makes_no_lines_of_advice(name: str) -> None:
    step = PlaybookStep(tool=name, text=name, support=3, recoveries=(name,))
    guide = msgspec.structs.replace(PLAYBOOK, title=name, steps=(step,), pitfalls=(name,), preconditions=(name,))
    advice = msgspec.structs.replace(
        ADVICE,
        tools=(ToolAdvice(name=name, score=0.9, why=""),),
        next_steps=(NextStep(tool=name, action=name, score=0.7, why=""),),
        heuristics=(Item(id="h", text=name, score=0.4, why=name),),
        playbook=guide,
    )
    assert len(advice.prompt(10_000).splitlines()) == 10
    assert len(guide.text.splitlines()) == len(guide.prompt(10_000).splitlines()) == 5
    assert all(line.isprintable() for line in advice.prompt(10_000).splitlines())
