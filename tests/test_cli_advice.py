"""Advice on the command line: what it takes, that it does not keep people waiting, and that it says how far it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import CommandLine, at_a_terminal, run_here, write_traces
from tacit.cli.advice_page import show_advice
from tacit.cli.output import Output
from tacit.learning.advising.advice import Advice, Item, NextStep, ToolAdvice
from tacit.learning.assessment.evidence import Estimate
from trials import events_of, open_mind

pytestmark = pytest.mark.requirement("AP-04", "LE-09")
TASK = "Buy item 99"
DONE = {"tool": "search", "parameters": {"query": "item 99"}, "observation": "found", "status": "success"}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line on a store with traces that nobody has learned from yet."""
    monkeypatch.setenv("TACIT_LEARNING__EMBEDDER", "none")
    run = CommandLine(tmp_path / "shop.db")
    assert run("import", str(write_traces(tmp_path / "traces.jsonl", good=45)), "--quiet", "--wait", "0").code == 0
    return run


@pytest.fixture
def learned(cli: CommandLine) -> CommandLine:
    """The same, with all of it learned."""
    assert cli.json("advise", TASK, "--wait", "120")["unlearned"] == 0
    return cli


def test_advice_waits_no_longer_than_it_is_told_and_says_how_much_is_not_learned_yet(cli: CommandLine) -> None:
    ran = cli("advise", TASK, "--wait", "0")
    assert ran.code == 0
    assert "Nothing is known yet" in ran.out
    assert "45 episodes are still to be learned from" in ran.out
    assert "learning from 45 episodes" in ran.err
    assert "not learned yet: 45 episodes" in ran.err
    assert "--wait 60" in ran.err
    assert cli.json("advise", TASK, "--wait", "0")["unlearned"] == 45
    assert cli.json("advise", TASK, "--wait", "0", "--prompt", "100")["unlearned"] == 45
    assert cli.json("playbook", "--wait", "0") == {"playbooks": [], "unlearned": 45}
    for command in (["playbook"], ["pattern", "list"], ["stats", "learning"], ["stats", "advice"]):
        assert "not learned yet: 45 episodes" in cli(*command, "--wait", "0").err


def test_what_was_imported_is_learned_while_the_command_waits_and_it_says_so(cli: CommandLine) -> None:
    ran = cli("advise", TASK, "--domain", "shop", "--wait", "120")
    assert ran.err == "learning from 45 episodes …\n"
    assert "Chance of success: " in ran.out
    assert cli("advise", TASK, "--domain", "shop").err == ""
    assert cli("playbook", "--quiet").out.lstrip().startswith("How to do shop")


def test_an_import_waits_until_it_is_learned_from_so_that_the_next_command_answers_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_LEARNING__EMBEDDER", "none")
    run = CommandLine(tmp_path / "shop.db")
    ran = run("import", str(write_traces(tmp_path / "traces.jsonl", good=45)))
    assert ran.err.endswith("learning from 45 episodes …\n")
    told = run("advise", TASK, "--domain", "shop", "--wait", "0")
    assert told.err == ""
    assert "Chance of success: " in told.out


def test_at_a_terminal_it_moves_while_it_waits_and_leaves_nothing_behind(cli: CommandLine) -> None:
    code, sent = at_a_terminal("--store", str(cli.store), "advise", TASK, "--wait", "120")
    assert code == 0
    assert "learning from 45 episodes" in sent
    assert "not learned yet" not in sent


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--prompt", "0"], "0 tokens are too few"),
        (["--prompt", "-5"], "-5 tokens are too few"),
        (["--metadata", "project"], "KEY=VALUE"),
        (["--metadata", "=x"], "KEY=VALUE"),
        (["--metadata", "a=1", "--metadata", "a=2"], "twice"),
        (["--steps", "-"], "line 2 of - is not JSON"),
        (["--episode", "nonsense"], "is not an id"),
        (["--steps", "-", "--episode", "0190b7c2-6e1f-7a52-9d3c-0190b7c26e1f"], "give one of them"),
        (["--key", "run 1"], "give --record with it"),
        (["--record", "--as-of", "2026-01-31T12:00:00Z"], "past cannot be written"),
        (["--as-of", "yesterday"], "yesterday"),
        (["--tool", "=what"], "needs a name"),
        (["--tag", "a", "--tag", "a"], "twice"),
        (["--domain", "x" * 300], "limits.name_bytes"),
        (["--wait", "-1"], "--wait"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_is_given_is_looked_at_before_a_store_is_opened(tmp_path: Path, arguments: list[str], told: str) -> None:
    missing = str(tmp_path / "missing.db")
    ran = run_here("advise", TASK, *arguments, "--store", missing, "--json", stdin=f"{json.dumps(DONE)}\n{{oops\n")
    assert (ran.code, ran.error["code"]) in ((2, "invalid_input"), (2, "limit_exceeded"))
    assert told in ran.error["message"]


def test_steps_so_far_come_from_a_file_from_standard_input_or_from_an_episode(
    learned: CommandLine, tmp_path: Path
) -> None:
    def following(*arguments: str, stdin: str = "") -> Any:
        ran = learned("advise", TASK, "--domain", "shop", *arguments, "--json", stdin=stdin)
        assert ran.code == 0, ran.err
        return ran.json["next_steps"]

    lines = f"{json.dumps(DONE)}\n\n"
    path = tmp_path / "steps.jsonl"
    path.write_text(lines, encoding="utf-8")
    id = learned("episode", "start", TASK, "--domain", "shop", "--quiet").out.strip()
    assert learned("episode", "step", id, "--tool", "search", "--observation", "found", "--status", "success").code == 0
    assert following()[0]["tool"] == "search"
    found = following("--steps", str(path))
    assert found[0]["tool"] == "buy"
    assert following("--steps", "-", stdin=lines) == found
    assert following("--episode", id)[0]["tool"] == "buy"
    assert learned("advise", TASK, "--episode", "0190b7c2-6e1f-7a52-9d3c-0190b7c26e1f").code == 3
    assert learned("advise", TASK, "--steps", str(tmp_path / "none.jsonl")).code == 3


@pytest.mark.requirement("JR-05")
def test_the_whole_context_of_a_task_can_be_told(learned: CommandLine) -> None:
    context = ["--language", "python", "--framework", "django", "--metadata", "project=billing"]
    ran = learned("advise", TASK, *context, "--metadata", 'notes={"a": [1]}', "--record")
    assert ran.code == 0
    assert "written down as" in ran.err
    with open_mind(learned.store, learning__embedder="none") as mind:
        task = next(one.payload["task"] for one in reversed(events_of(mind)) if one.event.kind == "advice.given")
    assert task["metadata"] == {"project": "billing", "notes": {"a": [1]}}
    assert (task["language"], task["framework"]) == ("python", "django")


def test_a_task_unlike_all_others_is_told_to_be_one(learned: CommandLine) -> None:
    ran = learned("advise", "Write a Rust parser")
    assert ran.out.startswith("Nothing is known that would help here: no finished episode is like this task.")
    assert "%" not in ran.out


def test_the_likelihood_of_a_next_step_is_not_called_a_chance_of_success(learned: CommandLine) -> None:
    told = learned("advise", TASK, "--domain", "shop").out
    assert "usual: how likely it comes next; score: that, by how it has turned out" in told
    assert "chance" not in told.partition("Next step")[2]


@pytest.mark.requirement("AP-04")
def test_of_a_few_forecasts_no_figures_are_made(learned: CommandLine, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    write_traces(more, good=46)
    assert learned("import", str(more)).out.startswith("1 episode imported")
    told = learned("stats", "learning", "--wait", "120").out
    assert told.startswith("1 forecast so far, which is too few")
    assert "%" not in told


def test_a_list_of_patterns_says_how_many_its_limit_left_out(learned: CommandLine) -> None:
    every = len(learned.json("pattern", "list", "--all", "--limit", "1000"))
    assert every > 1
    assert f"{every - 1} more were left out" in learned("pattern", "list", "--all", "--limit", "1").err
    assert "left out" not in learned("pattern", "list", "--all", "--limit", str(every)).err


def test_a_playbook_has_its_title_once_and_says_of_how_many_episodes_it_is(learned: CommandLine) -> None:
    told = learned("playbook").out
    assert told.startswith("How to do shop"), "nothing stands before it, so no empty line does"
    assert told.count("How to do shop") == 1
    assert "(30 of 45 episodes of this kind succeeded" in told
    assert "1. search (30 of 30 successes)" in told
    assert learned("playbook", "--domain", "bakery").out.startswith("No playbook for such tasks")


def test_where_runs_mostly_end_it_is_told_that_nothing_more_is_called(learned: CommandLine, tmp_path: Path) -> None:
    done = tmp_path / "done.jsonl"
    bought = {"tool": "buy", "parameters": {"item": "item 99"}, "observation": "bought", "status": "success"}
    done.write_text("\n".join(json.dumps(step) for step in (DONE, bought)))
    begun, ending = learned.json("advise", TASK), learned.json("advise", TASK, "--steps", str(done))
    assert begun["end"] < 0.5 < ending["end"] <= 1.0
    assert "no tool is called any more" not in learned("advise", TASK).out
    assert "no tool is called any more" in learned("advise", TASK, "--steps", str(done)).out
    assert "answer, and end" in learned("advise", TASK, "--steps", str(done), "--prompt", "100").out


def test_no_line_of_advice_is_too_long_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    why = (
        "134 of 362 episodes with it went well; like with like, 37 % of 257 and 0 % of 120 without it: "
        "37 points more (+29 … +44)"
    )
    long = "find the mug, " * 30
    advice = Advice(
        success=Estimate(0.998, 0.97, 1.0),
        abstained=False,
        tools=(ToolAdvice(name="take", score=0.004, why=why),),
        next_steps=(NextStep(tool="go", action=long, score=0.22, why="at the start, 7 episodes of this kind took it"),),
        heuristics=(Item(id="0d8cf63e9eb1", text="go → take → go", score=0.4, why=why),),
        episodes=(Item(id="091c439b-0e3a-8546-af6e-f862e5a68c19", text=long, score=0.48, why=""),),
    )
    show_advice(Output(json=False, quiet=False), advice, unlearned=0)
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 140
    assert f"0d8cf63e9eb1  go → take → go\n{'':14}{why}\n" in told
    assert "Chance of success: > 99 % (97 … 100)" in told
    assert "< 1 %" in told
    assert "22 %" in told


def test_a_command_that_only_asks_loads_nothing_that_only_learning_needs(learned: CommandLine) -> None:
    """It would spend a third of its time on that."""
    code = (
        "import sys\n"
        "from tacit.cli.app import run_command\n"
        "assert run_command(sys.argv[1:]) == 0\n"
        "assert not [name for name in sys.modules if name.startswith('scipy')]\n"
    )
    asked = ["advise", TASK, "--domain", "shop", "--store", str(learned.store)]
    ran = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Next step" in ran.stdout
