"""What the next tool is called with: what a run has named is pointed at, and nothing is said where that is a guess."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from runs import call, episode, errand, renamed
from tacit.bench.folds import made_up
from tacit.bench.next_actions import measure_next_actions
from tacit.bench.run import Run
from tacit.errors import InvalidInput
from tacit.experience.episode import Episode, Step, Task
from tacit.learning.pointing.actions import LEAST_CHANCE, ActionModel
from tacit.learning.pointing.forms import MOST_TEXT
from tacit.learning.pointing.spans import writing_of
from tacit.learning.pointing.story import MOST_STEPS
from trials import open_mind

ASKED = Task(description="bring me the key number 5")
UNTIL_FOUND = (call("go", "box 1", "in it there is nothing"), call("go", "box 2", "in it there is a key"))
TOOLS = ("go", "open", "take", "bring", "sleep")


def errands(many: int, seed: int = 1) -> list[Episode]:
    rng = random.Random(seed)
    return [errand(rng) for _ in range(many)]


def refund(number: int, rng: random.Random) -> Episode:
    """A customer says who he is; his order is looked up, and what it cost is paid back."""
    user, order, amount = f"user_{rng.randrange(10_000)}", f"q{rng.randrange(10_000)}z", rng.randrange(10, 99)
    steps = [
        Step(action="Who are you?", observation=f"I am {user}, and it is broken."),
        Step(tool="find_user", parameters={"user_id": user}, observation={"user_id": user, "orders": [order]}),
        Step(tool="find_order", parameters={"order_id": order}, observation={"price": amount, "weight": number % 7}),
        Step(tool="pay_back", parameters={"amount": amount, "order_id": order, "reason": "broken"}, observation="done"),
        Step(tool="note", parameters={"text": " ".join(rng.choices("abcdefghij", k=8))}, observation="noted"),
    ]
    return episode(Task(description="a customer wants money back"), steps, True)


def refunds(many: int, seed: int = 1) -> list[Episode]:
    rng = random.Random(seed)
    made = [refund(number, rng) for number in range(many)]
    tasks = [Task(description=f"customer {number} wants money back") for number in range(many)]
    return [msgspec.structs.replace(each, task=task) for each, task in zip(made, tasks, strict=True)]


def actions_right(model: ActionModel, episodes: Sequence[Episode]) -> list[tuple[str, bool]]:
    """Of each action of these episodes that would have been told: its tool, and whether it was right."""
    return [
        (step.tool, told[step.tool] == step.action)
        for each in episodes
        for place, step in enumerate(each.steps)
        if (told := model.predict(each.task, each.steps[:place], [step.tool]))
    ]


@pytest.mark.requirement("LE-09")
def test_what_the_goal_asks_for_and_the_answer_shows_is_what_is_taken() -> None:
    told = ActionModel.fit(errands(80)).predict(ASKED, UNTIL_FOUND, TOOLS)
    assert told["take"] == "take key"


@pytest.mark.requirement("LE-09")
def test_a_thing_that_nobody_has_seen_before_can_be_pointed_at() -> None:
    closed = (call("go", "box 4711", "the box is closed"),)
    assert ActionModel.fit(errands(80)).predict(ASKED, closed, ["open"]) == {"open": "open box 4711"}


@pytest.mark.requirement("LE-09")
def test_what_is_told_of_tasks_that_it_has_not_seen_is_right_more_often_than_not() -> None:
    fresh = [each for each in errands(80, seed=2) if each.outcome and each.outcome.kind == "success"]
    told = actions_right(ActionModel.fit(errands(120)), fresh)
    assert len(told) > len([step for each in fresh for step in each.steps]) / 2
    assert sum(right for _, right in told) / len(told) > 0.8


@pytest.mark.requirement("LE-09")
def test_where_the_thing_is_left_to_chance_no_action_is_told() -> None:
    rng = random.Random(3)

    def aimless(number: int) -> Episode:
        steps = [call("go", f"box {rng.randrange(9)}", f"box {rng.randrange(9)} box {rng.randrange(9)}")] * 2
        return episode(Task(description=f"stroll {number}"), [*steps, call("look", "", "a box")], True)

    model = ActionModel.fit([aimless(number) for number in range(80)])
    assert model.predict(Task(description="stroll 99"), (), ["go", "look"]) == {"look": "look "}


@pytest.mark.requirement("LE-09")
def test_parameters_are_found_in_answers_and_keep_their_types() -> None:
    model, fresh = ActionModel.fit(refunds(60)), refund(3, random.Random(9))
    parameters = {step.tool: step.parameters for step in fresh.steps}
    for place, tool in ((1, "find_user"), (2, "find_order"), (3, "pay_back")):
        told = model.predict(fresh.task, fresh.steps[:place], [tool])
        assert msgspec.json.decode(told[tool]) == parameters[tool]
    assert isinstance(parameters["pay_back"]["amount"], int)


@pytest.mark.requirement("LE-09")
def test_free_text_is_not_made_up() -> None:
    fresh = refund(3, random.Random(9))
    assert ActionModel.fit(refunds(60)).predict(fresh.task, fresh.steps[:4], ["note", "never seen"]) == {}


@pytest.mark.requirement("LE-09")
@pytest.mark.parametrize("many", [0, 1, 5])
def test_nothing_is_said_while_too_little_is_known(many: int) -> None:
    assert ActionModel.fit(errands(many)).predict(ASKED, UNTIL_FOUND, TOOLS) == {}


@pytest.mark.requirement("LE-09")
def test_episodes_without_an_outcome_are_not_learned_from() -> None:
    running = [msgspec.structs.replace(each, outcome=None) for each in errands(80, seed=5)]
    assert ActionModel.fit([*errands(40), *running]).to_bytes() == ActionModel.fit(errands(40)).to_bytes()


@pytest.mark.requirement("LE-09")
def test_an_erased_episode_leaves_nothing_behind() -> None:
    others = errands(40)
    secret = episode(Task(description="zanzibar"), [call("teleport", "zanzibar", "gone")] * 5, True)
    assert b"zanzibar" in ActionModel.fit([*others, secret]).to_bytes()
    assert b"zanzibar" not in ActionModel.fit(others).to_bytes()


@pytest.mark.requirement("LE-09")
def test_the_same_episodes_give_the_same_bytes_and_bytes_the_same_model() -> None:
    model = ActionModel.fit(errands(60))
    assert ActionModel.fit(errands(60)).to_bytes() == model.to_bytes()
    again = ActionModel.from_bytes(model.to_bytes())
    assert again.to_bytes() == model.to_bytes()
    for each in errands(20, seed=2):
        assert again.predict(each.task, each.steps[:3], TOOLS) == model.predict(each.task, each.steps[:3], TOOLS)


@pytest.mark.requirement("LE-09")
@pytest.mark.parametrize("body", [b"", b"nonsense", b"\x81\xa6format\x02"])
def test_bytes_that_are_no_model_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="fit it again"):
        ActionModel.from_bytes(body)


@pytest.mark.requirement("LE-09")
def test_a_model_of_another_format_is_refused_by_its_number() -> None:
    kept = msgspec.msgpack.decode(ActionModel.fit([]).to_bytes())
    with pytest.raises(InvalidInput, match="format 99"):
        ActionModel.from_bytes(msgspec.msgpack.encode({**kept, "format": 99}))


@pytest.mark.requirement("LE-09")
def test_other_names_for_the_same_things_change_nothing() -> None:
    episodes = errands(80)
    others, names = renamed(episodes, seed=4)
    model, other = ActionModel.fit(episodes), ActionModel.fit(others)
    told = 0
    for before, after in zip(episodes[:20], others[:20], strict=True):
        here = model.predict(before.task, before.steps[:2], TOOLS)
        there = other.predict(after.task, after.steps[:2], [names[tool] for tool in TOOLS])
        assert there == {
            names[tool]: " ".join(names.get(word, word) for word in action.split(" ")) for tool, action in here.items()
        }
        told += len(here)
    assert told > 20


@pytest.mark.requirement("LE-09")
def test_other_names_for_parameters_change_nothing_but_the_names() -> None:
    others = {"user_id": "z", "order_id": "y", "amount": "x", "reason": "w", "text": "v"}

    def rename(each: Episode) -> Episode:
        text = msgspec.json.encode(each).decode()
        for name, other in others.items():
            text = text.replace(f'"{name}":', f'"{other}":')
        return msgspec.json.decode(text, type=Episode)

    episodes, fresh = refunds(60), refunds(10, seed=8)
    model, other = ActionModel.fit(episodes), ActionModel.fit([rename(each) for each in episodes])
    for each in fresh:
        here = model.predict(each.task, each.steps[:3], ["pay_back", "find_order"])
        there = other.predict(each.task, rename(each).steps[:3], ["pay_back", "find_order"])
        assert here
        assert {tool: msgspec.json.decode(action) for tool, action in there.items()} == {
            tool: {others[name]: value for name, value in msgspec.json.decode(action).items()}
            for tool, action in here.items()
        }


ODD_TEXTS = [
    "",
    "\x00",
    "²³ ٣٤ 五 箱子 3",
    "ДЛЯ ключа 7",
    "İİİ ǅ ß",
    "9" * 10_000,
    "{" * 5_000,
    "a 1 " * 100_000,
]


@pytest.mark.requirement("LE-09")
@pytest.mark.parametrize("odd", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
def test_odd_texts_do_no_harm(odd: str) -> None:
    known = errands(40)
    strange = episode(
        Task(description=odd), [call("go", odd, odd), call(odd, odd, odd), Step(observation=odd)] * 3, True
    )
    values = Step(
        tool="go", parameters={"": [odd], odd: {odd: None}, "n": 1.5, "b": True}, observation=[None, {odd: 1}]
    )
    model = ActionModel.fit([*known, strange, episode(Task(description=odd), [values] * 3, True)])
    for steps in ((), strange.steps, (values,), (Step(),)):
        told = model.predict(strange.task, steps, [*TOOLS, odd])
        assert all(isinstance(action, str) and action for action in told.values())
    closed = (call("go", "box 3", "the box is closed"),)
    assert model.predict(ASKED, closed, ["open"]) == {"open": "open box 3"}


@pytest.mark.requirement("LE-12")
def test_no_more_of_a_text_and_of_a_run_is_read_than_is_bounded() -> None:
    model = ActionModel.fit(errands(80))
    shown = "the box is closed"
    near, far = f"box 88 {shown}", f"{'-' * MOST_TEXT} box 88 {shown}"
    here = model.pointer.moment(ASKED, (Step(tool="look", observation=near),)).candidates(("open", "#0")).things
    there = model.pointer.moment(ASKED, (Step(tool="look", observation=far),)).candidates(("open", "#0")).things
    assert ("box", "88") in here
    assert ("box", "88") not in there
    long_ago = (call("go", "box 88", shown), *[call("look", "", "nothing")] * MOST_STEPS)
    assert ("box", "88") not in model.pointer.moment(ASKED, long_ago).candidates(("open", "#0")).things


def fitted(episodes: Sequence[Episode]) -> tuple[float, ActionModel]:
    """Seconds of processor time that it took, and the model."""
    began = time.process_time()
    model = ActionModel.fit(episodes)
    return time.process_time() - began, model


@pytest.mark.no_cover
@pytest.mark.requirement("LE-12")
def test_a_thousand_episodes_are_learned_from_in_bounded_time_and_advice_takes_little() -> None:
    rng = random.Random(5)

    def crowded(number: int) -> Episode:
        steps = []
        for _ in range(10):
            seen = [f"{rng.choice(['box', 'door', 'lamp', 'cup'])} {rng.randrange(99)}" for _ in range(12)]
            steps.append(call(f"tool{rng.randrange(9)}", f"{rng.choice(seen)} with {rng.choice(seen)}", " ".join(seen)))
        return episode(Task(description=f"tidy up room {number}"), steps, True)

    episodes = [crowded(number) for number in range(1_000)]
    few, _ = fitted(episodes[:100])
    many, model = fitted(episodes)
    assert many < 6 * few, "no more is learned from than is bounded: ten times as many take less than ten times as long"
    assert len(model.to_bytes()) < 3_000_000
    began = time.process_time()
    for each in episodes[:20]:
        model.predict(each.task, each.steps[:6], [f"tool{number}" for number in range(5)])
    assert time.process_time() - began < many / 5, "to ask takes a hundredth of what it takes to learn, at most"


@pytest.mark.no_cover
@pytest.mark.requirement("LE-12")
def test_an_episode_of_a_thousand_steps_with_long_answers_is_learned_from_in_bounded_time() -> None:
    rng = random.Random(5)
    words = [f"{''.join(rng.choices('abcdefgh', k=6))} {rng.randrange(9)}" for _ in range(5_000)]
    steps = [
        call(f"tool{rng.randrange(50)}", rng.choice(words), " ".join(rng.choices(words, k=2_000))) for _ in range(1_000)
    ]
    short, long = (
        [episode(Task(description=f"{number} {' '.join(words)}"), steps[:count], True) for number in range(2)]
        for count in (50, 1_000)
    )
    few, _ = fitted(short)
    many, model = fitted(long)
    assert many < 6 * few, "no more is learned from than is bounded: ten times as many take less than ten times as long"
    began = time.process_time()
    model.predict(long[0].task, steps, ["tool1"])
    assert time.process_time() - began < few


@pytest.mark.requirement("LE-09")
def test_advice_says_how_the_next_tool_is_called(tmp_path: Path) -> None:
    with open_mind(tmp_path / "a.db") as mind:
        for each in errands(60):
            with mind.episode(each.task.description, task_type="errand") as running:
                for step in each.steps:
                    running.step(tool=step.tool, action=step.action, observation=step.observation, success=True)
                running.complete("success" if each.status == "success" else "failure")
        mind.settle(120)
        found = mind.advise(ASKED.description, task_type="errand", steps=UNTIL_FOUND, record=False)
        first = found.next_steps[0]
        assert (first.tool, first.action) == ("take", "take key")
        assert all(each.action == "" for each in mind.advise("unlike all else", record=False, tools=["fly"]).next_steps)


@pytest.mark.no_cover
@pytest.mark.requirement("LE-11")
def test_next_actions_are_measured_on_held_out_tasks_beside_plain_rules(tmp_path: Path) -> None:
    run = Run(tmp_path, size=1)
    measure_next_actions(run, "made_up", made_up())
    figures = {name: figure.value for name, figure in run.report("learning").figures.items()}
    for part in ("slot", "action"):
        assert figures[f"made_up_next_{part}_gain_over_last_low"] > 0.1
        assert figures[f"made_up_next_{part}_gain_over_frequent_low"] > 0.1
    assert figures["made_up_next_action_told_share"] > 0.5
    assert figures["made_up_next_action_right_when_told_low"] > 0.9


def paying(tasks: int) -> list[Episode]:
    """Forty runs, as many of each task, in ever other words; the account is nowhere named before it is used."""
    return [
        episode(
            Task(description=f"please pay bill {number}", metadata={"task_id": f"t{number % tasks}"}),
            [
                Step(tool="open_account", parameters={"account": "EHGLP3"}, observation="open"),
                Step(tool="walk", action="walk to counter EHGLP3", observation="you are there"),
            ],
            True,
        )
        for number in range(40)
    ]


@pytest.mark.requirement("LE-09")
@pytest.mark.parametrize(("tasks", "told"), [(1, False), (2, False), (8, True)])
def test_what_only_one_or_two_tasks_were_done_with_is_not_told_to_others(tasks: int, told: bool) -> None:
    model = ActionModel.fit([*paying(tasks), *refunds(40)])
    actions = model.predict(Task(description="please pay my bill"), (), ["open_account", "walk"])
    assert ("EHGLP3" in "".join(actions.values())) is told
    again = ActionModel.from_bytes(model.to_bytes())
    assert again.predict(Task(description="please pay my bill"), (), ["open_account", "walk"]) == actions


def ordering(number: int, rng: random.Random) -> Episode:
    """Who orders is said first; the order's number comes with the next answer, or has been said at once."""
    user, order, at_once = f"user_{rng.randrange(10_000)}", f"Q{rng.randrange(10_000)}Z", number % 2
    steps = [
        Step(action="Hello?", observation=f"I am {user}, it is {order}." if at_once else f"I am {user}."),
        *([] if at_once else [Step(action="Which order?", observation=f"It is {order}.")]),
        Step(tool="find_order", parameters={"order_id": order}, observation={"price": number}),
        Step(tool="find_user", parameters={"user_id": user}, observation={"name": "Ann"}),
    ]
    return episode(Task(description=f"order {number}"), steps, True)


@pytest.mark.requirement("LE-09")
def test_a_number_of_another_sort_is_not_given_for_the_one_that_is_wanted() -> None:
    rng = random.Random(12)
    model = ActionModel.fit([ordering(number, rng) for number in range(60)])
    task, said = Task(description="order 99"), [Step(action="Hello?", observation="I am user_4711, it is Q8421Z.")]
    told = model.predict(task, said, ["find_order", "find_user"])
    assert told == {"find_order": '{"order_id":"Q8421Z"}', "find_user": '{"user_id":"user_4711"}'}
    assert writing_of("user_4711") == "9_a" != writing_of("Q8421Z")
    guess = model.guess(
        model.pointer.moment(task, [Step(action="Hello?", observation="I am user_4711.")]), "find_order"
    )
    assert guess is None or guess.chance <= LEAST_CHANCE
