"""Times in questions: which stretch of time a question names, whether it asks for a time, whether for the newest.

Rules of our own for English and ISO dates: they cost microseconds, where general parsers of dates take milliseconds,
and a question without a time in it must cost nothing. What is not understood is no time, and ranks nothing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

_YEAR_ROUND = "january february march april may june july august september october november december"
MONTHS = tuple(_YEAR_ROUND.split())
_SHORT_MONTHS = ["jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"]
_MONTH = rf"(?:{'|'.join(MONTHS)}|(?:{'|'.join(_SHORT_MONTHS)})\b\.?)"
_UNITS = {"day": 1, "week": 7, "month": 30, "year": 365}
_COUNTED = "one two three four five six seven eight nine ten"
_NUMBERS = {word: number for number, word in enumerate(_COUNTED.split(), start=1)}
_NUMBERS["a"] = _NUMBERS["an"] = 1
_DAY = timedelta(days=1)
_LONGEST = 1_000
"""Characters of a question that are looked at."""

_ISO = re.compile(r"\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b")
_DATED = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?)?({_MONTH})(?:\s+(\d{{1,2}})(?:st|nd|rd|th)?\b)?(?:,?\s+((?:19|20)\d\d))?\b"
)
_YEAR = re.compile(r"\b(?:in|of|during|since|before|after|until|by)\s+((?:19|20)\d\d)\b(?!-)")
_AGO = re.compile(rf"\b(\d{{1,3}}|{'|'.join(_NUMBERS)})\s+(day|week|month|year)s?\s+ago\b")
_NAMED = re.compile(r"\b(yesterday|today|this morning|tonight|(?:last|past|this)\s+(?:week|month|year))\b")
_BEFORE = re.compile(r"\b(?:before|until|prior to|earlier than|by)\s*(?:the\s+)?$")
_AFTER = re.compile(r"\b(?:after|since|later than)\s*(?:the\s+)?$")
_VERBS = ("may", "march")
"""Months that are verbs as well: taken for months only after words that come before a time."""
_BEFORE_A_TIME = re.compile(r"\b(?:in|of|last|this|since|before|after|until|during|by|early|late|mid)\s*-?$")
_ASKS_WHEN = re.compile(
    r"^\W*(?:(?:when|since when|until when|how long)\b|how (?:many|much) (?:days|weeks|months|years|time)\b"
    r"|(?:\w+\s+)?(?:what|which)\s+(?:exact\s+)?(?:year|month|day|date|time|season|week|weekend)\b)"
)
_NEWEST = re.compile(
    r"\b(?:latest|newest|most recent(?:ly)?|recently|lately|last time|currently|current|nowadays|these days|now)\b"
)
_OLDEST = re.compile(r"\b(?:first|earliest|oldest|originally|initially|at the beginning|in the beginning)\b")
_WORDS = re.compile(r"\w+").findall
_SOON = "yesterday today tonight tomorrow ago recently last next since weekend week month year years"
_DAYS = "mon tues wednes thurs fri satur sun"
_TOLD_WORDS = frozenset(
    [*MONTHS, *_SHORT_MONTHS, *_SOON.split(), *_DAYS.split(), *(f"{day}day" for day in _DAYS.split())]
)
_TOLD_NUMBERS = re.compile(r"\b(?:(?:19|20)\d\d|\d{1,2}[:/.]\d\d)\b")


class Period(msgspec.Struct, frozen=True):
    """A stretch of time that a question names: from ``start`` until before ``end``, µs since 1970 UTC, either open.

    ``month`` and ``day`` instead where no year is named: that month, or that day of it, of any year.
    """

    start: int | None = None
    end: int | None = None
    month: int | None = None
    day: int | None = None


def periods_in(question: str, now: int) -> tuple[Period, ...]:
    """The stretches of time that a question names. ``now`` is when it is asked, µs since 1970 UTC."""
    text = question[:_LONGEST].casefold()
    today = datetime.fromtimestamp(now / 1e6, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[tuple[int, Period]] = []
    for match in _ISO.finditer(text):
        found.append((match.start(), _dated(int(match[1]), int(match[2]), int(match[3]) if match[3] else None)))
    for match in _DATED.finditer(text):
        sure = match[1] or match[3] or match[4] or _BEFORE_A_TIME.search(text[: match.start()].rstrip())
        if match[2] in _VERBS and not sure:
            continue
        month = next(place for place, name in enumerate(MONTHS, start=1) if name.startswith(match[2][:3]))
        day, year = match[1] or match[3], match[4]
        found.append((match.start(), _dated(int(year) if year else None, month, int(day) if day else None)))
    taken = {match.start(4) for match in _DATED.finditer(text) if match[4]}
    for match in _YEAR.finditer(text):
        if match.start(1) not in taken:
            found.append((match.start(1), _dated(int(match[1]), None, None)))
    for match in _AGO.finditer(text):
        number = int(match[1]) if match[1].isdigit() else _NUMBERS[match[1]]
        found.append((match.start(), _ago(today, number, match[2])))
    found += [(match.start(), _named(today, match[1])) for match in _NAMED.finditer(text)]
    turned = (_turned(text[:place].rstrip(), period, today) for place, period in found if period != Period())
    return tuple(period for period in turned if period != Period())


def asks_when(question: str) -> bool:
    """Whether a time is asked for."""
    return bool(_ASKS_WHEN.search(question[:_LONGEST].casefold()))


def trend_of(question: str) -> Literal[-1, 0, 1]:
    """Whether the newest (1) or the oldest (-1) is asked for, or neither."""
    text = question[:_LONGEST].casefold()
    newest, oldest = bool(_NEWEST.search(text)), bool(_OLDEST.search(text))
    if newest == oldest:
        return 0
    return 1 if newest else -1


def tells_time(text: str) -> bool:
    """Whether a text says when something was or will be."""
    return not _TOLD_WORDS.isdisjoint(_WORDS(text.lower())) or bool(_TOLD_NUMBERS.search(text))


def nearness(period: Period, moment: int) -> float:
    """1 for a moment inside a period, falling with the distance to it on the scale of its own length; 0 … 1."""
    if period.month is not None:
        when = datetime.fromtimestamp(moment / 1e6, UTC)
        apart = abs(when.month - period.month) % 12
        if apart or period.day is None:
            return (1.0, 0.3)[min(apart, 12 - apart)] if min(apart, 12 - apart) < 2 else 0.0
        return float(0.5 ** abs(when.day - period.day))
    start, end = period.start, period.end
    if (start is None or moment >= start) and (end is None or moment < end):
        return 1.0
    if start is None or end is None:
        return 0.0
    away = start - moment if moment < start else moment - end
    return float(0.5 ** (1 + away / (end - start)))


def _dated(year: int | None, month: int | None, day: int | None) -> Period:
    """A day, a month or a year; nothing if there is no such day."""
    if year is None:
        return Period(month=month, day=day if day and day <= 31 else None)
    try:
        start = datetime(year, month or 1, day or 1, tzinfo=UTC)
    except ValueError:
        return Period()
    if day:
        return _between(start, start + _DAY)
    if month:
        return _between(start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC))
    return _between(start, datetime(year + 1, 1, 1, tzinfo=UTC))


def _ago(today: datetime, number: int, unit: str) -> Period:
    """So many units ago, and half a unit to either side: people round."""
    days = _UNITS[unit]
    try:
        middle = today - timedelta(days=days * number)
    except OverflowError:
        return Period()
    if days == 1:
        return _between(middle, middle + _DAY)
    return _between(middle - timedelta(days=days / 2), middle + timedelta(days=days / 2 + 1))


def _named(today: datetime, name: str) -> Period:
    if name == "yesterday":
        return _between(today - _DAY, today)
    if name in {"today", "tonight", "this morning"}:
        return _between(today, today + _DAY)
    which, unit = name.split()
    if unit == "week":
        start = today - timedelta(days=today.weekday())
        before = start - timedelta(days=7)
        after = start + timedelta(days=7)
    elif unit == "month":
        start = today.replace(day=1)
        before = (start - _DAY).replace(day=1)
        after = (start + timedelta(days=32)).replace(day=1)
    else:
        start = today.replace(month=1, day=1)
        before, after = start.replace(year=start.year - 1), start.replace(year=start.year + 1)
    return _between(start, after) if which == "this" else _between(before, start)


def _between(start: datetime, end: datetime) -> Period:
    return Period(start=_micros(start), end=_micros(end))


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def _turned(before: str, period: Period, today: datetime) -> Period:
    """What comes before or after a period, where the question says so; of a month without a year, the last one that has
    begun."""
    earlier, later = _BEFORE.search(before), _AFTER.search(before)
    if not earlier and not later:
        return period
    if period.month is not None:
        period = _dated(today.year - (period.month > today.month), period.month, period.day)
    return Period(end=period.start) if earlier else Period(start=period.end)
