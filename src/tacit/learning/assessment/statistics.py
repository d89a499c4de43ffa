"""What the agent is good and bad at: the statistics of a mind, read from its counts and told as figures."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from statistics import NormalDist

import msgspec
from sqlalchemy import bindparam, select

from tacit.learning.assessment.contribution import MICROS_PER_MS, decode_key
from tacit.learning.assessment.histogram import quantile, rank_value, rounded
from tacit.stores import schema
from tacit.stores.port import Snapshot

UNSPECIFIED = "(unspecified)"
"""The kind of the episodes that have neither a task type nor a domain."""
MOST_RANKED = 10
"""Entries of a ranking."""

_statistic = schema.statistic
_counts = select(_statistic.c.key, _statistic.c.count).where(_statistic.c.mind == bindparam("mind"))
_NORMAL = NormalDist().inv_cdf(0.975)


class Share(msgspec.Struct, frozen=True):
    """A share of a number of cases, from 0 to 1, with the interval that holds the true rate with 95 % confidence."""

    value: float
    low: float
    high: float
    of: int


class KindStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The finished episodes of one kind: a task type, or else a domain."""

    kind: str
    episodes: int
    outcomes: dict[str, int]
    success: Share
    """Successes among all finished episodes; partial and abstained ones are not successes."""
    mean_steps: float
    steps_spread: float
    """The standard deviation of the number of steps."""
    mean_duration_ms: float | None


class ToolStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one tool. Quantiles of latency are rounded to what is known of them, within 5 %."""

    name: str
    calls: int
    errors: int
    timeouts: int
    unknown: int
    """Calls of which nobody said whether they worked."""
    error_rate: Share | None
    """Errors and timeouts among the calls whose status is known; None when none is."""
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    surely_ms: float
    """At least half of all calls take this long, with 97.5 % confidence; 0 with too few calls to say."""
    tokens: int


class ErrorStatistics(msgspec.Struct, frozen=True):
    """Failed steps with the same signature, and the tools they came from, most frequent first."""

    signature: str
    count: int
    tools: tuple[str, ...]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over all finished episodes. ``calls`` are the steps that name a tool; ``failed_steps`` include timeouts."""

    episodes: int
    outcomes: dict[str, int]
    success: Share | None
    steps: int
    tools: int
    calls: int
    failed_steps: int
    tokens: int


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What the finished episodes of a mind add up to; ready to be written as JSON."""

    totals: Totals
    kinds: tuple[KindStatistics, ...]
    """Most episodes first."""
    tools: tuple[ToolStatistics, ...]
    """Most calls first."""
    slowest: tuple[str, ...]
    """Names of tools by the latency that half of their calls surely reach, then by the median."""
    failing: tuple[str, ...]
    """Names of tools by the lower bound of their error rate, so that a single call does not top the list."""
    errors: tuple[ErrorStatistics, ...]
    """Most frequent first."""


def read_statistics(snapshot: Snapshot, mind: bytes) -> Statistics:
    """The statistics of a mind, as far as the tally has come."""
    return summarise(snapshot.rows(_counts, mind=mind))


def summarise(rows: Iterable[tuple[str, int]]) -> Statistics:
    """The statistics that counts under keys add up to; see ``contribution`` for the keys."""
    of_kind: dict[str, dict[tuple[str, ...], int]] = defaultdict(lambda: defaultdict(int))
    of_tool: dict[str, dict[str, int]] = defaultdict(dict)
    latencies: dict[str, dict[int, int]] = defaultdict(dict)
    of_error: dict[str, dict[str, int]] = defaultdict(dict)
    for key, count in rows:
        match decode_key(key):
            case ["episode", str(task_type), str(domain), *measure]:
                of_kind[task_type or domain or UNSPECIFIED][tuple(map(str, measure))] += count
            case ["tool", str(name), "latency", int(bucket)]:
                latencies[name][bucket] = count
            case ["tool", str(name), str(measure)]:
                of_tool[name][measure] = count
            case ["error", str(signature), str(tool)]:
                of_error[signature][tool] = count
    kinds = [_kind(kind, counts) for kind, counts in of_kind.items()]
    tools = [_tool(name, counts, latencies[name]) for name, counts in of_tool.items()]
    errors = [_error(signature, by_tool) for signature, by_tool in of_error.items()]
    return Statistics(
        totals=_totals(kinds, tools, errors, sum(counts.get(("steps",), 0) for counts in of_kind.values())),
        kinds=tuple(sorted(kinds, key=lambda each: (-each.episodes, each.kind))),
        tools=tuple(sorted(tools, key=lambda each: (-each.calls, each.name))),
        slowest=_slowest(tools),
        failing=_failing(tools),
        errors=tuple(sorted(errors, key=lambda each: (-each.count, each.signature))),
    )


def share(count: int, of: int) -> Share:
    """A share with its 95 % interval by E. B. Wilson ("Probable inference", J. Am. Stat. Assoc. 22, 1927).

    ``of`` must be at least 1.
    """
    rate, squared = count / of, _NORMAL * _NORMAL
    middle = (rate + squared / (2 * of)) / (1 + squared / of)
    reach = _NORMAL / (1 + squared / of) * math.sqrt(rate * (1 - rate) / of + squared / (4 * of * of))
    return Share(rate, max(0.0, middle - reach) if count else 0.0, min(1.0, middle + reach) if count < of else 1.0, of)


def _kind(kind: str, counts: dict[tuple[str, ...], int]) -> KindStatistics:
    outcomes = {measure[1]: count for measure, count in sorted(counts.items()) if measure[0] == "outcome"}
    episodes = sum(outcomes.values())
    steps, squared, timed = (counts.get((name,), 0) for name in ("steps", "steps_squared", "timed"))
    return KindStatistics(
        kind=kind,
        episodes=episodes,
        outcomes=outcomes,
        success=share(outcomes.get("success", 0), episodes),
        mean_steps=steps / episodes,
        steps_spread=math.sqrt(max(0, episodes * squared - steps * steps)) / episodes,
        mean_duration_ms=counts[("duration_ms",)] / timed if timed else None,
    )


def _tool(name: str, counts: dict[str, int], latencies: dict[int, int]) -> ToolStatistics:
    successes, errors, timeouts, unknown, timed = (
        counts.get(measure, 0) for measure in ("successes", "errors", "timeouts", "unknown", "timed")
    )
    known = successes + errors + timeouts
    return ToolStatistics(
        name=name,
        calls=known + unknown,
        errors=errors,
        timeouts=timeouts,
        unknown=unknown,
        error_rate=share(errors + timeouts, known) if known else None,
        mean_ms=counts.get("latency_us", 0) / timed / MICROS_PER_MS if timed else None,
        p50_ms=_milliseconds(quantile(latencies, 0.50)),
        p95_ms=_milliseconds(quantile(latencies, 0.95)),
        surely_ms=_surely(latencies, timed) / MICROS_PER_MS,
        tokens=counts.get("tokens", 0),
    )


def _milliseconds(micros: float | None) -> float | None:
    return None if micros is None else rounded(micros) / MICROS_PER_MS


def _surely(latencies: dict[int, int], timed: int) -> float:
    """The lower bound of the median, an order statistic (W. J. Conover, "Practical Nonparametric Statistics", 3.2)."""
    rank = math.floor(timed / 2 - _NORMAL * math.sqrt(timed) / 2)
    return rank_value(latencies, rank) if rank >= 1 else 0.0


def _error(signature: str, by_tool: dict[str, int]) -> ErrorStatistics:
    tools = sorted((tool for tool in by_tool if tool), key=lambda tool: (-by_tool[tool], tool))
    return ErrorStatistics(signature, sum(by_tool.values()), tuple(tools))


def _slowest(tools: list[ToolStatistics]) -> tuple[str, ...]:
    timed = [tool for tool in tools if tool.p50_ms is not None]
    ranked = sorted(timed, key=lambda tool: (-tool.surely_ms, -(tool.p50_ms or 0.0), tool.name))
    return tuple(tool.name for tool in ranked[:MOST_RANKED])


def _failing(tools: list[ToolStatistics]) -> tuple[str, ...]:
    rates = [(tool.error_rate.low, tool.name) for tool in tools if tool.error_rate and tool.error_rate.value > 0]
    return tuple(name for _, name in sorted(rates, key=lambda rate: (-rate[0], rate[1]))[:MOST_RANKED])


def _totals(
    kinds: list[KindStatistics], tools: list[ToolStatistics], errors: list[ErrorStatistics], steps: int
) -> Totals:
    outcomes: dict[str, int] = defaultdict(int)
    for kind in kinds:
        for outcome, count in kind.outcomes.items():
            outcomes[outcome] += count
    episodes = sum(outcomes.values())
    return Totals(
        episodes=episodes,
        outcomes=dict(sorted(outcomes.items())),
        success=share(outcomes.get("success", 0), episodes) if episodes else None,
        steps=steps,
        tools=len(tools),
        calls=sum(tool.calls for tool in tools),
        failed_steps=sum(error.count for error in errors),
        tokens=sum(tool.tokens for tool in tools),
    )
