"""Verifying a whole journal: chains, payloads, signatures; beside merely reading and hashing the payloads."""

from __future__ import annotations

import hashlib
import random
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as driver

from tacit.bench.episodes import step
from tacit.bench.run import Run, fsync_rate
from tacit.bench.store import open_default
from tacit.errors import IntegrityError
from tacit.ids import parse_id
from tacit.journal.append import Prepared
from tacit.journal.verify import verify
from tacit.mind import Mind
from tacit.opening import OpenStore, anchor_of
from tacit.stores.sqlite import SqliteStore

_STEPS = 500  # of an episode here; events are what counts
_IN_FLIGHT = 8
_PAYLOADS = (
    'SELECT "event"."digest", "payload"."salt", "payload"."body" FROM "event" '
    'JOIN "payload" USING ("mind", "position") ORDER BY "event"."mind", "event"."position"'
)


def measure(run: Run) -> None:
    """Events a second, over ``run.size`` events or a few more."""
    run.figure("disk_fsync", fsync_rate(run.folder), "fsyncs/s")
    path = run.folder / "verify.db"
    with open_default(SqliteStore(path), consumers=False) as opened:
        start = time.perf_counter()
        written = _fill(opened.mind(), run.size)
        run.figure("verify_build", written / (time.perf_counter() - start), "events/s")
        opened.journal.notary.sign_all()
        rates, seconds, shares = [], [], []
        for _ in range(run.rounds):
            spent, events = _verify(opened, written)
            bare = _read(path)
            rates.append(events / spent)
            seconds.append(spent)
            shares.append(bare / spent)
        run.figure("verify_events", events, "events")
        run.figure("verify_store_size", opened.store.size_bytes() / 1_000_000, "MB")
        run.spread("verify", rates, "events/s")
        run.spread("verify_whole_journal", seconds, "s")
        run.ratio("verify_share_of_reading", shares)


def _fill(mind: Mind, events: int) -> int:
    """Write that many steps through the journal, several hundred to a job; how many events they came to."""
    chance, written = random.Random(5), 1  # noqa: S311 - repeatable on purpose; the first event made the mind
    waiting: deque[Future[Any]] = deque()
    while written < events:
        episode = parse_id(mind.episode(f"journal {written}", domain="bench").id)
        prepared = list(_steps(mind, episode, chance))
        waiting.append(mind.recorder.steps(prepared))
        if len(waiting) > _IN_FLIGHT:
            waiting.popleft().result()
        written += 1 + len(prepared)
    for future in waiting:
        future.result()
    return written


def _steps(mind: Mind, episode: bytes, chance: random.Random) -> Iterator[Prepared]:
    for _ in range(_STEPS):
        yield mind.recorder.prepare_step(episode, step(chance))


def _verify(opened: OpenStore, written: int) -> tuple[float, int]:
    start = time.perf_counter()
    found = verify(opened.store, anchor_of(opened.store, opened.settings))
    spent = time.perf_counter() - start
    if not found.ok or found.events != written:
        raise IntegrityError(f"{found.events:,} of {written:,} events verified, with {len(found.problems)} problems")
    return spent, found.events


def _read(path: Path) -> float:
    """Seconds for the least that verifying payloads needs: read each and hash it."""
    connection = driver.connect(f"{path.as_uri()}?mode=ro", uri=True)
    start = time.perf_counter()
    wrong = sum(hashlib.sha256(salt + body).digest() != digest for digest, salt, body in connection.execute(_PAYLOADS))
    spent = time.perf_counter() - start
    connection.close()
    assert wrong == 0
    return spent
