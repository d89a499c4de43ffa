"""Reading from a store of many episodes: one by its id, a page of the list, a search."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from sqlcipher3 import dbapi2 as driver

from tacit.bench.bulk import record_all
from tacit.bench.episodes import records
from tacit.bench.run import Run, fsync_rate
from tacit.bench.store import open_default
from tacit.ids import format_id
from tacit.mind import Mind
from tacit.stores.sqlite import SqliteStore

_READS = 2_000
_PAGES = 100
_CHUNK = 10_000  # episodes kept in memory at once while the store is built
_SETTLE_SECONDS = 600.0
_POINT = 'SELECT "body" FROM "payload" WHERE "mind" = ? AND "position" = ?'
_IDS = 'SELECT "mind", "id", "opened" FROM "episode" WHERE "until" IS NULL'


def measure(run: Run) -> None:
    """Durations of reads at ``run.size`` episodes of ten steps, beside bare reads of the same payloads by key."""
    run.figure("disk_fsync", fsync_rate(run.folder), "fsyncs/s")
    path = run.folder / "read.db"
    with open_default(SqliteStore(path)) as opened:
        mind = opened.mind()
        start = time.perf_counter()
        for first in range(0, run.size, _CHUNK):
            record_all(mind, list(records(min(_CHUNK, run.size - first), seed=first)))
        run.figure("read_build", run.size / (time.perf_counter() - start), "episodes/s")
        mind.settle(_SETTLE_SECONDS)
        run.figure("read_episodes", run.size, "episodes")
        run.figure("read_store_size", opened.store.size_bytes() / 1_000_000, "MB")
        _measure_points(run, mind, path)
        _measure_lists(run, mind)


def _measure_points(run: Run, mind: Mind, path: Path) -> None:
    chance = random.Random(3)  # noqa: S311 - repeatable on purpose
    bare = driver.connect(f"{path.as_uri()}?mode=ro", uri=True)
    known = bare.execute(_IDS).fetchall()
    ratios = []
    for _ in range(run.rounds):
        wanted = chance.choices(known, k=_READS)
        for _, id, _ in wanted[: _READS // 10]:
            mind.get(format_id(id))
        ours = timed(lambda row: mind.get(format_id(row[1])), wanted)
        theirs = timed(lambda row: bare.execute(_POINT, (row[0], row[2])).fetchone(), wanted)
        run.timing("read_episode", ours)
        run.timing("read_bare_payload", theirs)
        ratios.append(median(ours) / median(theirs))
    bare.close()
    run.ratio("read_episode_over_bare", ratios, "lower")


def _measure_lists(run: Run, mind: Mind) -> None:
    last = mind.episodes(limit=1_000)[-1].id
    questions: dict[str, Callable[[Any], object]] = {
        "list_page": lambda _: mind.episodes(limit=20),
        "list_later_page": lambda _: mind.episodes(limit=20, after=last),
        "list_by_domain": lambda _: mind.episodes(domain="airline", limit=20),
        "list_by_tag": lambda _: mind.episodes(tag="team-3", limit=20),
        "list_by_tool": lambda _: mind.episodes(tool="get_user", limit=20),
        "search_common_words": lambda _: mind.episodes("passenger reservation", limit=20),
        "search_one_episode": lambda number: mind.episodes(f"passenger {number}", limit=20),
        "search_no_match": lambda _: mind.episodes("nowhere", limit=20),
    }
    for name, ask in questions.items():
        ask(0)
        run.timing(name, timed(ask, range(_PAGES)))


def timed(call: Callable[[Any], object], items: Sequence[Any]) -> list[float]:
    """How long the call takes for each item, in seconds."""
    spent = []
    for item in items:
        start = time.perf_counter()
        call(item)
        spent.append(time.perf_counter() - start)
    return spent
