"""Does it help to know how earlier trials went? Trial after trial of the same tasks, each foretold from those before.

The logs tell of each trial which tasks had been solved by then, so a solved task stays solved, and most of what can be
known is that. So the tasks that were still unsolved are looked at by themselves too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tacit.bench.intervals import auroc, bootstrap, brier
from tacit.bench.run import Run
from tacit.experience.episode import Episode, Outcome, Task
from tacit.learning.success.model import SuccessModel

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

_LOGS = ("base_run_logs", "reflexion_run_logs")


class _Told(msgspec.Struct, frozen=True):
    """One trial of one task, as it was foretold and as it came."""

    task: str
    chance: float
    rate: float
    """Of all trials so far."""
    success: bool
    unsolved: bool
    """Whether the trial before had not solved it."""


def measure_retries(run: Run, data: Path) -> None:
    """Brier skill over the success rate of all earlier trials, and AUROC, by cluster bootstrap over tasks."""
    import numpy

    for name in _LOGS:
        told = _foretold(_trials(data / "reflexion" / "alfworld_runs" / "root" / name))
        chances, rates, came = (
            numpy.array([float(getattr(one, field)) for one in told]) for field in ("chance", "rate", "success")
        )
        clusters = [one.task for one in told]
        still = numpy.flatnonzero([one.unsolved for one in told])

        def skill(at: Real, chances: Real = chances, rates: Real = rates, came: Real = came) -> float:
            return 1 - brier(chances[at], came[at]) / brier(rates[at], came[at])

        def ranking(at: Real, chances: Real = chances, came: Real = came) -> float:
            return auroc(chances[at], came[at])

        label = f"reflexion_{name.removesuffix('_logs')}"
        run.figure(f"{label}_trials", len(told), "trials")
        run.interval(f"{label}_skill_over_rate", bootstrap(skill, clusters))
        run.interval(f"{label}_auroc", bootstrap(ranking, clusters))
        open_tasks = [clusters[place] for place in still]

        def ranking_of_unsolved(at: Real, chances: Real = chances[still], came: Real = came[still]) -> float:
            return auroc(chances[at], came[at])

        run.figure(f"{label}_unsolved_trials", len(still), "trials")
        run.interval(f"{label}_unsolved_auroc", bootstrap(ranking_of_unsolved, open_tasks))


def _trials(folder: Path) -> list[dict[str, bool]]:
    """For each trial, which tasks were solved."""
    paths = sorted(folder.glob("env_results_trial_*.json"), key=lambda path: int(path.stem.rpartition("_")[2]))
    return [{each["name"]: each["is_success"] for each in msgspec.json.decode(path.read_bytes())} for path in paths]


def _foretold(trials: list[dict[str, bool]]) -> list[_Told]:
    found: list[_Told] = []
    known: list[Episode] = []
    for number, trial in enumerate(trials):
        if known:
            model = SuccessModel.fit(known)
            rate = sum(each.status == "success" for each in known) / len(known)
            for name, success in trial.items():
                chance = model.predict(_task(name), ())
                told = rate if chance is None else chance.mean
                found.append(_Told(name, told, rate, success, unsolved=not trials[number - 1][name]))
        known += [_episode(name, success, number) for name, success in trial.items()]
    return found


def _task(name: str) -> Task:
    return Task(description=name, task_type="household")


def _episode(name: str, success: bool, number: int) -> Episode:
    outcome = Outcome(kind="success" if success else "failure")
    return Episode(
        id=f"{name}-{number}", mind="bench", task=_task(name), status=outcome.kind, outcome=outcome,
        started_at_micros=number, ended_at_micros=number + 1,
    )  # fmt: skip
