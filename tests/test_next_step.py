"""Which tool comes next: what is planted is found, noise is not, and a model is its episodes and nothing else."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import msgspec
import pytest

from runs import call, episode, errand, renamed
from tacit.errors import InvalidInput
from tacit.experience.episode import Episode, Step, Task
from tacit.learning.next_step.model import NextStepModel

ASKED = Task(description="bring me the key number 5")
UNTIL_FOUND = (call("go", "box 1", "in it there is nothing"), call("go", "box 2", "in it there is a key"))


def errands(many: int, seed: int = 1) -> list[Episode]:
    rng = random.Random(seed)
    return [errand(rng) for _ in range(many)]


def hits(model: NextStepModel, episodes: Sequence[Episode]) -> float:
    """How often the most likely tool was the one that came."""
    found = [
        model.predict(each.task, each.steps[:place])[0][0] == step.tool
        for each in episodes
        for place, step in enumerate(each.steps)
    ]
    return sum(found) / len(found)


@pytest.mark.requirement("LE-09")
def test_the_tool_that_fits_what_came_back_is_first() -> None:
    model = NextStepModel.fit(errands(60))
    closed = (call("go", "box 1", "the box is closed"),)
    assert model.predict(ASKED, ())[0][0] == "go"
    assert model.predict(ASKED, closed)[0][0] == "open"
    assert model.predict(ASKED, UNTIL_FOUND)[0][0] == "take"


@pytest.mark.requirement("LE-09")
def test_what_solved_runs_did_counts_for_more() -> None:
    ranked = dict(NextStepModel.fit(errands(60)).predict(ASKED, UNTIL_FOUND))
    assert ranked["take"] > 2 * ranked["sleep"]


@pytest.mark.requirement("LE-09")
def test_it_foretells_runs_of_tasks_that_it_has_not_seen() -> None:
    fresh = [each for each in errands(80, seed=2) if each.outcome and each.outcome.kind == "success"]
    assert hits(NextStepModel.fit(errands(100)), fresh) > 0.8


@pytest.mark.requirement("LE-09")
def test_noise_is_not_taken_for_a_rule() -> None:
    rng = random.Random(3)
    tools = [f"tool{letter}" for letter in "abcdefgh"]

    def aimless() -> Episode:
        words = [rng.choice(["sun", "rain", "snow", "wind", "fog"]) for _ in range(8)]
        steps = [call(rng.choice(tools), rng.choice(words), " ".join(rng.sample(words, 3))) for _ in range(10)]
        return episode(Task(description=" ".join(words)), steps, rng.random() < 0.5)

    model, fresh = NextStepModel.fit([aimless() for _ in range(100)]), [aimless() for _ in range(40)]
    assert hits(model, fresh) == pytest.approx(1 / 8, abs=4 * (1 / 8 * 7 / 8 / 400) ** 0.5)
    surest = [model.predict(each.task, each.steps[:5])[0][1] for each in fresh]
    assert sum(surest) / len(surest) < 0.3


@pytest.mark.requirement("LE-09")
def test_a_word_that_says_it_all_is_not_outvoted_by_many_that_say_little() -> None:
    rng = random.Random(6)

    def asked(custom: float) -> Episode:
        """A word says what is wanted; how politely it is asked goes with that by custom only."""
        wanted = rng.choice(["stop", "start"])
        polite = (wanted == "stop") == (rng.random() < custom)
        manner = rng.sample([f"{'polite' if polite else 'rude'}{letter}" for letter in "abcdefghijklmnopqrst"], 12)
        steps = [Step(action="hello", observation=" ".join([*manner, wanted])), call(f"{wanted}_it", "", "done")]
        return episode(Task(description=f"machine {rng.randrange(1_000)}"), steps, True)

    model, fresh = NextStepModel.fit([asked(0.8) for _ in range(300)]), [asked(0.2) for _ in range(60)]
    right = [model.predict(each.task, each.steps[:1])[0][0] == each.steps[1].tool for each in fresh]
    assert sum(right) / len(right) > 0.9


def fitted(episodes: Sequence[Episode]) -> tuple[float, NextStepModel]:
    """Seconds of processor time that it took, and the model."""
    began = time.process_time()
    model = NextStepModel.fit(episodes)
    return time.process_time() - began, model


@pytest.mark.no_cover
@pytest.mark.requirement("LE-12")
def test_many_tools_and_words_are_learned_from_in_bounded_time() -> None:
    def busy(tools: int, different_words: int) -> list[Episode]:
        rng = random.Random(8)
        words = ["".join(rng.choices("abcdefgh", k=4)) for _ in range(different_words)]
        runs = [
            [call(f"tool{rng.randrange(tools)}", "", " ".join(rng.choices(words, k=60))) for _ in range(10)]
            for _ in range(100)
        ]
        return [episode(Task(description=f"job {number}"), steps, True) for number, steps in enumerate(runs)]

    few, _ = fitted(busy(50, 300))
    many, model = fitted(busy(500, 3_000))
    assert many < 7 * few, "a hundred times as many pairs take about 3 times as long; 13 without a bound on tools"
    assert len(model.to_bytes()) < 3_000_000


@pytest.mark.requirement("LE-09")
def test_the_end_of_a_run_is_foretold_and_all_chances_sum_to_one() -> None:
    model = NextStepModel.fit(errands(60))
    done = (*UNTIL_FOUND, call("take", "key", "you have the key"), call("bring", "key", "thank you"))
    before, after = model.forecast(ASKED, UNTIL_FOUND), model.forecast(ASKED, done)
    assert before.end < 0.2 < 0.5 < after.end
    assert before.end + sum(chance for _, chance in before.tools) == pytest.approx(1)


@pytest.mark.requirement("LE-09")
def test_where_nothing_is_known_nothing_is_said() -> None:
    assert NextStepModel.fit([]).predict(ASKED, UNTIL_FOUND) == []
    assert NextStepModel.fit([episode(ASKED, [], True)]).predict(ASKED, ()) == []


@pytest.mark.requirement("LE-09")
@pytest.mark.parametrize("many", [1, 5])
def test_a_few_episodes_are_enough_to_begin(many: int) -> None:
    model = NextStepModel.fit(errands(many))
    assert model.predict(ASKED, ())[0][0] == "go"
    assert all(0 < chance < 1 for _, chance in model.predict(ASKED, UNTIL_FOUND))


@pytest.mark.requirement("LE-09")
def test_an_erased_episode_leaves_nothing_behind() -> None:
    others = errands(20)
    secret = episode(Task(description="zanzibar"), [call("teleport", "zanzibar", "gone")], True)
    with_it, without = NextStepModel.fit([*others, secret]), NextStepModel.fit(others)
    assert "teleport" in dict(with_it.predict(ASKED, ()))
    assert "teleport" not in dict(without.predict(ASKED, ()))
    assert b"zanzibar" in with_it.to_bytes()
    assert b"zanzibar" not in without.to_bytes()


@pytest.mark.requirement("LE-09")
def test_the_same_episodes_give_the_same_bytes_and_bytes_the_same_model() -> None:
    model = NextStepModel.fit(errands(30))
    assert NextStepModel.fit(errands(30)).to_bytes() == model.to_bytes()
    again = NextStepModel.from_bytes(model.to_bytes())
    assert again.forecast(ASKED, UNTIL_FOUND) == model.forecast(ASKED, UNTIL_FOUND)


@pytest.mark.requirement("LE-09")
@pytest.mark.parametrize("body", [b"", b"nonsense", b"\x81\xa6format\x02"])
def test_bytes_that_are_no_model_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="fit it again"):
        NextStepModel.from_bytes(body)


@pytest.mark.requirement("LE-09")
def test_a_model_of_another_format_is_refused_by_its_number() -> None:
    kept = msgspec.msgpack.decode(NextStepModel.fit([]).to_bytes())
    with pytest.raises(InvalidInput, match="format 99"):
        NextStepModel.from_bytes(msgspec.msgpack.encode({**kept, "format": 99}))


@pytest.mark.requirement("LE-09")
def test_other_names_for_the_same_things_change_nothing() -> None:
    episodes = errands(60)
    others, names = renamed(episodes, seed=4)
    model, other = NextStepModel.fit(episodes), NextStepModel.fit(others)
    for before, after in zip(episodes[:10], others[:10], strict=True):
        here, there = model.predict(before.task, before.steps[:2]), other.predict(after.task, after.steps[:2])
        expected = {names[tool]: pytest.approx(chance, abs=1e-3) for tool, chance in here}
        assert dict(there) == expected


@pytest.mark.requirement("LE-09")
def test_the_thought_that_names_the_next_tool_is_not_read() -> None:
    model = NextStepModel.fit(errands(30))
    told = (*UNTIL_FOUND, Step(thought="now I sleep"))
    assert model.forecast(ASKED, told) == model.forecast(ASKED, UNTIL_FOUND)


@pytest.mark.no_cover
@pytest.mark.requirement("LE-12")
def test_an_episode_of_a_thousand_steps_with_long_answers_is_learned_from_in_bounded_time() -> None:
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefgh", k=6)) for _ in range(5_000)]
    steps = [
        call(f"tool{rng.randrange(500)}", rng.choice(words), " ".join(rng.choices(words, k=100)))
        if place % 2
        else Step(action="say", observation=" ".join(rng.choices(words, k=100)))
        for place in range(1_000)
    ]
    few, _ = fitted([episode(Task(description=" ".join(words)), steps[:100], True)])
    many, model = fitted([episode(Task(description=" ".join(words)), steps, True)])
    assert many < 20 * few, "ten times as many steps take about 5 times as long"
    assert len(model.to_bytes()) < 5_000_000
