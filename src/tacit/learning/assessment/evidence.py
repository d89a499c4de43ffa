"""How much counts say: posteriors with intervals, lift between groups, decay with age, and many questions at once.

Counts are whole numbers; everything here is a pure function of them, computed when it is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist

import msgspec

from tacit.learning.assessment.few import Table, least_p_value

LEVEL = 0.95
"""The share of intervals that hold the true value."""
NORMAL_QUANTILE = NormalDist().inv_cdf(0.5 + LEVEL / 2)
"""Standard deviations to each side of the mean that hold that share of a normal distribution."""


class Estimate(msgspec.Struct, frozen=True):
    """A chance from 0 to 1: the mean of its posterior, and the interval that holds it with probability ``level``."""

    mean: float
    low: float
    high: float
    level: float = LEVEL


class Lift(msgspec.Struct, frozen=True):
    """How much higher the share of successes is with something than without, from -1 to 1, with its interval.

    ``p_value`` is two-sided: how often chance alone would show a difference at least this large.

    What is compared are not all episodes, but those that others are like: ``with_rate`` and ``without_rate`` are their
    rates of success, each stratum counting on both sides alike, so that ``difference`` is what lies between the two.
    """

    difference: float
    low: float
    high: float
    p_value: float
    with_rate: float
    without_rate: float
    with_episodes: int
    """How many episodes the rate with it rests on."""
    without_episodes: int


class Stratum(msgspec.Struct, frozen=True):
    """Episodes that are like each other: how many with and without something, and how many successes among each."""

    with_: float
    with_successes: float
    without: float
    without_successes: float
    episodes: int = 0
    """How many episodes these are, when the counts are decayed; 0 when they are not."""
    with_episodes: int = 0
    """How many of them are with it."""
    times: int = 1
    """How many strata there are with these very counts."""

    @property
    def weight(self) -> float:
        """What one of these adds to a comparison; nothing unless there are episodes both with and without."""
        return self.with_ * self.without / (self.with_ + self.without) if self.with_ > 0 and self.without > 0 else 0.0

    @property
    def table(self) -> Table:
        """The counts alone."""
        return Table(self.with_, self.with_successes, self.without, self.without_successes, self.times)

    @property
    def counted(self) -> tuple[float, float]:
        """Episodes with and without in all of them, before they are decayed."""
        if not self.episodes:
            return self.times * self.with_, self.times * self.without
        return self.times * self.with_episodes, self.times * (self.episodes - self.with_episodes)


def posterior(successes: float, trials: float, *, prior_mean: float = 0.5, prior_trials: float = 2.0) -> Estimate:
    """The Beta posterior of a rate; ``prior_trials`` imagined trials went as ``prior_mean`` says.

    With its defaults the prior is uniform (T. Bayes). A. Gelman et al., "Bayesian Data Analysis", 3rd ed., 2.4.
    """
    from scipy.special import betaincinv

    alpha = successes + prior_mean * prior_trials
    beta = trials - successes + (1 - prior_mean) * prior_trials
    low, high = betaincinv(alpha, beta, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Estimate(alpha / (alpha + beta), float(low), float(high))


def lift(strata: Iterable[Stratum]) -> Lift | None:
    """The difference of success rates, each stratum compared within itself, so that neither an easy kind of task nor
    what a task demands can pass for a good habit.

    The risk difference of N. Mantel and W. Haenszel ("Statistical aspects of the analysis of data from retrospective
    studies of disease", J. Natl. Cancer Inst. 22, 1959) with the variance of T. Sato ("On the variance estimator for
    the Mantel-Haenszel risk difference", Biometrics 45, 1989), which holds for few large strata, such as kinds of task,
    and for many small ones, such as the attempts at one task; and the Cochran-Mantel-Haenszel test with a continuity
    correction for the p-value. For the variance half a success and half a failure are added on each side, spread over
    the strata by their weight, so that it is not zero where all went alike. Where the episodes are too few for a normal
    distribution, the p-value is no lower than ``few.least_p_value``, and the interval not narrower than that allows.
    None when no stratum has episodes both with and without.
    """
    weighed = [(each, weight) for each in strata if (weight := each.weight) > 0]
    if not weighed:
        return None
    weights = with_rate = without_rate = 0.0
    for each, weight in weighed:
        share = each.times * weight
        weights += share
        with_rate += share * each.with_successes / each.with_
        without_rate += share * each.without_successes / each.without
    with_rate, without_rate = with_rate / weights, without_rate / weights
    difference, compared = with_rate - without_rate, [each for each, _ in weighed]
    reach, p_value = NORMAL_QUANTILE * _deviation(weighed, weights, difference), _test(compared, difference * weights)
    least = least_p_value([each.table for each in compared])
    p_value = max(p_value, least)
    if least > 0 and abs(difference) > reach:  # the interval must not rule out what the test does not
        sure = NormalDist().inv_cdf(1 - p_value / 2)  # O. Miettinen, Am. J. Epidemiol. 103, 1976
        reach = max(reach, abs(difference) * NORMAL_QUANTILE / sure if sure > 0 else 2.0)
    counts = [round(sum(side)) for side in zip(*[each.counted for each in compared], strict=True)]
    return Lift(
        difference=difference,
        low=max(-1.0, difference - reach),
        high=min(1.0, difference + reach),
        p_value=p_value,
        with_rate=with_rate,
        without_rate=without_rate,
        with_episodes=counts[0],
        without_episodes=counts[1],
    )


def _test(compared: Iterable[Stratum], excess: float) -> float:
    """The p-value of so many successes more, or fewer, than there would be by chance."""
    variance = 0.0
    for each in compared:
        n, m, well = each.with_, each.without, each.with_successes + each.without_successes
        total = n + m
        several = each.episodes or total
        if several > 1:
            variance += each.times * n * m * well * (total - well) / total**3 * several / (several - 1)
    distance = max(0.0, abs(excess) - 0.5)
    return math.erfc(distance / math.sqrt(2 * variance)) if variance > 0 else 1.0


def _deviation(weighed: Iterable[tuple[Stratum, float]], weights: float, difference: float) -> float:
    """The standard deviation of the difference."""
    spread_p = spread_q = 0.0
    for each, weight in weighed:
        added = weight / weights
        p, q = _sato(
            each.with_successes + added / 2,
            each.with_ + added,
            each.without_successes + added / 2,
            each.without + added,
        )
        spread_p, spread_q = spread_p + each.times * p, spread_q + each.times * q
    return math.sqrt(max(0.0, difference * spread_p + spread_q)) / weights


def differ(one: Lift, other: Lift) -> float:
    """How often chance alone would set two independent lifts at least this far apart (two-sided)."""
    spread = sum(max(each.high - each.difference, each.difference - each.low) ** 2 for each in (one, other))
    distance = abs(one.difference - other.difference) * NORMAL_QUANTILE
    return math.erfc(distance / math.sqrt(2 * spread))


def _sato(a: float, with_: float, c: float, without: float) -> tuple[float, float]:
    """The terms P and Q of one stratum in Sato's variance."""
    total = with_ + without
    p = with_ * with_ * c - without * without * a + with_ * without * (without - with_) / 2
    return p / (total * total), (a * (without - c) + c * (with_ - a)) / (2 * total)


def discoveries(p_values: Sequence[float], false_rate: float) -> list[bool]:
    """Which of many findings stand when at most ``false_rate`` of those that stand may be false, on average.

    Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57 (1995). It holds for
    findings that depend on each other positively, as overlapping patterns do (Benjamini and Yekutieli, 2001).
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    standing = 0
    for rank, place in enumerate(order, start=1):
        if p_values[place] <= false_rate * rank / len(p_values):
            standing = rank
    stands = [False] * len(p_values)
    for place in order[:standing]:
        stands[place] = True
    return stands


def weight_at(age: float, half_life: float) -> float:
    """What an observation of that age counts for: 1 when new, a half after each half-life. Same unit for both."""
    return float(0.5 ** (max(0.0, age) / half_life))
