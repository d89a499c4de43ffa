"""What is learned, measured on held-out tasks beside plain baselines: success, tools, next ones, and their calls."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

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

    rows: dict[int, list[tuple[float, float, float, str]]] = defaultdict(list)
    for fold in range(FOLDS):
        known, held_out = of_fold(cases, fold)
        model = SuccessModel.fit(known)
        for case in held_out:
            for count, prefix in _prefixes(case.episode, after):
                found = model.predict(case.episode.task, case.episode.steps[:prefix])
                kind = _rate_of_kind(known, case.episode)
                chance = kind if found is None else found.mean
                rows[count].append((chance, kind, float(solved(case.episode)), case.cluster))
    for count, of in sorted(rows.items()):
        chances, kinds, came = (numpy.array([row[place] for row in of]) for place in range(3))
        clusters = [row[3] for row in of]
        label = f"{name}_success_after_{count}"
        run.figure(f"{label}_runs", len(of), "runs")
        run.interval(f"{label}_auroc", bootstrap(_of(auroc, chances, came), clusters))
        run.interval(f"{label}_auroc_of_kind", bootstrap(_of(auroc, kinds, came), clusters))
        run.interval(f"{label}_brier", bootstrap(_of(brier, chances, came), clusters))
        run.interval(f"{label}_skill_over_kind", bootstrap(_skill(chances, kinds, came), clusters))
        run.interval(f"{label}_calibration_slope", bootstrap(_of(slope, chances, came), clusters))


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
        grams = {order: _grams(known, order) for order in (0, 1, 2)}
        for case in held_out:
            if of_solved and not solved(case.episode):
                continue
            history: list[str] = []
            for place in calls(case.episode):
                tool = case.episode.steps[place].tool
                ranked = model.predict(case.episode.task, case.episode.steps[:place])
                hits["tacit"].append(bool(ranked) and ranked[0][0] == tool)
                for order, label in ((0, "majority"), (1, "bigram"), (2, "trigram")):
                    hits[label].append(_by_grams(grams, order, history) == tool)
                history.append(tool)
                clusters.append(case.cluster)
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


def _grams(known: Sequence[Episode], order: int) -> dict[tuple[str, ...], Counter[str]]:
    found: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for episode in known:
        tools = [""] * order + [episode.steps[place].tool for place in calls(episode)]
        for place in range(order, len(tools)):
            found[tuple(tools[place - order : place])][tools[place]] += 1
    return found


def _by_grams(grams: dict[int, dict[tuple[str, ...], Counter[str]]], order: int, history: Sequence[str]) -> str:
    """The most frequent tool after the last ones; after fewer of them where these were never seen."""
    padded = [""] * order + list(history)
    for length in range(order, -1, -1):
        seen = grams[length].get(tuple(padded[len(padded) - length :]))
        if seen:
            return max(seen, key=lambda tool: (seen[tool], tool))
    return ""


def _of(figure: Callable[..., float], *columns: Real) -> Callable[[Real], float]:
    """A figure of the cases at some places."""
    return lambda at: figure(*(column[at] for column in columns))


def _mean(values: Real) -> float:
    return float(values.mean())
