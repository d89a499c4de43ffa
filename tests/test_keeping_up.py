"""What advice stands on is kept up to date in the background, and nobody who asks takes it back to an older state."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tacit.learning import counsel
from tacit.learning.advising.nearest import Shelf
from tacit.learning.advising.word_index import WordIndex
from tacit.mind import Mind
from trials import open_mind

pytestmark = pytest.mark.requirement("LE-09")


@pytest.fixture
def mind(tmp_path: Path) -> Iterator[Mind]:
    with open_mind(tmp_path / "a.db", learning__embedder="none") as opened:
        yield opened


def live(mind: Mind, count: int) -> None:
    for number in range(count):
        with mind.episode(f"Carry box {number} upstairs", task_type="carry") as episode:
            episode.step(tool="lift")
            episode.complete("success")


@pytest.fixture
def put_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that lay an episode on a shelf."""
    names: list[str] = []
    put = Shelf._put

    def noted(self: Shelf, lesson: Any) -> None:
        names.append(threading.current_thread().name)
        put(self, lesson)

    monkeypatch.setattr(Shelf, "_put", noted)
    return names


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_whoever_asked_before_need_not_wait_for_what_has_come_since(mind: Mind, put_by: list[str]) -> None:
    live(mind, 5)
    mind.settle(60)
    assert not put_by, "nobody has asked yet"
    mind.advise("Carry box 3 upstairs")
    before = len(put_by)
    live(mind, 20)
    eventually(lambda: len(put_by) >= before + 20)
    assert set(put_by[before:]) == {"tacit-consumers"}
    assert mind.advise("Carry box 3 upstairs").episodes
    assert len(put_by) == before + 20


def test_what_nobody_asks_about_any_more_is_left_alone(
    mind: Mind, put_by: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    live(mind, 5)
    mind.settle(60)
    mind.advise("Carry box 3 upstairs")
    before = len(put_by)
    monkeypatch.setattr(counsel, "_RECENTLY_SECONDS", -1.0)
    live(mind, 5)
    mind.settle(60)
    mind._shared.counsel.keep_up(mind.recorder.journal.store)
    assert len(put_by) == before


def test_many_who_ask_at_once_while_episodes_come_lay_each_of_them_down_once(mind: Mind, put_by: list[str]) -> None:
    live(mind, 5)
    mind.settle(60)

    def ask(number: int) -> None:
        for _ in range(25):
            mind.advise(f"Carry box {number} upstairs", record=False)

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(4)]
        live(mind, 100)
        for each in asked:
            each.result()
    mind.settle(60)
    mind.advise("Carry box 3 upstairs")
    assert len(put_by) == 105, "going back to an older state would lay all of them down anew"


def test_the_past_is_no_ground_of_the_present(mind: Mind, put_by: list[str]) -> None:
    live(mind, 5)
    mind.settle(60)
    then = mind.at(datetime.now(UTC))
    live(mind, 5)
    mind.settle(60)
    assert mind.advise("Carry box 3 upstairs").episodes
    present = len(put_by)
    assert then.advise("Carry box 3 upstairs").episodes
    assert mind.advise("Carry box 3 upstairs").episodes
    assert (present, len(put_by)) == (10, 15)


def test_what_ctrl_c_leaves_half_way_is_laid_out_anew(mind: Mind, monkeypatch: pytest.MonkeyPatch) -> None:
    live(mind, 5)
    mind.settle(60)
    mind.advise("Carry box 3 upstairs")
    monkeypatch.setattr(counsel, "_RECENTLY_SECONDS", -1.0)  # it is not brought up to date in the background
    live(mind, 5)
    mind.settle(60)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(WordIndex, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mind.advise("Carry box 8 upstairs")
    usual = mind.advise("Carry box 8 upstairs").usual
    assert usual is not None
    assert usual.of == 10


def test_a_mind_whose_ground_cannot_be_kept_up_is_left_alone_until_somebody_asks_again(
    mind: Mind, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    live(mind, 5)
    mind.settle(60)
    with monkeypatch.context() as patched:
        mind.advise("Carry box 3 upstairs")
        patched.setattr(Shelf, "catch_up", lambda *_: 1 // 0)
        for _ in range(5):
            live(mind, 1)
            mind.settle(60)
        eventually(lambda: "a chore of the store failed" in caplog.text)
        time.sleep(0.5)
        assert caplog.text.count("a chore of the store failed") == 1
    usual = mind.advise("Carry box 3 upstairs").usual
    assert usual is not None
    assert usual.of == 10
