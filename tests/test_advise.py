"""Advice on a real store: what it says, on what evidence, and when it says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import tacit
from tacit.errors import InvalidInput
from tacit.experience.views import NOW
from tacit.ids import parse_id
from tacit.learning.advising.advice import NOTHING_KNOWN
from tacit.learning.advising.advisor import WIDEST
from tacit.learning.lessons.lessons import forget_lessons
from tacit.learning.studying.fits import models_of, read_fit
from tacit.learning.studying.forecasts import UNIT, Quality, read_quality, write_forecasts
from tacit.mind import Mind, PastMind
from tacit.stores.port import Row
from trials import copy_store, open_mind

pytestmark = pytest.mark.requirement("LE-09")


def live(mind: Mind, number: int, *, asked: bool, well: bool) -> str:
    """An episode in which the agent asked before it booked, or guessed."""
    with mind.episode(f"Change the seat of passenger {number}", domain="airline", task_type="seat") as episode:
        episode.step(tool="ask" if asked else "guess", observation=f"answer {number}", success=True)
        episode.step(tool="book", observation=f"booked {number}", success=well)
        episode.complete("success" if well else "failure")
    return episode.id


@pytest.fixture
def mind(tmp_path: Path) -> Iterator[Mind]:
    with open_mind(tmp_path / "a.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def taught_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store whose mind has seen that asking helps, and another kind of task."""
    path: Path = tmp_path_factory.mktemp("taught") / "a.db"
    with open_mind(path) as mind:
        for number in range(40):
            asked = number % 2 == 0
            live(mind, number, asked=asked, well=asked or number % 10 == 1)
        for number in range(10):
            with mind.episode(f"Brew coffee for guest {number}", domain="kitchen", task_type="coffee") as episode:
                episode.step(tool="grind", observation=f"{number} g", success=True)
                episode.complete("success")
        mind.settle(120)
    return path


@pytest.fixture
def taught(taught_store: Path, tmp_path: Path) -> Iterator[Mind]:
    """A mind that has learned so, in a store of its own."""
    copy_store(taught_store, tmp_path / "taught.db")
    with open_mind(tmp_path / "taught.db") as opened:
        yield opened


def test_a_mind_that_knows_nothing_says_so(mind: Mind) -> None:
    advice = mind.advise("Change a seat")
    assert advice.abstained
    assert (advice.success, advice.tools, advice.next_steps, advice.heuristics) == (None, (), (), ())
    assert (advice.pitfalls, advice.playbook, advice.episodes) == ((), None, ())


@pytest.mark.parametrize("count", [1, 5])
def test_after_a_few_episodes_it_names_them_and_claims_nothing_more(mind: Mind, count: int) -> None:
    ids = {live(mind, number, asked=True, well=True) for number in range(count)}
    mind.settle(120)
    advice = mind.advise("Change the seat of passenger 7", domain="airline", task_type="seat")
    assert not advice.abstained
    assert {each.id for each in advice.episodes} <= ids
    assert advice.tools[0].name in ("ask", "book")
    assert advice.heuristics == ()
    assert advice.success is None or advice.success.high - advice.success.low > 0.3


def test_it_knows_what_helps_what_to_avoid_and_the_way(taught: Mind) -> None:
    advice = taught.advise("Change the seat of passenger 99", domain="airline", task_type="seat")
    assert any("ask" in each.text for each in advice.heuristics)
    assert any("guess" in each.text for each in advice.pitfalls)
    assert advice.playbook is not None
    assert [step.tool for step in advice.playbook.steps] == ["ask", "book"]
    assert "1. ask" in advice.playbook.text
    assert advice.next_steps[0].tool == "ask"
    assert [each.name for each in advice.tools[:2]] == ["book", "ask"] or advice.tools[0].name == "ask"
    assert advice.success is not None
    assert 0.3 < advice.success.low < advice.success.mean < advice.success.high
    assert advice.lag == 0


def test_it_says_what_is_usual_for_the_kind_of_task(taught: Mind) -> None:
    usual = taught.advise("Change the seat of passenger 99", domain="airline", task_type="seat").usual
    assert usual is not None
    assert (usual.value, usual.of) == (0.6, 40)
    assert taught.advise("Change the seat of passenger 99", domain="airline", task_type="new").usual is None


def test_it_says_that_episodes_which_ended_have_not_been_learned_from_and_of_open_ones_nothing(tmp_path: Path) -> None:
    with open_mind(tmp_path / "a.db", consumers__enabled=False) as mind:  # so that learning goes on only when told to

        def notes(asked: PastMind = mind) -> tuple[str, ...]:
            return asked.advise(
                "Change the seat of passenger 99", domain="airline", task_type="seat", record=False
            ).notes

        for number in range(5):
            live(mind, number, asked=True, well=True)
        mind.settle(120)
        before = datetime.now(UTC)
        with mind.episode("Change the seat of passenger 50", domain="airline", task_type="seat") as episode:
            episode.step(tool="ask", observation="answer 50", success=True)
            assert notes() == ()
            episode.complete("success")
        assert notes() == ("learning is 3 events behind the journal, so this does not know of the newest episodes yet",)
        assert notes(mind.at(before)) == ()
        mind.settle(120)
        assert notes() == ()


def test_every_claim_cites_episodes_that_exist(taught: Mind) -> None:
    advice = taught.advise("Change the seat of passenger 99", domain="airline", task_type="seat")
    claims = [*advice.heuristics, *advice.pitfalls, *advice.episodes, *advice.tools]
    assert claims
    for claim in claims:
        assert claim.why
        assert claim.evidence
        assert sum(each.weight for each in claim.evidence) == pytest.approx(1)
        for each in claim.evidence:
            assert taught.get(each.event_id).outcome is not None


def test_without_the_evidence_that_it_cites_a_claim_changes_or_is_withdrawn(taught: Mind) -> None:
    question = {"description": "Change the seat of passenger 99", "domain": "airline", "task_type": "seat"}
    before = taught.advise(**question)
    claims = [*before.heuristics, *before.pitfalls, *before.episodes, *before.next_steps, *before.tools]
    cited = {each.event_id for claim in claims for each in claim.evidence}
    assert cited
    with taught.recorder.journal.store.transaction() as transaction:
        assert all(forget_lessons(transaction, taught.recorder.mind.id, parse_id(id)) for id in cited)
    live(taught, 99, asked=True, well=True)
    taught.settle(120)
    after = taught.advise(**question)
    for earlier, later in (
        (before.heuristics, after.heuristics),
        (before.pitfalls, after.pitfalls),
        (before.episodes, after.episodes),
        (before.next_steps, after.next_steps),
        (before.tools, after.tools),
    ):
        assert earlier
        assert not cited & {each.event_id for claim in later for each in claim.evidence}
        told = [{(each.why, each.evidence) for each in claims if each.evidence} for claims in (earlier, later)]
        assert not told[0] & told[1]


def test_the_next_step_depends_on_what_was_done(taught: Mind) -> None:
    question = {"domain": "airline", "task_type": "seat", "record": False}
    after = [tacit.Step(tool="ask", observation="answer 99", status="success")]
    assert taught.advise("Change the seat of passenger 99", **question).next_steps[0].tool == "ask"
    found = taught.advise("Change the seat of passenger 99", **question, steps=after)
    assert found.next_steps[0].tool == "book"
    mapped = [{"tool": "ask", "observation": "answer 99", "success": True}]
    assert taught.advise("Change the seat of passenger 99", **question, steps=mapped).next_steps == found.next_steps


def test_only_tools_at_hand_are_advised_and_new_ones_by_what_they_do(taught: Mind) -> None:
    tools = [tacit.Tool(name="book"), tacit.Tool(name="brew_coffee", description="brews a cup of coffee")]
    seat = taught.advise("Change the seat of passenger 99", tools=tools, record=False)
    assert seat.tools[0].name == "book"
    assert {each.name for each in seat.tools} <= {"book", "brew_coffee"}
    assert {each.tool for each in seat.next_steps} <= {"book", "brew_coffee"}
    coffee = taught.advise("brew a cup of coffee", tools=tools, record=False)
    assert coffee.tools[0].name == "brew_coffee"


def test_other_kinds_of_task_get_other_advice(taught: Mind) -> None:
    coffee = taught.advise("Brew coffee for guest 12", domain="kitchen", task_type="coffee", record=False)
    assert coffee.tools[0].name == "grind"
    assert not any("guess" in each.text for each in coffee.pitfalls)


@pytest.mark.requirement("JR-05")
def test_the_context_of_a_task_belongs_to_the_question(mind: Mind) -> None:
    for number in range(60):
        language, tool = ("python", "ruff") if number % 2 else ("go", "vet")
        with mind.episode(f"Lint part {number}", language=language, metadata={"notes": "two parts"}) as episode:
            episode.step(tool=tool if number % 4 < 2 else "guess", observation=str(number), success=True)
            episode.complete("success" if number % 4 < 2 else "failure")
    mind.settle(120)
    advice = mind.advise("Lint part 99", language="python", metadata={"notes": "two parts"})
    assert any("language is python" in each.text for each in (*advice.heuristics, *advice.pitfalls))
    assert not any("language is go" in each.text for each in (*advice.heuristics, *advice.pitfalls))
    with pytest.raises(InvalidInput, match="metadata"):
        mind.advise("Lint part 99", metadata=["two parts"])  # type: ignore[arg-type]


def test_the_past_is_advised_on_from_what_was_known_then(taught: Mind) -> None:
    then = datetime.now(UTC)
    for number in range(40, 100):
        live(taught, number, asked=number % 2 == 0, well=number % 2 == 1)
    taught.settle(120)
    question = {"domain": "airline", "task_type": "seat", "record": False}
    before = taught.at(then).advise("Change the seat of passenger 99", **question)
    assert any("ask" in each.text for each in before.heuristics)
    assert any("guess" in each.text for each in before.pitfalls)
    after = taught.advise("Change the seat of passenger 99", **question)
    assert not any(each.text.startswith("avoid: begin with guess") for each in after.pitfalls)


def test_what_was_expected_of_episodes_that_were_new_is_kept(taught: Mind) -> None:
    for number in range(40, 60):
        live(taught, number, asked=number % 2 == 0, well=number % 2 == 0)
    taught.settle(120)
    found = taught.forecasts()
    assert found.whole.episodes == 20
    assert found.whole.next_tool is not None
    assert found.whole.next_tool.value > 0.6
    assert found.whole.brier is not None
    assert 0 <= found.whole.brier < 0.5
    assert set(found.kinds) == {"seat"}
    assert sum(each.episodes for each in found.calibration) == found.whole.answered
    assert sum(stage.episodes for stage in found.curve) == 20


@pytest.mark.parametrize(("episodes", "sizes"), [(19, [19]), (39, [39]), (65, [21, 22, 22]), (400, [50] * 8)])
def test_a_learning_curve_has_few_stages_of_many_forecasts_each(mind: Mind, episodes: int, sizes: list[int]) -> None:
    assert [
        stage.episodes for stage in _forecast(mind, [(0.7, number % 10 < 7) for number in range(episodes)]).curve
    ] == sizes


def test_how_sure_the_figures_of_forecasts_are_is_told(mind: Mind, tmp_path: Path) -> None:
    sharp = _forecast(mind, [(0.9 if number % 2 else 0.1, number % 2 == 1) for number in range(20)]).whole
    assert (sharp.brier, sharp.skill) == (pytest.approx(0.01), pytest.approx(0.96))
    assert sharp.skill_interval == (
        pytest.approx(0.96),
        pytest.approx(0.96),
    )  # it was right to the same extent each time
    with open_mind(tmp_path / "b.db", consumers__enabled=False) as other:
        wrong_once = [(0.9 if number % 2 else 0.1, number % 2 == (number != 7)) for number in range(20)]
        whole = _forecast(other, wrong_once).whole
    assert whole.brier_interval is not None
    assert whole.skill_interval is not None
    assert whole.brier_interval[0] < 0.05 < whole.brier_interval[1]
    assert 0.2 < whole.skill_interval[0] < 0.8 < whole.skill_interval[1]


def _forecast(mind: Mind, told: list[tuple[float, bool]]) -> Quality:
    """The quality of chances beside a plain rate of a half."""
    id = mind.recorder.mind.id
    rows: list[Row] = [
        (id, number.to_bytes(16), number + 1, "seat", "", round(chance * UNIT), UNIT // 2, int(well), 0, 0)
        for number, (chance, well) in enumerate(told)
    ]
    mind.recorder.journal.run(lambda appender: write_forecasts(appender.transaction, id, rows))
    with mind.recorder.journal.store.snapshot() as snapshot:
        return read_quality(snapshot, id, NOW)


def test_of_a_task_unlike_all_that_was_seen_nothing_is_said(taught: Mind) -> None:
    alien = "Write a Rust parser"
    advice = taught.advise(alien, record=False)
    assert advice.abstained
    assert (advice.success, advice.tools, advice.next_steps, advice.heuristics) == (None, (), (), ())
    assert (advice.pitfalls, advice.playbook, advice.episodes) == ((), None, ())
    assert advice.prompt() == NOTHING_KNOWN
    elsewhere = taught.advise(alien, domain="compilers", task_type="code", record=False)
    assert elsewhere.abstained


def test_what_is_known_of_its_kind_or_of_how_it_was_begun_is_said_of_a_task_in_other_words(taught: Mind) -> None:
    alien = "Write a Rust parser"
    assert taught.advise(alien, domain="airline", task_type="seat", record=False).next_steps[0].tool == "ask"
    assert not taught.advise(alien, domain="airline", record=False).abstained
    begun = [tacit.Step(tool="ask", observation="answer 99", status="success")]
    assert taught.advise(alien, steps=begun, record=False).next_steps[0].tool == "book"
    tools = [tacit.Tool(name="rustc", description="compiles a Rust parser"), tacit.Tool(name="book")]
    described = taught.advise(alien, tools=tools, record=False)
    assert (described.tools[0].name, described.success, described.next_steps) == ("rustc", None, ())
    assert not described.abstained


def test_a_new_word_beside_those_of_all_tasks_does_not_make_a_task_an_alien_one(tmp_path: Path) -> None:
    with open_mind(tmp_path / "words.db", learning__embedder="none") as mind:
        for number in range(40):
            with mind.episode(f"Buy item {number}") as episode:
                episode.step(tool="search", observation=str(number), success=True)
                episode.complete("success")
        mind.settle(120)
        assert mind.advise("Buy item 99 quickly", record=False).next_steps[0].tool == "search"
        assert mind.advise("Write a Rust parser quickly", record=False).abstained


def test_a_chance_whose_interval_leaves_more_than_half_open_is_not_told(mind: Mind) -> None:
    task = {"description": "Change the seat of passenger 7", "domain": "airline", "task_type": "seat"}
    for number in range(6):
        live(mind, number, asked=True, well=number % 2 == 0)
    mind.settle(120)
    with mind.recorder.journal.store.snapshot() as snapshot:
        fit = read_fit(snapshot, mind.recorder.mind.id, NOW)
    assert fit is not None
    forecaster = models_of(fit).success
    assert forecaster is not None
    vague = forecaster.predict(tacit.Task(**task), ())
    assert vague is not None
    assert vague.high - vague.low > WIDEST
    assert mind.advise(**task, record=False).success is None
    for number in range(6, 60):
        live(mind, number, asked=True, well=True)
    mind.settle(120)
    sure = mind.advise(**task, record=False).success
    assert sure is not None
    assert sure.high - sure.low <= WIDEST


def test_the_question_must_be_one(mind: Mind) -> None:
    for description in ("", " ", None, 5):
        with pytest.raises(tacit.InvalidInput, match="needs a description"):
            mind.advise(description)  # type: ignore[arg-type]
    with pytest.raises(tacit.InvalidInput, match="tool"):
        mind.advise("x", tools=[{"nme": "a"}])
    with pytest.raises(tacit.InvalidInput):
        mind.advise("x", steps=[{"tool": "a", "success": "yes"}])
