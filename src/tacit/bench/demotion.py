"""How soon is harmful advice found out, and how often is harmless advice wronged? SIMULATED: outcomes from seeds,
judged by the product's own sequential test, with lots drawn as the product draws them."""

from __future__ import annotations

import random
from statistics import median

from tacit.bench.intervals import Interval
from tacit.bench.run import Run
from tacit.learning.assessment.evidence import Lift
from tacit.learning.trials.exposure import Withholding, draw
from tacit.learning.trials.trial import Draw, Trial, judge

_WITHHOLDING = Withholding(share=0.5, floor=0.1, half_after=50)
_GOOD, _SPOILT = 0.8, 0.3
"""The chance of success without the harmful advice, and with it."""
_AGENTS = 200
_HORIZON = 1_000
"""Exposures of each piece of advice."""
_USELESS_EXPOSURES = 3_000


def measure_demotion(run: Run) -> None:
    """Exposures until harmful advice is demoted, the share of harmless advice that ever is, and the lift of useless
    advice with its interval when half of it is withheld throughout."""
    needed = [_until_demoted(_history(_SPOILT, _HORIZON, seed, _WITHHOLDING)) for seed in range(_AGENTS)]
    run.figure("simulated_harmful_demoted", 100 * sum(each is not None for each in needed) / _AGENTS, "%")
    run.figure("simulated_exposures_until_demoted", median(each or _HORIZON for each in needed), "exposures")
    wronged = sum(judge(_history(_GOOD, _HORIZON, seed, _WITHHOLDING)).harmful for seed in range(_AGENTS, 2 * _AGENTS))
    run.figure("simulated_false_demotions", 100 * wronged / _AGENTS, "%")
    lift = _lift(judge(_history(_GOOD, _USELESS_EXPOSURES, 3 * _AGENTS, Withholding(share=0.5, floor=0.5))))
    run.interval("simulated_useless_lift", Interval(lift.difference, lift.low, lift.high))


def _history(shown_rate: float, count: int, seed: int, withholding: Withholding) -> list[Draw]:
    """What a made-up agent has met: success depends on whether the advice was shown."""
    chance, secret = random.Random(seed), seed.to_bytes(16)  # noqa: S311 - repeatable on purpose
    found = []
    for number in range(count):
        lot = draw(secret, f"task {number}", "", "item", withholding.share_after(number))
        found.append(Draw(lot.shown, lot.chance, chance.random() < (shown_rate if lot.shown else _GOOD)))
    return found


def _until_demoted(history: list[Draw]) -> int | None:
    """After how many exposures the test says that it does harm; None when it never does."""
    if not judge(history).harmful:
        return None
    few, enough = 0, len(history)  # the wealth that counts is the highest so far: once harmful, always harmful
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if judge(history[:middle]).harmful else (middle, enough)
    return enough


def _lift(trial: Trial) -> Lift:
    assert trial.lift is not None  # both sides are drawn thousands of times
    return trial.lift
