"""Consumers rest so that writers come first, and no longer than that."""

from __future__ import annotations

import time

import pytest

from tacit.experience.episode import Outcome, Record, Task
from tacit.journal import consumers
from tacit.journal.rest import BUSY_SECONDS, MOMENT_SECONDS, PATIENCE_SECONDS, QUIET_SECONDS, Rest
from tacit.stores.sqlite import MEMORY
from trials import open_mind

pytestmark = pytest.mark.requirement("JR-13")


class Hand:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_nobody_writes_so_consumers_go_on_at_once() -> None:
    assert Rest(Hand()).seconds(2.0, moved=True) == MOMENT_SECONDS


def test_in_a_short_burst_of_writes_consumers_take_a_tenth() -> None:
    rest = Rest(Hand())
    rest.written()
    assert rest.seconds(0.1, moved=True) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("behind", "rest_for_each_second"), [(PATIENCE_SECONDS, 4.0), (4 * PATIENCE_SECONDS, 1.0), (1_000.0, 0.25)]
)
def test_the_longer_consumers_are_behind_the_less_they_rest(behind: float, rest_for_each_second: float) -> None:
    clock = Hand()
    rest = Rest(clock)
    rest.written()
    rest.seconds(0.0, moved=True)
    clock.seconds += behind + 0.001
    rest.written()
    assert rest.seconds(1.0, moved=True) == pytest.approx(rest_for_each_second, rel=0.001)


def test_having_caught_up_they_are_patient_again() -> None:
    clock = Hand()
    rest = Rest(clock)
    rest.written()
    rest.seconds(0.1, moved=True)
    clock.seconds += PATIENCE_SECONDS + 0.1
    assert rest.seconds(0.1, moved=False) == MOMENT_SECONDS
    rest.written()
    assert rest.seconds(0.1, moved=True) == pytest.approx(0.9)


def test_once_the_writers_have_stopped_consumers_no_longer_rest() -> None:
    clock = Hand()
    rest = Rest(clock)
    rest.written()
    clock.seconds += QUIET_SECONDS + 0.01
    assert rest.seconds(0.5, moved=True) == MOMENT_SECONDS


def test_what_is_put_off_for_the_writers_sake_is_not_put_off_for_ever() -> None:
    clock = Hand()
    rest = Rest(clock)
    rest.written()
    rest.seconds(0.0, moved=False, put_off=True)
    assert rest.bursting
    clock.seconds += PATIENCE_SECONDS + 0.1
    rest.written()
    rest.seconds(0.0, moved=False, put_off=True)
    assert not rest.bursting


def test_while_somebody_writes_even_a_round_that_did_little_is_followed_by_a_rest() -> None:
    rest = Rest(Hand())
    rest.written()
    assert rest.seconds(0.0, moved=True) == rest.seconds(0.0, moved=False) == BUSY_SECONDS


def test_much_work_waits_for_the_end_of_a_burst_unless_somebody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_mind(MEMORY, learning__embedder="none", consumers__enabled=False) as mind:  # rounds are made here
        following = mind.recorder.journal.consumers

        def record() -> None:
            for number in range(20):
                mind.record(Record(task=Task(description=f"task {number}"), outcome=Outcome(kind="success")))

        record()
        assert following._round(), "nobody knows yet how much that is"
        record()
        assert following._round(), "little is done at once"
        record()
        monkeypatch.setattr(consumers, "MUCH_SECONDS", 1e-9)
        assert not following._round()
        assert mind.lag()["tally"] == 20
        mind.settle(60)
        assert not any(mind.lag().values())


def test_what_waits_for_the_end_of_a_burst_is_done_then_however_seldom_consumers_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_mind(MEMORY, learning__embedder="none", consumers__poll_seconds=60) as mind:
        record = Record(task=Task(description="a task"), outcome=Outcome(kind="success"))
        mind.record(record)
        mind.settle(60, only="tally")
        monkeypatch.setattr(consumers, "MUCH_SECONDS", 1e-9)
        for _ in range(20):
            mind.record(record)
        assert mind.lag()["tally"], "the burst has not ended yet"
        deadline = time.monotonic() + 20
        while mind.lag()["tally"]:
            assert time.monotonic() < deadline, "it waits for the next look"
            time.sleep(0.05)
