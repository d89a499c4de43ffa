"""The reward of a finished episode: a sum of six factors, each of which says what moved it.

    total = Σ contribution,   contribution = weight · value

| factor     | value                                                                                | range  |
|------------|--------------------------------------------------------------------------------------|--------|
| base       | b, the worth of the outcome: success 1, partial its score or share done,             | 0 … 1  |
|            | abstained ¼, failure 0                                                               |        |
| efficiency | b · mean over steps and duration of trust · (typical − own) / (typical + own)        | −1 … 1 |
| complexity | b · complexity, as given or as estimated from steps, tools and distinct errors       | 0 … 1  |
| quality    | the mean of the score and the share of steps that worked, as far as known; else b    | 0 … 1  |
| learning   | 1 − ½ⁿ, n the distinct errors overcome and the tools that are new to the domain      | 0 … 1  |
| domain     | trust · clip(z, ±2) / 2, z = (b − mean of the domain) / its spread                   | −1 … 1 |

So with the default weights, which sum to 1, the total lies between −0.2 and 1. Efficiency and complexity are in
proportion to b, because giving up early is not efficient, and a hard task is worth more only when it was done.

The domain factor is the standardised advantage over a baseline (R. J. Williams, "Simple statistical gradient-following
algorithms", Machine Learning 8, 1992): a success where nearly all succeed tells little, one where most fail tells much.
``trust`` is n / (n + 5), so with few other episodes to compare with the factor shrinks towards no change.

A reward is computed when read and never stored: it follows the statistics, also when episodes are erased from them.
"""

from __future__ import annotations

import math

import msgspec

from tacit.clock import MICROS_PER_SECOND
from tacit.errors import InvalidInput
from tacit.experience.episode import Episode, Outcome
from tacit.learning.assessment.baseline import DomainBaseline, read_baseline, trust
from tacit.learning.assessment.contribution import VALUE_UNIT, duration_us, outcome_value, tools_of
from tacit.learning.assessment.recovery import has_failed, recoveries
from tacit.learning.assessment.signature import step_signature

__all__ = ["DEFAULT_WEIGHTS", "DomainBaseline", "Factor", "Reward", "RewardWeights", "read_baseline", "reward"]

_TYPICAL_STEPS, _TYPICAL_TOOLS, _TYPICAL_ERRORS = 10, 4, 2
"""An estimated complexity is a half when the episode has as much of one of these, and nothing of the others."""
_MOST_SPREADS = 2.0


class RewardWeights(msgspec.Struct, frozen=True, kw_only=True):
    """How much each factor counts; each is zero or more."""

    base: float = 0.55
    efficiency: float = 0.10
    complexity: float = 0.10
    quality: float = 0.10
    learning: float = 0.05
    domain: float = 0.10

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            weight = getattr(self, name)
            if not (math.isfinite(weight) and weight >= 0):
                raise InvalidInput(f"the weight of {name} is {weight}; give a number of zero or more", field=name)

    @property
    def lowest(self) -> float:
        """The least total that these weights allow."""
        return -(self.efficiency + self.domain)

    @property
    def highest(self) -> float:
        """The greatest total that these weights allow: their sum."""
        return float(sum(getattr(self, name) for name in self.__struct_fields__))


DEFAULT_WEIGHTS = RewardWeights()


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a reward. ``contribution`` is ``weight`` times ``value``; ``steps`` (from 1) are its evidence."""

    name: str
    value: float
    weight: float
    contribution: float
    why: str
    steps: tuple[int, ...] = ()


class Reward(msgspec.Struct, frozen=True):
    """The reward of an episode; ``total`` is the sum of the contributions, in the order of ``factors``."""

    total: float
    factors: tuple[Factor, ...]


class _Finding(msgspec.Struct, frozen=True):
    value: float
    why: str
    steps: tuple[int, ...] = ()


def reward(episode: Episode, baseline: DomainBaseline, weights: RewardWeights = DEFAULT_WEIGHTS) -> Reward | None:
    """The reward of an episode among the others of its domain; None while it is open.

    Args:
        baseline: the sums of the *other* episodes of its domain, see ``read_baseline``.
        weights: how much each factor counts.
    """
    outcome = episode.outcome
    if outcome is None:
        return None
    worth = outcome_value(outcome) / VALUE_UNIT
    findings = {
        "base": _Finding(worth, _why_base(outcome, worth)),
        "efficiency": _efficiency(episode, baseline, worth),
        "complexity": _complexity(episode, worth),
        "quality": _quality(episode, outcome, worth),
        "learning": _learning(episode, baseline),
        "domain": _domain(worth, baseline),
    }
    factors = tuple(_factor(name, finding, getattr(weights, name)) for name, finding in findings.items())
    return Reward(sum(factor.contribution for factor in factors), factors)


def _factor(name: str, finding: _Finding, weight: float) -> Factor:
    return Factor(
        name=name,
        value=finding.value + 0.0,  # no "-0.0" where nothing is taken off
        weight=weight,
        contribution=weight * finding.value + 0.0,
        why=finding.why,
        steps=finding.steps,
    )


def _why_base(outcome: Outcome, worth: float) -> str:
    if outcome.kind != "partial":
        return f"the outcome is {outcome.kind}, which is worth {worth:g}"
    if outcome.score is not None:
        return f"the outcome is partial with a score of {outcome.score:g}"
    parts = len(outcome.done) + len(outcome.failed)
    return f"the outcome is partial: {len(outcome.done)} of {parts} parts done" if parts else "the outcome is partial"


def _efficiency(episode: Episode, baseline: DomainBaseline, worth: float) -> _Finding:
    parts: list[float] = []
    reasons: list[str] = []
    steps, duration = len(episode.steps), duration_us(episode)
    if steps and baseline.typical_steps is not None:
        parts.append(trust(baseline.solved) * _saving(steps, baseline.typical_steps))
        reasons.append(
            f"{steps} steps, where {baseline.typical_steps:.1f} are typical of {baseline.solved} other successes"
        )
    typical = baseline.typical_duration_us
    if duration is not None and typical is not None:
        parts.append(trust(baseline.solved_timed) * _saving(duration, typical))
        reasons.append(
            f"{duration / MICROS_PER_SECOND:.1f} s, where {typical / MICROS_PER_SECOND:.1f} s are typical "
            f"of {baseline.solved_timed} other successes"
        )
    if not parts:
        return _Finding(0.0, "nothing to compare with: no other success in this domain")
    return _Finding(worth * sum(parts) / len(parts), "; ".join(reasons) + _in_proportion(worth))


def _saving(own: float, typical: float) -> float:
    """From −1 (far more than typical) over 0 (typical) to 1 (far less); half and double are a third either way."""
    return (typical - own) / (typical + own) if typical + own else 0.0


def _in_proportion(worth: float) -> str:
    return "" if worth == 1 else f"; counted {worth:.0%}, as the outcome is worth"


def _complexity(episode: Episode, worth: float) -> _Finding:
    given = episode.task.complexity
    if given is not None:
        return _Finding(worth * given, f"given as {given:g}{_in_proportion(worth)}")
    steps, tools = len(episode.steps), len(tools_of(episode))
    errors = len({step_signature(step) for step in episode.steps if has_failed(step)})
    load = steps / _TYPICAL_STEPS + tools / _TYPICAL_TOOLS + errors / _TYPICAL_ERRORS
    estimate = load / (1 + load)
    why = f"estimated as {estimate:.2f} from {steps} steps, {tools} tools and {errors} distinct errors"
    return _Finding(worth * estimate, why + _in_proportion(worth))


def _quality(episode: Episode, outcome: Outcome, worth: float) -> _Finding:
    parts: list[float] = []
    reasons: list[str] = []
    if outcome.score is not None:
        parts.append(outcome.score)
        reasons.append(f"a score of {outcome.score:g}")
    known = [step for step in episode.steps if step.status is not None]
    failed = tuple(number for number, step in enumerate(episode.steps, start=1) if has_failed(step))
    if known:
        parts.append(1 - len(failed) / len(known))
        reasons.append(f"{len(known) - len(failed)} of {len(known)} steps worked")
    if not parts:
        return _Finding(worth, "neither a score nor the status of a step is known, so the outcome stands for it")
    return _Finding(sum(parts) / len(parts), " and ".join(reasons), failed)


def _learning(episode: Episode, baseline: DomainBaseline) -> _Finding:
    overcome = {recovery.signature: recovery for recovery in reversed(recoveries(episode.steps))}
    lessons: list[tuple[str, tuple[int, ...]]] = [
        (f"overcame '{signature}' in step {recovery.worked}", (recovery.failed, recovery.worked))
        for signature, recovery in sorted(overcome.items(), key=lambda item: item[1].failed)
    ]
    if baseline.episodes:  # without others everything would be new
        worked = {tool: _first_success(episode, numbers) for tool, numbers in tools_of(episode).items()}
        lessons += [
            (f"used {tool}, new to this domain, in step {number}", (number,))
            for tool, number in worked.items()
            if number is not None and tool not in baseline.known_tools
        ]
    if not lessons:
        return _Finding(0.0, "no error was overcome, and no tool is new to this domain")
    steps = tuple(sorted({number for _, numbers in lessons for number in numbers}))
    return _Finding(1 - 0.5 ** len(lessons), "; ".join(text for text, _ in lessons), steps)


def _first_success(episode: Episode, numbers: tuple[int, ...]) -> int | None:
    return next((number for number in numbers if episode.steps[number - 1].status == "success"), None)


def _domain(worth: float, baseline: DomainBaseline) -> _Finding:
    if not baseline.episodes:
        return _Finding(0.0, "nothing to compare with: no other episode in this domain")
    advantage = (worth - baseline.mean_value) / baseline.spread
    value = trust(baseline.episodes) * max(-_MOST_SPREADS, min(_MOST_SPREADS, advantage)) / _MOST_SPREADS
    return _Finding(
        value,
        f"{advantage:+.1f} spreads from the domain's mean of {baseline.mean_value:.2f} "
        f"(spread {baseline.spread:.2f}, {baseline.episodes} other episodes)",
    )
