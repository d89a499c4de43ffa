"""Advice says one thing, and only what can be done here: of tools that are at hand, without contradicting itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from learning_trials import NOW, call, counted, trace
from tacit.learning.advising.advice import Advice
from tacit.learning.advising.playbooks import playbooks
from tacit.learning.lessons.trace import Trace
from tacit.learning.patterns.hybrid import fuse
from tacit.learning.patterns.mining import MiningPolicy, mine
from tacit.mind import Mind
from trials import open_mind

pytestmark = pytest.mark.requirement("LE-09")


def live(mind: Mind, number: int, kind: str, tools: list[str], *, well: bool) -> None:
    with mind.episode(f"Case {number} of the {kind}", task_type=kind) as episode:
        for tool in tools:
            episode.step(tool=tool, observation=f"{tool} {number}", success=True)
        episode.complete("success" if well else "failure")


@pytest.fixture(scope="module")
def mind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mind]:
    """A mind in which guessing went wrong with seats and meals and right with riddles; coffee was never guessed at."""
    with open_mind(tmp_path_factory.mktemp("minds") / "a.db", learning__embedder="none") as opened:
        for number in range(40):
            asked = number % 2 == 0
            for kind in ("seats", "meals"):
                live(opened, number, kind, ["ask" if asked else "guess", "book"], well=asked or number % 10 == 1)
            live(opened, number, "riddles", ["ask" if asked else "guess", "say"], well=not asked)
            live(opened, number, "coffee", ["grind", "brew"], well=number % 4 > 0)
        opened.settle(120)
        yield opened


def said(advice: Advice) -> str:
    return "\n".join(each.text for each in (*advice.heuristics, *advice.pitfalls))


def test_of_a_tool_that_is_not_at_hand_nothing_is_said(mind: Mind) -> None:
    question = {"description": "Case 99 of the seats", "task_type": "seats", "record": False}
    everything = mind.advise(**question)
    assert "ask" in said(everything)
    assert "guess" in said(everything)
    assert everything.playbook is not None
    without_ask = mind.advise(**question, tools=["guess", "book", "wait"])
    assert "ask" not in said(without_ask)
    assert without_ask.playbook is None
    without_guess = mind.advise(**question, tools=["ask", "book"])
    assert "guess" not in said(without_guess)
    assert without_guess.playbook is not None


def test_what_was_learned_of_other_kinds_is_told_only_of_tools_that_are_called_here(mind: Mind) -> None:
    question = {"description": "Case 99 of the coffee", "task_type": "coffee", "record": False}
    assert "guess" not in said(mind.advise(**question))
    assert "guess" in said(mind.advise(**question, tools=["guess", "grind", "brew", "book"]))


def test_what_is_to_be_avoided_is_not_the_next_step(mind: Mind) -> None:
    advice = mind.advise("Case 99 of the seats", task_type="seats", record=False)
    assert any("guess" in each.text for each in advice.pitfalls)
    assert [each.tool for each in advice.next_steps][:1] == ["ask"]
    assert "guess" not in {each.tool for each in advice.next_steps}


def test_where_a_step_has_done_well_no_pitfall_from_elsewhere_speaks_against_it(mind: Mind) -> None:
    advice = mind.advise("Case 99 of the riddles", task_type="riddles", record=False)
    assert advice.next_steps[0].tool == "guess"
    assert not any("guess" in each.text for each in advice.pitfalls)
    assert not any(each.text.endswith("ask") for each in advice.heuristics)
    assert advice.playbook is not None
    assert [each.tool for each in advice.playbook.steps] == ["guess", "say"]


def test_a_pitfall_that_is_held_back_for_control_does_not_act_through_the_next_steps(tmp_path: Path) -> None:
    changed = {"advice__withhold_share": 0.9, "advice__withhold_floor": 0.9, "learning__embedder": "none"}
    with open_mind(tmp_path / "b.db", **changed) as mind:
        for number in range(40):
            asked = number % 2 == 0
            live(mind, number, "seats", ["ask" if asked else "guess", "book"], well=asked or number % 10 == 1)
        mind.settle(120)
        told = {
            (
                any("guess" in each.text for each in advice.pitfalls),
                "guess" in {each.tool for each in advice.next_steps},
            )
            for number in range(150)  # one in ten shows the pitfall
            if (advice := mind.advise(f"Case {number} of the seats", task_type="seats", key=str(number)))
        }
    assert told == {(True, False), (False, True)}


def playbook_of(traces: list[Trace]) -> tuple[list[str], str]:
    """The steps of the only playbook, and all of it in words."""
    counts = counted(traces)
    named = [(str(number), each) for number, each in enumerate(traces)]
    ((_, found),) = playbooks(named, fuse(mine(counts, NOW, MiningPolicy()), counts)).items()
    return [step.tool for step in found.steps], found.text


def test_a_playbook_does_not_go_the_way_that_it_warns_of() -> None:
    guessed = [trace(["look", "guess", "book"], "success" if number < 12 else "failure") for number in range(40)]
    asked = [trace(["look", "ask", "book"], "success") for _ in range(8)]
    steps, text = playbook_of([*asked, *guessed])
    assert steps == ["look", "ask", "book"]
    assert "beware: look → guess" in text or "beware: guess → book" in text or "beware: use guess" in text


def test_what_to_do_when_a_tool_fails_is_said_once_and_of_this_kind_of_task_only() -> None:
    refused = call("pay", error="card 4711 was declined")
    made = [trace([refused, "change_card", call("pay", "paid"), "ship", call("pay", "tip")]) for _ in range(6)]
    other = [trace([refused, "call_bank", call("pay", "paid")], task_type="rent") for _ in range(6)]
    counts = counted([*made, *other])
    named = [(str(number), each) for number, each in enumerate([*made, *other])]
    found = playbooks(named, fuse(mine(counts, NOW, MiningPolicy()), counts))[("", "")]
    assert [step.tool for step in found.steps].count("pay") == 3
    assert found.text.count("if it fails:") == 1
    assert "from pay: change_card first (pay worked later or was not needed in 6 of 6)" in found.text
