"""What counts say: posteriors, lift, many findings at once, decay."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from tacit.learning.assessment.evidence import Stratum, differ, discoveries, lift, posterior, weight_at
from tacit.learning.assessment.few import Table, least_p_value

pytestmark = pytest.mark.requirement("LE-01")


def test_a_posterior_without_trials_is_its_prior() -> None:
    assert posterior(0, 0, prior_mean=0.3).mean == pytest.approx(0.3)


def test_a_posterior_narrows_as_trials_come_in() -> None:
    few, many = posterior(6, 10), posterior(600, 1_000)
    assert few.low < many.low < 0.6 < many.high < few.high


def test_the_interval_of_a_posterior_holds_the_true_rate_as_often_as_it_says() -> None:
    chance = random.Random(1)
    held = 0
    for _ in range(2_000):
        rate = chance.random()
        successes = sum(chance.random() < rate for _ in range(20))
        found = posterior(successes, 20)
        held += found.low <= rate <= found.high
    assert 0.93 < held / 2_000 < 0.97


def test_lift_is_the_difference_of_the_rates() -> None:
    found = lift([Stratum(100, 80, 100, 50)])
    assert found is not None
    assert found.difference == pytest.approx(0.3)
    assert 0.15 < found.low < 0.3 < found.high < 0.45
    assert found.p_value < 1e-4


def test_an_easy_kind_of_task_cannot_pass_for_a_good_habit() -> None:
    """Nine of ten uses are in the kind where everything succeeds; within each kind the habit changes nothing."""
    easy, hard = Stratum(90, 81, 10, 9), Stratum(10, 1, 90, 9)
    pooled = lift([Stratum(100, 82, 100, 18)])
    by_kind = lift([easy, hard])
    assert pooled is not None
    assert by_kind is not None
    assert pooled.difference > 0.6
    assert by_kind.difference == pytest.approx(0, abs=1e-9)
    assert by_kind.low < 0 < by_kind.high


def test_there_is_no_lift_without_episodes_to_compare_with() -> None:
    assert lift([Stratum(10, 5, 0, 0), Stratum(0, 0, 10, 5)]) is None


def test_the_interval_of_a_lift_holds_the_truth_as_often_as_it_says() -> None:
    chance = random.Random(2)
    held = 0
    for _ in range(1_000):
        strata = [
            Stratum(40, sum(chance.random() < base + 0.1 for _ in range(40)), 60,
                    sum(chance.random() < base for _ in range(60)))
            for base in (0.3, 0.5)
        ]  # fmt: skip
        found = lift(strata)
        assert found is not None
        held += found.low <= 0.1 <= found.high
    assert 0.92 < held / 1_000 < 0.985


def few_trials_each(chance: random.Random, gap: float) -> list[Stratum]:
    """Four attempts at each of forty tasks; the harder a task, the more often something is done there."""
    strata = []
    for _ in range(40):
        hard = chance.random()
        used = [chance.random() < hard for _ in range(4)]
        well = [chance.random() < 0.1 + 0.7 * (1 - hard) + gap * with_ for with_ in used]
        strata.append(
            Stratum(
                sum(used),
                sum(went for with_, went in zip(used, well, strict=True) if with_),
                4 - sum(used),
                sum(went for with_, went in zip(used, well, strict=True) if not with_),
            )
        )
    return strata


def test_the_interval_holds_the_truth_also_where_each_task_was_tried_a_few_times_only() -> None:
    chance, held, alarms = random.Random(7), 0, 0
    for _ in range(600):
        found, nothing = lift(few_trials_each(chance, 0.1)), lift(few_trials_each(chance, 0.0))
        assert found is not None
        assert nothing is not None
        held += found.low <= 0.1 <= found.high
        alarms += nothing.p_value < 0.05
    assert 0.925 < held / 600 < 0.985
    assert alarms / 600 < 0.065


def test_old_counts_say_less_but_no_false_alarm_comes_of_their_age() -> None:
    chance, alarms = random.Random(8), 0
    fresh = [few_trials_each(chance, 0.0) for _ in range(300)]
    for strata in fresh:
        now = lift(strata)
        aged = [
            Stratum(*(0.2 * count for count in (s.with_, s.with_successes, s.without, s.without_successes)), episodes=4)
            for s in strata
        ]
        then = lift(aged)
        assert now is not None
        assert then is not None
        assert then.difference == pytest.approx(now.difference)
        assert then.high - then.low > now.high - now.low
        assert then.p_value >= now.p_value
        alarms += then.p_value < 0.05
    assert alarms / 300 < 0.05


def test_lifts_that_are_the_same_but_for_chance_do_not_differ() -> None:
    large, small = lift([Stratum(200, 160, 200, 60)]), lift([Stratum(200, 100, 200, 96)])
    assert large is not None
    assert small is not None
    assert differ(large, small) < 1e-6
    assert differ(large, large) == 1.0


def test_of_many_findings_that_are_chance_hardly_any_stands() -> None:
    chance = random.Random(3)
    standing = [any(discoveries([chance.random() for _ in range(200)], 0.1)) for _ in range(300)]
    assert sum(standing) / 300 < 0.15


def test_a_real_finding_stands_among_many_that_are_chance() -> None:
    chance = random.Random(4)
    stands = discoveries([1e-6, *(chance.random() for _ in range(200))], 0.1)
    assert stands[0]
    assert sum(stands) <= 3


@given(st.lists(st.floats(0, 1), max_size=30))
def test_whoever_stands_does_not_depend_on_the_order(p_values: list[float]) -> None:
    there = discoveries(p_values, 0.1)
    back = discoveries(p_values[::-1], 0.1)[::-1]
    assert sorted(zip(p_values, there, strict=True)) == sorted(zip(p_values, back, strict=True))


@pytest.mark.requirement("LE-05")
def test_an_observation_counts_for_half_after_a_half_life() -> None:
    assert [weight_at(age, 10.0) for age in (-5, 0, 10, 20)] == [1.0, 1.0, 0.5, 0.25]


def test_what_a_lift_compares_is_told_with_it_and_leaves_out_what_nothing_is_like() -> None:
    found = lift([Stratum(10, 9, 30, 6), Stratum(20, 10, 20, 6), Stratum(8, 8, 0, 0)])
    assert found is not None
    assert (found.with_episodes, found.without_episodes) == (30, 50)
    assert found.with_rate - found.without_rate == pytest.approx(found.difference)
    assert 0.5 < found.with_rate < 0.9
    assert 0.2 < found.without_rate < 0.3


def test_counts_that_are_decayed_are_told_as_whole_episodes() -> None:
    found = lift([Stratum(5.0, 4.0, 10.0, 2.0, episodes=30, with_episodes=10)])
    assert found is not None
    assert (found.with_episodes, found.without_episodes) == (10, 20)


def test_the_least_p_value_is_no_lower_than_the_exact_one() -> None:
    chance, seen = random.Random(9), 0
    for _ in range(600):
        with_, without = chance.randint(1, 12), chance.randint(1, 60)
        well, other_well = chance.randint(0, with_), chance.randint(0, without)
        bound = least_p_value([Table(with_, well, without, other_well)])
        drawn = hypergeom(with_ + without, well + other_well, with_)
        exact = 2 * min(drawn.sf(well - 1), drawn.cdf(well))
        if bound and exact < 0.05:
            seen += 1
            assert bound > 0.95 * exact
    assert seen > 100


def test_three_episodes_say_something_only_of_what_hardly_ever_goes_well_without_them() -> None:
    usual, seldom = lift([Stratum(3, 3, 100, 40)]), lift([Stratum(3, 3, 100, 1)])
    assert usual is not None
    assert seldom is not None
    assert usual.p_value > 0.1
    assert usual.low < 0
    assert seldom.p_value < 0.001
    assert seldom.low > 0


def test_one_episode_beside_three_rules_nothing_out() -> None:
    found = lift([Stratum(1, 1, 3, 0)])
    assert found is not None
    assert (found.difference, found.low, found.high) == (1.0, -1.0, 1.0)


def test_rare_things_that_change_nothing_hardly_ever_stand() -> None:
    """Of very many things that occur in three to six episodes, of which one in eight goes well."""
    chance, alarms = random.Random(10), 0
    for _ in range(40):
        p_values = []
        for _ in range(200):
            few = chance.randint(3, 6)
            well, others = (sum(chance.random() < 0.12 for _ in range(many)) for many in (few, 300))
            found = lift([Stratum(few, well, 300, others)])
            assert found is not None
            p_values.append(found.p_value)
        alarms += any(discoveries(p_values, 0.1))
    assert alarms / 40 <= 0.15
