"""From counts to patterns: lift, posterior and decay of whatever occurred often enough, and which findings stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from tacit.learning.evidence import Lift, Stratum, discoveries, lift, posterior, weight_at
from tacit.learning.patterns.catalogue import FINDERS
from tacit.learning.patterns.claim import Finder
from tacit.learning.patterns.counts import BUCKET_US, Cell, Kind, PatternCounts
from tacit.learning.patterns.pattern import Key, Pattern, signature_of


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
    strata: list[Stratum]
    exact: tuple[int, int, int, int]
    lift: Lift | None


def mine(counts: PatternCounts, now: int, policy: MiningPolicy) -> list[Pattern]:
    """The patterns in these counts as of ``now`` (µs since 1970 UTC), the strongest of each strategy first.

    Many things are looked at, so each strategy's findings are held to a false discovery rate.
    """
    patterns: list[Pattern] = []
    by_strategy: dict[str, list[_Found]] = {}
    for found in _candidates(counts, now, policy):
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
    for key, kinds in counts.cells.items():
        finder = next((finder for finder in FINDERS if finder.owns(key)), None)
        if finder is None or _support(kinds) < policy.least_support:
            continue
        case = counts.cells[finder.case_of(key)]
        strata, exact = _strata(kinds, case, bucket, half_life)
        yield _Found(finder, key, strata, exact, lift(strata))


def _support(kinds: Mapping[Kind, Cell]) -> int:
    return sum(count[0] for cell in kinds.values() for count in cell.values())


def _strata(
    kinds: Mapping[Kind, Cell], case: Mapping[Kind, Cell], bucket: int, half_life: float
) -> tuple[list[Stratum], tuple[int, int, int, int]]:
    """By kind of task, decayed; and the exact sums over all of them."""
    strata, sums = [], [0, 0, 0, 0]
    for kind, cell in kinds.items():
        weighed = [0.0, 0.0, 0.0, 0.0]
        for month, (all_of_case, well_of_case) in case[kind].items():
            count, well = cell.get(month, (0, 0))
            weight = weight_at(bucket - month, half_life)
            without = all_of_case - count
            # where something occurred and failed, the case may have gone well by something else in the same episode
            values = (count, well, without, min(without, max(0, well_of_case - well)))
            for place, value in enumerate(values):
                sums[place] += value
                weighed[place] += weight * value
        strata.append(Stratum(*weighed))
    return strata, (sums[0], sums[1], sums[2], sums[3])


def _rank(stands: bool, found: _Found) -> tuple[bool, float, int, Key]:
    surely = 0.0 if found.lift is None else max(found.lift.low, -found.lift.high, 0.0)
    return (not stands, -surely, -found.exact[0], found.key)


def _pattern(counts: PatternCounts, found: _Found, stands: bool) -> Pattern:
    words = found.finder.words(found.key)
    trials = sum(one.with_ for one in found.strata)
    successes = sum(one.with_successes for one in found.strata)
    all_trials = trials + sum(one.without for one in found.strata)
    all_successes = successes + sum(one.without_successes for one in found.strata)
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
        posterior=posterior(successes, trials, prior_mean=(all_successes + 1) / (all_trials + 2)),
        lift=found.lift,
        stands=stands,
        last_seen=counts.last_seen(found.key),
        evidence=counts.evidence(found.key),
    )
