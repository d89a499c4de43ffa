"""A long run at a steady pace, as a fleet of agents makes it: memory, processor, errors, lag; and then a burst."""

from __future__ import annotations

import random
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle, pairwise
from math import sqrt
from statistics import linear_regression, median

import msgspec
import psutil

from tacit.bench.episodes import records
from tacit.bench.run import Run, fsync_rate
from tacit.bench.store import count_episodes, open_default
from tacit.errors import IntegrityError, TacitError
from tacit.experience.episode import Record
from tacit.mind import Mind
from tacit.stores.sqlite import SqliteStore

_PACE = 100.0  # episodes a second
_BURST_PACE = 1_000.0
_BURST_AGENTS = 8
_SAMPLES_A_RUN = 600
_WARM_UP_SHARE = 0.2  # of the run at least: caches fill, and the allocator finds its size
_WARM_UP_SECONDS = 600.0
"""Of a long one. The window of what is learned from is full after 200 s, and the helper that studies it finds its size
with its second and third study of a full one: what Python's allocator holds grows by a sixth and two hundredths then,
and no more, while what is in use stays the same."""
_READ_EVERY_SECONDS = 0.02
_ASK_EVERY_SECONDS = 0.2
_IDLE_SAMPLES = 200
_DRAIN_SECONDS = 600.0
_GENERATED = 1_000
_MEGABYTE = 1_000_000
_NORMAL_95 = 1.96


class _Paced(msgspec.Struct):
    """What one paced stretch came to."""

    seconds: float
    calls: array[float]
    """Seconds of each; compact, so that keeping them does not look like memory that grows."""
    failures: list[str]


def measure(run: Run) -> None:
    """``run.seconds`` at 100 episodes of ten steps a second, then perhaps ``run.burst_seconds`` at 1,000."""
    run.figure("disk_fsync", fsync_rate(run.folder), "fsyncs/s")
    with open_default(SqliteStore(run.folder / "soak.db")) as opened:
        mind = opened.mind()
        written = _measure_steady(run, mind)
        if run.burst_seconds:
            written += _measure_burst(run, mind)
        mind.settle(_DRAIN_SECONDS)
        found = count_episodes(opened.store)
        if found != written:
            raise IntegrityError(f"{found:,} episodes are stored, of {written:,} that were acknowledged")
        run.figure("soak_store_size", opened.store.size_bytes() / _MEGABYTE, "MB")


def _measure_steady(run: Run, mind: Mind) -> int:
    process = psutil.Process()
    alone: list[float] = []  # of the agent's process, which is what could leak; helpers come and go

    def look() -> float:
        alone.append(_memory(process))
        return _together(process, _memory)

    with _Every(run.seconds / _SAMPLES_A_RUN, look) as memory:
        before = _together(process, _processor_seconds)
        done = _paced(mind, _endless(), _PACE, run.seconds)
        used = _together(process, _processor_seconds) - before
    lag = max(mind.lag().values(), default=0)
    run.timing("soak_record", done.calls)
    run.figure("soak", len(done.calls) / done.seconds, "episodes/s")
    run.figure("soak_processor_share", 100 * used / done.seconds / (psutil.cpu_count() or 1), "% of the machine")
    run.figure("soak_errors", len(done.failures), "errors")
    run.figure("soak_lag_at_end", lag, "events")
    _note_memory(run, "soak_memory", memory.taken)
    _note_memory(run, "soak_memory_alone", [(at, size) for (at, _), size in zip(memory.taken, alone, strict=True)])
    return len(done.calls)


def _note_memory(run: Run, name: str, samples: Sequence[tuple[float, float]]) -> None:
    seconds = samples[-1][0] - samples[0][0]
    warm_up = min(max(seconds * _WARM_UP_SHARE, _WARM_UP_SECONDS), seconds / 2)
    warm = [sample for sample in samples if sample[0] >= samples[0][0] + warm_up]
    minutes, megabytes = [at / 60 for at, _ in warm], [size / _MEGABYTE for _, size in warm]
    slope, low, high = slope_with_interval(minutes, megabytes)
    run.figure(f"{name}_samples", len(warm), "samples")
    run.figure(f"{name}_median", median(megabytes), "MB")
    run.figure(f"{name}_highest", max(size for _, size in samples) / _MEGABYTE, "MB")
    run.figure(f"{name}_slope", slope, "MB/min")
    run.figure(f"{name}_slope_low", low, "MB/min")
    run.figure(f"{name}_slope_high", high, "MB/min")


def slope_with_interval(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """The least-squares slope, and the ends of its 95 % interval.

    The residuals of memory follow one another closely, which the usual standard error ignores: it is widened by
    √((1 + r) / (1 − r)), where r is their correlation at distance one (Bartlett's effective sample size).
    """
    slope, start = linear_regression(x, y)
    middle = sum(x) / len(x)
    residuals = [value - start - slope * at for at, value in zip(x, y, strict=True)]
    squares = sum(residual * residual for residual in residuals)
    error = sqrt(squares / (len(x) - 2) / sum((at - middle) ** 2 for at in x))
    follow = sum(a * b for a, b in pairwise(residuals)) / squares if squares else 0.0
    follow = min(max(follow, 0.0), 0.99)
    margin = _NORMAL_95 * error * sqrt((1 + follow) / (1 - follow))
    return slope, slope - margin, slope + margin


def _measure_burst(run: Run, mind: Mind) -> int:
    chance = random.Random(11)  # noqa: S311 - repeatable on purpose
    known = [summary.id for summary in mind.episodes(limit=1_000)]
    tasks = [record.task for record in records(_GENERATED, seed=99)]

    def read() -> float:
        start = time.perf_counter()
        mind.get(chance.choice(known))
        return time.perf_counter() - start

    def ask() -> float:
        start, task = time.perf_counter(), chance.choice(tasks)
        mind.advise(task.description, task_type=task.task_type, domain=task.domain, record=False)
        return time.perf_counter() - start

    sources = [_endless(seed) for seed in range(_BURST_AGENTS)]
    ask()
    run.timing("idle_read_episode", [read() for _ in range(_IDLE_SAMPLES)])
    run.timing("idle_advise", [ask() for _ in range(_IDLE_SAMPLES)])
    with _Every(_READ_EVERY_SECONDS, read) as reads, _Every(_ASK_EVERY_SECONDS, ask) as answers:
        done = _fleet(mind, run.burst_seconds, sources)
        lag, start = max(mind.lag().values(), default=0), time.perf_counter()
        mind.settle(_DRAIN_SECONDS)
        drain = time.perf_counter() - start
    run.timing("burst_record", done.calls)
    run.timing("burst_read_episode", [spent for _, spent in reads.taken])
    run.timing("burst_advise", [spent for _, spent in answers.taken])
    run.figure("burst", len(done.calls) / done.seconds, "episodes/s")
    run.figure("burst_errors", len(done.failures), "errors")
    run.figure("burst_lag_at_end", lag, "events")
    run.figure("burst_drain", drain, "s")
    return len(done.calls)


def _fleet(mind: Mind, seconds: float, sources: Sequence[Iterator[Record]]) -> _Paced:
    """Several agents at once, together at the pace of the burst."""
    with ThreadPoolExecutor(_BURST_AGENTS, thread_name_prefix="bench-agent") as pool:
        pace = _BURST_PACE / _BURST_AGENTS
        running = [pool.submit(_paced, mind, source, pace, seconds) for source in sources]
        parts = [each.result() for each in running]
    return _Paced(
        max(part.seconds for part in parts),
        array("d", (spent for part in parts for spent in part.calls)),
        [failure for part in parts for failure in part.failures],
    )


def _paced(mind: Mind, source: Iterator[Record], pace: float, seconds: float) -> _Paced:
    """Record episodes one by one, each durable before the next, at that many a second or as many as go."""
    calls = array("d")
    failures: list[str] = []
    start = time.perf_counter()
    for number in range(round(pace * seconds)):
        record = next(source)
        ahead = start + number / pace - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
        begun = time.perf_counter()
        try:
            mind.record(record)
        except TacitError as error:
            failures.append(error.code)
        else:
            calls.append(time.perf_counter() - begun)
    return _Paced(time.perf_counter() - start, calls, failures)


def _endless(seed: int = 0) -> Iterator[Record]:
    """The same thousand episodes over and over, without their keys, so that each is a new one. They are made before
    the first is asked for: that takes seconds, which are the bench's own."""
    generated = list(records(_GENERATED, seed=seed))
    return (msgspec.structs.replace(record, key="") for record in cycle(generated))


def _together(process: psutil.Process, measure: Callable[[psutil.Process], float]) -> float:
    """The sum over the process and those that work for it."""
    total = measure(process)
    for child in process.children():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            total += measure(child)
    return total


def _memory(process: psutil.Process) -> float:
    return float(process.memory_info().rss)


def _processor_seconds(process: psutil.Process) -> float:
    """Of the process, and of those that have ended."""
    used = process.cpu_times()
    return float(used.user + used.system + used.children_user + used.children_system)


class _Every:
    """Takes a sample every so many seconds in a thread of its own, while the block runs."""

    def __init__(self, seconds: float, take: Callable[[], float]) -> None:
        self.taken: list[tuple[float, float]] = []
        """For each sample, the seconds since the start, and what was found."""
        self._seconds = seconds
        self._take = take
        self._end = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="bench-sampler", daemon=True)

    def __enter__(self) -> _Every:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        start = time.perf_counter()
        try:
            while True:
                self.taken.append((time.perf_counter() - start, self._take()))
                if self._end.wait(self._seconds):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again at the end of the block
            self._failure = error
