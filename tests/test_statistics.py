"""Statistics: figures that follow from the counts alone."""

from __future__ import annotations

import random
from statistics import geometric_mean
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.experience.episode import Episode, Outcome, Step, Task
from tacit.learning.assessment.contribution import contribution
from tacit.learning.assessment.histogram import (
    RELATIVE_ERROR,
    bounds_of,
    bucket_of,
    middle_of,
    quantile,
    rounded,
    value_at,
)
from tacit.learning.assessment.statistics import UNSPECIFIED, Statistics, share, summarise


def attempt(*steps: Step, outcome: Any = "success", **task: Any) -> Episode:
    return Episode(
        id="e", mind="m", task=Task(description="try", **task), status=outcome, started_at_micros=0,
        ended_at_micros=2_000_000, steps=steps, outcome=Outcome(kind=outcome),
    )  # fmt: skip


def statistics_of(*episodes: Episode) -> Statistics:
    counts: dict[str, int] = {}
    for episode in episodes:
        for key, count in contribution(episode).items():
            counts[key] = counts.get(key, 0) + count
    return summarise(counts.items())


def calls(tool: str, count: int, status: Any = "success", latency_ms: float | None = None) -> tuple[Step, ...]:
    return (Step(tool=tool, status=status, latency_ms=latency_ms),) * count


def test_a_mind_without_episodes_has_empty_statistics() -> None:
    found = summarise([])
    assert (found.totals.episodes, found.totals.success, found.kinds, found.tools, found.errors) == (
        0,
        None,
        (),
        (),
        (),
    )


def test_episodes_are_told_by_task_type_or_else_domain() -> None:
    found = statistics_of(
        attempt(*calls("a", 2), task_type="book", domain="air"),
        attempt(*calls("a", 4), task_type="book", domain="rail", outcome="failure"),
        attempt(domain="air"),
        attempt(outcome="abstained"),
    )
    assert [(kind.kind, kind.episodes) for kind in found.kinds] == [("book", 2), (UNSPECIFIED, 1), ("air", 1)]
    book = found.kinds[0]
    assert (book.outcomes, book.mean_steps, book.steps_spread) == ({"failure": 1, "success": 1}, 3.0, 1.0)
    assert (book.mean_duration_ms, book.success.value, book.success.of) == (2_000, 0.5, 2)
    assert (found.totals.episodes, found.totals.steps, found.totals.calls) == (4, 6, 6)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)  # fmt: skip
def test_shares_have_wilsons_interval(count: int, of: int, low: float, high: float) -> None:
    """The last row is the example of R. G. Newcombe, Statistics in Medicine 17 (1998), table I."""
    found = share(count, of)
    assert (found.value, found.of) == (count / of, of)
    assert [found.low, found.high] == pytest.approx([low, high], abs=5e-5)


def test_one_failed_call_does_not_top_the_list_of_failing_tools() -> None:
    found = statistics_of(
        attempt(*calls("once", 1, "error"), *calls("usual", 15, "error"), *calls("usual", 5), *calls("never", 9))
    )
    assert found.failing == ("usual", "once")
    usual = next(tool for tool in found.tools if tool.name == "usual")
    assert usual.error_rate is not None
    assert (usual.calls, usual.errors, usual.error_rate.value) == (20, 15, 0.75)


def test_one_slow_call_does_not_top_the_list_of_slow_tools() -> None:
    found = statistics_of(
        attempt(
            *calls("once", 1, latency_ms=9_000), *calls("slow", 20, latency_ms=800), *calls("fast", 20, latency_ms=5)
        )
    )
    assert found.slowest == ("slow", "fast", "once")


def test_timeouts_count_as_failures_and_unknown_calls_do_not() -> None:
    (tool,) = statistics_of(attempt(*calls("a", 3, "timeout"), *calls("a", 1), *calls("a", 4, None))).tools
    assert (tool.calls, tool.errors, tool.timeouts, tool.unknown) == (8, 0, 3, 4)
    assert tool.error_rate is not None
    assert (tool.error_rate.value, tool.error_rate.of) == (0.75, 4)
    assert (tool.p50_ms, tool.p95_ms, tool.mean_ms, tool.surely_ms) == (None, None, None, 0.0)


def test_errors_are_counted_by_signature_with_the_tools_they_come_from() -> None:
    def failed(tool: str, error: str) -> Step:
        return Step(tool=tool, status="error", error=error)

    found = statistics_of(
        attempt(failed("a", "no row 1"), failed("b", "no row 2"), failed("b", "no row 3"), failed("", "denied"))
    )
    assert [(error.signature, error.count, error.tools) for error in found.errors] == [
        ("no row <number>", 3, ("b", "a")),
        ("denied", 1, ()),
    ]
    assert found.totals.failed_steps == 4


def test_quantiles_of_latency_are_within_the_stated_error() -> None:
    drawn = random.Random(3)
    latencies = sorted(drawn.lognormvariate(5, 1.5) for _ in range(999))
    (tool,) = statistics_of(attempt(*(Step(tool="a", latency_ms=latency) for latency in latencies))).tools
    assert tool.p50_ms == pytest.approx(latencies[499], rel=0.05)
    assert tool.p95_ms == pytest.approx(latencies[949], rel=0.05)
    assert tool.mean_ms == pytest.approx(sum(latencies) / 999, rel=1e-6)


def test_statistics_can_be_written_as_json_and_read_back() -> None:
    found = statistics_of(attempt(*calls("a", 3, latency_ms=2.5), domain="air"), attempt(*calls("b", 1, "error")))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Statistics) == found


@given(st.integers(0, 2**62))
def test_every_value_lies_in_its_bucket_near_its_middle(value: int) -> None:
    low, high = bounds_of(bucket_of(value))
    assert low <= value < high
    assert abs(middle_of(bucket_of(value)) - value) <= RELATIVE_ERROR * value


@given(st.integers(0, 2**62))
def test_buckets_follow_each_other_without_gaps(value: int) -> None:
    bucket = bucket_of(value)
    assert bounds_of(bucket)[1] == bounds_of(bucket + 1)[0]
    assert bucket_of(bounds_of(bucket)[1]) == bucket + 1


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_quantile_is_one_of_the_values_within_the_stated_error(values: list[int], wanted: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    found = quantile(counts, wanted)
    assert found is not None
    exact = next(
        value for value in sorted(values) if sum(each <= value for each in values) >= wanted * len(values) - 1e-6
    )
    assert found == pytest.approx(exact, rel=RELATIVE_ERROR * 1.01)


@pytest.mark.parametrize("took", [0.004, 3, 25, 40, 100, 2_000])
def test_a_median_has_no_digits_that_nobody_measured(took: float) -> None:
    (tool,) = statistics_of(attempt(*calls("a", 5, latency_ms=took))).tools
    assert tool.p50_ms == took


@given(st.integers(0, 2**62))
def test_a_rounded_value_stays_in_its_bucket(value: int) -> None:
    found = rounded(middle_of(bucket_of(value)))
    assert bucket_of(found) == bucket_of(value)
    assert abs(found - value) <= 0.05 * value


@given(st.lists(st.integers(16, 10**15), min_size=1, max_size=20))
def test_a_mean_of_buckets_is_close_to_the_geometric_mean(values: list[int]) -> None:
    exact = geometric_mean(values)
    assert value_at(sum(map(bucket_of, values)) / len(values)) == pytest.approx(exact, rel=0.10)
