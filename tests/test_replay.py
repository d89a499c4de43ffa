"""Views can be rebuilt from the journal alone, always to the same digests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, update

from journal_builder import build_store, change, journal_on, live_a_little, projections, recorder_for
from tacit.clock import ManualClock, SystemClock
from tacit.errors import Conflict, IntegrityError
from tacit.ids import SeededEntropy, SystemEntropy, keyed_id
from tacit.journal.append import Appender
from tacit.journal.consumer import EventConsumer
from tacit.journal.event import Event
from tacit.journal.minds import open_mind
from tacit.journal.order import TotalOrder
from tacit.journal.replay import compare, differing_views, replay, scratch_store, view_digests
from tacit.journal.verify import verify
from tacit.learning.assessment.tally import Tally
from tacit.stores import schema
from tacit.stores.port import Snapshot, Store
from tacit.stores.sqlite import SqliteStore

_statistic = schema.statistic
_raise = (
    update(_statistic)
    .where(_statistic.c.mind == bindparam("of"), _statistic.c.key == "answered")
    .values(count=_statistic.c.count + bindparam("more"))
)
ANSWERED = "step.answered"
SECRET = b"s" * 32


class Answerer(EventConsumer):
    """Counts steps in a view, and answers each with an event of its own."""

    name = "answerer"
    kinds = None

    def __init__(self, preparer: Any) -> None:
        self._preparer = preparer

    def prepare(self, snapshot: Snapshot, mind: bytes, events: Sequence[Event]) -> list[int]:
        return [event.position for event in events if event.kind == "step.logged"]

    def apply(self, appender: Appender, mind: bytes, effects: list[int]) -> None:
        for position in effects:
            id = keyed_id(SECRET, self.name, str(position))
            appender.append(mind, self._preparer.prepare(ANSWERED, {"of": position}, id=id))
        if effects and appender.transaction.execute(_raise, of=mind, more=len(effects)) == 0:
            appender.transaction.insert(_statistic, ((mind, "answered", len(effects)),))


def live_digests(store: Store) -> dict[str, str]:
    with store.snapshot() as snapshot:
        return view_digests(snapshot)


def rows_of(store: Store, name: str) -> list[tuple[Any, ...]]:
    table = schema.metadata.tables[name]
    with store.snapshot() as snapshot:
        return snapshot.rows(select(*table.c).order_by(*table.primary_key.columns))


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    path = tmp_path / "agent.db"
    build_store(path)
    return path


@pytest.mark.requirement("JR-03")
def test_a_replay_gives_the_digests_of_the_live_views_twice(store_path: Path, tmp_path: Path) -> None:
    with contextlib.closing(SqliteStore(store_path)) as store:
        live = live_digests(store)
        for folder in (None, tmp_path):
            with scratch_store(folder) as target:
                assert compare(live, replay(store, target, projections())) == []
                for name in ("head", *(table.name for table in schema.tables("view"))):
                    assert rows_of(target, name) == rows_of(store, name)
    filled = [name for name in live if rows_of_path(store_path, name)]
    assert {"episode", "step", "tag", "relation", "handoff", "derived_from", "mind"} <= set(filled)


def rows_of_path(path: Path, name: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(SqliteStore(path)) as store:
        return rows_of(store, name)


def test_the_scratch_store_leaves_nothing_behind_and_is_encrypted(store_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    with scratch_store(folder) as target:
        assert isinstance(target, SqliteStore)
        assert target.encrypted
        assert list(folder.iterdir())
    assert list(folder.iterdir()) == []


@pytest.mark.requirement("JR-03")
def test_a_copied_journal_verifies_and_can_be_replayed_again(store_path: Path) -> None:
    with contextlib.closing(SqliteStore(store_path)) as store, scratch_store() as copy, scratch_store() as again:
        first = replay(store, copy, projections())
        assert {problem.what for problem in verify(copy, None).problems} == {"node"}  # a copy writes under no key
        assert replay(copy, again, projections()) == first


@pytest.mark.requirement("JR-03")
def test_views_built_by_threads_and_consumers_are_rebuilt_and_nothing_is_emitted(tmp_path: Path) -> None:
    clock = SystemClock()
    with contextlib.closing(SqliteStore(tmp_path / "agent.db")) as store:
        entropy = SystemEntropy()
        with journal_on(store, entropy=entropy) as plain:
            answerer = Answerer(plain.preparer)
        with journal_on(store, entropy=entropy, consumers=[answerer, Tally()], background=True) as journal:
            minds = [open_mind(journal, entropy, "acme", name) for name in ("a", "b")]

            def write(at: int) -> None:
                live_a_little(recorder_for(journal, minds[at % 2]), ManualClock(clock.now()), episodes=5)

            threads = [threading.Thread(target=write, args=(at,)) for at in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for mind in minds:
                journal.consumers.settle(mind.id, 30)
        live = live_digests(store)
        assert len(rows_of(store, "contribution")) == 8
        for _ in range(2):
            with scratch_store() as target:
                assert compare(live, replay(store, target, projections(), [answerer, Tally()])) == []
                assert rows_of(target, "event") == rows_of(store, "event")


@pytest.mark.requirement("JR-03")
def test_views_can_be_compared_while_writers_write_and_consumers_lag(tmp_path: Path) -> None:
    with contextlib.closing(SqliteStore(tmp_path / "agent.db")) as store:
        entropy = SystemEntropy()
        with journal_on(store, entropy=entropy, consumers=[Tally()], background=True) as journal:
            mind = open_mind(journal, entropy, "acme", "a")
            done = threading.Event()

            def write() -> None:
                live_a_little(recorder_for(journal, mind), ManualClock(), episodes=30)
                done.set()

            thread = threading.Thread(target=write)
            thread.start()
            differing: list[str] = []
            while not done.is_set():
                with scratch_store() as target:
                    differing += differing_views(store, target, projections(), [Tally()])
            thread.join()
    assert differing == []


@pytest.mark.requirement("JR-03")
def test_a_replay_that_would_emit_something_new_says_so(tmp_path: Path) -> None:
    with contextlib.closing(SqliteStore(tmp_path / "agent.db")) as store:
        entropy = SeededEntropy(4)
        with journal_on(store, entropy=entropy) as journal:
            mind = open_mind(journal, entropy, "acme", "a")
            live_a_little(recorder_for(journal, mind), ManualClock())
            answerer = Answerer(journal.preparer)
        with scratch_store() as target, pytest.raises(IntegrityError, match="settle"):
            replay(store, target, projections(), [answerer])
        with scratch_store() as target:  # the consumer had not run at all: there is nothing to compare it with
            assert differing_views(store, target, projections(), [answerer]) == []


def test_a_replay_into_a_store_that_is_not_empty_is_refused(store_path: Path) -> None:
    with contextlib.closing(SqliteStore(store_path)) as store, pytest.raises(Conflict, match="not empty"):
        replay(store, store, projections())


def test_a_replay_without_a_payload_names_the_event(store_path: Path) -> None:
    change(store_path, "DELETE FROM payload WHERE position = 5")
    missing = pytest.raises(IntegrityError, match=r"payload of event .* is missing")
    with contextlib.closing(SqliteStore(store_path)) as store, scratch_store() as target, missing:
        replay(store, target, projections())


def test_equal_rows_give_equal_digests_and_any_difference_another(store_path: Path) -> None:
    with contextlib.closing(SqliteStore(store_path)) as store:
        before = live_digests(store)
        assert live_digests(store) == before
    change(store_path, "UPDATE step SET latency_us = NULL WHERE number = 1 AND latency_us IS NOT NULL")
    with contextlib.closing(SqliteStore(store_path)) as store:
        assert compare(before, live_digests(store)) == ["step"]


def test_chains_are_merged_by_clock_then_origin_then_sequence(store_path: Path) -> None:
    with contextlib.closing(SqliteStore(store_path)) as store, store.snapshot() as snapshot:
        mind = snapshot.rows(select(schema.head.c.mind))[0][0]
        order, taken = TotalOrder(snapshot, mind), list[Event]()
        while batch := order.take(snapshot, 13):
            taken += batch
        expected = [Event(*row) for row in rows_of(store, "event") if row[0] == mind]
    assert len({event.origin for event in taken}) == 2
    assert taken == sorted(expected, key=lambda event: (event.clock, event.origin, event.sequence))
