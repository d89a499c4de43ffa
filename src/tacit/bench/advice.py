"""How fast is learned and advised: the learner's rate, one long episode, and advice on a store of many episodes, now
and as of the past."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path

from tacit.bench.bulk import record_all
from tacit.bench.episodes import records
from tacit.bench.read import timed
from tacit.bench.run import Run
from tacit.bench.store import open_default
from tacit.experience.episode import Record, Step
from tacit.mind import Mind, PastMind
from tacit.stores.sqlite import SqliteStore

_CHUNK = 10_000  # episodes kept in memory at once while the store is built
_QUESTIONS = 200
_PAST_QUESTIONS = 20
_LONG_EPISODE = 1_000
_SETTLE_SECONDS, _LOOK_SECONDS = 1_800.0, 0.2


def measure(run: Run) -> None:
    """Rates and durations at ``run.size`` episodes of ten steps."""
    _measure_long_episode(run)
    path = run.folder / "advice.db"
    with open_default(SqliteStore(path), consumers=False) as opened:
        _build(opened.mind(), run.size - run.size // 2, 0)
        middle = datetime.now(UTC)
        _build(opened.mind(), run.size // 2, run.size)
    with open_default(SqliteStore(path)) as opened:
        mind = opened.mind()
        _measure_learner(run, mind)
        run.figure("advice_episodes", run.size, "episodes")
        tasks = list(records(_QUESTIONS, seed=99))
        _measure_advice(run, mind, path, tasks, middle)


def _measure_learner(run: Run, mind: Mind) -> None:
    """The rate at which episodes become statistics and lessons, then also vectors, and then are all studied as well."""
    start, seconds = time.perf_counter(), dict[str, float]()
    with ThreadPoolExecutor(1) as pool:
        settled = pool.submit(mind.settle, _SETTLE_SECONDS)
        while not settled.done():
            wait([settled], _LOOK_SECONDS)
            for name, behind in mind.lag().items():
                if behind:
                    seconds.pop(name, None)
                else:
                    seconds.setdefault(name, time.perf_counter() - start)
        settled.result()
    lessons = max(seconds["tally"], seconds["lessons"])
    run.figure("advice_learner_lessons", run.size / lessons, "episodes/s")
    run.figure("advice_learner_vectors", run.size / max(lessons, seconds["vectors"]), "episodes/s")
    run.figure("advice_learner", run.size / max(seconds.values()), "episodes/s")


def _build(mind: Mind, count: int, seed: int) -> None:
    for first in range(0, count, _CHUNK):
        record_all(mind, list(records(min(_CHUNK, count - first), seed=seed + first)))


def _measure_long_episode(run: Run) -> None:
    spent = []
    for number in range(run.rounds):
        with open_default(SqliteStore(run.folder / f"long-{number}.db")) as opened:
            mind = opened.mind()
            record_all(mind, list(records(20, seed=1)))
            mind.settle(_SETTLE_SECONDS)
            record_all(mind, list(records(1, seed=2, steps=_LONG_EPISODE)))
            start = time.perf_counter()
            mind.settle(_SETTLE_SECONDS)
            spent.append(time.perf_counter() - start)
    run.timing("learn_long_episode", spent)


def _ask(mind: PastMind, record: Record, steps: list[Step]) -> None:
    task = record.task
    mind.advise(task.description, task_type=task.task_type, domain=task.domain, steps=steps, record=False)


def _measure_advice(run: Run, mind: Mind, path: Path, tasks: list[Record], middle: datetime) -> None:
    _ask(mind, tasks[0], [])  # what lies in the store is read once
    run.timing("advise_at_start", timed(lambda one: _ask(mind, one, []), tasks))
    run.timing("advise_after_four_steps", timed(lambda one: _ask(mind, one, list(one.steps[:4])), tasks))
    run.timing("advise_and_record", timed(lambda one: mind.advise(one.task.description), tasks))
    with open_default(SqliteStore(path)) as again:
        run.timing("advise_first", timed(lambda one: _ask(again.mind(), one, []), tasks[:1]))
    past = mind.at(middle)
    run.timing("advise_in_the_past_first", timed(lambda one: _ask(past, one, []), tasks[:1]))
    run.timing("advise_in_the_past", timed(lambda one: _ask(past, one, []), tasks[1:_PAST_QUESTIONS]))
    run.timing("advise_now_after_the_past", timed(lambda one: _ask(mind, one, []), tasks[:_PAST_QUESTIONS]))
