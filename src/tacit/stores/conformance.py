"""What every store must do, as tests. An adapter for another database is right when it passes them.

Give a subclass a fixture ``store_factory``, and pytest runs the rest::

    class TestMyStore(SharedStoreConformance):
        @pytest.fixture
        def store_factory(self):
            return functools.partial(open_my_store, "…")

The factory opens the store anew at each call; all calls of one factory open the same database, which is empty at first
and gets its tables then. For :class:`SharedStoreConformance` it can also be pickled and called in other processes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import bindparam, func, select, update

from tacit.errors import Closed, Conflict, ForkedStore, SchemaMismatch, StoreError
from tacit.stores import schema
from tacit.stores.copy import copy_tables
from tacit.stores.port import Snapshot, Store
from tacit.stores.processes import Processes
from tacit.stores.sqlite import SqliteStore

StoreFactory: TypeAlias = Callable[[], Store]

MIND = b"conformance-mind"
_statistic, _payload = schema.statistic, schema.payload
_count_of = select(_statistic.c.count).where(
    _statistic.c.mind == bindparam("mind"), _statistic.c.key == bindparam("key")
)
_count_alone = _count_of.with_for_update()
_set_count = (
    update(_statistic)
    .where(_statistic.c.mind == bindparam("of"), _statistic.c.key == bindparam("named"))
    .values(count=bindparam("count"))
)
_all_keys = select(_statistic.c.key).order_by(_statistic.c.key)
_found = select(_statistic.c.key).where(_statistic.c.key.icontains(bindparam("part"), autoescape=False))
_how_many = select(func.count()).select_from(_statistic)
_bodies = select(_payload.c.position, _payload.c.salt, _payload.c.body).order_by(_payload.c.position)
_set_revision = update(schema.revision).values(version_num=bindparam("revision"))


class StoreConformance:
    """What holds for every store, also for one that only this process can see."""

    def test_what_is_committed_is_seen_by_later_reads(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            add(store, a=1, b=2)
            assert counts(store) == {"a": 1, "b": 2}

    def test_a_transaction_that_raises_stores_nothing(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            with refused(LookupError), store.transaction() as transaction:
                transaction.insert(_statistic, ((MIND, "a", 1),))
                raise LookupError
            assert counts(store) == {}
            add(store, b=1)  # and the store is as usable as before

    def test_a_transaction_sees_its_own_changes(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store, store.transaction() as transaction:
            transaction.insert(_statistic, ((MIND, "a", 1),))
            assert transaction.execute(_set_count, of=MIND, named="a", count=7) == 1
            assert transaction.row(_count_of, mind=MIND, key="a") == (7,)

    def test_a_statement_says_how_many_rows_it_touched(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            add(store, a=1)
            with store.transaction() as transaction:
                assert transaction.execute(_set_count, of=MIND, named="nobody", count=1) == 0
                assert transaction.execute(_set_count, of=MIND, named="a", count=1) == 1

    def test_a_select_without_a_match_gives_none_and_no_rows(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store, store.snapshot() as snapshot:
            assert snapshot.row(_count_of, mind=MIND, key="a") is None
            assert snapshot.rows(_all_keys) == []

    def test_a_key_that_exists_is_a_conflict(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            add(store, a=1)
            with refused(Conflict):
                add(store, a=2)
            with refused(Conflict):
                add(store, b=1, a=2)  # many rows at once: all or none
            assert counts(store) == {"a": 1}

    def test_a_savepoint_fails_alone(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            with store.transaction() as transaction:
                transaction.insert(_statistic, ((MIND, "before", 1),))
                with refused(Conflict), transaction.savepoint():
                    transaction.insert(_statistic, ((MIND, "inside", 1),))
                    transaction.insert(_statistic, ((MIND, "before", 2),))
                with refused(LookupError), transaction.savepoint():
                    transaction.insert(_statistic, ((MIND, "inside too", 1),))
                    raise LookupError
                transaction.insert(_statistic, ((MIND, "after", 1),))
            assert counts(store) == {"after": 1, "before": 1}

    def test_savepoints_nest(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            with store.transaction() as transaction, transaction.savepoint():
                transaction.insert(_statistic, ((MIND, "outer", 1),))
                with refused(LookupError), transaction.savepoint():
                    transaction.insert(_statistic, ((MIND, "inner", 1),))
                    raise LookupError
                with transaction.savepoint():
                    transaction.insert(_statistic, ((MIND, "second", 1),))
            assert counts(store) == {"outer": 1, "second": 1}

    def test_nothing_is_lost_silently_when_a_failed_statement_is_ignored(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            add(store, a=1)
            try:
                with store.transaction() as transaction:
                    transaction.insert(_statistic, ((MIND, "b", 1),))
                    with refused(Conflict):
                        transaction.insert(_statistic, ((MIND, "a", 2),))
                stored = True
            except StoreError:
                stored = False
            assert counts(store) == ({"a": 1, "b": 1} if stored else {"a": 1})

    def test_bytes_come_back_as_they_were(self, store_factory: StoreFactory) -> None:
        bodies = [b"", b"\x00", bytes(range(256)), b"\xff" * 3_000_000, b"{}"]
        with opened(store_factory) as store:
            with store.transaction() as transaction:
                transaction.insert(_payload, [(MIND, at, bytes([at]), body) for at, body in enumerate(bodies)])
            with store.snapshot() as snapshot:
                rows = snapshot.rows(_bodies)
        assert rows == [(at, bytes([at]), body) for at, body in enumerate(bodies)]
        assert {type(value) for row in rows for value in row[1:]} == {bytes}

    def test_numbers_and_none_come_back_as_they_were(self, store_factory: StoreFactory) -> None:
        numbers = [0, 1, -1, 2**15, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63)]
        versions = [
            (MIND, bytes([at]), number, None if at % 2 else number, *_EPISODE) for at, number in enumerate(numbers)
        ]
        with opened(store_factory) as store:
            with store.transaction() as transaction:
                transaction.insert(schema.episode, versions)
            columns = schema.episode.c
            with store.snapshot() as snapshot:
                rows = snapshot.rows(select(columns.since, columns.until).order_by(columns.id))
        assert rows == [row[2:4] for row in versions]

    def test_text_is_ordered_by_its_bytes(self, store_factory: StoreFactory) -> None:
        words = ["", *" AZaz~Éß中\uffee😀", "a b", "ab", "a'b", 'a"b', "a%b", "a\\b"]
        with opened(store_factory) as store:
            add(store, **dict.fromkeys(words, 1))
            with store.snapshot() as snapshot:
                found = [row[0] for row in snapshot.rows(_all_keys)]
        assert found == sorted(words, key=lambda word: word.encode())

    def test_search_ignores_the_case_of_ascii_letters_only(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            add(store, **dict.fromkeys(["Seat", "SEAT map", "Élan", "élan"], 1))
            with store.snapshot() as snapshot:
                assert {row[0] for row in snapshot.rows(_found, part="seat")} == {"Seat", "SEAT map"}
                assert {row[0] for row in snapshot.rows(_found, part="ÉLAN")} == {"Élan"}

    def test_many_rows_go_in_at_once(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            add(store, **{f"key {number}": number for number in range(5_000)})
            with store.snapshot() as snapshot:
                assert snapshot.row(_how_many) == (5_000,)

    def test_a_write_by_a_program_that_is_too_old_is_refused(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            with store.transaction() as transaction:
                transaction.execute(_set_revision, revision="9999")
            with refused(SchemaMismatch):
                add(store, a=1)
            assert counts(store) == {}

    def test_threads_write_and_read_at_once(self, store_factory: StoreFactory) -> None:
        def work(thread: int) -> None:
            for number in range(20):
                add(store, **{f"{thread}.{number}": number})
                assert counts(store)[f"{thread}.{number}"] == number

        with opened(store_factory) as store:
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(work, range(8)))
            assert len(counts(store)) == 160

    def test_a_sound_store_has_no_faults_and_a_size(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            before = store.size_bytes()
            with store.transaction() as transaction:
                transaction.insert(_payload, [(MIND, at, b"salt", os.urandom(1_000)) for at in range(1_000)])
            assert store.integrity() == []
            assert store.size_bytes() >= before + 900_000

    def test_all_tables_can_be_copied_into_another_store(self, store_factory: StoreFactory) -> None:
        rows = [(MIND, at, bytes([at % 256]), b"x" * (at * 997 % 70_001)) for at in range(700)]
        with opened(store_factory) as store, contextlib.closing(SqliteStore(":memory:")) as other:
            with store.transaction() as transaction:
                transaction.insert(_payload, rows)
                transaction.insert(_statistic, [(mind, "é", 1) for mind in (MIND, b"another")])
            with store.snapshot() as snapshot, other.transaction() as transaction:
                copied = copy_tables(snapshot, transaction)
            assert {name: count for name, count in copied.items() if count} == {"payload": 700, "statistic": 2}
            with other.snapshot() as snapshot:
                assert snapshot.rows(_bodies) == [row[1:] for row in rows]

    def test_a_closed_store_says_so(self, store_factory: StoreFactory) -> None:
        store = store_factory()
        store.close()
        store.close()
        with refused(Closed), store.transaction():
            pass
        with refused(Closed), store.snapshot():
            pass

    def test_a_forked_process_is_told_to_open_the_store_again(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            child = os.fork()
            if child == 0:
                os._exit(_exit_code_of_a_fork(store))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            add(store, a=1)  # what the child did has not broken the parent's connections

    def test_a_backup_is_a_file_store_with_the_same_rows(self, store_factory: StoreFactory, tmp_path: Path) -> None:
        target = tmp_path / "backup.db"
        with opened(store_factory) as store:
            add(store, a=1, é=2)
            store.backup(target)
            add(store, b=3)
            with contextlib.closing(self.open_backup(target)) as copy:
                assert counts(copy) == {"a": 1, "é": 2}
                assert copy.integrity() == []
        assert [path.name for path in tmp_path.glob("*backup.db*")] == ["backup.db"]

    def test_a_backup_never_overwrites(self, store_factory: StoreFactory, tmp_path: Path) -> None:
        target = tmp_path / "backup.db"
        target.write_bytes(b"precious")
        with opened(store_factory) as store, refused(Conflict):
            store.backup(target)
        assert target.read_bytes() == b"precious"

    def open_backup(self, path: Path) -> Store:
        """Open a backup that the store under test has made."""
        return SqliteStore(path)


class SharedStoreConformance(StoreConformance):
    """What holds for a store that several openings, here or in other processes, share."""

    def test_another_opening_sees_what_was_committed(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store, opened(store_factory) as other:
            add(store, a=1)
            assert counts(other) == {"a": 1}

    def test_a_snapshot_does_not_move(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store, opened(store_factory) as other:
            add(store, a=1)
            with store.snapshot() as snapshot:
                before = counts_in(snapshot)
                add(other, b=1)
                assert counts_in(snapshot) == before == {"a": 1}
            assert counts(store) == {"a": 1, "b": 1}

    def test_readers_do_not_wait_for_a_writer(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store, opened(store_factory) as other:
            with store.transaction() as transaction:
                transaction.insert(_statistic, ((MIND, "a", 1),))
                assert counts(other) == {}
            assert counts(other) == {"a": 1}

    def test_processes_that_start_together_make_one_store(self, store_factory: StoreFactory) -> None:
        with Processes(2) as processes:
            found = processes.run(_open_and_add, [(store_factory, "0"), (store_factory, "1")])
        assert found == [True, True]
        with opened(store_factory) as store:
            assert counts(store) == {"0": 1, "1": 1}

    def test_no_increment_of_two_processes_is_lost(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            add(store, counter=0)
            with Processes(2) as processes:
                processes.run(_increment, [(store_factory, 100), (store_factory, 100)])
            assert counts(store) == {"counter": 200}

    def test_of_two_processes_with_the_same_key_one_gets_a_conflict(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            with Processes(2) as processes:
                first, second = processes.run(_claim, [(store_factory, 50), (store_factory, 50)])
            assert first | second == set(range(50))
            assert not first & second
            assert len(counts(store)) == 50


# ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_EPISODE = ("open", "", "", "", "", 0, None, 0, 0, None, None)


@contextlib.contextmanager
def opened(store_factory: StoreFactory) -> Iterator[Store]:
    """A store that is closed at the end."""
    with contextlib.closing(store_factory()) as store:
        yield store


@contextlib.contextmanager
def refused(kind: type[Exception]) -> Iterator[None]:
    """The block must raise this kind of error."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def add(store: Store, **keys: int) -> None:
    """Store each key with its count, in one transaction."""
    with store.transaction() as transaction:
        transaction.insert(_statistic, [(MIND, key, count) for key, count in keys.items()])


def counts(store: Store) -> dict[str, int]:
    """All keys with their counts."""
    with store.snapshot() as snapshot:
        return counts_in(snapshot)


def counts_in(snapshot: Snapshot) -> dict[str, int]:
    """All keys with their counts, as a snapshot sees them."""
    return {row[0]: row[1] for row in snapshot.rows(select(_statistic.c.key, _statistic.c.count))}


def _exit_code_of_a_fork(store: Store) -> int:
    """What a forked child leaves with: 0 when both ways into the store were refused."""
    try:
        with refused(ForkedStore), store.transaction():
            pass
        with refused(ForkedStore), store.snapshot():
            pass
        store.close()
    except BaseException:  # noqa: BLE001 - the child must end here, and its code says that something was wrong
        return 1
    return 0


def _open_and_add(store_factory: StoreFactory, key: str) -> bool:
    with opened(store_factory) as store:
        add(store, **{key: 1})
    return True


def _increment(store_factory: StoreFactory, times: int) -> None:
    with opened(store_factory) as store:
        for _ in range(times):
            with store.transaction() as transaction:
                row = transaction.row(_count_alone, mind=MIND, key="counter")
                assert row is not None
                transaction.execute(_set_count, of=MIND, named="counter", count=row[0] + 1)


def _claim(store_factory: StoreFactory, keys: int) -> set[int]:
    """The keys that this process was the first to store."""
    won = set()
    with opened(store_factory) as store:
        for key in range(keys):
            with contextlib.suppress(Conflict):
                add(store, **{str(key): 1})
                won.add(key)
    return won
