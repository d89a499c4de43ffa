"""Does advice help? What was shown and withheld, how it turned out, and what is demoted."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from postgres_fixture import Server
from tacit.errors import Conflict, InvalidInput, NotFound
from tacit.learning.trials.exposure import Withholding, draw, read_draws
from tacit.learning.trials.trial import FALSE_DEMOTION_RATE, Draw, difference, judge
from tacit.mind import Mind
from trials import copy_store, open_mind

pytestmark = pytest.mark.requirement("LE-10")
WITHHOLDING = Withholding(share=0.5, floor=0.1, half_after=50)


def draws(shown_rate: float, withheld_rate: float, count: int, seed: int) -> list[Draw]:
    """A simulated agent whose success depends on whether the advice was shown."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        shown_with = 1 - WITHHOLDING.share_after(number)
        shown = chance.random() < shown_with
        found.append(Draw(shown, shown_with, chance.random() < (shown_rate if shown else withheld_rate)))
    return found


def test_advice_that_does_harm_is_found_out_soon() -> None:
    needed = []
    for seed in range(40):
        history = draws(0.3, 0.8, 200, seed)
        needed.append(next(count for count in range(1, 201) if judge(history[:count]).harmful))
    assert sorted(needed)[20] < 60


def test_advice_that_changes_nothing_is_hardly_ever_demoted_however_often_one_looks() -> None:
    demoted = sum(judge(draws(0.8, 0.8, 1_000, seed)).harmful for seed in range(200))
    assert demoted / 200 <= FALSE_DEMOTION_RATE


def test_advice_that_helps_is_not_demoted() -> None:
    assert not any(judge(draws(0.8, 0.5, 500, seed)).harmful for seed in range(50))


def test_where_nothing_is_withheld_nothing_can_be_said() -> None:
    found = judge([Draw(True, 1.0, number % 3 == 0) for number in range(300)])
    assert (found.harmful, found.lift, found.wealth) == (False, None, 1.0)


def test_the_lift_of_useless_advice_is_known_to_be_small_after_enough_draws() -> None:
    chance = random.Random(1)
    found = judge([Draw(number % 2 == 0, 0.5, chance.random() < 0.8) for number in range(3_000)]).lift
    assert found is not None
    assert found.low < 0 < found.high
    assert found.high - found.low <= 0.1


def test_the_difference_of_two_rates_moves_with_them() -> None:
    there, not_there = difference(80, 100, 50, 100), difference(50, 100, 50, 100)
    assert there is not None
    assert not_there is not None
    assert there.low > 0.15
    assert not_there.difference == 0


def test_nothing_is_withheld_unless_asked_for() -> None:
    assert Withholding().share_after(0) == 0.0
    assert draw(b"s", "task", "", "item", 0.0).shown


def test_the_share_withheld_starts_high_and_falls_to_its_floor() -> None:
    shares = [WITHHOLDING.share_after(count) for count in (0, 50, 100, 10_000)]
    assert shares[:3] == pytest.approx([0.5, 0.3, 0.2])
    assert shares[3] == pytest.approx(0.1)


def test_a_retry_cannot_roll_again_and_lots_fall_as_often_as_they_should() -> None:
    lots = [draw(b"secret", f"task {number}", "key", "item", 0.3) for number in range(2_000)]
    assert lots == [draw(b"secret", f"task {number}", "key", "item", 0.3) for number in range(2_000)]
    assert 0.26 < sum(not lot.shown for lot in lots) / 2_000 < 0.34


# ── on a real store ──────────────────────────────────────────────────────────────────────────────────────────────────


def teach(location: str) -> None:
    """A mind learns that asking first helps."""
    with open_mind(location) as mind:
        for number in range(60):
            asked = number % 2 == 0
            with mind.episode(f"Change seat {number}", domain="airline") as episode:
                episode.step(tool="ask" if asked else "guess", observation=number, success=True)
                episode.step(tool="book", observation=f"b{number}", success=True)
                episode.complete("success" if asked or number % 10 == 1 else "failure")
        mind.settle(60)


@pytest.fixture(scope="module")
def taught_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("taught") / "a.db"
    teach(str(path))
    return path


@pytest.fixture(scope="module")
def taught_database(postgres_server: Server) -> Iterator[str]:
    name = postgres_server.new_database()
    teach(postgres_server.url_of(name))
    yield name
    postgres_server.drop(name)


@pytest.fixture
def file_location(taught_file: Path, tmp_path: Path) -> str:
    copy_store(taught_file, tmp_path / "a.db")
    return str(tmp_path / "a.db")


@pytest.fixture
def postgres_location(taught_database: str, postgres_server: Server) -> Iterator[str]:
    name = postgres_server.new_database(like=taught_database)
    yield postgres_server.url_of(name)
    postgres_server.drop(name)


@pytest.fixture(params=["file", "postgres"])
def mind(request: pytest.FixtureRequest) -> Iterator[Mind]:
    """A mind that has learned so, in a store of its own."""
    with open_mind(request.getfixturevalue(f"{request.param}_location")) as opened:
        yield opened


def outcomes(mind: Mind, item: str) -> list[bool]:
    with mind.recorder.journal.store.snapshot() as snapshot:
        return [each.success for each in read_draws(snapshot, mind.recorder.mind.id, item)]


def test_the_outcome_of_advice_comes_from_the_episode_that_was_begun_with_it(mind: Mind) -> None:
    advice = mind.advise("Change seat 99", domain="airline")
    assert advice.exposure_id
    item = advice.heuristics[0].id
    assert outcomes(mind, item) == []
    with mind.episode("Change seat 99", domain="airline", exposure=advice.exposure_id) as episode:
        episode.step(tool="ask", observation="x", success=True)
        assert outcomes(mind, item) == []
        episode.complete("success")
    assert outcomes(mind, item) == [True]


def test_or_from_feedback_which_cannot_say_two_things(mind: Mind) -> None:
    advice = mind.advise("Change seat 98", domain="airline")
    exposure, item = advice.exposure_id, advice.heuristics[0].id
    assert exposure
    mind.feedback(exposure, outcome="failure")
    mind.feedback(exposure, outcome="failure")
    assert outcomes(mind, item) == [False]
    with pytest.raises(Conflict):
        mind.feedback(exposure, outcome="success")


def test_feedback_on_what_was_never_advised_is_refused(mind: Mind) -> None:
    with pytest.raises(NotFound, match="no advice"):
        mind.feedback("0190b7c2-6e1f-7a52-9d3c-0190b7c26e1f", outcome="success")
    with pytest.raises(InvalidInput, match="not an outcome"):
        mind.feedback("0190b7c2-6e1f-7a52-9d3c-0190b7c26e1f", outcome="fine")  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="no advice"):
        mind.episode("x", exposure="0190b7c2-6e1f-7a52-9d3c-0190b7c26e1f")


def test_one_advice_is_for_one_episode(mind: Mind) -> None:
    advice = mind.advise("Change seat 97", domain="airline")
    with mind.episode("Change seat 97", exposure=advice.exposure_id) as episode:
        episode.complete("success")
    with pytest.raises(Conflict, match="already taken"):
        mind.episode("Change seat 97", exposure=advice.exposure_id)


def test_asking_again_with_the_same_key_is_one_exposure(mind: Mind) -> None:
    first = mind.advise("Change seat 96", domain="airline", key="run 1")
    again = mind.advise("Change seat 96", domain="airline", key="run 1")
    other = mind.advise("Change seat 96", domain="airline", key="run 2")
    assert first.exposure_id == again.exposure_id != other.exposure_id


def test_what_is_not_to_be_recorded_and_what_is_asked_of_the_past_leaves_no_trace(mind: Mind) -> None:
    from datetime import UTC, datetime

    def head() -> int:
        from tacit.journal.read import head_position

        with mind.recorder.journal.store.snapshot() as snapshot:
            return head_position(snapshot, mind.recorder.mind.id)

    before = head()
    assert mind.advise("Change seat 95", domain="airline", record=False).exposure_id is None
    past = mind.at(datetime.now(UTC)).advise("Change seat 95", domain="airline")
    assert past.exposure_id is None
    assert past.heuristics
    assert head() == before


@pytest.mark.parametrize("more", [True, False], ids=["and an episode", "and nothing else"])
def test_a_share_is_withheld_when_asked_for_and_what_does_harm_is_given_no_more(tmp_path: Path, more: bool) -> None:
    """A simulated agent that does worse whenever a certain piece of advice is shown to it, and says so."""
    changed = {"advice__withhold_share": 0.5, "advice__withhold_floor": 0.5, "learning__embedder": "none"}
    with open_mind(tmp_path / "b.db", **changed) as mind:
        for number in range(60):
            asked = number % 2 == 0
            with mind.episode(f"Change seat {number}", domain="airline") as episode:
                episode.step(tool="ask" if asked else "guess", observation=number, success=True)
                episode.complete("success" if asked else "failure")
        mind.settle(60)
        item = mind.advise("Change seat 1", domain="airline", record=False).heuristics[0].id
        shown = 0
        for number in range(80):
            advice = mind.advise(f"Change seat 1{number}", domain="airline")
            there = item in {each.id for each in advice.heuristics}
            shown += there
            assert advice.exposure_id
            mind.feedback(advice.exposure_id, outcome="failure" if there else "success")
        assert 20 < shown < 60
        if more:
            with mind.episode("Change seat 2", domain="airline") as episode:
                episode.step(tool="ask", observation="x", success=True)
                episode.complete("success")
        mind.settle(60)
        after = mind.advise("Change seat 3", domain="airline", record=False)
        assert item not in {each.id for each in after.heuristics}
        gone = {each.id: each.history[-1].change for each in mind.book().retired}
        assert gone[item] == "demoted"


def test_what_a_success_costs_with_and_without_is_told_side_by_side() -> None:
    shown = [Draw(True, 0.5, success=True, steps=3), Draw(True, 0.5, success=False, steps=5)]
    told_only = Draw(False, 0.5, success=True)
    found = judge([*shown, Draw(False, 0.5, success=True, steps=9), told_only, Draw(False, 0.5, success=False)])
    assert (found.shown_cost, found.withheld_cost) == (8.0, 9.0)
    assert judge([Draw(True, 1.0, success=False, steps=4)]).shown_cost is None


def test_everyone_can_see_whether_a_piece_of_advice_helps_now_and_as_of_the_past(mind: Mind) -> None:
    assert mind.trials() == []
    for number, well in enumerate((True, True, False)):
        advice = mind.advise(f"Change seat {number}", domain="airline")
        with mind.episode(f"Change seat {number}", domain="airline", exposure=advice.exposure_id) as episode:
            episode.step(tool="ask", observation="x", success=True)
            episode.step(tool="book", observation="y", success=well)
            episode.complete("success" if well else "failure")
        if number == 0:
            moment = datetime.now(UTC)
            time.sleep(0.01)
    item = advice.heuristics[0]
    (found,) = [each for each in mind.trials() if each.id == item.id]
    assert (found.text, found.demoted) == (item.text, False)
    assert (found.trial.shown, found.trial.shown_successes, found.trial.withheld) == (3, 2, 0)
    assert (found.trial.shown_cost, found.trial.withheld_cost, found.trial.lift) == (3.0, None, None)
    (before,) = [each for each in mind.at(moment).trials() if each.id == item.id]
    assert (before.trial.shown, before.trial.shown_cost) == (1, 2.0)
