"""The chance of success: moved by what matters, not by what does not, and as sure as what is known allows."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest

from runs import call, episode, renamed
from tacit.errors import InvalidInput
from tacit.experience.episode import Episode, Step, Task
from tacit.learning.assessment.evidence import Estimate
from tacit.learning.fitting.reading import group_of, read_task
from tacit.learning.fitting.trigamma import trigamma
from tacit.learning.success.model import LEAST_KNOWN, SuccessModel


def job(rng: random.Random, chance: float, *, kind: str = "job", extra: str = "", telling: bool = False) -> Episode:
    """A run that succeeds with a known chance; when ``telling``, the calls of those that fail mostly fail."""
    success = rng.random() < chance
    steps = []
    for _ in range(rng.randint(6, 10)):
        failed = rng.random() < ((0.1 if success else 0.8) if telling else 0.3)
        steps.append(call(rng.choice(["look", "push", "pull"]), "", "no luck" if failed else "fine", failed))
    words = " ".join(rng.sample(["red", "green", "blue", "round", "square"], 3))
    return episode(Task(description=f"{words} {extra} {rng.randrange(1_000)}", task_type=kind), steps, success)


def asked(model: SuccessModel, description: str, steps: Sequence[Step] = (), kind: str = "job") -> Estimate:
    found = model.predict(Task(description=description, task_type=kind), steps)
    assert found is not None
    assert 0 < found.low < found.mean < found.high < 1
    return found


def worked(times: int) -> list[Step]:
    return [call("look", "", "fine") for _ in range(times)]


def failed(times: int) -> list[Step]:
    return [call("look", "", "no luck", failed=True) for _ in range(times)]


@pytest.mark.requirement("LE-09")
def test_kinds_of_task_have_chances_of_their_own() -> None:
    rng = random.Random(1)
    episodes = [job(rng, chance, kind=kind) for _ in range(40) for kind, chance in (("easy", 0.9), ("hard", 0.1))]
    model = SuccessModel.fit(episodes)
    easy, hard = (asked(model, "red green blue", kind=kind) for kind in ("easy", "hard"))
    assert easy.mean > 0.7 > easy.low > hard.high > 0.3 > hard.mean


@pytest.mark.requirement("LE-09")
def test_a_word_of_the_task_that_matters_moves_the_chance() -> None:
    rng = random.Random(2)
    episodes = [job(rng, chance, extra=word) for _ in range(60) for word, chance in (("small", 0.85), ("huge", 0.15))]
    model = SuccessModel.fit(episodes)
    assert asked(model, "small red round").mean > asked(model, "huge red round").mean + 0.3


@pytest.mark.requirement("LE-09")
def test_how_the_run_goes_moves_the_chance_when_it_matters() -> None:
    rng = random.Random(3)
    model = SuccessModel.fit([job(rng, 0.5, telling=True) for _ in range(100)])
    assert asked(model, "red", worked(5)).mean > 0.7 > 0.3 > asked(model, "red", failed(5)).mean


@pytest.mark.requirement("LE-09")
def test_what_does_not_matter_moves_nothing() -> None:
    rng = random.Random(4)
    model = SuccessModel.fit([job(rng, 0.5, extra=rng.choice(["small", "huge"])) for _ in range(200)])
    assert asked(model, "small red").mean == pytest.approx(asked(model, "huge red").mean, abs=0.15)
    assert asked(model, "red", worked(5)).mean == pytest.approx(asked(model, "red", failed(5)).mean, abs=0.25)


@pytest.mark.requirement("LE-09")
@pytest.mark.parametrize("many", range(LEAST_KNOWN))
def test_it_abstains_while_too_little_is_known(many: int) -> None:
    rng = random.Random(5)
    assert SuccessModel.fit([job(rng, 0.5) for _ in range(many)]).predict(Task(description="red"), ()) is None


@pytest.mark.requirement("LE-09")
def test_an_open_episode_is_not_known() -> None:
    rng = random.Random(5)
    running = Episode(id="e", mind="m", task=Task(description="red"), status="open", started_at_micros=0)
    episodes = [*(job(rng, 0.5) for _ in range(LEAST_KNOWN - 1)), running]
    assert SuccessModel.fit(episodes).predict(Task(description="red"), ()) is None


@pytest.mark.requirement("LE-09")
def test_five_successes_say_something_but_not_much() -> None:
    rng = random.Random(6)
    found = asked(SuccessModel.fit([job(rng, 1.0) for _ in range(5)]), "red")
    assert found.mean > 0.6
    assert found.high - found.low > 0.4


@pytest.mark.requirement("LE-09")
def test_the_more_is_known_the_narrower_the_interval() -> None:
    rng = random.Random(7)
    episodes = [job(rng, 0.5) for _ in range(400)]
    widths = []
    for many in (5, 30, 400):
        found = asked(SuccessModel.fit(episodes[:many]), "red green")
        widths.append(found.high - found.low)
    assert widths[0] > widths[1] > widths[2]
    known, unknown = (asked(SuccessModel.fit(episodes), "red", kind=kind) for kind in ("job", "something else"))
    assert unknown.high - unknown.low > 1.5 * (known.high - known.low)


@pytest.mark.requirement("LE-09")
def test_the_interval_holds_the_true_chance_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(60):
        rng = random.Random(seed)
        chances = {f"kind{letter}": rng.betavariate(2, 2) for letter in "abcd"}
        model = SuccessModel.fit([job(rng, chances[kind], kind=kind) for kind in chances for _ in range(15)])
        kind = rng.choice(sorted(chances))
        found = asked(model, "red blue", kind=kind)
        held += found.low <= chances[kind] <= found.high
    assert held >= 60 * 0.85


@pytest.mark.requirement("LE-09")
def test_an_erased_episode_leaves_nothing_behind() -> None:
    rng = random.Random(8)
    others = [job(rng, 0.5) for _ in range(20)]
    secret = episode(Task(description="zanzibar"), [call("teleport", "", "gone")], True)
    with_it, without = SuccessModel.fit([*others, secret]).to_bytes(), SuccessModel.fit(others).to_bytes()
    assert b"zanzibar" in with_it
    assert b"teleport" in with_it
    assert b"zanzibar" not in without
    assert b"teleport" not in without


@pytest.mark.requirement("LE-09")
@pytest.mark.parametrize("many", [0, 5, 40])
def test_the_same_episodes_give_the_same_bytes_and_bytes_the_same_model(many: int) -> None:
    def fitted() -> SuccessModel:
        rng = random.Random(9)
        return SuccessModel.fit([job(rng, 0.5, telling=True) for _ in range(many)])

    model = fitted()
    assert fitted().to_bytes() == model.to_bytes()
    again = SuccessModel.from_bytes(model.to_bytes())
    task = Task(description="red blue", task_type="job")
    assert again.predict(task, worked(3)) == model.predict(task, worked(3))


@pytest.mark.requirement("LE-09")
@pytest.mark.parametrize("body", [b"", b"nonsense", b"\x81\xa6format\x02"])
def test_bytes_that_are_no_model_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="fit it again"):
        SuccessModel.from_bytes(body)


@pytest.mark.requirement("LE-09")
def test_a_model_of_another_format_is_refused_by_its_number() -> None:
    kept = msgspec.msgpack.decode(SuccessModel.fit([]).to_bytes())
    with pytest.raises(InvalidInput, match="format 99"):
        SuccessModel.from_bytes(msgspec.msgpack.encode({**kept, "format": 99}))


@pytest.mark.requirement("LE-09")
def test_other_names_for_the_same_things_change_nothing() -> None:
    rng = random.Random(10)
    episodes = [job(rng, 0.5, telling=True) for _ in range(60)]
    others, _ = renamed(episodes, seed=11)
    model, other = SuccessModel.fit(episodes), SuccessModel.fit(others)
    for before, after in zip(episodes[:10], others[:10], strict=True):
        for many in (0, 4):
            here, there = model.predict(before.task, before.steps[:many]), other.predict(after.task, after.steps[:many])
            assert here is not None
            assert there is not None
            assert there.mean == pytest.approx(here.mean, abs=0.03)


@pytest.mark.requirement("LE-09")
def test_a_context_is_text_and_an_id_beside_it_is_not() -> None:
    given = {"context": "You see a desk 1.", "name": "desk-7/trial", "run": 3, "about": "Shelf 12 is full."}
    task = read_task(Task(description="find it", metadata=given))
    assert task.context_kinds == {"you", "see", "a", "desk", "shelf", "is", "full"}


# ── the very same task, tried again ──────────────────────────────────────────────────────────────────────────────────


def tried(rng: random.Random, tasks: int, times: int, *, alike: bool) -> list[Episode]:
    """Tasks tried several times: each always ends as it did before, or, unless they are ``alike``, by chance."""
    found = []
    for number in range(tasks):
        well = rng.random() < 0.5
        for _ in range(times):
            success = well if alike else rng.random() < 0.5
            found.append(episode(Task(description=f"job {number}", task_type="job"), worked(2), success))
    return found


@pytest.mark.requirement("LE-09")
def test_a_task_that_is_tried_again_is_expected_to_go_as_before() -> None:
    model = SuccessModel.fit(tried(random.Random(9), 30, 3, alike=True))
    unknown = asked(model, "job 99")
    chances = [asked(model, f"job {number}") for number in range(30)]
    assert all(abs(each.mean - 0.5) > 0.3 for each in chances)
    assert 0.35 < unknown.mean < 0.65
    assert all(each.high - each.low < unknown.high - unknown.low for each in chances)


@pytest.mark.requirement("LE-09")
def test_where_attempts_have_nothing_to_do_with_each_other_little_is_made_of_them() -> None:
    model = SuccessModel.fit(tried(random.Random(10), 30, 3, alike=False))
    assert all(abs(asked(model, f"job {number}").mean - 0.5) < 0.15 for number in range(30))


@pytest.mark.requirement("LE-09")
def test_the_same_words_in_other_surroundings_are_another_task() -> None:
    def attempt(room: str, success: bool) -> Episode:
        return episode(Task(description="tidy up", metadata={"room": room}), worked(2), success)

    rng = random.Random(11)
    model = SuccessModel.fit([*tried(rng, 10, 3, alike=True), *(attempt("a small blue room", False) for _ in range(4))])
    same = model.predict(Task(description="tidy up", metadata={"room": "a small blue room"}), ())
    other = model.predict(Task(description="tidy up", metadata={"room": "the old red hall"}), ())
    assert same is not None
    assert other is not None
    assert same.mean < other.mean


@pytest.mark.requirement("LE-11")
def test_how_sure_a_rate_is_is_computed_to_the_last_digits() -> None:
    from scipy.special import polygamma

    rng = random.Random(5)
    for _ in range(2_000):
        x = 10 ** rng.uniform(-4, 7)
        assert trigamma(x) == pytest.approx(float(polygamma(1, x)), rel=1e-14)


@pytest.mark.requirement("LE-09")
def test_attempts_at_a_task_are_kept_together_in_whatever_words_it_is_asked() -> None:
    one, other = (Task(description=text, metadata={"task_id": 7}) for text in ("Cancel my flight", "Hi, cancel it"))
    assert group_of(one) == group_of(other)
    assert group_of(one) != group_of(Task(description="Cancel my flight", metadata={"task_id": 8}))


@pytest.mark.requirement("LE-09")
def test_what_holds_only_within_tasks_that_were_tried_often_is_not_taken_for_knowledge_of_others() -> None:
    """Each task ends as it ends, and is begun with a tool of its own: that foretells its other attempts, no others."""
    chance = random.Random(4)
    episodes = []
    for number in range(40):
        well, kind = chance.random() < 0.5, number % 8
        for attempt in range(5):
            task = Task(description=f"word{chance.randrange(999)} {attempt}", metadata={"task_id": number})
            steps = [call(f"t{kind}", f"x{number} {place}", f"y{number}") for place in range(3)]
            episodes.append(episode(task, [*steps, call("end", "", "done")], well))
    model = SuccessModel.fit(episodes)
    fresh = [call(f"t{kind}", f"x9{kind}", f"y9{kind}") for kind in range(8)]
    told = [model.predict(Task(description="another"), [step, step]) for step in fresh]
    for estimate in told:
        assert estimate is not None
        assert estimate.low < 0.5 < estimate.high
