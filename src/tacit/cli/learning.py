"""How ``tacit stats learning`` shows what the store knows of its own forecasts."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from tacit.cli.output import Output, counted, percent
from tacit.cli.pictures import bar, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tacit.learning.studying.forecasts import Bin, Quality, Stage
    from tacit.learning.trials.report import AdviceTrial

_FEW = 10
"""Of fewer forecasts no figure is made: it would be told as if it were one."""


def show_quality(out: Output, found: Quality) -> None:
    """Write the quality of forecasts for people: the learning curve, by kind of task, and the calibration."""
    if not found.whole.episodes:
        out.line(
            "No forecasts yet. Once models have been fitted, new episodes are forecast before they are learned from."
        )
        return
    if found.whole.episodes < _FEW:
        out.line(
            f"{counted(found.whole.episodes, 'forecast')} so far, which is too few to say how good they are; "
            f"{_FEW} are needed."
        )
        return
    out.line(
        "Each episode is forecast before it is learned from. Brier: squared error of the chance of success, 0 is "
        "perfect; skill: how much of the error of the plain success rate is gone. In brackets: the interval that holds "
        "the true figure with 95 % confidence; skill is sure where all of it lies above 0."
    )
    out.heading("Learning curve, oldest first")
    ends = list(accumulate(stage.episodes for stage in found.curve))
    parts = {f"{end - stage.episodes + 1} … {end}": stage for end, stage in zip(ends, found.curve, strict=True)}
    _stages(out, {**(parts if len(parts) > 1 else {}), "all": found.whole})
    _picture(out, parts)
    out.heading("By kind of task")
    _stages(out, found.kinds)
    if found.calibration:
        out.heading("Calibration: of those with about this chance, how many succeeded")
        rows = [(f"{each.mean * 100:.0f} %", each.episodes, *_judged(each)) for each in found.calibration]
        out.table(("chance", "episodes", "succeeded", ""), rows)


def _picture(out: Output, parts: dict[str, Stage]) -> None:
    """The learning curve, drawn."""
    if len(parts) > 1:
        out.heading("The same, drawn: how many next tools were right, and the skill on a scale from −1 to 1")
        out.table(("", "next tool right", "skill"), [(name, *_drawn(each)) for name, each in parts.items()])


def _drawn(each: Stage) -> tuple[str, str]:
    skill, interval = each.skill, each.skill_interval
    return (
        "" if each.next_tool is None else bar(each.next_tool.value),
        "" if skill is None or interval is None else span(interval[0], skill, interval[1]),
    )


def _judged(each: Bin) -> tuple[str, str]:
    """How many of some forecasts came true, with a bar."""
    if each.episodes < _FEW:
        return f"{round(each.succeeded.value * each.episodes)} of {each.episodes}", ""
    return percent(each.succeeded), bar(each.succeeded.value)


def _stages(out: Output, stages: dict[str, Stage]) -> None:
    columns = ("", "episodes", "Brier", "of the plain rate", "skill", "next tool right")
    out.table(columns, [(name, each.episodes, *_figures(each)) for name, each in stages.items()])


def _figures(each: Stage) -> tuple[str, str, str, str]:
    if each.episodes < _FEW:
        return "", "", "", "too few"
    return (
        _figure(each.brier, each.brier_interval),
        _figure(each.brier_prior),
        _figure(each.skill, each.skill_interval),
        percent(each.next_tool),
    )


def show_trials(out: Output, found: Sequence[AdviceTrial]) -> None:
    """Write for people whether each piece of advice helps."""
    if not found:
        out.line(
            "No outcomes of advice yet. One counts once advice has shown a heuristic or a pitfall, and the episode "
            "that was begun with exposure=advice.exposure_id has ended (or 'tacit feedback' has told how it went)."
        )
        return
    columns = ("id", "advice", "shown", "succeeded", "steps per success", "withheld", "succeeded", "steps per success",
               "lift", "")  # fmt: skip
    out.table(columns, [_trial_row(one) for one in found])
    lifts = [(one.id, one.trial.lift) for one in found if one.trial.lift is not None]
    if lifts:
        out.heading("Lift, on a scale from −1 to 1")
        out.table(("id", ""), [(id, span(lift.low, lift.difference, lift.high)) for id, lift in lifts])
    if not any(one.trial.withheld for one in found):
        out.line(
            "Nothing was withheld, so what would have come without it is not known: set advice.withhold_share above 0."
        )


def _trial_row(one: AdviceTrial) -> Sequence[str | int]:
    trial, lift = one.trial, one.trial.lift
    return (
        one.id,
        one.text,
        trial.shown,
        trial.shown_successes,
        _steps(trial.shown_cost),
        trial.withheld,
        trial.withheld_successes,
        _steps(trial.withheld_cost),
        "" if lift is None else f"{lift.difference:+.2f} ({lift.low:+.2f} … {lift.high:+.2f})",
        "demoted" if one.demoted else "",
    )


def _steps(cost: float | None) -> str:
    return "" if cost is None else f"{cost:.1f}"


def _figure(value: float | None, interval: tuple[float, float] | None = None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" + (f" ({interval[0]:.2f} … {interval[1]:.2f})" if interval else "")
