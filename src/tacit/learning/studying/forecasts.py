"""How good advice is, told by the store itself: each episode is forecast before it is learned from.

A forecast is what the models of the time said of an episode that they had not seen: the chance of success before its
first step, and which tool comes next at each step. Forecasts are a sample of what comes in, and are not replayed: they
depend on when the models were fitted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import msgspec
from sqlalchemy import bindparam, delete, select

from tacit.experience.episode import Episode
from tacit.ids import parse_id
from tacit.learning.advising.advisor import Models
from tacit.learning.assessment.evidence import NORMAL_QUANTILE
from tacit.learning.assessment.statistics import Share, share
from tacit.stores import schema
from tacit.stores.port import Row, Snapshot, Transaction

UNIT = 1_000_000
"""Chances are kept in millionths."""
MOST_STEPS = 8
"""Steps of an episode at which the next tool is forecast, spread over it."""
BINS = 10
"""Of the calibration, by the chance that was given."""
MOST_STAGES, LEAST_OF_STAGE = 8, 20
"""Of the learning curve: so many stages at most, of about equal size, and each of so many episodes at least."""
_Interval: TypeAlias = tuple[float, float]
"""Holds the true value with 95 % confidence."""
_forecast = schema.forecast
_all = (
    select(
        _forecast.c.task_type, _forecast.c.domain, _forecast.c.chance, _forecast.c.prior, _forecast.c.success,
        _forecast.c.steps, _forecast.c.hits,
    )
    .where(_forecast.c.mind == bindparam("mind"), _forecast.c.position <= bindparam("position"))
    .order_by(_forecast.c.position, _forecast.c.episode)
)  # fmt: skip
_known = select(_forecast.c.position).where(
    _forecast.c.mind == bindparam("mind"), _forecast.c.episode == bindparam("episode")
)
_forget = delete(_forecast).where(_forecast.c.mind == bindparam("of"), _forecast.c.episode == bindparam("which"))


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Forecasts that came one after the other, or of one kind of task."""

    episodes: int
    """Finished episodes that were forecast."""
    answered: int
    """Of those, how many were given a chance; at the others the models abstained."""
    brier: float | None
    """Mean squared error of the chances (G. Brier, 1950): 0 is perfect, 0.25 a coin's."""
    brier_interval: _Interval | None
    brier_prior: float | None
    """The same for the success rate so far of all episodes, which is what one would say without advice."""
    skill: float | None
    """1 − brier / brier_prior: above 0 the chances are worth something."""
    skill_interval: _Interval | None
    """By the errors that the two made in the same episodes. While it holds 0, nobody knows whether they are."""
    next_tool: Share | None
    """How often the tool that was forecast as the most likely came next."""


class Bin(msgspec.Struct, frozen=True):
    """Forecasts of about the same chance: how many, their mean chance, and how often they succeeded."""

    episodes: int
    mean: float
    succeeded: Share


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """How good forecasts have been: over all, in the order in which they were made, by kind, and by chance."""

    whole: Stage
    curve: tuple[Stage, ...]
    kinds: dict[str, Stage]
    calibration: tuple[Bin, ...]


def forecast_row(mind: bytes, episode: Episode, position: int, models: Models, prior: float) -> Row:
    """The row of an episode that the models have not seen; ``prior`` is the success rate of those before it."""
    estimate = None if models.success is None else models.success.predict(episode.task, ())
    steps, hits = _next_tools(episode, models)
    success = episode.outcome is not None and episode.outcome.kind == "success"
    return (
        mind, parse_id(episode.id), position, episode.task.task_type, episode.task.domain,
        None if estimate is None else round(estimate.mean * UNIT), round(prior * UNIT), int(success), steps, hits,
    )  # fmt: skip


def write_forecasts(transaction: Transaction, mind: bytes, rows: Sequence[Row]) -> None:
    """Keep forecasts. The first one of an episode stays: later ones would have seen it."""
    fresh = [row for row in rows if transaction.row(_known, mind=mind, episode=row[1]) is None]
    if fresh:
        transaction.insert(_forecast, fresh)


def forget_forecast(transaction: Transaction, mind: bytes, episode: bytes) -> int:
    """Remove the forecast of an episode. Erasing calls this in its transaction."""
    return transaction.execute(_forget, of=mind, which=episode)


def read_quality(snapshot: Snapshot, mind: bytes, position: int) -> Quality:
    """How good the forecasts up to a position have been."""
    rows = snapshot.rows(_all, mind=mind, position=position)
    kinds: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        kinds[row[0] or row[1] or "(unspecified)"].append(row)
    stages = min(MOST_STAGES, max(1, len(rows) // LEAST_OF_STAGE))
    ends = [len(rows) * number // stages for number in range(stages + 1)]
    return Quality(
        whole=_stage(rows),
        curve=tuple(_stage(rows[start:end]) for start, end in pairwise(ends) if end),
        kinds={kind: _stage(of) for kind, of in sorted(kinds.items())},
        calibration=_calibration(rows),
    )


def _next_tools(episode: Episode, models: Models) -> tuple[int, int]:
    """At how many steps the next tool was forecast, and how often that was right."""
    if models.next_step is None:
        return 0, 0
    places = [place for place, step in enumerate(episode.steps) if step.tool]
    apart = max(1, math.ceil(len(places) / MOST_STEPS))
    asked = hits = 0
    for place in places[::apart]:
        ranked = models.next_step.forecast(episode.task, episode.steps[:place]).tools
        if ranked:
            asked += 1
            hits += ranked[0][0] == episode.steps[place].tool
    return asked, hits


def _stage(rows: Sequence[Row]) -> Stage:
    errors = [(_error(row[2], row[4]), _error(row[3], row[4])) for row in rows if row[2] is not None]
    brier, prior = (sum(each) / len(errors) for each in zip(*errors, strict=True)) if errors else (None, None)
    skill = None if brier is None or not prior else 1 - brier / prior
    steps, hits = sum(row[5] for row in rows), sum(row[6] for row in rows)
    return Stage(
        episodes=len(rows),
        answered=len(errors),
        brier=brier,
        brier_interval=None if brier is None else _interval(brier, [error - brier for error, _ in errors]),
        brier_prior=prior,
        skill=skill,
        skill_interval=None
        if not prior or skill is None
        else _interval(  # W. Cochran, "Sampling Techniques", 6.4
            skill, [(error - (1 - skill) * plain) / prior for error, plain in errors]
        ),
        next_tool=share(hits, steps) if steps else None,
    )


def _error(chance: int, success: int) -> float:
    return float(chance / UNIT - success) ** 2


def _interval(figure: float, off: Sequence[float]) -> _Interval | None:
    """The interval of a mean; ``off`` is how far each of the episodes is off it. None of a single one."""
    many = len(off)
    if many < 2:
        return None
    reach = NORMAL_QUANTILE * math.sqrt(sum(each * each for each in off) / (many * (many - 1)))
    return figure - reach, figure + reach


def _calibration(rows: Sequence[Row]) -> tuple[Bin, ...]:
    bins: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if row[2] is not None:
            bins[min(BINS - 1, row[2] * BINS // UNIT)].append(row)
    return tuple(
        Bin(len(of), sum(row[2] for row in of) / len(of) / UNIT, share(sum(row[4] for row in of), len(of)))
        for _, of in sorted(bins.items())
    )
