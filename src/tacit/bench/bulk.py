"""Importing many finished episodes of ten steps, durably, beside a raw loop that writes the very same rows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias

from tacit.bench.episodes import STEPS, records, write_jsonl
from tacit.bench.raw import connect, read_commits, write_commits
from tacit.bench.run import Run
from tacit.bench.store import WatchedStore, count_episodes, count_steps, open_default
from tacit.errors import IntegrityError
from tacit.experience.episode import Record
from tacit.mind import Mind
from tacit.stores.sqlite import SqliteStore

_IN_FLIGHT = 512
_DRAIN_SECONDS = 600.0
_WARM_UP = 100  # episodes

Write: TypeAlias = Callable[[Mind], object]
"""One way to bring the episodes into a mind; all are durable when it returns."""


def measure(run: Run) -> None:
    """Episodes a second by ``mind.ingest`` and ``Recorder.record``, with and without consumers, and the raw loop's."""
    path = run.folder / "episodes.jsonl"
    write_jsonl(path, run.size)
    prepared = list(records(run.size))
    _warm_up(run.folder)
    rates: dict[str, list[float]] = {name: [] for name in ("ingest", "record", "ingest_without_consumers", "raw_loop")}
    shares: list[float] = []
    record_shares: list[float] = []
    drains: list[float] = []
    for number in range(run.rounds):
        store = run.folder / f"ingest-{number}.db"
        seconds, drain, raw_seconds = _beside_raw(run, store, lambda mind: mind.ingest(path, format="jsonl"))
        rates["ingest"].append(run.size / seconds)
        rates["raw_loop"].append(run.size / raw_seconds)
        shares.append(raw_seconds / seconds)
        drains.append(drain)
        seconds = _plain(run, f"record-{number}.db", lambda mind: record_all(mind, prepared))
        rates["record"].append(run.size / seconds)
        record_shares.append(raw_seconds / seconds)
        seconds = _plain(run, f"quiet-{number}.db", lambda mind: mind.ingest(path, format="jsonl"), consumers=False)
        rates["ingest_without_consumers"].append(run.size / seconds)
    for name, values in rates.items():
        run.spread(f"bulk_{name}", values, "episodes/s")
    run.spread("bulk_drain", drains, "s")
    run.ratio("bulk_share_of_raw_loop", shares)
    run.ratio("bulk_record_share_of_raw_loop", record_shares)


def record_all(mind: Mind, prepared: Sequence[Record]) -> None:
    """Record episodes without waiting for each; all are durable when it returns."""
    waiting: deque[Future[Any]] = deque()
    for record in prepared:
        waiting.append(mind.recorder.record(record))
        if len(waiting) > _IN_FLIGHT:
            waiting.popleft().result()
    for future in waiting:
        future.result()


def _warm_up(folder: Path) -> None:
    store = SqliteStore(folder / "warm-up.db")
    with open_default(store) as opened:
        record_all(opened.mind(), list(records(_WARM_UP, seed=1)))
        opened.mind().settle(_DRAIN_SECONDS)


def _beside_raw(run: Run, path: Path, write: Write) -> tuple[float, float, float]:
    """Seconds of Tacit, seconds until its consumers had caught up, and seconds of the raw loop with the same rows."""
    store = WatchedStore(path)
    with open_default(store) as opened:
        mind = opened.mind()
        start = time.perf_counter()
        write(mind)
        end = time.perf_counter()
        ends, lag = list(store.ends), max(mind.lag().values(), default=0)
        mind.settle(_DRAIN_SECONDS)
        drain = time.perf_counter() - end
        _check(store, run.size)
    commits, heads = read_commits(path, ends, ends[-1] - lag)
    raw = path.with_name(f"{path.stem}-raw.db")
    connection = connect(raw)
    raw_seconds = write_commits(connection, commits, heads)
    connection.close()
    _remove(path, raw)
    return end - start, drain, raw_seconds


def _plain(run: Run, name: str, write: Write, *, consumers: bool = True) -> float:
    path = run.folder / name
    store = SqliteStore(path)
    with open_default(store, consumers=consumers) as opened:
        mind = opened.mind()
        start = time.perf_counter()
        write(mind)
        seconds = time.perf_counter() - start
        _check(store, run.size)
    _remove(path)
    return seconds


def _check(store: SqliteStore, episodes: int) -> None:
    """What is in the store is what was given: a rate of lost writes is worth nothing."""
    found, steps = count_episodes(store), count_steps(store)
    if (found, steps) != (episodes, episodes * STEPS):
        raise IntegrityError(f"{found} episodes and {steps} steps are stored, of {episodes} and {episodes * STEPS}")


def _remove(*stores: Path) -> None:
    for store in stores:
        for part in store.parent.glob(f"{store.name}*"):
            part.unlink()
