"""What only a store on a server has: a pool, a login, a database that is shared with others."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import update

from postgres_fixture import GUARDED_PASSWORD, GUARDED_USER, Server
from tacit.errors import (
    Conflict,
    InvalidInput,
    NotAStore,
    NotFound,
    PermissionDenied,
    ReadOnly,
    StoreBusy,
    StoreFull,
    StoreUnavailable,
    TacitError,
)
from tacit.stores import postgres_errors, schema
from tacit.stores.conformance import add, counts
from tacit.stores.copy import copy_tables
from tacit.stores.opening import open_store
from tacit.stores.postgres import PostgresStore
from tacit.stores.sqlite import SqliteStore

SEVERAL = 50


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    with contextlib.closing(PostgresStore(postgres_url, pool_min=1, pool_max=5)) as opened:
        yield opened


def connections(server: Server, url: str) -> int:
    """How many connections the server has with Tacit's name on them, in the database of that URL."""
    name = postgres_errors.parse(url)["dbname"]
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND application_name = 'tacit'"
    return int(server.execute(asked)[0][0])


def run(url: str, sql: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


# ── the pool ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-14")
def test_one_connection_is_used_again_and_again(store: PostgresStore) -> None:
    store._pool.wait()
    seen = set()
    for number in range(20):
        add(store, **{str(number): number})
        with store.transaction() as transaction:
            seen.add(transaction._connection.info.backend_pid)  # type: ignore[attr-defined]
    assert len(seen) == 1
    assert store._pool.get_stats()["pool_size"] == 1


@pytest.mark.requirement("JR-14")
def test_connections_stay_within_the_maximum_however_many_threads_ask(
    store: PostgresStore, postgres_server: Server, postgres_url: str
) -> None:
    most = []

    def work(thread: int) -> None:
        for number in range(5):
            add(store, **{f"{thread}.{number}": 1})
            with store.snapshot():
                most.append(store._pool.get_stats()["pool_size"])

    with ThreadPoolExecutor(SEVERAL) as threads:
        list(threads.map(work, range(SEVERAL)))
    assert len(counts(store)) == SEVERAL * 5
    assert max(most) <= 5
    assert 1 < connections(postgres_server, postgres_url) <= 5


@pytest.mark.requirement("JR-14")
def test_a_pool_that_is_used_up_is_busy_and_recovers(postgres_url: str) -> None:
    with contextlib.closing(PostgresStore(postgres_url, pool_min=0, pool_max=2, pool_timeout=0.2)) as store:
        with contextlib.ExitStack() as held:
            for _ in range(2):
                held.enter_context(store.snapshot())
            with pytest.raises(StoreBusy, match=r"pool_max") as caught, store.snapshot():
                pass
            assert caught.value.retryable
        assert counts(store) == {}


@pytest.mark.requirement("JR-14")
def test_a_connection_that_was_cut_is_replaced(store: PostgresStore, postgres_url: str) -> None:
    meeting = threading.Barrier(5)

    def hold(_: int) -> None:
        with store.snapshot():
            meeting.wait(60)

    with ThreadPoolExecutor(5) as threads:  # five connections are open now
        list(threads.map(hold, range(5)))
    run(postgres_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tacit'")
    with pytest.raises(StoreUnavailable) as caught:
        add(store, lost=1)
    assert caught.value.retryable
    for number in range(10):  # the first one has found out for all
        add(store, **{str(number): number})
    assert len(counts(store)) == 10


@pytest.mark.requirement("JR-14")
def test_the_store_goes_on_after_the_server_has_restarted(store: PostgresStore, postgres_server: Server) -> None:
    add(store, before=1)
    postgres_server.restart()
    with pytest.raises(StoreUnavailable):
        counts(store)
    assert counts(store) == {"before": 1}
    add(store, after=1)


@pytest.mark.requirement("JR-14")
@pytest.mark.parametrize(("least", "most"), [(2, 1), (0, 0), (-1, 5)])
def test_a_pool_of_an_impossible_size_is_refused(least: int, most: int) -> None:
    with pytest.raises(InvalidInput, match="pool"):
        PostgresStore("postgresql://localhost/any", pool_min=least, pool_max=most)


def test_a_closed_store_leaves_no_connection_behind(postgres_server: Server, postgres_url: str) -> None:
    store = PostgresStore(postgres_url, pool_min=2, pool_max=2)
    add(store, a=1)
    pids = run(postgres_url, "SELECT pid FROM pg_stat_activity WHERE application_name = 'tacit'")
    assert pids
    store.close()
    for _ in range(100):  # the server needs a moment to see that they have gone
        if connections(postgres_server, postgres_url) == 0:
            break
        run(postgres_url, "SELECT pg_sleep(0.05)")
    assert connections(postgres_server, postgres_url) == 0


# ── durability and locks ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-02")
def test_a_commit_is_durable_even_where_the_database_says_otherwise(postgres_server: Server, postgres_url: str) -> None:
    name = postgres_errors.parse(postgres_url)["dbname"]
    postgres_server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with contextlib.closing(PostgresStore(postgres_url, pool_min=0)) as store, store.transaction() as transaction:
        shown = transaction._connection.execute("SHOW synchronous_commit").fetchone()  # type: ignore[attr-defined]
    assert shown == ("on",)


def test_a_lock_that_another_process_holds_too_long_is_busy(postgres_url: str) -> None:
    change = update(schema.statistic).values(count=2)
    with contextlib.closing(PostgresStore(postgres_url, pool_min=0, pool_timeout=0.2)) as store:
        add(store, a=1)
        with store.transaction() as transaction:
            transaction.execute(change)
            with pytest.raises(StoreBusy) as caught, store.transaction() as other:
                other.execute(change)
        assert caught.value.retryable
        assert counts(store) == {"a": 2}


def test_of_two_that_wait_for_each_other_one_is_told_to_try_again(store: PostgresStore) -> None:
    add(store, a=0, b=0)
    both_hold_one = threading.Barrier(2)

    def work(first: str, second: str) -> bool:
        change = {key: update(schema.statistic).where(schema.statistic.c.key == key).values(count=1) for key in "ab"}
        try:
            with store.transaction() as transaction:
                transaction.execute(change[first])
                both_hold_one.wait(60)
                transaction.execute(change[second])
        except StoreBusy:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(work, "ab", "ba")) == [False, True]
    assert counts(store) == {"a": 1, "b": 1}


def test_a_store_that_is_read_only_cannot_be_written(postgres_url: str) -> None:
    with contextlib.closing(PostgresStore(postgres_url, pool_min=0)):
        pass
    with contextlib.closing(PostgresStore(postgres_url, pool_min=0, read_only=True)) as store:
        assert counts(store) == {}
        with pytest.raises(ReadOnly):
            add(store, a=1)


# ── logging in ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def guarded_url(postgres_server: Server) -> str:
    """The URL of a database that one user can enter with a password only; the password has to be filled in."""
    name = postgres_server.new_database()
    postgres_server.execute(f"ALTER DATABASE {name} OWNER TO {GUARDED_USER}")
    return postgres_server.url_of(name, user=f"{GUARDED_USER}:{{password}}")


def test_the_right_password_opens_and_is_not_shown(guarded_url: str) -> None:
    url = guarded_url.format(password=quote(GUARDED_PASSWORD, safe=""))
    with contextlib.closing(open_store(url, pool_min=0)) as store:
        add(store, a=1)
        assert GUARDED_USER in store.location
        assert GUARDED_PASSWORD not in store.location
        assert quote(GUARDED_PASSWORD, safe="") not in store.location


def test_a_wrong_password_is_refused_and_not_shown(guarded_url: str) -> None:
    with pytest.raises(PermissionDenied) as caught:
        open_store(guarded_url.format(password="hunter2"), pool_min=0)
    assert "hunter2" not in everything_said(caught.value)


def everything_said(error: BaseException | None) -> str:
    said = ""
    while error is not None:
        said += str(error) + (str(error.as_dict()) if isinstance(error, TacitError) else "")
        error = error.__cause__
    return said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@host:port:9/db",
        "postgresql://u:hunter2@host/db?nonsense=1",
        "postgres://u:hunter2@[::1/db",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_store(url)
    assert "hunter2" not in everything_said(caught.value)


def test_a_driver_that_repeats_the_password_is_not_repeated() -> None:
    parts = {"password": "hunter2", "user": "u"}
    assert postgres_errors.without_secrets("FATAL: hunter2 is wrong", parts) == "FATAL: *** is wrong"


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1") as caught:
        open_store("postgresql://user:hunter2@127.0.0.1:1/db")
    assert caught.value.retryable
    assert "hunter2" not in everything_said(caught.value)


def test_a_database_that_does_not_exist_is_not_found(postgres_server: Server) -> None:
    with pytest.raises(NotFound, match="createdb"):
        open_store(postgres_server.url_of("nowhere"))


def test_a_server_without_room_for_another_connection_is_busy(postgres_server: Server, guarded_url: str) -> None:
    postgres_server.execute(f"ALTER ROLE {GUARDED_USER} CONNECTION LIMIT 0")
    try:
        with pytest.raises(StoreBusy) as caught:
            open_store(guarded_url.format(password=quote(GUARDED_PASSWORD, safe="")))
        assert caught.value.retryable
    finally:
        postgres_server.execute(f"ALTER ROLE {GUARDED_USER} CONNECTION LIMIT -1")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DiskFull, StoreFull),
        (psycopg.errors.SerializationFailure, StoreBusy),
        (psycopg.errors.TooManyConnections, StoreBusy),
        (psycopg.errors.CannotConnectNow, StoreUnavailable),
        (psycopg.errors.ReadOnlySqlTransaction, ReadOnly),
        (psycopg.errors.UniqueViolation, Conflict),
    ],
)
def test_errors_that_cannot_be_provoked_here_are_translated_too(error: type[Exception], kind: type[TacitError]) -> None:
    assert type(postgres_errors.translate(error("what the server said"), "postgresql://here/db")) is kind


def test_without_the_driver_the_error_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from tacit.stores.opening import open_store\n"
        "from tacit.errors import StoreError\n"
        "try: open_store('postgresql://localhost/db')\n"
        "except StoreError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'tacit[postgres]'" in said


# ── a database that is shared with others ────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-12")
def test_tables_of_others_may_stand_beside_ours(postgres_url: str) -> None:
    run(postgres_url, "CREATE TABLE customer (id bigint)")
    with contextlib.closing(open_store(postgres_url, pool_min=0)) as store:
        assert store.integrity() == []
    assert run(postgres_url, "SELECT count(*) FROM customer") == [(0,)]


@pytest.mark.requirement("JR-12")
@pytest.mark.parametrize("table", ["event", "alembic_version"])
def test_a_database_in_which_a_name_is_taken_is_refused_and_left_alone(postgres_url: str, table: str) -> None:
    run(postgres_url, f"CREATE TABLE {table} (version_num text); INSERT INTO {table} VALUES ('theirs')")
    with pytest.raises(NotAStore, match="search_path"):
        open_store(postgres_url, pool_min=0)
    assert run(postgres_url, f"SELECT * FROM {table}") == [("theirs",)]
    assert run(postgres_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]


@pytest.mark.requirement("JR-12")
def test_a_schema_of_its_own_keeps_names_apart(postgres_url: str) -> None:
    run(postgres_url, "CREATE TABLE event (theirs text); CREATE SCHEMA mine")
    url = postgres_url + "&options=-csearch_path%3Dmine"
    with contextlib.closing(open_store(url, pool_min=0)) as store:
        add(store, a=1)
        assert store.integrity() == []
    assert run(postgres_url, "SELECT key FROM mine.statistic") == [("a",)]


@pytest.mark.requirement("JR-12")
def test_what_does_not_exist_is_not_made_unasked(postgres_url: str) -> None:
    with pytest.raises(NotFound, match="no store"):
        open_store(postgres_url, create=False)
    assert run(postgres_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_a_database_that_cannot_hold_every_text_is_refused(postgres_server: Server) -> None:
    postgres_server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(InvalidInput, match="UTF8"):
        open_store(postgres_server.url_of("latin"), pool_min=0)


@pytest.mark.requirement("JR-01")
def test_a_missing_index_or_table_is_found(store: PostgresStore, postgres_url: str) -> None:
    run(postgres_url, "DROP INDEX episode_current; DROP TABLE tag")
    assert store.integrity() == ["table tag is missing", "index episode_current is missing"]


@pytest.mark.requirement("JR-01")
def test_an_index_that_is_not_valid_is_found(store: PostgresStore, postgres_url: str) -> None:
    run(postgres_url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'episode_current'::regclass")
    assert store.integrity() == ["index episode_current is not valid; run REINDEX INDEX episode_current"]


def test_text_is_compared_by_its_bytes_whatever_the_database_prefers(store: PostgresStore, postgres_url: str) -> None:
    asked = (
        "SELECT DISTINCT collname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
        "JOIN pg_collation ON pg_collation.oid = attcollation "
        "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND atttypid = 'text'::regtype"
    )
    assert run(postgres_url, asked) == [("C",)]


def test_a_text_that_the_database_cannot_hold_is_invalid_input(store: PostgresStore) -> None:
    with pytest.raises(InvalidInput):
        add(store, **{"with a \0 in it": 1})
    assert counts(store) == {}


# ── copies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("SE-05")
def test_a_backup_can_be_encrypted(store: PostgresStore, tmp_path: Path) -> None:
    add(store, **{"a-marker-that-is-easy-to-find": 1})
    store.backup(tmp_path / "backup.db", passphrase="correct horse")
    assert b"a-marker" not in (tmp_path / "backup.db").read_bytes()
    with contextlib.closing(SqliteStore(tmp_path / "backup.db", passphrase="correct horse")) as copy:
        assert counts(copy) == {"a-marker-that-is-easy-to-find": 1}


def test_a_file_can_be_copied_into_a_database(store: PostgresStore, tmp_path: Path) -> None:
    with contextlib.closing(SqliteStore(tmp_path / "store.db")) as source:
        add(source, **{f"é {number}": number for number in range(3_000)})
        with source.snapshot() as snapshot, store.transaction() as transaction:
            copy_tables(snapshot, transaction)
        assert counts(store) == counts(source)
        with pytest.raises(Conflict), source.snapshot() as snapshot, store.transaction() as transaction:
            copy_tables(snapshot, transaction)


def test_a_backup_that_fails_leaves_nothing_behind(
    store: PostgresStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteStore, "transaction", functools.partialmethod(_no_room))
    with pytest.raises(StoreFull):
        store.backup(tmp_path / "backup.db")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotFound):
        store.backup(tmp_path / "no folder" / "backup.db")


def _no_room(store: SqliteStore) -> Any:
    raise StoreFull("no space is left")


def test_the_server_of_the_tests_listens_on_no_network(postgres_server: Server) -> None:
    assert postgres_server.execute("SHOW listen_addresses") == [("",)]
