"""A consumer's lease: whoever thinks for long keeps it, and whoever stops, sleeps or dies loses it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tacit.clock import SystemClock
from tacit.experience.episode import Outcome, Task
from tacit.experience.limits import Limits
from tacit.experience.recorder import Recorder
from tacit.ids import SystemEntropy
from tacit.journal.consumers import Pace
from tacit.journal.event import Event
from tacit.journal.journal import Journal, JournalOptions
from tacit.journal.masking import NoMasking
from tacit.journal.minds import MindInfo, open_mind
from tacit.learning.assessment.statistics import read_statistics
from tacit.learning.assessment.tally import Tally
from tacit.opening import projections
from tacit.stores.port import Snapshot
from tacit.stores.sqlite import SqliteStore

pytestmark = pytest.mark.requirement("JR-04")
LEASE_SECONDS = 1.0
TESTS = Path(__file__).parent


class Slow(Tally):
    """Statistics, made by somebody who thinks for longer than a lease lasts."""

    def __init__(self, seconds: float = 3 * LEASE_SECONDS) -> None:
        super().__init__()
        self.seconds = seconds
        self.begun: list[int] = []

    def prepare(self, snapshot: Snapshot, mind: bytes, events: Sequence[Event]) -> Any:
        self.begun.append(len(events))
        print("begun", flush=True)
        time.sleep(self.seconds)
        return super().prepare(snapshot, mind, events)


@contextlib.contextmanager
def journal_on(path: Path, consumer: Tally) -> Iterator[tuple[Journal, MindInfo]]:
    """A journal whose one consumer runs in the background, with short leases."""
    with contextlib.closing(SqliteStore(path)) as store:
        journal = Journal(
            store,
            projections=projections(),
            consumers=[consumer],
            masker=NoMasking(),
            clock=SystemClock(),
            entropy=SystemEntropy(),
            options=JournalOptions(pace=Pace(poll_seconds=0.05, lease_seconds=LEASE_SECONDS)),
        )
        try:
            mind = open_mind(journal, SystemEntropy(), "acme", "shared")
            journal.start()
            yield journal, mind
        finally:
            journal.close()


def finish(journal: Journal, mind: MindInfo, count: int) -> None:
    recorder = Recorder(journal, mind, Limits())
    for number in range(count):
        episode = recorder.start(Task(description=f"task {number}")).result().event.id
        recorder.complete(episode, Outcome(kind="success")).result()


def episodes(journal: Journal, mind: MindInfo) -> int:
    with journal.store.snapshot() as snapshot:
        return read_statistics(snapshot, mind.id).totals.episodes


def test_whoever_thinks_for_longer_than_a_lease_keeps_it_and_nobody_does_the_same_work(tmp_path: Path) -> None:
    one, other = Slow(), Slow()
    path = tmp_path / "a.db"
    with journal_on(path, one) as (journal, mind), journal_on(path, other) as (beside, _):
        finish(journal, mind, 5)
        beside.settle(mind.id, 30)
        assert episodes(journal, mind) == 5
    assert sum(one.begun) + sum(other.begun) == 5  # each episode once


PROGRAM = """
    import sys
    from pathlib import Path
    from test_leases import Slow, finish, journal_on
    with journal_on(Path(sys.argv[1]), Slow()) as (journal, mind):
        finish(journal, mind, 5)
        print("written", flush=True)
        journal.settle(mind.id, 60)
"""


@pytest.mark.parametrize("ends", ["killed", "stopped"])
def test_the_lease_of_a_process_that_is_killed_or_sleeps_is_taken_over_and_nothing_is_counted_twice(
    tmp_path: Path, ends: str
) -> None:
    path = tmp_path / "a.db"
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(path)]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        seen = {child.stdout.readline(), child.stdout.readline()}
        while not {"begun\n", "written\n"} <= seen:
            seen.add(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL if ends == "killed" else signal.SIGSTOP)
        with journal_on(path, Tally()) as (journal, mind):
            journal.settle(mind.id, 30)
            assert episodes(journal, mind) == 5
            if ends == "stopped":
                os.kill(child.pid, signal.SIGCONT)  # it goes on where it slept, and writes what it has thought
                assert child.wait(60) == 0
            assert episodes(journal, mind) == 5


def test_where_no_thread_can_renew_it_work_goes_on_and_closing_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "tacit-lease":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with journal_on(tmp_path / "a.db", Tally()) as (journal, mind):
        for _ in range(3):
            finish(journal, mind, 2)
            journal.settle(mind.id, 30)
        assert episodes(journal, mind) == 6
        monkeypatch.undo()
        finish(journal, mind, 1)
        journal.settle(mind.id, 30)
        assert "tacit-lease" in {each.name for each in threading.enumerate()}
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
        "leases are not renewed for now: can't start new thread"
    ]
    assert "a consumer failed" not in caplog.text
