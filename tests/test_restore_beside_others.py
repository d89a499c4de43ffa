"""A restore that replaces a store, while other processes open it, write to it and close it all the time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tacit
from tacit.clock import SystemClock
from tacit.ids import SystemEntropy
from tacit.ops.restore import Restored, restore_backup
from tacit.stores import sqlite_lock
from tacit.stores.sqlite import SqliteStore
from tacit.stores.sqlite_file import anchor_path, log_paths
from trials import assert_sound, open_mind

pytestmark = [pytest.mark.requirement("OP-07", "JR-02"), pytest.mark.disk]

RESTORES = 25
VISITOR = """
import random, sys, time
import tacit
from trials import open_mind
path, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
number = 0
while True:
    key = f"{name}-{number}"
    try:
        with open_mind(path, consumers__enabled=False, journal__busy_timeout_seconds=5) as mind:
            for _ in range(random.randrange(1, 4)):
                mind.record({"task": {"description": key}})
                print(key, flush=True)
                number += 1
                key = f"{name}-{number}"
    except tacit.StoreError as error:
        number += 1  # perhaps it was written, perhaps not: nothing was promised
        print("refused", type(error).__name__, error, flush=True)
    time.sleep(random.random() / 50)
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "a.db"
    with open_mind(path) as mind:
        mind.record({"task": {"description": "backed up"}})
    return path


@pytest.fixture
def backup(store: Path, tmp_path: Path) -> Path:
    with open_mind(store) as mind:
        return Path(mind.backup(tmp_path / "a.backup").path)


def restore(backup: Path, store: Path, *, force: bool = True) -> Restored:
    return restore_backup(backup, str(store), clock=SystemClock(), entropy=SystemEntropy(), force=force)


@contextlib.contextmanager
def visitors(store: Path, count: int) -> Iterator[list[str]]:
    """That many processes open the store, write and close it until the block ends; what they said is in the list."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    said: list[str] = []
    with contextlib.ExitStack() as started:
        running = []
        for number in range(count):
            command = [sys.executable, "-c", textwrap.dedent(VISITOR), str(store), f"visitor {number}"]
            pipe = subprocess.PIPE
            visitor = started.enter_context(
                subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
            )
            assert visitor.stdout is not None
            assert visitor.stdout.readline() == "ready\n"
            running.append(visitor)
        listeners = [threading.Thread(target=listen, args=(visitor, said)) for visitor in running]
        for listener, visitor in zip(listeners, running, strict=True):
            listener.start()
            print(file=visitor.stdin, flush=True)
        try:
            yield said
        finally:
            for visitor in running:
                visitor.kill()
            for listener in listeners:
                listener.join()


def listen(visitor: subprocess.Popen[str], said: list[str]) -> None:
    assert visitor.stdout is not None
    said.extend(line.rstrip("\n") for line in visitor.stdout)


def wait_for(said: list[str], lines: int) -> None:
    deadline = time.monotonic() + 60
    while len(said) < lines:
        assert time.monotonic() < deadline, "\n".join(said[-20:])
        time.sleep(0.001)


def descriptions(path: Path) -> set[str]:
    with open_mind(path, consumers__enabled=False) as mind:
        return {episode.task.description for episode in mind.all_episodes()}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.requirement("JR-01", "JR-04")
def test_nothing_that_others_were_promised_is_lost_or_mixed_up_when_a_store_is_replaced_under_them(
    store: Path, backup: Path
) -> None:
    kept: dict[Path, str] = {}
    refused = 0
    with visitors(store, 2) as said:
        while len(kept) < RESTORES:
            try:
                done = restore(backup, store)
            except tacit.StoreBusy:
                refused += 1
                assert refused < 100 * RESTORES, "it never finds the store closed"
                continue
            kept[Path(done.safety_copy)] = digest(Path(done.safety_copy))
            wait_for(said, len(said) + 2)  # somebody has been in the new store, too
    promised = {line for line in said if line.startswith("visitor ")}
    assert len(promised) > RESTORES
    odd = [line for line in said if line not in promised and not line.startswith("refused ")]
    assert not odd, "\n".join(odd[:20])
    assert {path: digest(path) for path in kept} == kept, "nobody wrote to a store that had been set aside"
    assert not any(log.exists() for path in kept for log in log_paths(path))
    assert_sound(store)
    found = set().union(*(descriptions(path) for path in (store, *kept)))
    assert promised <= found


def test_a_process_that_opens_during_the_replacement_waits_and_finds_the_new_store(store: Path, tmp_path: Path) -> None:
    with open_mind(tmp_path / "new.db") as mind:
        mind.record({"task": {"description": "of the new store"}})
    with contextlib.ExitStack() as lock:
        lock.enter_context(sqlite_lock.replacing(store, 0))
        with visitors(store, 1) as said:
            time.sleep(0.5)
            assert said == [], "it waits"
            (tmp_path / "new.db").replace(store)
            anchor_path(tmp_path / "new.db").replace(anchor_path(store))
            lock.close()
            wait_for(said, 1)
    assert {"of the new store", "visitor 0-0"} <= descriptions(store)


@contextlib.contextmanager
def in_another_thread(block: Callable[[], contextlib.AbstractContextManager[None]]) -> Iterator[threading.Event]:
    """Another thread is in the block until the event is set, and no longer than this one."""
    inside, done = threading.Event(), threading.Event()

    def stay() -> None:
        with block():
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(60)
    try:
        yield done
    finally:
        done.set()
        thread.join()


def test_whoever_has_no_patience_is_told_that_a_restore_is_under_way(store: Path) -> None:
    busy = pytest.raises(tacit.StoreBusy, match="being replaced by a restore")
    with in_another_thread(lambda: sqlite_lock.replacing(store, 0)), busy:
        SqliteStore(store, busy_timeout=0)
    SqliteStore(store, busy_timeout=0).close()


def test_a_restore_that_never_finds_a_moment_changes_nothing(store: Path, backup: Path) -> None:
    before = sorted(store.parent.iterdir()), digest(store)
    busy = pytest.raises(tacit.StoreBusy, match="opened all the time")
    with in_another_thread(lambda: sqlite_lock.opening(store, 0)), busy:
        restore(backup, store)
    assert (sorted(store.parent.iterdir()), digest(store)) == before


def test_a_store_that_appears_while_a_backup_is_restored_is_not_overwritten(tmp_path: Path, backup: Path) -> None:
    path = tmp_path / "new" / "a.db"
    path.parent.mkdir()
    with in_another_thread(lambda: sqlite_lock.opening(path, 0)) as done:

        def make() -> None:
            while not list(path.parent.glob(".*.restoring")):
                time.sleep(0.001)
            with open_mind(path) as mind:
                mind.record({"task": {"description": "was first"}})
            done.set()

        with ThreadPoolExecutor(1) as pool:
            made = pool.submit(make)
            with pytest.raises(tacit.Conflict, match="something at"):
                restore(backup, path, force=False)
            made.result()
    assert descriptions(path) == {"was first"}
    assert not list(path.parent.glob(".*"))
