"""A task that does not say of which kind it is is taken for what the episodes most like it are."""

from __future__ import annotations

from pathlib import Path

import pytest

import tacit
from tacit.experience.episode import Task
from tacit.experience.views import NOW
from tacit.learning.advising.inferred_kind import with_its_kind
from tacit.learning.advising.nearest import Near
from tacit.learning.lessons.lessons import lessons_between
from tacit.mind import Mind
from trials import settings

pytestmark = pytest.mark.requirement("LE-06")


@pytest.fixture
def mind(tmp_path: Path):
    with tacit.open(tmp_path / "k.db", settings=settings(learning__embedder="none")) as mind:
        for number in range(8):
            finish(mind, f"bake bread number {number} in the oven", "knead", "bake", task_type="baking")
            finish(mind, f"refund the customer of order {number}", "look_up", "refund")
        mind.settle(60)
        yield mind


def finish(mind: Mind, description: str, *tools: str, task_type: str = "") -> None:
    with mind.episode(description, task_type=task_type) as live:
        for tool in tools:
            live.step(tool=tool, observation="done")
        live.complete("success")


def test_a_task_of_no_stated_kind_is_advised_as_those_most_like_it(mind: Mind) -> None:
    found = mind.advise("bake bread in the oven", record=False)
    assert found.next_steps[0].tool == "knead"
    assert found.playbook is not None
    assert [step.tool for step in found.playbook.steps] == ["knead", "bake"]
    assert any("taken for baking" in note for note in found.notes)


def test_a_task_like_those_of_no_stated_kind_stays_one(mind: Mind) -> None:
    found = mind.advise("refund the customer of an order", record=False)
    assert found.next_steps[0].tool == "look_up"
    assert not found.notes


def test_a_kind_that_is_stated_is_believed(mind: Mind) -> None:
    found = mind.advise("bake bread in the oven", task_type="cleaning", record=False)
    assert not any("taken for" in note for note in found.notes)


def test_a_kind_that_is_new_is_told_and_taken_for_no_other(mind: Mind) -> None:
    found = mind.advise("bake bread in the oven", task_type="cleaning", domain="home", record=False)
    assert found.notes == ("no finished episode has the type 'cleaning' or domain 'home'",)
    assert found.playbook is None


def test_a_new_kind_is_taken_for_none_where_the_episodes_most_like_it_state_none(mind: Mind) -> None:
    found = mind.advise("refund the customer of an order", domain="shop", record=False)
    assert found.next_steps[0].tool == "look_up"
    assert "8 episodes of this kind" in found.next_steps[0].why
    assert found.playbook is not None
    assert "domain 'shop'" in found.notes[0]
    assert "no stated kind" in found.notes[0]


def test_a_kind_that_is_known_in_part_is_no_new_one(mind: Mind) -> None:
    assert not mind.advise("bake bread in the oven", task_type="baking", domain="home", record=False).notes


def test_episodes_that_do_not_agree_decide_nothing(mind: Mind) -> None:
    with mind.recorder.journal.store.snapshot() as snapshot:
        lessons = list(lessons_between(snapshot, mind.recorder.mind.id, 0, NOW))
    near = [Near(each.episode, 0.5, each.trace) for each in lessons]
    task = Task(description="help the customer")
    assert with_its_kind(task, near) == task
    assert with_its_kind(task, [each for each in near if each.trace.task_type]).task_type == "baking"
    assert with_its_kind(task, [each for each in near if each.trace.task_type][:2]) == task, "two are too few"


def test_a_task_whose_like_are_of_several_kinds_is_not_taken_for_one_of_none(tmp_path: Path) -> None:
    with tacit.open(tmp_path / "s.db", settings=settings(learning__embedder="none")) as mind:
        for number in range(6):
            for what in ("clean", "cool", "heat"):
                finish(mind, f"put a {what} mug in the cupboard", "go", what, task_type=f"put {what}")
            finish(mind, f"refund the customer of order {number}", "look_up", "refund")
        mind.settle(60)
        found = mind.advise("put a mug in the cupboard", record=False)
        assert found.next_steps[0].tool == "go"
        assert found.playbook is not None
        assert "refund" not in found.playbook.text
        assert any("taken for put" in note for note in found.notes)
