"""What few episodes can say at most: a bound of the p-value where no normal distribution holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

LEAST_ROOM = 5.0
"""Successes by which the count could have been off on either side for a normal distribution to hold."""


class Table(NamedTuple):
    """Counts of one stratum, with and without something, and how many strata have these very counts."""

    with_: float
    with_successes: float
    without: float
    without_successes: float
    times: int = 1


def least_p_value(tables: Iterable[Table]) -> float:
    """The p-value (two-sided) that such counts can have at least; 0 where they are many enough for a normal
    distribution.

    They are where the successes with it could have been five more and five fewer than was to be expected (N. Mantel and
    J. L. Fleiss, Am. J. Epidemiology 112, 1980). Else the bound is a tail of a binomial distribution: given how many
    episodes and successes each stratum has, the successes with it are a sum of independent trials of unlike chances
    (V. A. Vatutin and V. G. Mikhailov, Theory Probab. Appl. 27, 1982), and of all such sums with the same mean the
    binomial one strays farthest (W. Hoeffding, Ann. Math. Stat. 27, 1956). So three episodes can say something only of
    what hardly ever goes well, or ill, without them.
    """
    with_ = without = well = other_well = expected = fewest = most = 0.0
    for n, a, m, c, times in tables:
        with_, without = with_ + times * n, without + times * m
        well, other_well = well + times * a, other_well + times * c
        expected += times * n * (a + c) / (n + m)
        fewest, most = fewest + times * max(0.0, a + c - m), most + times * min(n, a + c)
    if min(expected - fewest, most - expected) >= LEAST_ROOM:
        return 0.0
    successes, failures = well + other_well, with_ + without - well - other_well
    if well > expected:
        cells = ((well, expected, (with_, successes)),
                 (without - other_well, without - successes + expected, (without, failures)))  # fmt: skip
    else:
        cells = ((with_ - well, with_ - expected, (with_, failures)),
                 (other_well, successes - expected, (without, successes)))  # fmt: skip
    tails = [
        _tail(count, mean, trials)
        for count, mean, several in cells
        for trials in several
        if 0 < mean < min(count, trials)
    ]
    return min(1.0, 2 * min(tails, default=0.5))


def _tail(count: float, mean: float, trials: float) -> float:
    """How often so many trials with that mean give the count or more; also of counts that are no whole numbers."""
    from scipy.special import betainc

    return float(betainc(count, max(0.0, trials - count) + 1.0, mean / trials))
