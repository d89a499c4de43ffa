"""Which times questions name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.recall.moments import Period, asks_when, nearness, periods_in, tells_time, trend_of

pytestmark = pytest.mark.requirement("RE-04")
NOW = int(datetime(2026, 6, 17, 12, tzinfo=UTC).timestamp()) * 1_000_000  # a Wednesday
DAY = 86_400 * 1_000_000


def at(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("What was on 8 May, 2023?", Period(at(2023, 5, 8), at(2023, 5, 9))),
        ("What was on May 8th 2023?", Period(at(2023, 5, 8), at(2023, 5, 9))),
        ("on the 3rd of June", Period(month=6, day=3)),
        ("What did we do in December 2025?", Period(at(2025, 12, 1), at(2026, 1, 1))),
        ("What did we do in Sept.?", Period(month=9)),
        ("2025-12-31", Period(at(2025, 12, 31), at(2026, 1, 1))),
        ("in 2025-02", Period(at(2025, 2, 1), at(2025, 3, 1))),
        ("What happened in 2022?", Period(at(2022, 1, 1), at(2023, 1, 1))),
        ("since 2022", Period(start=at(2023, 1, 1))),
        ("before 2022", Period(end=at(2022, 1, 1))),
        ("after 8 May 2023", Period(start=at(2023, 5, 9))),
        ("What changed before May?", Period(end=at(2026, 5, 1))),
        ("What changed after August?", Period(start=at(2025, 9, 1))),
        ("yesterday", Period(at(2026, 6, 16), at(2026, 6, 17))),
        ("this morning", Period(at(2026, 6, 17), at(2026, 6, 18))),
        ("last week", Period(at(2026, 6, 8), at(2026, 6, 15))),
        ("this week", Period(at(2026, 6, 15), at(2026, 6, 22))),
        ("last month", Period(at(2026, 5, 1), at(2026, 6, 1))),
        ("this month", Period(at(2026, 6, 1), at(2026, 7, 1))),
        ("last year", Period(at(2025, 1, 1), at(2026, 1, 1))),
        ("this year", Period(at(2026, 1, 1), at(2027, 1, 1))),
        ("two days ago", Period(at(2026, 6, 15), at(2026, 6, 16))),
    ],
)
def test_a_named_time_is_understood(text: str, period: Period) -> None:
    assert periods_in(text, NOW) == (period,)


def test_units_ago_are_meant_roughly() -> None:
    (period,) = periods_in("What did we decide three weeks ago?", NOW)
    assert period.start is not None
    assert period.end is not None
    assert period.start < at(2026, 5, 27) < period.end
    assert 7 * DAY <= period.end - period.start <= 8 * DAY


@pytest.mark.parametrize("text", ["before February 30", "31 June 2026", "since 2026-02-30"])
def test_a_day_that_no_year_has_is_no_time(text: str) -> None:
    assert all(period.day is None and period.start is None and period.end is None for period in periods_in(text, NOW))


def test_nearness_falls_with_the_distance_on_the_scale_of_the_period() -> None:
    week = Period(at(2026, 6, 8), at(2026, 6, 15))
    moments = [at(2026, 6, 10), at(2026, 6, 16), at(2026, 6, 25), at(2026, 9, 1)]
    near = [nearness(week, moment) for moment in moments]
    assert near[0] == 1.0
    assert near == sorted(near, reverse=True)
    assert near[3] < 0.01
    year = Period(at(2026, 1, 1), at(2027, 1, 1))
    assert nearness(year, at(2027, 2, 1)) > nearness(week, at(2026, 7, 16))
    assert nearness(Period(end=at(2026, 1, 1)), at(2025, 1, 1)) == 1.0
    assert nearness(Period(end=at(2026, 1, 1)), at(2026, 1, 2)) == 0.0
    assert nearness(Period(month=12), at(1999, 12, 5)) == 1.0
    assert nearness(Period(month=12), at(1999, 1, 5)) == nearness(Period(month=12), at(1999, 11, 5)) < 1.0
    assert nearness(Period(month=12), at(1999, 6, 5)) == 0.0
    assert nearness(Period(month=12, day=5), at(1999, 12, 5)) > nearness(Period(month=12, day=5), at(1999, 12, 9))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("When did she move?", True),
        ("In what year was it?", True),
        ("Which month is best?", True),
        ("How long did it take?", True),
        ("What did she say when he came?", False),
        ("Whenever?", False),
    ],
)
def test_who_asks_for_a_time_is_recognised(text: str, wanted: bool) -> None:
    assert asks_when(text) is wanted


@pytest.mark.parametrize(
    ("text", "trend"),
    [("What is the latest plan?", 1), ("What was her first job?", -1), ("the first and the latest", 0), ("a job", 0)],
)
def test_the_newest_and_the_oldest_are_recognised(text: str, trend: int) -> None:
    assert trend_of(text) == trend


def test_texts_that_tell_a_time_are_recognised() -> None:
    assert all(tells_time(text) for text in ("We met last Friday.", "in MARCH", "at 10:30", "two years ago", "in 1999"))
    assert not any(tells_time(text) for text in ("We met.", "a blast", "nothing lasts", "1066 times"))


@given(st.text(max_size=80), st.integers(at(1990, 1, 1), at(2100, 1, 1)), st.integers(at(1900, 1, 1), at(2200, 1, 1)))
def test_no_text_is_too_strange(text: str, now: int, moment: int) -> None:
    for asked in (text, f"before {text}", f"{text} ago", f"last month {text} 2020"):
        assert all(0.0 <= nearness(period, moment) <= 1.0 for period in periods_in(asked, now))
    asks_when(text)
    trend_of(text)
    tells_time(text)
