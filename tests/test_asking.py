"""What may be asked: a question's parts keep the bounds of an episode's, and what is none is refused in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tacit
from tacit.errors import Conflict, InvalidInput, LimitExceeded
from tacit.learning.asking import MOST_TOOLS_AT_HAND
from tacit.mind import Mind
from trials import events_of, open_mind

pytestmark = pytest.mark.requirement("LE-09")
HALF = "a\ud800"
LONG = "long " * 2_001
EXPOSURE = "0190b7c2-6e1f-7a52-9d3c-0190b7c26e1f"
SEAT = {"description": "Change the seat of passenger 1", "domain": "airline"}
STEP = {"tool": "ask", "observation": "yes", "success": True}


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mind]:
    """A mind that has learned how seats are changed."""
    path: Path = tmp_path_factory.mktemp("taught") / "a.db"
    with open_mind(path, learning__embedder="none") as opened:
        for number in range(60):
            asked = number % 2 == 0
            with opened.episode(f"Change the seat of passenger {number}", domain="airline") as episode:
                episode.step(tool="ask" if asked else "guess", observation=f"answer {number}", success=True)
                episode.step(tool="book", observation=f"b{number}", success=asked)
                episode.complete("success" if asked else "failure")
        opened.settle(60)
        yield opened


@pytest.mark.requirement("AP-07", "LE-09")
def test_none_leaves_open_which_tools_are_at_hand_and_what_was_done(taught: Mind) -> None:
    told, plain = (
        taught.advise("Change the seat of passenger 99", domain="airline", record=False, **given)
        for given in ({"tools": None, "steps": None}, {})
    )
    assert told == plain
    assert {step.tool for step in told.next_steps} >= {"ask"}


@pytest.mark.requirement("AP-07")
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"tools": "ask"}, "tools must be a list"),
        ({"tools": {"name": "ask"}}, "tools must be a list"),
        ({"tools": [5]}, "5 is no tool"),
        ({"tools": [{5: "ask"}]}, "have names"),
        ({"tools": [{"nme": "ask"}]}, "no field 'nme'"),
        ({"tools": [tacit.Tool(name=5)]}, "name must be a text"),  # type: ignore[arg-type]
        ({"tools": [" "]}, "needs a name"),
        ({"tools": [HALF]}, "surrogates"),
        ({"tools": [{"name": "ask", "description": HALF}]}, "surrogates"),
        ({"tools": [{"name": "ask", "description": "a"}, {"name": "ask", "description": "b"}]}, "given twice"),
        ({"steps": "ask"}, "steps must be a list"),
        ({"steps": {"tool": "ask"}}, "steps must be a list"),
        ({"steps": [STEP, 5]}, "step 2: .* 5 is no step"),
        ({"steps": [{5: "ask"}]}, "step 1: .* have names"),
        ({"steps": [STEP, {"tol": "ask"}]}, "step 2: .* no field 'tol'"),
        ({"steps": [tacit.Step(tool=5)]}, "step 1: .* tool must be a text"),  # type: ignore[arg-type]
        ({"steps": [{}]}, "step 1: a step needs"),
        ({"steps": [{"tool": "ask", "observation": {1, 2}}]}, "step 1: .* set"),
        ({"steps": [{"tool": "ask", "observation": float("nan")}]}, "step 1: nan"),
        ({"steps": [{"tool": "ask", "observation": HALF}]}, "step 1: .* surrogates"),
        ({"steps": [{"tool": "ask", "tokens": -5}]}, "step 1: tokens"),
        ({"key": 5}, "key must be a text"),
        ({"key": None}, "key must be a text"),
        ({"key": HALF}, "surrogate"),
        ({"record": "no"}, "record must be True or False"),
        ({"fit": "shorten"}, "fit is 'shorten'"),
        ({"task_type": 0}, "task_type"),
        ({"domain": []}, "domain"),
        ({"tags": ["a", "a"]}, "given twice"),
        ({"tags": [HALF]}, "surrogates"),
        ({"metadata": {"a": {1}}}, "set"),
        ({"metadata": {"a": 2**80}}, "beyond"),
    ],
    ids=lambda value: ascii(value)[:60],
)  # fmt: skip
def test_what_is_no_question_is_refused_in_words(taught: Mind, given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told) as refused:
        taught.advise(**{**SEAT, **given})
    assert refused.value.code == "invalid_input"


@pytest.mark.requirement("JR-10", "LE-09")
@pytest.mark.parametrize(
    "given",
    [
        {"description": "x" * 10_000_000},
        {"task_type": LONG},
        {"tags": [f"tag {number}" for number in range(101)]},
        {"key": LONG},
        {"tools": [LONG]},
        {"tools": [{"name": "ask", "description": LONG}]},
        {"tools": [f"tool {number}" for number in range(MOST_TOOLS_AT_HAND + 1)]},
        {"steps": [{"tool": "ask", "observation": LONG}]},
        {"steps": [{"tool": "ask", "action": LONG}]},
        {"steps": [STEP] * 1_001},
    ],
    ids=lambda value: "-".join(value),
)
def test_a_question_keeps_the_bounds_of_an_episode(taught: Mind, given: dict[str, Any]) -> None:
    with pytest.raises(LimitExceeded) as refused:
        taught.advise(**{**SEAT, **given})
    assert refused.value.context["limit"] < refused.value.context["size"]


def test_steps_over_the_limits_are_shortened_when_asked_for(taught: Mind) -> None:
    steps = [{"tool": "ask", "observation": f"{LONG}\x1b[2J", "success": True}]
    assert taught.advise(**SEAT, steps=steps, record=False, fit="truncate").next_steps[0].tool == "book"


def test_a_tool_that_is_named_twice_is_one_tool(taught: Mind) -> None:
    found = taught.advise(**SEAT, tools=["ask", "ask", "book"], record=False)
    assert sorted(each.tool for each in found.next_steps) == ["ask", "book"]


@pytest.mark.requirement("AP-07")
@pytest.mark.parametrize(
    "call",
    [
        lambda mind: mind.settle("x"),
        lambda mind: mind.settle(None),
        lambda mind: mind.settle(float("nan")),
        lambda mind: mind.settle(float("inf")),
        lambda mind: mind.settle(-1),
        lambda mind: mind.settle(only=[]),
        lambda mind: mind.advise(**SEAT, record=False).prompt("x"),
        lambda mind: mind.advise(**SEAT, record=False).prompt(None),
        lambda mind: mind.advise(**SEAT, record=False).prompt(400.5),
        lambda mind: mind.advise(**SEAT, record=False).prompt(True),
        lambda mind: mind.book().playbooks[0][1].prompt("x"),
        lambda mind: mind.feedback(EXPOSURE, outcome=set()),
        lambda mind: mind.feedback(EXPOSURE, outcome=None),
        lambda mind: mind.feedback(None, outcome="success"),
        lambda mind: mind.feedback(HALF, outcome="success"),
        lambda mind: mind.feedback(5, outcome="success"),
    ],
)
def test_no_error_of_pythons_own_comes_out_of_learning(taught: Mind, call: Callable[[Mind], object]) -> None:
    with pytest.raises(InvalidInput):
        call(taught)


# ── asking again ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("LE-10")
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"tags": ["urgent"]}, "another context"),
        ({"tools": ["ask"]}, "other tools"),
        ({"tools": [{"name": "ask", "description": "asks"}, "book"]}, "other tools"),
        ({"steps": [{**STEP, "observation": "no"}]}, "other steps"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_the_same_key_with_another_question_is_a_conflict(
    taught: Mind, changed: dict[str, Any], told: str, request: pytest.FixtureRequest
) -> None:
    question = {**SEAT, "tools": ["ask", "book"], "steps": [STEP], "key": request.node.name}
    first = taught.advise(**question)
    before = len(events_of(taught))
    with pytest.raises(Conflict, match=told) as refused:
        taught.advise(**{**question, **changed})
    assert refused.value.context["exposure"] == first.exposure_id
    assert str(first.exposure_id) in refused.value.message
    assert taught.advise(**{**question, "tools": ["book", "ask"]}).exposure_id == first.exposure_id
    assert len(events_of(taught)) == before


@pytest.mark.requirement("LE-10")
def test_a_second_outcome_is_refused_with_the_advice_the_first_and_who_told_it(taught: Mind) -> None:
    told = taught.advise(**SEAT).exposure_id
    assert told
    taught.feedback(told, outcome="failure")
    taught.feedback(told.upper(), outcome="failure")
    with pytest.raises(
        Conflict, match=f"{told} has an outcome already: failure, told by feedback.*cannot become success"
    ):
        taught.feedback(told, outcome="success")
    lived = taught.advise(**SEAT).exposure_id
    with taught.episode("Change the seat of passenger 1", exposure=lived) as episode:
        episode.complete("success")
    with pytest.raises(Conflict, match=f"success, told by episode {episode.id}"):
        taught.feedback(str(lived), outcome="failure")
