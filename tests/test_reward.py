"""The reward: a sum of named factors, each of which moves for one reason, and not for others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.errors import InvalidInput
from tacit.experience.episode import Episode, Outcome, Step, Task
from tacit.learning.assessment.baseline import DomainBaseline
from tacit.learning.assessment.contribution import outcome_value
from tacit.learning.assessment.histogram import bucket_of
from tacit.learning.assessment.reward import DEFAULT_WEIGHTS, Reward, RewardWeights, reward

pytestmark = pytest.mark.requirement("EP-03")

SECOND = 1_000_000
START = 1_767_225_600 * SECOND
NOBODY = DomainBaseline()
OK, BAD = Step(tool="look", status="success"), Step(tool="look", status="error", error="no row 5")
PLAIN = Task(description="find it", domain="library", complexity=0.5)


def baseline(
    *,
    solved: int = 10,
    failed: int = 0,
    steps: int = 4,
    seconds: float = 10,
    tools: frozenset[str] = frozenset({"look"}),
) -> DomainBaseline:
    return DomainBaseline(
        episodes=solved + failed,
        value=1_000 * solved,
        value_squared=1_000_000 * solved,
        solved=solved,
        solved_steps=steps * solved,
        solved_timed=solved,
        solved_duration=bucket_of(round(seconds * SECOND)) * solved,
        known_tools=tools,
    )


def attempt(
    *steps: Step, outcome: Outcome | str | None = "success", task: Task = PLAIN, seconds: float | None = 10
) -> Episode:
    ended = Outcome(kind=outcome) if isinstance(outcome, str) else outcome  # type: ignore[arg-type]
    return Episode(
        id="e",
        mind="m",
        task=task,
        status=ended.kind if ended else "open",
        started_at_micros=START,
        ended_at_micros=None if seconds is None else START + round(seconds * SECOND),
        steps=steps or (OK,) * 4,
        outcome=ended,
    )


def given_reward(episode: Episode, among: DomainBaseline = NOBODY, weights: RewardWeights = DEFAULT_WEIGHTS) -> Reward:
    found = reward(episode, among, weights)
    assert found is not None
    return found


def moved(before: Reward, after: Reward) -> dict[str, float]:
    """The factors whose contribution differs, and by how much."""
    pairs = zip(before.factors, after.factors, strict=True)
    return {
        old.name: new.contribution - old.contribution
        for old, new in pairs
        if new.contribution != pytest.approx(old.contribution, abs=1e-12)
    }


def with_task(**changes: Any) -> Task:
    return msgspec.structs.replace(PLAIN, **changes)


def test_an_open_episode_has_no_reward() -> None:
    assert reward(attempt(outcome=None, seconds=None), baseline()) is None


@pytest.mark.parametrize(
    ("outcome", "worth"),
    [
        (Outcome(kind="success"), 1000),
        (Outcome(kind="success", score=0.4), 1000),
        (Outcome(kind="failure", score=0.4), 0),
        (Outcome(kind="abstained", signals=("unclear",)), 250),
        (Outcome(kind="partial", score=0.125), 125),
        (Outcome(kind="partial", done=("a", "b"), failed=("c",)), 666),
        (Outcome(kind="partial"), 500),
    ],
)
def test_the_base_is_what_the_outcome_is_worth(outcome: Outcome, worth: int) -> None:
    assert outcome_value(outcome) == worth
    base = given_reward(attempt(outcome=outcome)).factors[0]
    assert (base.name, base.value) == ("base", worth / 1000)
    assert base.contribution == pytest.approx(0.55 * worth / 1000)
    assert outcome.kind in base.why


def test_only_the_base_moves_with_the_outcome_when_nothing_else_hangs_on_it() -> None:
    task = with_task(complexity=0.0)
    failed = given_reward(attempt(outcome=Outcome(kind="failure"), task=task))
    abstained = given_reward(attempt(outcome=Outcome(kind="abstained"), task=task))
    assert moved(failed, abstained) == {"base": pytest.approx(0.55 * 0.25)}


def test_the_base_does_not_move_with_steps_time_or_the_domain() -> None:
    before = given_reward(attempt(OK, seconds=1), NOBODY)
    after = given_reward(attempt(OK, BAD, OK, seconds=99), baseline(failed=3))
    assert "base" not in moved(before, after)
    assert moved(before, after)


def test_only_efficiency_moves_with_the_time_taken() -> None:
    slow = given_reward(attempt(seconds=40), baseline())
    fast = given_reward(attempt(seconds=5), baseline())
    assert set(moved(slow, fast)) == {"efficiency"}
    assert moved(slow, fast)["efficiency"] > 0


def test_only_efficiency_moves_with_the_number_of_steps_when_the_complexity_is_given() -> None:
    long = given_reward(attempt(*[OK] * 8), baseline())
    short = given_reward(attempt(*[OK] * 2), baseline())
    assert set(moved(long, short)) == {"efficiency"}
    assert moved(long, short)["efficiency"] > 0


def test_a_typical_success_has_no_efficiency_and_half_of_everything_a_third() -> None:
    typical = given_reward(attempt(*[OK] * 4, seconds=None), baseline()).factors[1]
    half = given_reward(attempt(*[OK] * 2, seconds=None), baseline()).factors[1]
    assert typical.value == 0
    assert half.value == pytest.approx(10 / 15 * 1 / 3)
    assert "2 steps, where 4.0 are typical of 10 other successes" in half.why


def test_efficiency_does_not_move_where_there_is_no_success_to_compare_with() -> None:
    only_failures = baseline(solved=0, failed=5)
    before = given_reward(attempt(*[OK] * 8, seconds=80), only_failures)
    after = given_reward(attempt(*[OK] * 2, seconds=1), only_failures)
    assert "efficiency" not in moved(before, after)


def test_failing_fast_is_not_efficient() -> None:
    failed = given_reward(attempt(OK, outcome=Outcome(kind="failure"), seconds=1), baseline()).factors[1]
    assert failed.value == 0


def test_no_factor_is_a_negative_nothing() -> None:
    """``-0.0`` in JSON looks like a loss."""
    factors = given_reward(attempt(*[OK] * 8, outcome="failure", seconds=99), baseline()).factors
    assert "-0.0" not in {str(number) for each in factors for number in (each.value, each.contribution)}


def test_only_complexity_moves_with_the_complexity_that_is_given() -> None:
    easy = given_reward(attempt(task=with_task(complexity=0.1)), baseline())
    hard = given_reward(attempt(task=with_task(complexity=0.9)), baseline())
    assert moved(easy, hard) == {"complexity": pytest.approx(0.08)}
    assert "given as 0.9" in hard.factors[2].why


def test_complexity_that_is_given_does_not_move_with_steps_tools_or_errors() -> None:
    before, after = given_reward(attempt(OK)), given_reward(attempt(OK, BAD, Step(tool="other"), OK))
    assert "complexity" not in moved(before, after)


@pytest.mark.parametrize("extra", [[OK], [Step(tool="other", status="success")], [BAD]])
def test_complexity_that_is_estimated_grows_with_steps_tools_and_errors(extra: list[Step]) -> None:
    task = with_task(complexity=None)
    before, after = given_reward(attempt(OK, task=task)), given_reward(attempt(OK, *extra, task=task))
    assert moved(before, after)["complexity"] > 0
    assert after.factors[2].value < 1
    assert "estimated" in after.factors[2].why


def test_only_quality_moves_with_the_score_of_a_success() -> None:
    low = given_reward(attempt(outcome=Outcome(kind="success", score=0.2)), baseline())
    high = given_reward(attempt(outcome=Outcome(kind="success", score=1.0)), baseline())
    assert moved(low, high) == {"quality": pytest.approx(0.04)}


def test_quality_falls_with_steps_that_failed_and_cites_them() -> None:
    before = given_reward(attempt(OK, OK))
    after = given_reward(attempt(OK, BAD))
    assert moved(before, after) == {"quality": pytest.approx(-0.05)}
    assert after.factors[3].steps == (2,)


def test_quality_does_not_move_with_time_complexity_or_the_domain() -> None:
    before = given_reward(attempt(seconds=1))
    after = given_reward(attempt(seconds=50, task=with_task(complexity=1.0)), baseline(failed=4))
    assert "quality" not in moved(before, after)


def test_quality_that_nothing_tells_is_taken_from_the_outcome_and_says_so() -> None:
    unknown = given_reward(
        attempt(Step(tool="look"), outcome=Outcome(kind="partial", done=("a",), failed=("b",)))
    ).factors[3]
    assert unknown.value == 0.5
    assert "the outcome stands for it" in unknown.why


def test_only_learning_moves_when_an_error_is_overcome_instead_of_left() -> None:
    left = given_reward(attempt(OK, OK, BAD))
    overcome = given_reward(attempt(OK, BAD, OK))
    assert moved(left, overcome) == {"learning": pytest.approx(0.025)}
    assert overcome.factors[4].steps == (2, 3)
    assert "overcame 'no row <number>' in step 3" in overcome.factors[4].why


def test_only_learning_moves_with_a_tool_that_is_new_to_the_domain() -> None:
    episode = attempt(OK, Step(tool="map", status="success"))
    known = given_reward(episode, baseline(tools=frozenset({"look", "map"})))
    new = given_reward(episode, baseline(tools=frozenset({"look"})))
    assert moved(known, new) == {"learning": pytest.approx(0.025)}
    assert new.factors[4].steps == (2,)


def test_learning_does_not_move_with_the_same_error_overcome_again_or_a_new_tool_that_failed() -> None:
    once = given_reward(attempt(BAD, OK, OK, OK), baseline())
    again = given_reward(attempt(BAD, OK, BAD, OK), baseline())
    failed = given_reward(attempt(BAD, OK, Step(tool="map", status="error", error="x"), Step(tool="look")), baseline())
    assert once.factors[4].value == again.factors[4].value == failed.factors[4].value == 0.5


def test_learning_does_not_move_with_tools_when_there_is_nobody_to_compare_with() -> None:
    assert given_reward(attempt(Step(tool="map", status="success")), NOBODY).factors[4].value == 0


def test_only_the_domain_factor_moves_when_others_fail_more_often() -> None:
    easy, hard = given_reward(attempt(), baseline(solved=20)), given_reward(attempt(), baseline(solved=20, failed=20))
    assert set(moved(easy, hard)) == {"domain"}
    assert moved(easy, hard)["domain"] > 0
    assert "40 other episodes" in hard.factors[5].why


def test_the_domain_factor_does_not_move_with_steps_or_scores() -> None:
    before = given_reward(attempt(OK), baseline(failed=2))
    after = given_reward(attempt(*[OK] * 9, outcome=Outcome(kind="success", score=0.1)), baseline(failed=2))
    assert "domain" not in moved(before, after)


def test_the_domain_factor_shrinks_towards_no_change_with_few_episodes() -> None:
    shares = [given_reward(attempt(), baseline(solved=n, failed=n)).factors[5].value for n in (0, 1, 5, 50)]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert len(set(shares)) == 4


def test_where_all_ended_alike_the_domain_changes_nothing_for_the_next_that_does() -> None:
    assert given_reward(attempt(), baseline(solved=30)).factors[5].value == 0


def test_a_failure_where_all_succeed_costs_no_more_than_the_stated_range() -> None:
    failed = given_reward(attempt(BAD, outcome=Outcome(kind="failure")), baseline(solved=1_000))
    assert -1 <= failed.factors[5].value < -0.99
    assert DEFAULT_WEIGHTS.lowest <= failed.total < 0


def test_weights_scale_their_factors_and_bad_ones_are_refused() -> None:
    weights = RewardWeights(base=2.0, efficiency=0, complexity=0, quality=0, learning=0, domain=0)
    assert given_reward(attempt(), baseline(), weights).total == 2.0
    with pytest.raises(InvalidInput, match="base"):
        RewardWeights(base=-1)
    with pytest.raises(InvalidInput, match="domain"):
        RewardWeights(domain=float("nan"))


_step = st.builds(
    Step,
    tool=st.sampled_from(["", "look", "map", "book"]),
    status=st.sampled_from([None, "success", "error", "timeout"]),
    error=st.sampled_from(["", "no row 5", "not allowed"]),
)
_outcome = st.one_of(
    st.builds(
        Outcome, kind=st.sampled_from(["success", "failure", "abstained", "partial"]), score=st.none() | st.floats(0, 1)
    ),
    st.builds(
        Outcome, kind=st.just("partial"), done=st.just(("a",)), failed=st.lists(st.just("b"), max_size=3).map(tuple)
    ),
)


@given(
    st.lists(_step, max_size=12).map(tuple),
    _outcome,
    st.none() | st.floats(0, 1),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(1, 100_000),
)
def test_contributions_add_up_to_a_total_within_the_stated_range(
    steps: tuple[Step, ...], outcome: Outcome, complexity: float | None, solved: int, failed: int, seconds: int
) -> None:
    episode = msgspec.structs.replace(
        attempt(outcome=outcome, task=with_task(complexity=complexity), seconds=seconds), steps=steps
    )
    found = given_reward(episode, baseline(solved=solved, failed=failed))
    assert [factor.name for factor in found.factors] == list(RewardWeights.__struct_fields__)
    assert found.total == sum(factor.contribution for factor in found.factors)
    assert all(factor.contribution == factor.weight * factor.value for factor in found.factors)
    assert DEFAULT_WEIGHTS.lowest - 1e-9 <= found.total <= DEFAULT_WEIGHTS.highest + 1e-9
    assert [DEFAULT_WEIGHTS.lowest, DEFAULT_WEIGHTS.highest] == pytest.approx([-0.2, 1.0])
    assert all(1 <= number <= len(steps) for factor in found.factors for number in factor.steps)
    assert all(factor.why for factor in found.factors)
