"""From counts to patterns: lift, posterior and decay of whatever occurred often enough, and which findings stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache

import msgspec

from tacit.learning.assessment.evidence import Lift, Stratum, discoveries, lift, posterior, weight_at
from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.patterns.catalogue import FINDERS
from tacit.learning.patterns.claim import Finder
from tacit.learning.patterns.counts import BUCKET_US, Cell, Kind, PatternCounts
from tacit.learning.patterns.pattern import Key, Pattern, signature_of

_MOST_CASES = 1_000
"""Cases whose counts are kept at hand."""


class MiningPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How patterns are judged; see the settings of the same names."""

    half_life_days: float = 180.0
    """After so many days an episode counts for half."""
    least_support: int = 3
    """Episodes in which something must have occurred."""
    false_discovery_rate: float = 0.1
    """Share of the patterns said to stand that may be due to chance."""
    most_patterns: int = 200
    """Kept for each strategy: those that stand first, then those with the most support."""


class _Found(msgspec.Struct):
    finder: Finder
    key: Key
    exact: tuple[int, int, int, int]
    """Episodes in which it occurred, and how many of them went well; the same for the others."""
    weighed: tuple[float, float, float, float]
    """The same, weighed by age."""
    lift: Lift | None


def mine(counts: PatternCounts, now: int, policy: MiningPolicy, check: Check = go_on) -> list[Pattern]:
    """The patterns in these counts as of ``now`` (µs since 1970 UTC), the strongest of each strategy first.

    Many things are looked at, so each strategy's findings are held to a false discovery rate.

    Args:
        check: is called again and again, and raises when it is to be given up.
    """
    patterns: list[Pattern] = []
    by_strategy: dict[str, list[_Found]] = {}
    for found in checked(_candidates(counts, now, policy), check):
        by_strategy.setdefault(found.finder.strategy, []).append(found)
    for group in by_strategy.values():
        stands = discoveries(
            [found.lift.p_value if found.lift else 1.0 for found in group], policy.false_discovery_rate
        )
        ranked = sorted(zip(stands, group, strict=True), key=lambda one: _rank(*one))
        patterns += [_pattern(counts, found, stand) for stand, found in ranked[: policy.most_patterns]]
    return patterns


def _candidates(counts: PatternCounts, now: int, policy: MiningPolicy) -> Iterator[_Found]:
    bucket, half_life = now // BUCKET_US, policy.half_life_days * 24 * 3600 * 1_000_000 / BUCKET_US
    cells = lru_cache(maxsize=_MOST_CASES)(counts.cells)
    weight = cache(lambda month: weight_at(bucket - month, half_life))
    for key in counts:
        finder = next((finder for finder in FINDERS if finder.owns(key)), None)
        if finder is None or counts.support(key) < policy.least_support:
            continue
        strata, exact = _strata(counts.cells(key), cells(finder.case_of(key)), weight)
        weighed = (
            sum(one.with_ for one in strata),
            sum(one.with_successes for one in strata),
            sum(one.without for one in strata),
            sum(one.without_successes for one in strata),
        )
        yield _Found(finder, key, exact, weighed, lift(strata))


def _strata(
    kinds: Mapping[Kind, Cell], case: Mapping[Kind, Cell], weight: Callable[[int], float]
) -> tuple[list[Stratum], tuple[int, int, int, int]]:
    """By kind of task, each month weighed; and the exact sums over all of them."""
    strata: list[Stratum] = []
    trials = successes = others = other_successes = 0
    for kind, cell in kinds.items():
        with_ = with_well = without = without_well = 0.0
        for month, (all_of_case, well_of_case) in case[kind].items():
            count, well = cell.get(month, (0, 0))
            rest = all_of_case - count
            # where something occurred and failed, the case may have gone well by something else in the same episode
            rest_well = min(rest, max(0, well_of_case - well))
            trials, successes = trials + count, successes + well
            others, other_successes = others + rest, other_successes + rest_well
            counts_for = weight(month)
            with_, with_well = with_ + counts_for * count, with_well + counts_for * well
            without, without_well = without + counts_for * rest, without_well + counts_for * rest_well
        strata.append(Stratum(with_, with_well, without, without_well))
    return strata, (trials, successes, others, other_successes)


def _rank(stands: bool, found: _Found) -> tuple[bool, float, int, Key]:
    surely = 0.0 if found.lift is None else max(found.lift.low, -found.lift.high, 0.0)
    return (not stands, -surely, -found.exact[0], found.key)


def _pattern(counts: PatternCounts, found: _Found, stands: bool) -> Pattern:
    words = found.finder.words(found.key)
    trials, successes, others, other_successes = found.weighed
    prior_mean = (successes + other_successes + 1) / (trials + others + 2)
    return Pattern(
        signature=signature_of(*found.key),
        strategy=found.finder.strategy,
        text=words.text,
        tools=words.tools,
        condition=words.condition,
        kinds=counts.kinds(found.key),
        support=found.exact[0],
        successes=found.exact[1],
        others=found.exact[2],
        other_successes=found.exact[3],
        posterior=posterior(successes, trials, prior_mean=prior_mean),
        lift=found.lift,
        stands=stands,
        last_seen=counts.last_seen(found.key),
        evidence=counts.evidence(found.key),
    )
