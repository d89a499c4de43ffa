"""From counts to patterns: lift, posterior and decay of whatever occurred often enough, and which findings stand.

A condition must say something. What most episodes fulfil is none, such as a word that nearly every task has; and a
pattern that has a condition stands only if its lift differs from the lift of the same thing where the condition is not
fulfilled. So what helps everywhere is said once, without conditions that only happened to be there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, TypeAlias

import msgspec

from tacit.learning.assessment.evidence import Lift, Stratum, differ, discoveries, lift, posterior, weight_at
from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.patterns.attempts import attempts_in, design_effect, likeness_of_attempts
from tacit.learning.patterns.catalogue import FINDERS
from tacit.learning.patterns.claim import ANY, Finder
from tacit.learning.patterns.counts import BUCKET_US, Cell, Group, Kind, PatternCounts, by_kind
from tacit.learning.patterns.pattern import Key, Pattern, pattern_id, signature_of


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


MOST_FULFIL = 0.5
"""What a larger share of the episodes fulfil is no condition."""
_MOST_KEPT = 100
"""Keys without their condition whose counts are kept at hand."""
_Sums: TypeAlias = tuple[float, float, float, float]
"""Episodes in which something occurred, and how many of them went well; the same for the others of its case."""
Weight: TypeAlias = Callable[[int], float]
"""What an episode of that month counts for."""


class _Found(msgspec.Struct):
    finder: Finder
    case: Key
    key: Key
    support: int
    lift: Lift | None
    p_value: float
    """How often chance alone would show as much of all that the pattern says."""


def mine(counts: PatternCounts, now: int, policy: MiningPolicy, check: Check = go_on) -> list[Pattern]:
    """The patterns in these counts as of ``now`` (µs since 1970 UTC), the strongest of each strategy first.

    Many things are looked at, so each strategy's findings are held to a false discovery rate; what cannot be compared
    with anything is not among them.

    Args:
        check: is called again and again, and raises when it is to be given up.
    """
    patterns: list[Pattern] = []
    alike = likeness_of_attempts(counts.groups(ANY))
    bucket, half_life = now // BUCKET_US, policy.half_life_days * 24 * 3600 * 1_000_000 / BUCKET_US
    weight = cache(lambda month: weight_at(bucket - month, half_life))
    by_strategy: dict[str, list[_Found]] = {}
    for found in checked(_candidates(counts, weight, policy), check):
        by_strategy.setdefault(found.finder.strategy, []).append(found)
    for _, group in sorted(by_strategy.items()):
        compared = [found for found in group if found.lift is not None]
        stands = discoveries([found.p_value for found in compared], policy.false_discovery_rate)
        alone = [(False, found) for found in group if found.lift is None]
        ranked = sorted([*zip(stands, compared, strict=True), *alone], key=lambda one: _rank(*one))
        patterns += [_pattern(counts, found, stand, alike, weight) for stand, found in ranked[: policy.most_patterns]]
    return patterns


def _candidates(counts: PatternCounts, weight: Weight, policy: MiningPolicy) -> Iterator[_Found]:
    groups_of = lru_cache(maxsize=_MOST_KEPT)(counts.groups)
    by_case: dict[Key, list[tuple[Finder, Key]]] = defaultdict(list)
    for key in counts:
        finder = next((finder for finder in FINDERS if finder.owns(key)), None)
        if finder is not None and counts.support(key) >= policy.least_support:
            by_case[finder.case_of(key)].append((finder, key))
    for case, keys in by_case.items():
        groups = counts.groups(case)
        for finder, key in keys:
            wider = finder.wider(key)
            if wider is not None and counts.support(case) > MOST_FULFIL * counts.support(finder.case_of(wider)):
                continue
            with_ = counts.groups(key)
            here = lift(_strata(with_, groups, weight))
            found = _Found(finder, case, key, counts.support(key), here, 1.0 if here is None else here.p_value)
            if found.lift is not None and wider is not None and found.p_value <= policy.false_discovery_rate:
                with_ = _less(groups_of(wider), with_)
                elsewhere = lift(_strata(with_, _less(groups_of(finder.case_of(wider)), groups), weight))
                # it says two things, and stands only if both do (R. L. Berger, Technometrics 24, 1982)
                if elsewhere is not None:
                    found.p_value = max(found.p_value, differ(found.lift, elsewhere))
            yield found


def _strata(with_: Mapping[Group, Cell], case: Mapping[Group, Cell], weight: Weight) -> Iterator[Stratum]:
    """The groups in which it occurred, each month weighed. Tasks that were tried a few times have few ways to go, so
    those with the same counts are told once, with how many they are."""
    alike: Counter[tuple[tuple[Any, ...], tuple[Any, ...]]] = Counter()
    for group, cell in with_.items():
        if group[1]:
            alike[tuple(cell.items()), tuple(case[group].items())] += 1
        else:
            yield _stratum(cell, case[group], weight, 1)
    for (some, whole), times in alike.items():
        yield _stratum(dict(some), dict(whole), weight, times)


def _stratum(cell: Cell, case: Cell, weight: Weight, times: int) -> Stratum:
    having = sum([count for count, _ in cell.values()])
    episodes = sum([count for count, _ in case.values()])
    return Stratum(*_summed(cell, case, weight), episodes, having, times)


def _summed(cell: Cell, case: Cell, weight: Weight) -> _Sums:
    """Episodes with it, successes among them, episodes of the case without it, and successes among those."""
    with_ = with_well = without = without_well = 0.0
    for month, (all_of_case, well_of_case) in case.items():
        count, well = cell.get(month, (0, 0))
        rest, counts_for = all_of_case - count, weight(month)
        # where something occurred and failed, the case may have gone well by something else in the same episode
        rest_well = min(rest, max(0, well_of_case - well))
        with_, with_well = with_ + counts_for * count, with_well + counts_for * well
        without, without_well = without + counts_for * rest, without_well + counts_for * rest_well
    return with_, with_well, without, without_well


def _less(whole: Mapping[Group, Cell], part: Mapping[Group, Cell]) -> dict[Group, Cell]:
    """Counts without those of a part of the same episodes."""
    left: dict[Group, Cell] = {}
    for group, cell in whole.items():
        taken = part.get(group, {})
        pairs = ((month, cell[month], taken.get(month, (0, 0))) for month in cell)
        rest = {month: (count - gone, well - went) for month, (count, well), (gone, went) in pairs if count > gone}
        if rest:
            left[group] = rest
    return left


def _as_it_is(_month: int) -> float:
    return 1.0


def _total(of_kinds: Mapping[Kind, Cell], kinds: Mapping[Kind, Cell], weight: Weight) -> _Sums:
    """The sums over kinds of task."""
    sums = [_summed(cell, kinds[kind], weight) for kind, cell in of_kinds.items()]
    with_, with_well, without, without_well = (sum(each) for each in zip(*sums, strict=True))
    return with_, with_well, without, without_well


def _rank(stands: bool, found: _Found) -> tuple[bool, float, float, Key]:
    surely = 0.0 if found.lift is None else max(found.lift.low, -found.lift.high, 0.0)
    return (not stands, -surely, -found.support, found.key)


def _pattern(counts: PatternCounts, found: _Found, stands: bool, alike: float, weight: Weight) -> Pattern:
    """A pattern as it is told; ``alike`` is how far attempts at one task end alike."""
    words, groups = found.finder.words(found.key), counts.groups(found.key)
    of_kinds, kinds = by_kind(groups), by_kind(counts.groups(found.case))
    exact = _total(of_kinds, kinds, _as_it_is)
    trials, successes, others, other_successes = _total(of_kinds, kinds, weight)
    signature = signature_of(*found.key)
    repeats = design_effect(attempts_in(groups), alike)
    prior_mean = (successes + other_successes + repeats) / (trials + others + 2 * repeats)
    return Pattern(
        id=pattern_id(signature),
        signature=signature,
        strategy=found.finder.strategy,
        text=words.text,
        tools=words.tools,
        condition=words.condition,
        kinds=counts.kinds(found.key),
        support=int(exact[0]),
        successes=int(exact[1]),
        others=int(exact[2]),
        other_successes=int(exact[3]),
        posterior=posterior(successes / repeats, trials / repeats, prior_mean=prior_mean),
        lift=found.lift,
        stands=stands,
        last_seen=counts.last_seen(found.key),
        evidence=counts.evidence(found.key),
        at_end=0 if found.finder.strategy == "recovery" else counts.at_end(found.key),
    )
