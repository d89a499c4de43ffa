"""Backing up a store that is being written to, and restoring it; beside a plain copy of the same file."""

from __future__ import annotations

import os
import shutil
import threading
import time
from itertools import cycle
from pathlib import Path

import msgspec

from tacit.bench.bulk import record_all
from tacit.bench.episodes import STEPS, records
from tacit.bench.run import Run, fsync_rate
from tacit.bench.store import count_episodes, open_default
from tacit.clock import SystemClock
from tacit.errors import IntegrityError
from tacit.experience.episode import Record
from tacit.ids import SystemEntropy
from tacit.mind import Mind
from tacit.ops.restore import restore_backup
from tacit.stores.sqlite import SqliteStore
from tacit.stores.sqlite_file import sync_folder

_LOAD = 50.0  # episodes a second, recorded all the while
_MEGABYTE = 1_000_000
_SETTLE_SECONDS = 600.0


def measure(run: Run) -> None:
    """Megabytes a second of a verified backup while the store is written to, and of a verified restore of it."""
    run.figure("disk_fsync", fsync_rate(run.folder), "fsyncs/s")
    store = SqliteStore(run.folder / "backup.db")
    rates, shares, restores = [], [], []
    with open_default(store) as opened:
        mind = opened.mind()
        record_all(mind, list(records(run.size)))
        mind.settle(_SETTLE_SECONDS)
        for number in range(run.rounds):
            target = run.folder / f"{number}.backup"
            with _Load(mind, number) as load:
                start = time.perf_counter()
                mind.backup(target)
                seconds = time.perf_counter() - start
            run.timing("backup_record_meanwhile", load.calls)
            size = target.stat().st_size / _MEGABYTE
            rates.append(size / seconds)
            shares.append(_copy(target) / seconds)
            restores.append(_restore(target, run.size))
        run.figure("backup_size", size, "MB")
    run.spread("backup", rates, "MB/s")
    run.spread("restore", restores, "s")
    run.ratio("backup_share_of_plain_copy", shares)


def _copy(source: Path) -> float:
    """Seconds for a durable copy of the file that nobody writes to and nobody verifies."""
    target = source.with_suffix(".copy")
    start = time.perf_counter()
    shutil.copyfile(source, target)
    with target.open("rb+") as file:
        os.fsync(file.fileno())
    sync_folder(target.parent)
    seconds = time.perf_counter() - start
    target.unlink()
    return seconds


def _restore(backup: Path, at_least: int) -> float:
    """Seconds until a working store has been made of a backup."""
    target = backup.with_suffix(".db")
    start = time.perf_counter()
    restore_backup(backup, str(target), clock=SystemClock(), entropy=SystemEntropy())
    seconds = time.perf_counter() - start
    store = SqliteStore(target)
    found = count_episodes(store)
    store.close()
    if found < at_least:
        raise IntegrityError(f"{found:,} episodes were restored, of at least {at_least:,}")
    for part in target.parent.glob(f"{target.name}*"):
        part.unlink()
    return seconds


class _Load:
    """Records episodes at a steady pace in a thread of its own, while the block runs."""

    def __init__(self, mind: Mind, seed: int) -> None:
        self.calls: list[float] = []
        self._mind = mind
        self._source = cycle(list(records(int(_LOAD), seed=1_000 + seed, steps=STEPS)))
        self._end = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="bench-load", daemon=True)

    def __enter__(self) -> _Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while True:
                start = time.perf_counter()
                self._mind.record(self._next())
                self.calls.append(time.perf_counter() - start)
                if self._end.wait(1 / _LOAD):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again at the end of the block
            self._failure = error

    def _next(self) -> Record:
        return msgspec.structs.replace(next(self._source), key="")
