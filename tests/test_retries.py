"""Passing faults of the store are retried a few times, and a retry never stores twice."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tacit
from faults import lossy
from tacit.clock import SystemClock
from tacit.ids import SystemEntropy, parse_id
from tacit.retry import RetryPolicy, retrying
from tacit.stores.port import Transaction
from tacit.stores.sqlite import MEMORY, SqliteStore
from trials import assert_sound, kinds_of, settings

pytestmark = pytest.mark.requirement("JR-16")

TESTS = Path(__file__).parent


class FaultyStore(SqliteStore):
    """A store whose next transactions fail: ``before`` their commit, or ``after`` it, as if it had not held."""

    before: list[Exception]
    after: list[Exception]

    def __init__(self, path: Path | str) -> None:
        self.before, self.after, self.transactions = [], [], 0
        super().__init__(path)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self.transactions += 1
        if self.before:
            raise self.before.pop(0)
        with super().transaction() as transaction:
            yield transaction
        if self.after:
            raise self.after.pop(0)


def busy() -> tacit.StoreBusy:
    return tacit.StoreBusy("made for this test")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FaultyStore]:
    store = FaultyStore(tmp_path / "agent.db")
    yield store
    store.close()


@contextlib.contextmanager
def mind_of(store: FaultyStore, **changed: Any) -> Iterator[tacit.Mind]:
    quick = {"retry__first_delay_seconds": 0.001, "retry__max_delay_seconds": 0.001, "consumers__enabled": False}
    with tacit.OpenStore(store, settings(**quick, **changed), clock=SystemClock(), entropy=SystemEntropy()) as opened:
        yield opened.mind()


# name, what must have been done before, the call that meets the fault, the events that it must leave
Call = Callable[[tacit.Mind, str, str], object]
WRITES: dict[str, tuple[Call, list[str]]] = {
    "episode": (lambda mind, one, two: mind.episode("a third"), ["episode.started"]),
    "record": (lambda mind, one, two: mind.record({"task": {"description": "whole"}}), ["episode.recorded"]),
    "step": (lambda mind, one, two: mind.resume(one).step(tool="t"), ["episode.resumed", "step.logged"]),
    "complete": (lambda mind, one, two: mind.resume(one).complete("success"), ["episode.resumed", "episode.completed"]),
    "update": (lambda mind, one, two: mind.update(one, add_tags=["new"]), ["episode.updated"]),
    "relate": (lambda mind, one, two: mind.relate(one, "follows", two), ["episode.related"]),
    "unrelate": (lambda mind, one, two: mind.unrelate(one, "refers", two), ["episode.unrelated"]),
    "handoff": (lambda mind, one, two: mind.handoff(one, note="here"), ["episode.checkpointed"]),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("faults", [1, 2])
def test_a_commit_that_held_but_was_reported_as_failed_stores_one_event(
    store: FaultyStore, tmp_path: Path, name: str, faults: int
) -> None:
    write, expected = WRITES[name]
    with mind_of(store) as mind:
        one, two = mind.episode("first").id, mind.episode("second").id
        mind.relate(one, "refers", two)
        before = len(kinds_of(mind))
        store.after = [busy() for _ in range(faults)]
        write(mind, one, two)
        assert store.after == []
        assert kinds_of(mind)[before:] == expected
    assert_sound(tmp_path / "agent.db")


def test_a_batch_of_buffered_steps_is_stored_once(store: FaultyStore) -> None:
    with mind_of(store, buffer__seconds=3600) as mind:
        episode = mind.episode("buffered", buffered=True)
        for number in range(10):
            episode.step(tool=f"tool {number}")
        store.after = [busy(), busy()]
        episode.flush()
        assert [step.tool for step in mind.get(episode.id).steps] == [f"tool {number}" for number in range(10)]
        assert kinds_of(mind).count("step.logged") == 10


def test_the_effects_of_a_consumer_are_applied_once_when_its_commit_held_but_was_reported_as_failed(
    store: FaultyStore, tmp_path: Path
) -> None:
    with mind_of(store) as mind:
        for number in range(5):
            mind.record({"task": {"description": f"task {number}"}, "outcome": {"kind": "success"}})
        store.after = [busy(), busy(), busy()]
        mind.settle()
        assert store.after == []
        assert mind.statistics().totals.episodes == 5
    assert_sound(tmp_path / "agent.db")


def test_a_whole_group_whose_commit_held_but_was_reported_as_failed_for_good_is_not_stored_again(
    store: FaultyStore,
) -> None:
    """A disk error is not retried as a group; each of its jobs is tried alone, and must find itself there already."""
    with mind_of(store) as mind:
        held, go = threading.Event(), threading.Event()
        mind.recorder.journal.submit(lambda appender: (held.set(), go.wait()))
        held.wait()
        episodes = [mind.recorder.start(tacit.Task(description=f"task {number}")) for number in range(4)]
        store.after = [tacit.StoreError("made for this test")] * 2  # the first is for whoever holds the group back
        go.set()
        ids = [future.result().event.id for future in episodes]
        assert len(set(ids)) == 4
        assert kinds_of(mind) == ["mind.created", *["episode.started"] * 4]


def test_a_busy_store_is_tried_three_times_and_then_the_error_reaches_the_caller(store: FaultyStore) -> None:
    with mind_of(store) as mind:
        before = store.transactions
        store.before = [busy(), busy(), busy()]
        with pytest.raises(tacit.StoreBusy):
            mind.episode("never")
        assert store.transactions - before == 3
        mind.episode("after")
        assert kinds_of(mind) == ["mind.created", "episode.started"]


def test_a_busy_store_refuses_a_waiting_group_as_a_whole_instead_of_trying_each_write_alone(store: FaultyStore) -> None:
    with mind_of(store) as mind:
        held, go = threading.Event(), threading.Event()
        mind.recorder.journal.submit(lambda appender: (held.set(), go.wait()))
        held.wait()
        waiting = [mind.recorder.start(tacit.Task(description=f"task {number}")) for number in range(10)]
        store.before = [busy() for _ in range(4)]
        before = store.transactions
        go.set()
        errors = [future.exception() for future in waiting]
        assert all(isinstance(error, tacit.StoreBusy) for error in errors)
        assert store.transactions - before == 3
        store.before = []


@pytest.mark.parametrize("error", [tacit.StoreFull("full"), tacit.NotAStore("gone"), tacit.StoreError("broken")])
def test_an_error_that_does_not_pass_is_not_retried(store: FaultyStore, error: tacit.StoreError) -> None:
    with mind_of(store) as mind:
        before = store.transactions
        store.before = [error]
        with pytest.raises(type(error)):
            mind.episode("never")
        assert store.transactions - before == 1
        assert kinds_of(mind) == ["mind.created"]


def test_the_pauses_grow_by_the_factor_up_to_the_longest(caplog: pytest.LogCaptureFixture) -> None:
    store = FaultyStore(MEMORY)
    quick = {"retry__attempts": 5, "retry__factor": 3, "retry__first_delay_seconds": 0.002}
    opened = tacit.OpenStore(
        store,
        settings(**quick, retry__max_delay_seconds=0.011, consumers__enabled=False),
        clock=SystemClock(),
        entropy=SystemEntropy(),
    )
    mind = opened.mind()
    try:
        store.before = [busy() for _ in range(4)]
        mind.episode("at the fifth attempt")
    finally:
        opened.close()
        store.close()
    first, second, third, fourth = [vars(line)["wait_seconds"] for line in caplog.records if line.name == "tacit.retry"]
    assert 0.002 <= first <= 0.004  # up to one first delay is added at random, so that processes do not meet again
    assert 0.006 <= second <= 0.008
    assert (third, fourth) == pytest.approx((0.011, 0.011))


def test_no_attempt_begins_when_patience_has_run_out() -> None:
    def attempts(patience: float) -> int:
        begun = 0
        policy = RetryPolicy(first_delay=0.001, patience=patience)
        with contextlib.suppress(tacit.StoreBusy):
            for attempt in retrying(policy, lambda error: True):
                begun += 1
                with attempt:
                    raise busy()
        return begun

    assert attempts(patience=0.0) == 1
    assert attempts(patience=60.0) == 3


def test_by_default_three_attempts_a_tenth_of_a_second_apart_doubling_up_to_two_seconds() -> None:
    retry = settings().retry
    assert (retry.attempts, retry.first_delay_seconds, retry.factor, retry.max_delay_seconds) == (3, 0.1, 2, 2)


@pytest.mark.requirement("JR-02", "EP-08")
def test_a_disk_that_fails_in_the_middle_of_a_commit_leaves_one_event_after_a_retry_with_the_same_key(
    tmp_path: Path,
) -> None:
    library = lossy.build(tmp_path)
    disk, log = tmp_path / "disk", tmp_path / "log"
    disk.mkdir()
    program = """
        import sys, tacit
        from faults import lossy
        from trials import open_mind
        mind = open_mind(sys.argv[1], consumers__enabled=False)
        episode = mind.episode("a failing disk")
        lossy.arm("fsync:1")
        try:
            episode.step(tool="t", key="once")
        except tacit.StoreError as error:
            print(type(error).__name__, error.retryable)
        for attempt in range(2):
            episode.step(tool="t", key="once")
        sys.stdout.flush()
        import os
        os._exit(0)
    """
    environment = lossy.environment(library, disk, log)
    environment["PYTHONPATH"] = f"{TESTS}:{environment.get('PYTHONPATH', '')}"
    command = [sys.executable, "-c", textwrap.dedent(program), str(disk / "agent.db")]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert child.stdout.split() == ["StoreError", "False"], child.stderr
    lossy.drop_unsynced(log)
    with tacit.open(disk / "agent.db", settings=settings()) as mind:
        assert kinds_of(mind) == ["mind.created", "episode.started", "step.logged"]
    assert_sound(disk / "agent.db")


@pytest.mark.requirement("EP-08")
def test_the_same_key_is_the_same_episode_and_the_same_step_and_another_content_is_refused(store: FaultyStore) -> None:
    with mind_of(store) as mind:
        first, again = mind.episode("task", key="k"), mind.episode("task", key="k")
        assert first.id == again.id
        assert first.step(tool="t", key="s") == again.step(tool="t", key="s")
        other = mind.episode("another task", key="k2")
        assert other.step(tool="t", key="s") != first.step(tool="t", key="s")  # a step's key counts within its episode
        for change in (lambda: mind.episode("changed", key="k"), lambda: first.step(tool="changed", key="s")):
            with pytest.raises(tacit.Conflict):
                change()
        assert kinds_of(mind).count("episode.started") == 2
        assert kinds_of(mind).count("step.logged") == 2
        assert parse_id(first.id)


def test_a_writer_finishes_what_was_submitted_when_the_store_is_closed(store: FaultyStore, tmp_path: Path) -> None:
    with mind_of(store) as mind:
        futures = [mind.recorder.start(tacit.Task(description=f"task {number}")) for number in range(200)]
    assert all(future.done() and future.exception() is None for future in futures)
    assert assert_sound(tmp_path / "agent.db") == 201
