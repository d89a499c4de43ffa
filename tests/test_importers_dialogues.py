"""OpenAI messages and ReAct traces, in every shape in which they are written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tacit.experience.episode import Outcome, Record
from tacit.experience.importers import Imported, ImportOptions, Rejected, importer_for

pytestmark = pytest.mark.requirement("EP-07")

USER = {"role": "user", "content": "Cancel my flight."}


def records(path: Path, **options: Any) -> list[Record]:
    results = list(importer_for("auto", path).read(path, ImportOptions(**options)))
    assert [result for result in results if isinstance(result, Rejected)] == []
    return [result.record for result in results if isinstance(result, Imported)]


def record(folder: Path, value: Any) -> Record:
    path = folder / "one.jsonl"
    path.write_text(json.dumps(value), encoding="utf-8")
    (only,) = records(path)
    return only


def call(call_id: str, name: str, arguments: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_calls_are_paired_with_their_results_by_id_and_keep_the_thought(tmp_path: Path) -> None:
    messages = [
        USER,
        {
            "role": "assistant",
            "content": "I look both up.",
            "tool_calls": [call("1", "a", '{"x": 1}'), call("2", "b", "")],
        },
        {"role": "tool", "tool_call_id": "2", "content": "Error: user not found"},
        {"role": "tool", "tool_call_id": "1", "content": '{"error": null, "found": true}'},
        {"role": "assistant", "content": "Which flight?"},
        {"role": "user", "content": "The first."},
        {"role": "assistant", "content": "Done."},
    ]
    found = record(tmp_path, messages)
    assert found.task.description == "Cancel my flight."
    assert [(step.tool, step.parameters, step.status, step.thought) for step in found.steps[:2]] == [
        ("a", {"x": 1}, "success", "I look both up."),
        ("b", {}, "error", ""),
    ]
    assert found.steps[1].error == found.steps[1].observation == "Error: user not found"
    assert [(step.tool, step.action, step.observation, step.status) for step in found.steps[2:]] == [
        ("", "Which flight?", "The first.", None),
        ("", "Done.", None, None),
    ]
    assert found.outcome is None


def test_results_without_ids_are_paired_in_order_and_legacy_calls_are_read(tmp_path: Path) -> None:
    messages = [
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "old", "arguments": "{not json"}},
        {"role": "function", "name": "old", "content": "ok"},
        {"role": "assistant", "tool_calls": [call("", "a", "{}"), call("", "b", "{}")]},
        {"role": "tool", "content": "first"},
        {"role": "tool", "content": [{"type": "text", "text": "se"}, {"type": "text", "text": "cond"}]},
        {"role": "assistant", "tool_calls": [call("9", "unanswered", {"given": "as object"})]},
    ]
    found = record(tmp_path, messages).steps
    assert found[0].parameters == {"_raw": "{not json"}
    assert [step.observation for step in found] == ["ok", "first", "se\ncond", None]
    assert (found[3].parameters, found[3].status) == ({"given": "as object"}, None)


@pytest.mark.parametrize(
    ("content", "failed"),
    [
        ("Error: no seats", True),
        ("ValueError: bad", True),
        ("  Traceback (most recent call last):\n", True),
        ('{"error": "denied"}', True),
        ('{"is_error": true}', True),
        ("Nothing happens.", True),
        ("Errors were not found", False),
        ("No error occurred", False),
        ('{"error": "", "ok": 1}', False),
        ('{"errors": []}', False),
        ("{broken error", False),
        ("", False),
    ],
)
def test_only_generic_signs_make_an_observation_an_error(tmp_path: Path, content: str, failed: bool) -> None:
    messages = [
        USER,
        {"role": "assistant", "tool_calls": [call("1", "a", "{}")]},
        {"role": "tool", "tool_call_id": "1", "content": content},
    ]
    (step,) = record(tmp_path, messages).steps
    assert step.status == ("error" if failed else "success")
    assert bool(step.error) == failed


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"reward": 1.0}, Outcome(kind="success", score=1.0)),
        ({"reward": 0}, Outcome(kind="failure", score=0.0)),
        ({"score": 0.25}, Outcome(kind="partial", score=0.25)),
        ({"success": True, "reward": 0.5}, Outcome(kind="success", score=0.5)),
        ({"success": False}, Outcome(kind="failure")),
        ({"reward": 85}, None),
        ({"reward": None}, None),
        ({}, None),
    ],
)
def test_the_outcome_comes_from_a_reward_a_score_or_a_success_field(
    tmp_path: Path, fields: dict[str, Any], outcome: Outcome | None
) -> None:
    found = record(tmp_path, {**fields, "messages": [USER, {"role": "assistant", "content": "Done."}]})
    assert found.outcome == outcome
    assert found.task.metadata == ({"reward": 85} if fields == {"reward": 85} else {})


def test_free_fields_become_the_id_the_description_and_metadata(tmp_path: Path) -> None:
    value = {
        "task_id": 7,
        "trial": 2,
        "instruction": "Cancel flight 12.",
        "model": "m",
        "info": {"gold": ["secret"]},
        "traj": [USER, {"role": "assistant", "content": "Done."}],
    }
    task = record(tmp_path, value).task
    assert (task.description, task.source_id) == ("Cancel flight 12.", "7:2")
    assert task.metadata == {"task_id": 7, "trial": 2, "model": "m", "opening": "Cancel my flight."}


def test_a_dialogue_displayed_as_text_is_read_by_its_roles(tmp_path: Path) -> None:
    text = (
        "user: Hallo,\nich heiße Jürgen.\nassistant: None\ntool: Error: nicht da\n"
        "assistant: Leider nein: nichts.\nuser: 好"
    )
    found = record(tmp_path, {"shown": text})
    assert found.task.description == "Hallo,\nich heiße Jürgen."
    assert [(step.action, step.observation, step.status) for step in found.steps] == [
        ("", "Error: nicht da", "error"),
        ("Leider nein: nichts.", "好", None),
    ]


def test_one_object_a_list_and_lines_give_the_same_records(tmp_path: Path) -> None:
    one = {"id": "a", "messages": [USER, {"role": "assistant", "content": "Done."}]}
    texts = {"o.json": json.dumps(one, indent=1), "l.json": json.dumps([one]), "j.jsonl": json.dumps(one) + "\n"}
    found = []
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        found.append(records(tmp_path / name))
    assert found[0] == found[1] == found[2]
    (tmp_path / "plain.json").write_text(json.dumps(one["messages"], indent=1))
    (plain,) = records(tmp_path / "plain.json")
    assert plain.steps == found[0][0].steps


PROMPTED = """You are in a room. You see a desk 1.
Your task is to: put a mug on the desk.
> think: First I need a mug.
OK.
> Plan: shelf, then desk
> go to shelf 1
On the shelf 1, you see a mug 2.
Two lines.
> take mug 2
Nothing happens.
> say: hello
Somebody waves.
> look
"""


def test_prompted_actions_have_thoughts_observations_and_a_verb(tmp_path: Path) -> None:
    found = record(tmp_path, {"name": "put_mug-Mug-3/trial_1", "result": 0, "traj": PROMPTED})
    assert found.task.description == "put a mug on the desk."
    assert found.task.task_type == "put_mug"
    assert found.task.metadata["context"] == "You are in a room. You see a desk 1."
    assert found.outcome is not None
    assert found.outcome.kind == "failure"
    assert [(step.action, step.tool, step.parameters, step.status) for step in found.steps] == [
        ("go to shelf 1", "go", {"input": "to shelf 1"}, "success"),
        ("take mug 2", "take", {"input": "mug 2"}, "error"),
        ("say: hello", "say", {"input": "hello"}, "success"),
        ("look", "look", {}, None),
    ]
    assert found.steps[0].thought == "First I need a mug.\nPlan: shelf, then desk"
    assert found.steps[0].observation == "On the shelf 1, you see a mug 2.\nTwo lines."


NUMBERED = """Solve a question.
Question: Who sang it?
Thought 1: An example.
Action 1: Finish[nobody]
Question: Where is the Louvre?
Thought 1: I search.
Still thinking.
Action 1: Search[Louvre (museum)]
Observation 1: Could not find it. Similar: Paris.
Thought 2: Paris then.
Action 2: Finish[Paris]
"""
SEPARATE = """Question: How many?
Thought: I count.
Action: count
Action Input: {"of": "mugs",
 "in": "house"}
Observation: Error: no house
Thought: I guess.
Action: search the web
Action Input: mugs
Observation: 3
Final Answer: 3
"""


def test_numbered_thoughts_actions_and_observations_are_read_after_the_examples(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(NUMBERED)
    (found,) = records(path, name="museum")
    assert (found.task.description, found.task.source_id, found.outcome) == ("Where is the Louvre?", "museum", None)
    assert [(step.tool, step.parameters, step.thought) for step in found.steps] == [
        ("Search", {"input": "Louvre (museum)"}, "I search.\nStill thinking."),
        ("Finish", {"input": "Paris"}, "Paris then."),
    ]
    assert found.steps[0].observation == "Could not find it. Similar: Paris."


def test_an_action_with_a_separate_input_is_read(tmp_path: Path) -> None:
    found = record(tmp_path, {"question": "How many mugs?", "trace": SEPARATE, "correct": True, "reward": 0.8})
    assert found.task.description == "How many mugs?"
    assert found.outcome == Outcome(kind="success", score=0.8)
    assert [(step.tool, step.parameters, step.status) for step in found.steps[:2]] == [
        ("count", {"of": "mugs", "in": "house"}, "error"),
        ("search the web", {"input": "mugs"}, "success"),
    ]
    assert found.steps[2].action == "Final Answer: 3"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pick_two-Cup/1", "pick_two"),
        ("räumen#4", "räumen"),
        ("ab-1", ""),
        ("1task-2", ""),
        ("plain", ""),
        ("a b c-1", ""),
    ],
)
def test_the_leading_word_of_a_structured_name_is_the_kind_of_task(tmp_path: Path, name: str, kind: str) -> None:
    assert record(tmp_path, {"name": name, "traj": PROMPTED}).task.task_type == kind


def test_a_given_kind_of_task_wins_over_the_name(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"name": "put_mug-1", "traj": PROMPTED}))
    assert records(path, task_type="given")[0].task.task_type == "given"


def test_a_text_without_an_action_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Only prose.")
    (result,) = importer_for("react", path).read(path, ImportOptions())
    assert isinstance(result, Rejected)
    path.write_bytes(b"> go\xff")
    (result,) = importer_for("react", path).read(path, ImportOptions())
    assert isinstance(result, Rejected)
    assert "UTF-8" in result.reason


BENCH = os.environ.get("TACIT_BENCH_DATA")


@pytest.mark.skipif(BENCH is None, reason="TACIT_BENCH_DATA does not name the folder with the benchmark data")
@pytest.mark.parametrize(
    ("name", "count", "successes"),
    [("tau_bench/gpt-4o-airline.json", 200, 84), ("alfworld/alfworld_D0.jsonl", 510, 134)],
)
def test_the_runs_of_public_benchmarks_are_read_whole(name: str, count: int, successes: int) -> None:
    found = records(Path(str(BENCH)) / name)
    assert len(found) == len({each.key for each in found}) == count
    assert sum(each.outcome is not None and each.outcome.kind == "success" for each in found) == successes
