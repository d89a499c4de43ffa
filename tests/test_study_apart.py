"""What takes long in a study is done in a process of its own, which never outlives its use."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

import tacit
from tacit.experience.episode import Episode, Outcome, Step, Task
from tacit.learning.ranking.ranker import Example
from tacit.learning.studying import apart
from tacit.learning.studying.apart import WORTH_A_PROCESS, WorkFailed, do_apart
from tacit.learning.studying.fits import models_of
from tacit.learning.studying.work import Done, Fitting, Work, do
from tacit.stores.forking import GATE
from trials import open_mind

pytestmark = pytest.mark.requirement("LE-04")


def episode(number: int, steps: int) -> Episode:
    tools = ("look", "open", "take")
    return Episode(
        id=f"00000000-0000-7000-8000-{number:012d}",
        mind="m",
        task=Task(description=f"find thing {number % 7} in room {number % 5}", task_type="find"),
        status="success" if number % 3 else "failure",
        started_at_micros=number,
        ended_at_micros=number + 1,
        steps=tuple(
            Step(tool=tools[(number + place) % 3], action=f"go {place}", observation=f"saw {place % 4} " + 500 * ".")
            for place in range(steps)
        ),
        outcome=Outcome(kind="success" if number % 3 else "failure"),
    )


def work(episodes: int, steps: int = 5) -> Work:
    found = [episode(number, steps) for number in range(episodes)]
    examples = [Example(each.task.description, ("look", "open"), each.status == "success") for each in found]
    return Work(b"m" * 16, None, 0.5, [], Fitting(len(found), "", examples, found))


MUCH = work(WORTH_A_PROCESS // 5)
LITTLE = work(4)


def chances(done: Done) -> list[float]:
    """The chance of success that the models give to each of the tasks."""
    assert done.fit is not None
    model = models_of(done.fit).success
    assert model is not None
    found = [model.predict(episode(number, 0).task, ()) for number in range(20)]
    return [-1.0 if each is None else each.mean for each in found]


HERE = Done([], None)


def done_here(*_: object) -> Done:
    return HERE


def children() -> list[psutil.Process]:
    found = []
    for each in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):  # it has just ended
            if apart.__name__ in each.cmdline():
                found.append(each)
    return found


def test_another_process_comes_to_the_same_as_this_one() -> None:
    seen: list[int] = []
    done = do_apart(MUCH, lambda: seen.extend(each.pid for each in children()))
    assert seen, "it was done in this process"
    here = do(MUCH)
    assert chances(done) == pytest.approx(chances(here), abs=1e-3)
    assert not children()


def test_little_work_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert do_apart(LITTLE).fit is not None


def test_work_that_is_given_up_ends_its_process_at_once() -> None:
    class GivenUp(Exception):  # noqa: N818 - as the store's closing is one
        pass

    def check() -> None:
        raise GivenUp

    started = time.monotonic()
    with pytest.raises(GivenUp):
        do_apart(work(200, 10), check)
    assert not children()
    assert time.monotonic() - started < 60


def test_a_process_that_is_killed_is_told_of() -> None:
    def kill() -> None:
        for each in children():
            each.send_signal(signal.SIGKILL)

    with pytest.raises(WorkFailed, match="-9"):
        do_apart(work(200, 10), kill)


def test_where_no_process_can_be_started_the_work_is_done_here(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(apart, "do", done_here)
    assert do_apart(MUCH) == HERE
    assert "no more processes" in caplog.text


@pytest.mark.parametrize("executable", [None, "", "/usr/sbin/apache2", "/opt/agent/bin/agent"])
def test_a_program_with_an_interpreter_inside_is_not_started_again(
    executable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(apart, "do", done_here)
    assert do_apart(MUCH) == HERE


@pytest.mark.parametrize("odd", [Path("/tmp"), None, 7, b"/tmp"])
def test_what_is_no_text_among_the_places_of_modules_is_passed_over(
    odd: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, odd])
    monkeypatch.setattr(apart, "do", lambda *_: pytest.fail("it was done here"))
    assert do_apart(MUCH).fit is not None


def test_where_no_thread_can_be_started_the_work_is_done_here(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "tacit-ask":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(apart, "do", done_here)
    assert do_apart(MUCH) == HERE
    assert "can't start new thread" in caplog.text
    assert not children()


@pytest.mark.requirement("SE-05")
def test_the_process_is_given_no_setting_of_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_STORE__PASSPHRASE", "correct horse")
    seen: list[dict[str, str]] = []
    do_apart(work(200, 10), lambda: seen.extend(each.environ() for each in children()))
    assert seen
    assert not any(name.startswith("TACIT_") for each in seen for name in each)


def test_whoever_forks_while_the_process_is_started_does_not_keep_its_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[bool] = []
    popen = subprocess.Popen

    def look(*args: object, **options: object) -> subprocess.Popen[bytes]:
        inside.append(bool(GATE._inside))
        return popen(*args, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", look)
    do_apart(MUCH)
    assert inside == [True], "a fork waits until nobody is inside the gate"


def test_of_very_large_episodes_only_the_newest_are_fitted_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.learning.studying.study._MOST_BYTES", 20_000)
    works: list[Work] = []
    monkeypatch.setattr("tacit.learning.studying.study.do_apart", lambda work, *_, **__: works.append(work) or do(work))
    with open_mind(tmp_path / "t.db", learning__embedder="none") as mind:
        for number in range(12):
            with mind.episode(f"read book {number}") as live:
                live.step(tool="read", observation=9_000 * ".")
                live.complete("success")
        mind.settle(60)
    assert works[-1].fitting is not None
    assert [each.task.description for each in works[-1].fitting.episodes] == ["read book 10", "read book 11"]


PARENT = """
import sys
sys.path.insert(0, {tests!r})
from test_study_apart import work, do_apart, children
told = []
def check():
    if not told:
        told.extend(children())
        print(told[0].pid, flush=True)
do_apart(work(1_000, 10), check)
"""


def test_the_process_ends_with_the_one_that_it_works_for() -> None:
    code = PARENT.format(tests=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.is_running()
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_a_store_learns_models_through_it_and_keeps_its_book_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise WorkFailed("it ended with -9")

    monkeypatch.setattr("tacit.learning.studying.study.do_apart", fail)
    with tacit.open(tmp_path / "t.db") as mind:
        for number in range(12):
            with mind.episode(f"find the key {number}") as live:
                live.step(tool="look", observation="a key")
                live.complete("success")
        mind.settle(60)
        assert mind.book().playbooks
        assert "it ended with -9" in caplog.text
