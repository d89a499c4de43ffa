"""What one finished episode adds to the statistics: counts under keys, all of them whole numbers of zero or more.

A key is the canonical text of a JSON array, so that it can be read back without doubt:

- ``["episode", task_type, domain, "outcome", kind]``, and in place of the last two ``"steps"``, ``"steps_squared"``,
  ``"timed"`` or ``"duration_ms"``;
- ``["tool", name, "successes" | "errors" | "timeouts" | "unknown" | "tokens" | "timed" | "latency_us"]``;
- ``["tool", name, "latency", bucket]``: calls by latency in µs, see ``histogram``;
- ``["error", signature, tool]``: failed steps;
- ``["baseline", domain, task_type, …]``: what an episode of that domain is compared with, see ``baseline``. The task
  type stands in it only when there is no domain.

Contributions are kept, episode by episode, so that the statistics are at any time exactly their sum.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

import msgspec

from tacit.experience.episode import Episode, Outcome, Step, Task
from tacit.learning.assessment.histogram import bucket_of
from tacit.learning.assessment.signature import step_signature

MOST_TOKENS = 10**9
MOST_LATENCY_US = 10**12
MOST_DURATION_US = 10**15
"""A step or an episode counts up to these bounds (10⁹ tokens, 11 days, 31 years), so that no sum overflows 64 bits."""

VALUE_UNIT = 1_000
"""The value of an outcome is counted in thousandths."""
ABSTAINED_VALUE = 250
PARTIAL_VALUE = 500
"""Thousandths. Abstaining leaves the task undone, yet does no harm; a partial outcome without a score and without
lists of what was done counts as half. They are summed up in the statistics, so they are not settings."""

MICROS_PER_MS = 1_000
_STATUS_COUNT = {"success": "successes", "error": "errors", "timeout": "timeouts", None: "unknown"}


@lru_cache(maxsize=65_536)
def encode_key(*parts: str | int) -> str:
    """The key of these parts."""
    return msgspec.json.encode(parts).decode()


def decode_key(key: str) -> list[str | int]:
    """The parts of a key."""
    return msgspec.json.decode(key, type=list[str | int])


def outcome_value(outcome: Outcome) -> int:
    """What an outcome is worth, in thousandths from 0 to 1000.

    Success 1000, failure 0, abstained 250; partial by its score, or else the share of what was done, or else 500.
    """
    if outcome.kind == "success":
        return VALUE_UNIT
    if outcome.kind == "failure":
        return 0
    if outcome.kind == "abstained":
        return ABSTAINED_VALUE
    if outcome.score is not None:
        return round(outcome.score * VALUE_UNIT)
    parts = len(outcome.done) + len(outcome.failed)
    return len(outcome.done) * VALUE_UNIT // parts if parts else PARTIAL_VALUE


def duration_us(episode: Episode) -> int | None:
    """How long a finished episode took, in µs; None when that is not known, as when it ended in the moment it began."""
    if episode.ended_at_micros is None or episode.ended_at_micros <= episode.started_at_micros:
        return None
    return min(episode.ended_at_micros - episode.started_at_micros, MOST_DURATION_US)


def baseline_key(task: Task, *measure: str) -> str:
    """The key of a measure that episodes of the same domain (or task type, without a domain) share."""
    return encode_key("baseline", task.domain, "" if task.domain else task.task_type, *measure)


def tools_of(episode: Episode) -> dict[str, tuple[int, ...]]:
    """For each tool, in order of first use, the numbers (from 1) of the steps that used it."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, step in enumerate(episode.steps, start=1):
        if step.tool:
            found[step.tool].append(number)
    return {tool: tuple(numbers) for tool, numbers in found.items()}


def contribution(episode: Episode) -> dict[str, int]:
    """The counts of a finished episode, without those that are zero; nothing for an open one."""
    if episode.outcome is None:
        return {}
    counts: dict[str, int] = defaultdict(int)
    _count_episode(counts, episode, episode.outcome)
    _count_baseline(counts, episode, episode.outcome)
    for step in episode.steps:
        _count_step(counts, step)
    return {key: count for key, count in counts.items() if count}


def _count_episode(counts: dict[str, int], episode: Episode, outcome: Outcome) -> None:
    kind = ("episode", episode.task.task_type, episode.task.domain)
    steps, duration = len(episode.steps), duration_us(episode)
    counts[encode_key(*kind, "outcome", outcome.kind)] += 1
    counts[encode_key(*kind, "steps")] += steps
    counts[encode_key(*kind, "steps_squared")] += steps * steps
    if duration is not None:
        counts[encode_key(*kind, "timed")] += 1
        counts[encode_key(*kind, "duration_ms")] += duration // MICROS_PER_MS


def _count_baseline(counts: dict[str, int], episode: Episode, outcome: Outcome) -> None:
    task, value, duration = episode.task, outcome_value(outcome), duration_us(episode)
    counts[baseline_key(task, "episodes")] += 1
    counts[baseline_key(task, "value")] += value
    counts[baseline_key(task, "value_squared")] += value * value
    for tool in tools_of(episode):
        counts[baseline_key(task, "tool", tool)] += 1
    if outcome.kind != "success":
        return
    counts[baseline_key(task, "solved")] += 1
    counts[baseline_key(task, "solved_steps")] += len(episode.steps)
    if duration is not None:
        counts[baseline_key(task, "solved_timed")] += 1
        counts[baseline_key(task, "solved_duration")] += bucket_of(duration)


def _count_step(counts: dict[str, int], step: Step) -> None:
    if step.status in ("error", "timeout"):
        counts[encode_key("error", step_signature(step), step.tool)] += 1
    if not step.tool:
        return
    counts[encode_key("tool", step.tool, _STATUS_COUNT[step.status])] += 1
    if step.tokens is not None:
        counts[encode_key("tool", step.tool, "tokens")] += min(step.tokens, MOST_TOKENS)
    if step.latency_ms is not None:
        latency = round(min(step.latency_ms * MICROS_PER_MS, MOST_LATENCY_US))
        counts[encode_key("tool", step.tool, "timed")] += 1
        counts[encode_key("tool", step.tool, "latency_us")] += latency
        counts[encode_key("tool", step.tool, "latency", bucket_of(latency))] += 1
