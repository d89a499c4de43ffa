"""What is learned, measured on held-out tasks beside plain baselines: success, tools, next ones, and their calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tacit.bench.baselines import NextTools, success_shares
from tacit.bench.folds import FOLDS, Case, alfworld, calls, made_up, of_fold, solved, tau_airline
from tacit.bench.intervals import auroc, bootstrap, brier, slope
from tacit.bench.next_actions import measure_next_actions
from tacit.bench.retries import measure_retries
from tacit.bench.run import Run
from tacit.bench.tool_choice import measure_tool_choice
from tacit.experience.episode import Episode
from tacit.learning.next_step.model import NextStepModel
from tacit.learning.success.model import SuccessModel

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

AFTER_CALLS = (0, 6)
"""Chances of success are measured before the first call, and after six among runs that still go on."""
_TAU_CALLS = (0, 4)


def measure(run: Run) -> None:
    """On real runs with --data, else on a little world made from a seed; the same gates on both."""
    measure_tool_choice(run)
    if run.data is None:
        _success(run, "made_up", made_up(), (0, 2))
        _next_tool(run, "made_up", made_up(), of_solved=True)
        measure_next_actions(run, "made_up", made_up())
        return
    runs = alfworld(run.data)
    _success(run, "alfworld", runs, AFTER_CALLS)
    _next_tool(run, "alfworld", runs, of_solved=True)
    measure_next_actions(run, "alfworld", runs)
    airline = tau_airline(run.data)
    _success(run, "tau_airline", airline, _TAU_CALLS)
    _next_tool(run, "tau_airline", airline, of_solved=False)
    measure_next_actions(run, "tau_airline", airline)
    measure_retries(run, run.data)


# ── chance of success ────────────────────────────────────────────────────────────────────────────────────────────────


def _success(run: Run, name: str, cases: list[Case], after: Sequence[int]) -> None:
    import numpy

    told: dict[int, dict[str, list[float]]] = {count: defaultdict(list) for count in after}
    clusters: dict[int, list[str]] = defaultdict(list)
    for fold in range(FOLDS):
        known, held_out = of_fold(cases, fold)
        model = SuccessModel.fit(known)
        for count in after:
            asked = [
                (case, prefix) for case in held_out for at, prefix in _prefixes(case.episode, (count,)) if at == count
            ]
            if not asked:
                continue
            columns = _chances(model, known, [(case.episode, prefix) for case, prefix in asked])
            for label, chances in columns.items():
                told[count][label] += chances
            told[count]["came"] += [float(solved(case.episode)) for case, _ in asked]
            clusters[count] += [case.cluster for case, _ in asked]
    for count, of in told.items():
        came = numpy.array(of.pop("came"))
        _note_success(
            run, f"{name}_success_after_{count}", {k: numpy.array(v) for k, v in of.items()}, came, clusters[count]
        )


def _chances(
    model: SuccessModel, known: Sequence[Episode], asked: Sequence[tuple[Episode, int]]
) -> dict[str, list[float]]:
    """The chance of success of each run, by the model and by plain baselines."""
    kinds = [_rate_of_kind(known, episode) for episode, _ in asked]
    found = [model.predict(episode.task, episode.steps[:prefix]) for episode, prefix in asked]
    ours = [kind if one is None else one.mean for one, kind in zip(found, kinds, strict=True)]
    return {"tacit": ours, "kind": kinds, **success_shares(known, asked)}


def _note_success(run: Run, label: str, told: dict[str, Real], came: Real, clusters: list[str]) -> None:
    ours = told["tacit"]
    run.figure(f"{label}_runs", len(came), "runs")
    run.interval(f"{label}_auroc", bootstrap(_of(auroc, ours, came), clusters))
    run.interval(f"{label}_brier", bootstrap(_of(brier, ours, came), clusters))
    run.interval(f"{label}_calibration_slope", bootstrap(_of(slope, ours, came), clusters))
    for plain, chances in told.items():
        if plain != "tacit":
            run.interval(f"{label}_auroc_of_{plain}", bootstrap(_of(auroc, chances, came), clusters))
            run.interval(f"{label}_auroc_over_{plain}", bootstrap(_gain(ours, chances, came), clusters))
            run.interval(f"{label}_skill_over_{plain}", bootstrap(_skill(ours, chances, came), clusters))


def _gain(ours: Real, plain: Real, came: Real) -> Callable[[Real], float]:
    return lambda at: auroc(ours[at], came[at]) - auroc(plain[at], came[at])


def _skill(chances: Real, kinds: Real, came: Real) -> Callable[[Real], float]:
    def figure(at: Real) -> float:
        plain = brier(kinds[at], came[at])
        return 1 - brier(chances[at], came[at]) / plain if plain else float("nan")

    return figure


def _prefixes(episode: Episode, after: Sequence[int]) -> list[tuple[int, int]]:
    """How many calls, and how many steps, for each prefix after which the run still goes on."""
    places = list(calls(episode))
    found = []
    for count in after:
        if count == 0:
            found.append((0, 0))
        elif len(places) > count:
            found.append((count, places[count - 1] + 1))
    return found


def _rate_of_kind(known: Sequence[Episode], episode: Episode) -> float:
    """The success rate of the same kind of task, with one success and one failure imagined."""
    alike = [
        solved(each)
        for each in known
        if (each.task.task_type, each.task.domain) == (episode.task.task_type, episode.task.domain)
    ]
    return (sum(alike) + 1) / (len(alike) + 2)


# ── next tool ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _next_tool(run: Run, name: str, cases: list[Case], *, of_solved: bool) -> None:
    import numpy

    hits: dict[str, list[bool]] = defaultdict(list)
    clusters: list[str] = []
    for fold in range(FOLDS):
        known, held_out = of_fold(cases, fold)
        model = NextStepModel.fit(known, target="solved" if of_solved else "all", with_end=False)
        of = [case for case in held_out if solved(case.episode) or not of_solved]
        asked = [(case.episode, place) for case in of for place in calls(case.episode)]
        clusters += [case.cluster for case in of for _ in calls(case.episode)]
        truth = [episode.steps[place].tool for episode, place in asked]
        ranked = [model.predict(episode.task, episode.steps[:place]) for episode, place in asked]
        told = {"tacit": [found[0][0] if found else "" for found in ranked], **NextTools(known).told(asked)}
        for label, tools in told.items():
            hits[label] += [tool == right for tool, right in zip(tools, truth, strict=True)]
    run.figure(f"{name}_next_tool_calls", len(clusters), "calls")
    ours = numpy.array(hits["tacit"], dtype=float)
    for label, found in hits.items():
        there = numpy.array(found, dtype=float)
        run.interval(f"{name}_next_tool_{label}", bootstrap(_of(_mean, there), clusters))
        if label != "tacit":
            gap = ours - there
            run.interval(f"{name}_next_tool_gain_over_{label}", bootstrap(_of(_mean, gap), clusters))
    best = max(numpy.mean(found) for label, found in hits.items() if label != "tacit")
    run.ratio(f"{name}_next_tool_over_best_baseline", [float(ours.mean() / best)])


def _of(figure: Callable[..., float], *columns: Real) -> Callable[[Real], float]:
    """A figure of the cases at some places."""
    return lambda at: figure(*(column[at] for column in columns))


def _mean(values: Real) -> float:
    return float(values.mean())
