"""The journal behaves the same on every store, written by one process or by two at once."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

import journal_scenarios as scenarios
from journal_scenarios import ECHO, NOTE, check_sound, count_of, events_of, opened_journal
from tacit.clock import SystemClock
from tacit.errors import StoreUnavailable
from tacit.experience import kinds
from tacit.experience.views import load_episode
from tacit.ids import format_id
from tacit.journal.minds import list_minds
from tacit.journal.read import all_events
from tacit.stores.conformance import StoreFactory
from tacit.stores.opening import open_store
from tacit.stores.port import Store, Transaction
from tacit.stores.processes import Processes, meet

pytestmark = pytest.mark.requirement("JR-07")


class Kept:
    """A memory store that stays when it is closed, so that it can be opened again like any other."""

    def __init__(self) -> None:
        self._store = open_store(":memory:")

    def __call__(self) -> Store:
        return self

    def close(self) -> None:
        """Nothing: the next opening finds the same store."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Bench:
    """A store under test, and how many processes write to it."""

    def __init__(self, store_factory: StoreFactory, workers: int, processes: Processes | None) -> None:
        self.store_factory = store_factory
        self.workers = workers
        self._processes = processes

    def run(self, scenario: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Each process's result."""
        with opened_journal(self.store_factory):  # the mind is there before they start
            pass
        if self._processes is None:
            return [scenario(self.store_factory, 0, *arguments)]
        return self._processes.run(
            scenario, [(self.store_factory, worker, *arguments) for worker in range(self.workers)]
        )

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        with contextlib.closing(self.store_factory()) as store:
            yield store


@pytest.fixture(scope="module")
def two_processes() -> Iterator[Processes]:
    with Processes(2) as processes:
        yield processes


def factory_of(name: str, request: pytest.FixtureRequest) -> StoreFactory:
    if name == "memory":
        return Kept()
    if name == "postgres":
        return functools.partial(open_store, request.getfixturevalue("postgres_url"), pool_min=1)
    path = str(request.getfixturevalue("tmp_path") / "store.db")
    return functools.partial(open_store, path, passphrase="correct horse" if name == "encrypted" else None)


CASES = [("file", 1), ("encrypted", 1), ("memory", 1), ("postgres", 1), ("file", 2), ("postgres", 2)]


def named(case: tuple[str, int]) -> str:
    return f"{case[0]}-{case[1]}"


@pytest.fixture(params=CASES, ids=named)
def bench(request: pytest.FixtureRequest) -> Bench:
    name, workers = request.param
    processes = request.getfixturevalue("two_processes") if workers > 1 else None
    return Bench(factory_of(name, request), workers, processes)


def mind_of(store: Store) -> bytes:
    with store.snapshot() as snapshot:
        return next(mind.id for mind in list_minds(snapshot) if mind.name == "shared")


def notes(store: Store) -> list[str]:
    """The texts of all notes, in the order of the journal."""
    mind = mind_of(store)
    with store.snapshot() as snapshot:
        return [
            found.payload["text"] for found in all_events(snapshot, mind) if found.event.kind == NOTE and found.payload
        ]


def test_what_was_appended_is_read_back_in_one_chain_without_gaps(bench: Bench) -> None:
    bench.run(scenarios.write_notes, 60)
    with bench.store() as store:
        check_sound(store)
        found = notes(store)
        for worker in range(bench.workers):
            mine = [text for text in found if text.startswith(f"{worker}.")]
            assert mine == [f"{worker}.{number}" for number in range(60)]
        assert len(found) == 60 * bench.workers


@pytest.mark.requirement("JR-02")
def test_many_threads_share_commits_and_lose_nothing(bench: Bench) -> None:
    commits = bench.run(scenarios.write_from_threads, 8, 25)
    with bench.store() as store:
        check_sound(store)
        expected = {f"{w}.{t}.{n}" for w in range(bench.workers) for t in range(8) for n in range(25)}
        assert Counter(notes(store)) == Counter(expected)
    assert sum(commits) < 200 * bench.workers


def test_a_bad_job_fails_alone(bench: Bench) -> None:
    failed = bench.run(scenarios.write_good_and_bad, 30)
    assert failed == [30] * bench.workers
    with bench.store() as store:
        check_sound(store)
        assert Counter(notes(store)) == Counter(f"{w}.{n}" for w in range(bench.workers) for n in range(30))


@pytest.mark.requirement("JR-16")
def test_a_keyed_event_that_is_repeated_is_one_event(bench: Bench) -> None:
    new = bench.run(scenarios.write_keyed, 40)
    again = bench.run(scenarios.write_keyed, 40)
    assert sum(new) == 40
    assert sum(again) == 0
    with bench.store() as store:
        check_sound(store)
        assert Counter(notes(store)) == Counter(f"note {number}" for number in range(40))


def test_a_key_that_was_used_for_something_else_is_refused(bench: Bench) -> None:
    refused = bench.run(scenarios.write_same_key_differently, 20)
    assert sum(refused) == 20 * (2 * bench.workers - 1)
    with bench.store() as store:
        check_sound(store)
        assert len(notes(store)) == 20


def test_a_consumer_emits_each_of_its_events_once(bench: Bench) -> None:
    failures = bench.run(scenarios.write_and_follow, 60)
    assert failures == [{}] * bench.workers
    with bench.store() as store:
        check_sound(store)
        mind = mind_of(store)
        with store.snapshot() as snapshot:
            inputs = [event.position for event in events_of(snapshot, mind, NOTE)]
            echoes = [found.payload for found in all_events(snapshot, mind) if found.event.kind == ECHO]
            assert count_of(snapshot, mind, "notes") == len(inputs) == 60 * bench.workers
        assert Counter(echo["of"] for echo in echoes if echo) == Counter(inputs)


@pytest.mark.parametrize("bench", [case for case in CASES if case[0] != "memory"], ids=named, indirect=True)
def test_a_process_that_slept_through_its_lease_cannot_write(bench: Bench) -> None:
    with opened_journal(bench.store_factory) as (journal, mind):
        for number in range(5):
            scenarios.note(journal, mind.id, str(number)).result()
    now = SystemClock().now()
    if bench.workers == 1:
        meeting = threading.Barrier(2)
        with ThreadPoolExecutor(2) as threads:
            late = threads.submit(scenarios.sleep_through_the_lease, bench.store_factory, lambda: meeting.wait(60))
            quick = threads.submit(scenarios.take_over, bench.store_factory, lambda: meeting.wait(60), now)
            outcome = [late.result(), quick.result()]
    else:
        outcome = bench._processes.run(
            sleep_or_take_over, [(bench.store_factory, 0, now), (bench.store_factory, 1, now)]
        )
    assert outcome == [False, True]
    with bench.store() as store:
        check_sound(store)
        mind_id = mind_of(store)
        with store.snapshot() as snapshot:
            assert count_of(snapshot, mind_id, "notes") == 5
            assert len(events_of(snapshot, mind_id, ECHO)) == 5


def sleep_or_take_over(store_factory: StoreFactory, worker: int, now: int) -> bool:
    if worker == 0:
        return scenarios.sleep_through_the_lease(store_factory, meet)
    return scenarios.take_over(store_factory, meet, now)


def test_groups_that_touch_several_minds_do_not_stop_each_other(bench: Bench) -> None:
    bench.run(scenarios.write_to_two_minds, 20)
    with bench.store() as store:
        check_sound(store)
        with store.snapshot() as snapshot:
            minds = {mind.name: mind.id for mind in list_minds(snapshot)}
            assert sorted(minds) == ["left", "right", "shared"]
            for name in ("left", "right"):
                assert len(events_of(snapshot, minds[name], NOTE)) == 20 * bench.workers


def test_steps_of_one_episode_are_numbered_without_gaps(bench: Bench) -> None:
    with opened_journal(bench.store_factory) as (journal, mind):
        prepared = journal.preparer.prepare(
            kinds.EPISODE_STARTED, {"task": {"description": "seat", "tags": ["a", "b"]}}
        )
        opened = journal.run(lambda appender: appender.append(mind.id, prepared))
    bench.run(scenarios.log_steps, opened.event.id, 25)
    with bench.store() as store:
        check_sound(store)
        with store.snapshot() as snapshot:
            episode = load_episode(snapshot, mind.id, opened.event.id)
    assert episode.id == format_id(opened.event.id)
    assert Counter(step.tool for step in episode.steps) == {f"tool {worker}": 25 for worker in range(bench.workers)}
    for worker in range(bench.workers):
        mine = [step.action for step in episode.steps if step.tool == f"tool {worker}"]
        assert mine == [str(number) for number in range(25)]


class LosesAnswers:
    """A store whose connection breaks after a commit got through and before its answer came: the worst moment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lost = 0
        self.losing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._store.transaction() as transaction:
            yield transaction
        if self.losing:
            self.losing = False
            self.lost += 1
            raise StoreUnavailable("the answer to COMMIT was lost")


@pytest.mark.requirement("JR-16")
@pytest.mark.parametrize("name", ["file", "encrypted", "memory", "postgres"])
def test_a_commit_whose_answer_was_lost_is_one_event(name: str, request: pytest.FixtureRequest) -> None:
    with contextlib.closing(factory_of(name, request)()) as store:
        losing = LosesAnswers(store)
        with scenarios.journal_of(losing) as (journal, mind):
            losing.losing = True
            appended = scenarios.note(journal, mind.id, "once").result()
        assert losing.lost == 1
        assert not appended.new
        check_sound(store)
        assert notes(store) == ["once"]


@pytest.mark.requirement("JR-16")
def test_a_connection_that_breaks_before_the_commit_is_tried_again(postgres_url: str) -> None:
    attempts = []

    def job(appender: Any, mind: bytes, prepared: Any) -> Any:
        appended = appender.append(mind, prepared)
        attempts.append(appended)
        if len(attempts) == 1:
            with contextlib.suppress(psycopg.OperationalError):  # the loss is to show at the commit
                appender.transaction._connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return appended

    with opened_journal(functools.partial(open_store, postgres_url, pool_min=1)) as (journal, mind):
        prepared = journal.preparer.prepare(NOTE, {"text": "once"})
        assert journal.run(functools.partial(job, mind=mind.id, prepared=prepared)).new
        check_sound(journal.store)
        assert notes(journal.store) == ["once"]
    assert len(attempts) == 2


@pytest.mark.parametrize("name", ["file", "postgres"])
def test_processes_that_start_together_share_one_node_and_one_mind(
    name: str, request: pytest.FixtureRequest, two_processes: Processes
) -> None:
    store_factory = factory_of(name, request)
    two_processes.run(scenarios.write_notes, [(store_factory, 0, 60), (store_factory, 1, 60)])
    with contextlib.closing(store_factory()) as store:
        check_sound(store)
        with store.snapshot() as snapshot:
            assert len(list_minds(snapshot)) == 1
        assert len(notes(store)) == 120
