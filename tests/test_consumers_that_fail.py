"""A consumer that fails on one mind: the others go on, it is tried again with pauses, and it is said once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from journal_builder import journal_on, recorder_for
from tacit.errors import NotSettled
from tacit.experience.episode import Task
from tacit.ids import SeededEntropy
from tacit.journal.append import Appender
from tacit.journal.consumer import EventConsumer, Span, Taken
from tacit.journal.event import Event
from tacit.journal.faults import FIRST_PAUSE_SECONDS, Faults
from tacit.journal.journal import Journal
from tacit.journal.minds import MindInfo, open_mind
from tacit.stores.port import Snapshot
from tacit.stores.sqlite import MEMORY, SqliteStore
from trials import open_mind as open_whole

pytestmark = pytest.mark.requirement("JR-04")


class Picky(EventConsumer):
    """Fails on some minds, and puts others off until it may take one."""

    name = "picky"
    kinds = None

    def __init__(self) -> None:
        self.bad: set[bytes] = set()
        self.tried: list[bytes] = []
        self.allowed: int | None = None
        self.taken: list[bytes] = []

    def take(self, snapshot: Snapshot, mind: bytes, span: Span) -> Taken | None:
        self.tried.append(mind)
        if mind in self.bad:
            raise ValueError("this mind cannot be read")
        if self.allowed == 0:
            return None
        if self.allowed is not None:
            self.allowed -= 1
        self.taken.append(mind)
        return super().take(snapshot, mind, span)

    def prepare(self, snapshot: Snapshot, mind: bytes, events: Sequence[Event]) -> Any:
        return None

    def apply(self, appender: Appender, mind: bytes, effects: Any) -> None:
        """Nothing is kept."""


def test_the_fault_of_one_mind_does_not_stop_the_others_and_is_tried_again_with_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    picky, entropy = Picky(), SeededEntropy(3)
    with closing(SqliteStore(MEMORY)) as store, journal_on(store, consumers=[picky], background=True) as journal:
        minds = [open_mind(journal, entropy, "acme", f"mind {number}") for number in range(4)]
        bad = min(minds, key=lambda mind: mind.id)  # the first in turn
        picky.bad = {bad.id}
        for mind in minds:
            write(journal, mind)
        with caplog.at_level(logging.DEBUG, "tacit.journal.consumers"):
            for mind in minds:
                if mind is not bad:
                    journal.settle(mind.id, 20)
            before = len(picky.tried)
            with pytest.raises(NotSettled) as caught:
                journal.settle(bad.id, 2)
        assert caught.value.context["failures"] == {"picky": "ValueError: this mind cannot be read"}
        assert len(picky.tried) - before <= 6  # 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s: not twenty times a second
        levels = [line.levelname for line in caplog.records if line.msg.startswith("a consumer failed")]
        assert levels[:1] == ["ERROR"]
        assert set(levels[1:]) <= {"DEBUG"}
        picky.bad = set()
        journal.settle(bad.id, 20)
        assert journal.consumers.failures == {}


def test_each_mind_has_its_turn_though_one_is_written_to_all_the_time() -> None:
    picky, entropy = Picky(), SeededEntropy(3)
    with closing(SqliteStore(MEMORY)) as store, journal_on(store, consumers=[picky]) as journal:
        minds = [open_mind(journal, entropy, "acme", f"mind {number}") for number in range(4)]
        busy = min(minds, key=lambda mind: mind.id)  # the first in turn, if there were no turns
        for _ in minds:
            write(journal, busy)
            picky.allowed = 1
            journal.consumers._round()
        assert sorted(picky.taken) == sorted(mind.id for mind in minds)


def test_the_mind_that_somebody_waits_for_comes_first() -> None:
    picky, entropy = Picky(), SeededEntropy(3)
    with closing(SqliteStore(MEMORY)) as store, journal_on(store, consumers=[picky]) as journal:
        minds = [open_mind(journal, entropy, "acme", f"mind {number}") for number in range(4)]
        for mind in minds:
            picky.tried.clear()
            with journal.consumers.hurried(mind.id):
                picky.allowed = 0
                journal.consumers._round()
            assert picky.tried[0] == mind.id


def write(journal: Journal, mind: MindInfo) -> None:
    recorder_for(journal, mind).start(Task(description="do it")).result()


def test_pauses_double_and_are_over_when_it_goes_well() -> None:
    faults = Faults()
    assert faults.note("one", b"m", ValueError("x"))
    assert not faults.note("one", b"n", ValueError("x"))  # the same was said
    assert faults.note("two", b"m", ValueError("x"))
    assert faults.pausing("one", b"m")
    time.sleep(1.5 * FIRST_PAUSE_SECONDS)
    assert not faults.pausing("one", b"m")
    faults.note("one", b"m", ValueError("x"))
    time.sleep(1.5 * FIRST_PAUSE_SECONDS)
    assert faults.pausing("one", b"m")
    faults.forget("one", b"m")
    assert not faults.pausing("one", b"m")
    assert faults.texts() == {"one": "ValueError: x", "two": "ValueError: x"}


def test_where_they_cannot_have_a_thread_the_store_opens_and_they_run_while_somebody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "tacit-consumers":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with open_whole(tmp_path / "t.db", learning__embedder="none") as mind:
        with mind.episode("water the plants") as live:
            live.step(tool="water")
            live.complete("success")
        mind.settle(30)
        assert mind.statistics().totals.episodes == mind.book().known == 1
    assert "nothing is learned in the background (tally, lessons), only while somebody waits for it" in caplog.text
