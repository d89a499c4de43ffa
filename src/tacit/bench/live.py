"""Logging steps while they happen, every call acknowledged when durable, beside the barest group commit."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from tacit import aio
from tacit.bench.episodes import records, step_fields
from tacit.bench.raw import GroupCommit
from tacit.bench.run import Run
from tacit.bench.store import count_finished, count_steps, open_default, settings
from tacit.mind import Mind
from tacit.stores.sqlite import SqliteStore

_THREADS = (1, 8, 64)
_ALSO_WITHOUT_CONSUMERS = 8
_CALLERS = 1_000
_STEPS_PER_SIZE = 4
_STEPS_PER_EPISODE = 100
_WARM_UP_STEPS = 5
_BODY = msgspec.json.encode(next(records(1)).steps[0])

Work: TypeAlias = tuple[Sequence[Any], Callable[[Any], object]]
"""What a thread will do: a call for each item."""


def measure(run: Run) -> None:
    """Steps a second from 1, 8 and 64 threads and from a thousand asyncio tasks, with the durations of single calls.

    From 8 threads also without consumers, in each round right after the measurement with them.
    """
    lost = 0
    for threads in _THREADS:
        each = max(2, run.size * _STEPS_PER_SIZE // max(threads, 8))
        rates, quiet_rates, bare_rates, shares = [], [], [], []
        for number in range(run.rounds):
            rate, calls, missing = _steps(run.folder / f"live-{threads}-{number}.db", threads, each)
            if threads == _ALSO_WITHOUT_CONSUMERS:
                path = run.folder / f"quiet-{threads}-{number}.db"
                quiet_rate, _, unwritten = _steps(path, threads, each, consumers=False)
                quiet_rates.append(quiet_rate)
                lost += unwritten
            bare_rate, bare_calls = _bare(run.folder / f"bare-{threads}-{number}.db", threads, each)
            run.timing(f"live_step_{threads}_threads", calls)
            run.timing(f"bare_write_{threads}_threads", bare_calls)
            rates.append(rate)
            bare_rates.append(bare_rate)
            shares.append(rate / bare_rate)
            lost += missing
        run.spread(f"live_{threads}_threads", rates, "steps/s")
        if quiet_rates:
            run.spread(f"live_{threads}_threads_without_consumers", quiet_rates, "steps/s")
        run.spread(f"bare_group_commit_{threads}_threads", bare_rates, "rows/s")
        run.ratio(f"live_share_of_bare_{threads}_threads", shares)
    lost += _measure_callers(run)
    run.figure("live_lost", lost, "steps")


def _steps(path: Path, threads: int, each: int, *, consumers: bool = True) -> tuple[float, list[float], int]:
    """The rate of steps, how long each call took in seconds, and how many acknowledged steps are not in the store."""
    store = SqliteStore(path)
    with open_default(store, consumers=consumers) as opened:
        mind = opened.mind()
        seconds, calls = together([partial(_agent, mind, each, seed) for seed in range(threads)])
        lost = threads * (each + _WARM_UP_STEPS) - count_steps(store)
    return threads * each / seconds, calls, lost


def _agent(mind: Mind, steps: int, seed: int) -> Work:
    """What one thread will log, and how. Beginning and ending its episodes is part of the time, but not counted."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    first = mind.episode(f"warm up {seed}")
    for _ in range(_WARM_UP_STEPS):
        first.step(**step_fields(chance))
    first.complete("success", score=1.0)
    episode = mind.episode(f"live {seed}", domain="bench")
    done = 0

    def log(fields: dict[str, Any]) -> None:
        nonlocal episode, done
        if done == _STEPS_PER_EPISODE:
            episode.complete("success", score=1.0)
            episode, done = mind.episode(f"live {seed}", domain="bench"), 0
        episode.step(**fields)
        done += 1

    return [step_fields(chance) for _ in range(steps)], log


def _bare(path: Path, threads: int, each: int) -> tuple[float, list[float]]:
    bare = GroupCommit(path)
    seconds, calls = together([lambda: ([_BODY] * each, bare.write)] * threads)
    assert bare.count() == threads * each
    bare.close()
    return threads * each / seconds, calls


def together(prepare: Sequence[Callable[[], Work]]) -> tuple[float, list[float]]:
    """Run one thread for each, all starting at once; the seconds from start to the last end, and those of each call.

    Raises what a thread raised.
    """
    gate = threading.Barrier(len(prepare) + 1)
    durations: list[list[float]] = [[] for _ in prepare]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            items, call = prepare[number]()
            gate.wait()
            spent = durations[number]
            for item in items:
                start = time.perf_counter()
                call(item)
                spent.append(time.perf_counter() - start)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            failures.append(error)
            gate.abort()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(len(prepare))]
    for worker in workers:
        worker.start()
    with suppress(threading.BrokenBarrierError):  # a thread could not prepare; what it raised is raised below
        gate.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - start
    if failures:
        raise next((one for one in failures if not isinstance(one, threading.BrokenBarrierError)), failures[0])
    return seconds, [one for each in durations for one in each]


def _measure_callers(run: Run) -> int:
    """A thousand asyncio tasks at once; how many acknowledged steps or episodes were lost."""
    steps = run.size * _STEPS_PER_SIZE
    callers = min(_CALLERS, steps)
    each = steps // callers
    rates, lost = [], 0
    for number in range(run.rounds):
        path = run.folder / f"callers-{number}.db"
        seconds, calls = asyncio.run(_callers(path, callers, each))
        run.timing("live_step_asyncio", calls)
        rates.append(callers * each / seconds)
        store = SqliteStore(path)
        lost += abs(callers * each - count_steps(store)) + abs(callers - count_finished(store))
        store.close()
    run.figure("live_asyncio_callers", callers, "tasks")
    run.spread("live_asyncio", rates, "steps/s")
    return lost


async def _callers(path: Path, callers: int, each: int) -> tuple[float, list[float]]:
    calls: list[float] = []
    async with aio.open(path, settings=settings()) as mind:
        episodes = [await mind.episode(f"caller {number}", domain="bench") for number in range(callers)]

        async def agent(number: int) -> None:
            chance = random.Random(number)  # noqa: S311 - repeatable on purpose
            for _ in range(each):
                fields = step_fields(chance)
                start = time.perf_counter()
                await episodes[number].step(**fields)
                calls.append(time.perf_counter() - start)

        start = time.perf_counter()
        await asyncio.gather(*(agent(number) for number in range(callers)))
        seconds = time.perf_counter() - start
        await asyncio.gather(*(episode.complete("success", score=1.0) for episode in episodes))
    return seconds, calls
