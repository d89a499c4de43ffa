"""What learns from much does so in processes of its own, and comes to the same as in the agent's."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tacit.experience.episode import Outcome, Record, Step, Task
from tacit.journal import consumers
from tacit.journal import helper as helpers
from tacit.journal.helper import Helper, HelperCannotRead, HelperFailed, NoHelper
from tacit.learning.advising.book import Book
from tacit.learning.lessons import vectors
from tacit.learning.lessons.vectors import Vectors
from tacit.learning.studying import awaiting, student, study
from tacit.learning.studying.awaiting import Awaiting
from tacit.learning.studying.fits import Fit, read_fit
from tacit.learning.studying.work import Work, do
from tacit.mind import Mind
from trials import assert_sound, children, open_mind

pytestmark = pytest.mark.requirement("LE-08")


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helpers are asked for whatever there is."""
    monkeypatch.setattr(consumers, "WORTH_HELP", 1)
    monkeypatch.setattr(consumers, "WORTH_GOING_ON", 1)
    monkeypatch.setattr(study, "WORTH_A_HELPER", 1)


def record(number: int) -> Record:
    tools = ("look", "open", "take")
    return Record(
        task=Task(description=f"find thing {number % 7} in room {number % 5}", task_type="find"),
        steps=[
            Step(tool=tools[(number + place) % 3], action=f"go {place}", observation=f"saw {place % 4}")
            for place in range(5)
        ],
        outcome=Outcome(kind="success" if number % 3 else "failure"),
        key=str(number),
    )


def fill(mind: Mind, first: int, last: int) -> None:
    for number in range(first, last):
        mind.record(record(number))


def told(book: Book) -> list[object]:
    """What a book says, but for times and ids."""
    return [[each.key for each in book.patterns], len(book.playbooks), book.episodes, book.success_rate]


@pytest.mark.usefixtures("eager")
def test_processes_of_their_own_come_to_the_same_as_the_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told_by, chances, used = [], [], []
    for name in ("apart", "here"):
        if name == "here":
            monkeypatch.setattr(helpers.subprocess, "Popen", lambda *_, **__: (_ for _ in ()).throw(OSError("none")))
        with open_mind(tmp_path / f"{name}.db", learning__embedder="none") as mind:
            fill(mind, 0, 60)
            mind.settle(120)
            used.append(len(children()))
            told_by.append(told(mind.book()))
        assert not children(), "they end with the store"
        assert_sound(tmp_path / f"{name}.db")
        with open_mind(tmp_path / f"{name}.db", learning__embedder="none") as mind:
            success = mind.advise("find thing 3 in room 2", task_type="find").success
            assert success is not None
            chances.append(success.mean)
    assert used == [2, 0]
    assert told_by[0] == told_by[1]
    assert chances[0] == chances[1]
    assert "studies are made in the agent's process for a while" in caplog.text


@pytest.mark.usefixtures("eager")
def test_a_helper_studies_while_tasks_are_embedded_and_learns_from_their_vectors_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[int] = []

    def slowly(self: Vectors, found: Sequence[Any], stopped: Callable[[], bool]) -> Any:
        time.sleep(0.2)
        embedded.append(len(found))
        return _embed(self, found, stopped)

    _embed = Vectors._embed
    monkeypatch.setattr(vectors, "_SHARE", 10)
    monkeypatch.setattr(Vectors, "_embed", slowly)
    rankers = []
    for name in ("apart", "here"):
        if name == "here":
            monkeypatch.setattr(study, "WORTH_A_HELPER", 1_000)
        with open_mind(tmp_path / f"{name}.db") as mind:
            fill(mind, 0, 60)
            mind.settle(120)
            fit = newest_fit(mind)
            assert fit is not None
            assert fit.episodes == 60
            rankers.append(fit.tools)
    assert len(embedded) >= 12
    assert rankers[0] == rankers[1]


def newest_fit(mind: Mind) -> Fit | None:
    with mind.recorder.journal.store.snapshot() as snapshot:
        return read_fit(snapshot, mind.recorder.mind.id, 1_000_000)


def test_vectors_are_waited_for_as_long_as_they_will_soon_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    now, reached = [100.0], [0]
    monkeypatch.setattr(awaiting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(awaiting, "consumer_position", lambda *_: reached[0])
    waiting = Awaiting("vectors")

    def worth(seconds: float, position: int) -> bool:
        now[0], reached[0] = 100 + seconds, position
        return waiting.worth(None, b"mind", 1_000)  # type: ignore[arg-type]

    assert worth(0, 0), "their pace is not known yet"
    assert worth(2, 0)
    assert worth(5, 200), "20 s more at this pace"
    assert not worth(10, 200), "40 s more"
    assert not worth(20, 1_000)
    assert not Awaiting("").worth(None, b"mind", 1_000)  # type: ignore[arg-type]
    assert worth(100, 0), "their pace of then says nothing about now"
    assert worth(110, 990)
    assert not worth(200, 1_000)


def test_vectors_that_stop_just_before_their_end_are_not_waited_for_until_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, reached = [100.0], [0]
    monkeypatch.setattr(awaiting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(awaiting, "consumer_position", lambda *_: reached[0])
    waiting = Awaiting("vectors")
    waiting.worth(None, b"mind", 10_000)  # type: ignore[arg-type]
    now[0], reached[0] = 110.0, 9_999
    seconds = 0
    while waiting.worth(None, b"mind", 10_000):  # type: ignore[arg-type]
        now[0] += 1
        seconds += 1
        assert seconds < 60


@pytest.mark.usefixtures("eager")
def test_helpers_that_are_killed_lose_nothing(tmp_path: Path) -> None:
    with open_mind(tmp_path / "t.db", learning__embedder="none") as mind:
        for round in range(3):
            fill(mind, round * 20, round * 20 + 20)
            for each in children():
                os.kill(each.pid, signal.SIGKILL)
            mind.settle(120)
        assert mind.book().known == 60
    assert_sound(tmp_path / "t.db")


@pytest.mark.usefixtures("eager")
def test_a_store_keeps_its_book_when_fitting_fails_in_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise HelperFailed("it ended with -9")

    monkeypatch.setattr(Helper, "ask", fail)
    monkeypatch.setattr(study, "finish", lambda *_: pytest.fail("what failed for want of memory is not tried here"))
    with open_mind(tmp_path / "t.db", learning__embedder="none") as mind:
        fill(mind, 0, 12)
        mind.settle(60)
        assert mind.book().playbooks
        assert "it ended with -9" in caplog.text


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("why", [NoHelper("no room"), HelperCannotRead("StoreUnavailable: the server restarts")])
def test_what_a_helper_cannot_do_for_now_is_learned_here_and_later_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise why

    with open_mind(tmp_path / "t.db", learning__embedder="none") as mind:
        with monkeypatch.context() as patched:
            patched.setattr(Helper, "ask", fail)
            fill(mind, 0, 12)
            mind.settle(60)
            fit = newest_fit(mind)
            assert fit is not None
            assert fit.episodes == 12
            assert not children()
        monkeypatch.setattr(study, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 60, sleep=time.sleep))
        fill(mind, 12, 24)
        mind.settle(60)
        assert children()


@pytest.mark.usefixtures("eager")
def test_a_study_that_fails_is_rested_from_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def fail(helper: Helper, question: object, *_: object) -> None:
        if isinstance(question, student.Assignment):
            asked.append(time.monotonic())
            time.sleep(0.5)
        raise HelperFailed("it ended with -9")

    monkeypatch.setattr(Helper, "ask", fail)
    monkeypatch.setattr(study, "BEGIN_SECONDS", 0.0)
    with open_mind(tmp_path / "t.db", learning__embedder="none") as mind:
        fill(mind, 0, 60)
        mind.settle(60)
        mind.settle(60)
        first = len(asked)
        for number in range(60, 66):
            fill(mind, number, number + 1)
            time.sleep(0.6)
        assert len(asked) == first


def test_little_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with open_mind(tmp_path / "t.db", learning__embedder="none") as mind:
        fill(mind, 0, 12)
        mind.settle(60)
        assert mind.book().known == 12


def test_of_very_large_episodes_only_the_newest_are_fitted_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works: list[Work] = []
    monkeypatch.setattr(student, "_MOST_BYTES", 20_000)
    monkeypatch.setattr(student, "do", lambda work, *rest: works.append(work) or do(work, *rest))
    with open_mind(tmp_path / "t.db", learning__embedder="none") as mind:
        for number in range(12):
            with mind.episode(f"read book {number}") as live:
                live.step(tool="read", observation=9_000 * ".")
                live.complete("success")
        mind.settle(60)
    assert works[-1].fitting is not None
    assert [each.task.description for each in works[-1].fitting.episodes] == ["read book 10", "read book 11"]
