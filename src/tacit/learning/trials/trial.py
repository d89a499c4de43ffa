"""Does advice help? Each piece is shown or withheld at random, and the outcomes of the two are compared.

Harm is found by a sequential test that may be looked at after every outcome. Advice that changes nothing leaves the
draw (shown or withheld) independent of the outcome; so a gambler who bets on the draw after seeing each outcome, at
fair odds, has no expected gain. The gambler's wealth is an e-process: it reaches 1/α with a probability of at most α,
however long the test runs (J. Ville, 1939). Bets follow the success rates seen so far (R. Turner, A. Ly, P. Grünwald,
"Generic E-variables for exact sequential k-sample tests that allow for optional stopping", 2021), and only when they
point to harm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from tacit.learning.assessment.evidence import Lift
from tacit.learning.assessment.statistics import share

FALSE_DEMOTION_RATE = 0.05
"""The chance that advice which does no harm is ever demoted, over the whole of its life."""
WEALTH_TO_DEMOTE = 1 / FALSE_DEMOTION_RATE
_PRIOR = 1.0
"""Imagined successes and failures on each side: both begin as a uniform Beta."""


class Draw(msgspec.Struct, frozen=True):
    """One time that advice could have been shown: whether it was, with what chance it would be, and what came of it."""

    shown: bool
    chance: float
    """Of being shown, as it was when the lot was drawn; above 0, and 1 only where nothing was withheld."""
    success: bool
    steps: int | None = None
    """Of the episode; None when the outcome was told without one."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one piece of advice."""

    shown: int
    shown_successes: int
    withheld: int
    withheld_successes: int
    wealth: float
    """Of the gambler who bets that it does harm; at 20 it is demoted."""
    lift: Lift | None
    """How much higher the success rate is when shown than when withheld; None until both have happened."""
    shown_cost: float | None = None
    withheld_cost: float | None = None
    """Cost per win: all steps of the episodes on that side, for each that succeeded; None before the first success."""

    @property
    def harmful(self) -> bool:
        return self.wealth >= WEALTH_TO_DEMOTE


def judge(draws: Iterable[Draw]) -> Trial:
    """The trial of one piece of advice, from its draws in the order in which their outcomes became known."""
    counts = {True: [0, 0], False: [0, 0]}  # shown or withheld → trials, successes
    costs = {True: [0, 0], False: [0, 0]}  # shown or withheld → steps, successes of those whose steps are known
    log_wealth = highest = 0.0
    for draw in draws:
        log_wealth += _bet(counts, draw)
        highest = max(highest, log_wealth)
        counts[draw.shown][0] += 1
        counts[draw.shown][1] += draw.success
        if draw.steps is not None:
            costs[draw.shown][0] += draw.steps
            costs[draw.shown][1] += draw.success
    (shown, shown_successes), (withheld, withheld_successes) = counts[True], counts[False]
    return Trial(
        shown=shown,
        shown_successes=shown_successes,
        withheld=withheld,
        withheld_successes=withheld_successes,
        wealth=math.exp(min(highest, 700.0)),
        lift=difference(shown_successes, shown, withheld_successes, withheld),
        shown_cost=_per_win(*costs[True]),
        withheld_cost=_per_win(*costs[False]),
    )


def _per_win(steps: int, successes: int) -> float | None:
    return steps / successes if successes else None


def _bet(counts: dict[bool, list[int]], draw: Draw) -> float:
    """The logarithm of what one bet pays: the likelihood of the outcome on the side drawn, over that on either."""
    if draw.chance >= 1.0:
        return 0.0
    rates = {side: (successes + _PRIOR) / (trials + 2 * _PRIOR) for side, (trials, successes) in counts.items()}
    if rates[True] >= rates[False]:
        return 0.0
    likely = {side: rate if draw.success else 1 - rate for side, rate in rates.items()}
    return math.log(likely[draw.shown] / (draw.chance * likely[True] + (1 - draw.chance) * likely[False]))


def difference(successes: int, trials: int, other_successes: int, other_trials: int) -> Lift | None:
    """The difference of two rates with its interval: R. Newcombe, "Interval estimation for the difference between
    independent proportions", Statistics in Medicine 17 (1998), method 10. None when either has no trials.
    """
    if not trials or not other_trials:
        return None
    one, other = share(successes, trials), share(other_successes, other_trials)
    gap = one.value - other.value
    low = gap - math.hypot(one.value - one.low, other.high - other.value)
    high = gap + math.hypot(one.high - one.value, other.value - other.low)
    pooled = (successes + other_successes) / (trials + other_trials)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / trials + 1 / other_trials))
    p_value = math.erfc(abs(gap) / deviation / math.sqrt(2)) if deviation else 1.0
    return Lift(gap, low, high, p_value, one.value, other.value, trials, other_trials)
