"""How good advice is, told by the store itself: each episode is forecast before it is learned from.

A forecast is what the models of the time said of an episode that they had not seen: the chance of success before its
first step, and which tool comes next at each step. Forecasts are a sample of what comes in, and are not replayed: they
depend on when the models were fitted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import bindparam, delete, select

from tacit.experience.episode import Episode
from tacit.ids import parse_id
from tacit.learning.advising.advisor import Models
from tacit.learning.assessment.statistics import Share, share
from tacit.stores import schema
from tacit.stores.port import Row, Snapshot, Transaction

UNIT = 1_000_000
"""Chances are kept in millionths."""
MOST_STEPS = 8
"""Steps of an episode at which the next tool is forecast, spread over it."""
BINS = 10
"""Of the calibration, by the chance that was given."""
_STAGES = 8
"""Of the learning curve."""
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
    brier_prior: float | None
    """The same for the success rate so far of all episodes, which is what one would say without advice."""
    skill: float | None
    """1 − brier / brier_prior: above 0 the chances are worth something."""
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
    size = max(1, math.ceil(len(rows) / _STAGES))
    return Quality(
        whole=_stage(rows),
        curve=tuple(_stage(rows[start : start + size]) for start in range(0, len(rows), size)),
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
    answered = [row for row in rows if row[2] is not None]
    brier = _brier((row[2], row[4]) for row in answered)
    prior = _brier((row[3], row[4]) for row in answered)
    steps, hits = sum(row[5] for row in rows), sum(row[6] for row in rows)
    return Stage(
        episodes=len(rows),
        answered=len(answered),
        brier=brier,
        brier_prior=prior,
        skill=None if brier is None or not prior else 1 - brier / prior,
        next_tool=share(hits, steps) if steps else None,
    )


def _brier(pairs: Iterable[tuple[int, int]]) -> float | None:
    errors = [(chance / UNIT - success) ** 2 for chance, success in pairs]
    return sum(errors) / len(errors) if errors else None


def _calibration(rows: Sequence[Row]) -> tuple[Bin, ...]:
    bins: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if row[2] is not None:
            bins[min(BINS - 1, row[2] * BINS // UNIT)].append(row)
    return tuple(
        Bin(len(of), sum(row[2] for row in of) / len(of) / UNIT, share(sum(row[4] for row in of), len(of)))
        for _, of in sorted(bins.items())
    )
