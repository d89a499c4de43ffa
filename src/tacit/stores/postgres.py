"""The store in a PostgreSQL database, for many processes on many machines.

Connections are pooled. A read is one REPEATABLE READ transaction. A write is a READ COMMITTED one that shares a lock on
the schema, so that no migration comes between its check of the revision and its end; whoever changes a mind locks the
mind's row in ``head`` first, which keeps its events in one order. A commit returns when it is durable.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Table
from sqlalchemy.sql import Executable

from tacit.errors import (
    Closed,
    Conflict,
    ForkedStore,
    InvalidInput,
    ReadOnly,
    StoreBusy,
    StoreError,
    StoreUnavailable,
    TacitError,
)
from tacit.stores import postgres_errors, postgres_tables, postgres_text, schema, text_index
from tacit.stores.copy import copy_to_file
from tacit.stores.port import Row, Snapshot, Store, TextEntry, Transaction
from tacit.stores.postgres_errors import Int8BinaryDumper, psycopg, psycopg_pool, translate
from tacit.stores.postgres_patience import patient_connection
from tacit.stores.revision import check_revision
from tacit.stores.statements import Compiler

_CONNECT_SECONDS = 10  # for one attempt to connect, unless the URL says connect_timeout
_PROBE_SECONDS = 2  # to find out whether the server can be reached at all
_ALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""For a machine that is gone without a word: after a minute the connection is known to be lost (seconds, and ms)."""
_GIVE_UP_SECONDS = 5.0  # of trying in the background with growing pauses; while somebody waits, it then begins anew
_compiler = Compiler(postgres_tables.DIALECT)


class PostgresStore:
    """A store on a PostgreSQL server. See ``tacit.stores.port.Store`` for the contract.

    Args:
        url: ``postgresql://user:password@host:port/database``, with any of libpq's options. Its tables go to the
            connection's current schema. An empty database gets them when ``create`` is true.
        pool_min: connections that are kept open.
        pool_max: connections at most. Every open snapshot and transaction holds one.
        pool_timeout: seconds to wait for a free connection, and for a lock that another process holds. Whoever has
            waited that long for a server that is down is told so, and from then on others are told at once, until it
            can be reached again. A statement that has had no answer for so long is given up, too, if the server does
            not answer on another connection either; one that only takes long is waited for.
        read_only: open without the right to change anything.
        migrating: accept an older schema, which ``tacit migrate`` is about to change.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_min: int = 10,
        pool_max: int = 100,
        pool_timeout: float = 30.0,
        create: bool = True,
        read_only: bool = False,
        migrating: bool = False,
    ) -> None:
        if not 0 <= pool_min <= pool_max or pool_max < 1:
            raise InvalidInput(
                f"a pool cannot hold {pool_min} to {pool_max} connections; pool_min must not exceed pool_max"
            )
        self._url = url
        self._parts = postgres_errors.parse(url)
        self._location = postgres_errors.address(self._parts)
        self._pool_max = pool_max
        self._pool_timeout = pool_timeout
        self._read_only = read_only
        self._migrating = migrating
        self._process = os.getpid()
        self._closed = False
        self._unreachable = False  # somebody has waited in vain for the server, and nobody has reached it since
        self._patient = patient_connection(pool_timeout, self._is_alive)
        with contextlib.closing(self.connect()) as connection, self._translated():
            postgres_tables.ensure_tables(connection, self._location, create=create and not read_only)
            check_revision(_Cursor(connection, self._location), self._location, migrating=migrating)
        self._pool = psycopg_pool.ConnectionPool(
            connection_class=self._patient,
            kwargs=self._arguments(),
            min_size=pool_min,
            max_size=pool_max,
            timeout=pool_timeout,
            reconnect_timeout=_GIVE_UP_SECONDS,
            reconnect_failed=_keep_trying,
            configure=self._configure,
            name="tacit",
            open=True,
        )

    @property
    def location(self) -> str:
        return self._location

    @property
    def read_only(self) -> bool:
        return self._read_only

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _arguments(self) -> dict[str, Any]:
        usual = {"application_name": "tacit", "connect_timeout": _CONNECT_SECONDS, **_ALIVE}
        return {**usual, **self._parts, "autocommit": True}

    def connect(self, **options: Any) -> Any:
        """A connection of its own, outside the pool, in autocommit mode. The caller closes it.

        Args:
            options: of libpq's, before those of the URL.
        """
        with self._translated():
            connection = self._patient.connect(**self._arguments() | options)
            self._configure(connection)
        return connection

    def _configure(self, connection: Any) -> None:
        """Make a new connection durable and bounded, whatever the server's defaults are."""
        connection.adapters.register_dumper(int, Int8BinaryDumper)  # one prepared plan per statement
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.execute(
            "SELECT set_config('lock_timeout', %s, false) WHERE current_setting('lock_timeout') = '0'",
            (str(max(1, round(self._pool_timeout * 1000))),),
        )

    @contextlib.contextmanager
    def _pooled(self) -> Iterator[Any]:
        """A connection from the pool. When it breaks, the idle ones are checked, so that the next one is good."""
        connection = self._take()
        try:
            with self._translated():
                yield connection
        finally:
            lost = connection.closed
            self._pool.putconn(connection)
            if lost and not self._unreachable:  # of a server that is silent each check would take as long as this did
                self._pool.check()

    def _take(self) -> Any:
        """A connection from the pool, after waiting for it no longer than the pool's timeout."""
        if self._unreachable:
            self._probe()
        try:
            return self._pool.getconn()
        except psycopg_pool.PoolTimeout as error:
            self._probe()
            raise self._exhausted() from error
        except psycopg_pool.PoolClosed as error:
            raise Closed(f"the store {self._location} is closed", path=self._location) from error

    def _probe(self) -> None:
        """Raise what keeps this process from connecting to the server, if anything does."""
        try:
            with self._translated():
                psycopg.connect(**self._arguments() | {"connect_timeout": _PROBE_SECONDS}).close()
        except TacitError as error:
            self._unreachable = isinstance(error, StoreUnavailable)
            raise
        self._unreachable = False

    def _is_alive(self) -> bool:
        """Whether the server answers on a new connection."""
        try:
            self._probe()
        except StoreUnavailable:
            return False
        except TacitError:  # such as too many connections: it did answer
            return True
        return True

    def _exhausted(self) -> StoreBusy:
        return StoreBusy(
            f"all {self._pool_max} connections to {self._location} were in use for {self._pool_timeout:g} s. Try "
            "again, raise postgres.pool_max (and max_connections of the server), or let go of snapshots earlier",
            path=self._location,
            pool_max=self._pool_max,
        )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the driver's errors into Tacit's, with what to do and without the password."""
        try:
            yield
        except psycopg.Error as error:
            clean = postgres_errors.without_secrets(str(error), self._parts) == str(error)
            raise self._translate(error) from (error if clean else None)

    def _translate(self, error: Exception) -> TacitError:
        found = translate(error, self._location)
        return type(found)(postgres_errors.without_secrets(found.message, self._parts), **found.context)

    def _check_usable(self) -> None:
        if os.getpid() != self._process:
            raise ForkedStore(
                "the process forked after opening the store; open it again in the child", path=self._location
            )
        if self._closed:
            raise Closed(f"the store {self._location} is closed", path=self._location)

    # ── reading and writing ──────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        self._check_usable()
        with self._pooled() as connection, _ended(connection):
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield _Cursor(connection, self._location)
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self._check_usable()
        if self._read_only:
            raise ReadOnly(f"{self._location} was opened read-only", path=self._location)
        with self._pooled() as connection, _ended(connection):
            cursor = _Cursor(connection, self._location)
            with connection.pipeline():  # one round trip; each statement still sees what the one before it waited for
                connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
                connection.execute(postgres_tables.LOCK_SHARED)
                check_revision(cursor, self._location, migrating=self._migrating)
            yield cursor
            cursor.write_changes()
            if connection.execute("COMMIT").statusmessage != "COMMIT":
                raise StoreError(
                    "a statement had failed in this transaction, so nothing of it was stored; "
                    "run what may fail inside savepoint()",
                    path=self._location,
                )

    # ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def integrity(self) -> list[str]:
        self._check_usable()
        try:
            with self._pooled() as connection:
                return postgres_tables.faults(connection)
        except StoreUnavailable:
            raise
        except StoreError as error:  # the check met something that it could not even read
            return [error.message]

    def backup(self, target: Path, *, passphrase: str | None = None) -> None:
        """Write all tables, as of one moment, into a new embedded store; see the port.

        Args:
            passphrase: encrypts the backup.
        """
        with self.snapshot() as snapshot:
            copy_to_file(snapshot, target, passphrase=passphrase)

    def scrub(self) -> bool:
        """Vacuum the tables. The room of deleted rows is free then, and overwritten when it is used again."""
        self._check_usable()
        names = ", ".join(f'"{table.name}"' for table in schema.metadata.sorted_tables)
        with self._pooled() as connection:
            connection.execute(f"VACUUM {names}")
        return True

    def opener(self) -> Callable[[], Store] | None:
        return partial(
            PostgresStore, self._url, pool_min=1, pool_max=1, pool_timeout=self._pool_timeout, read_only=True
        )

    def size_bytes(self) -> int:
        self._check_usable()
        with self._pooled() as connection:
            return int(connection.execute("SELECT pg_database_size(current_database())").fetchone()[0])

    def close(self) -> None:
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        self._pool.close()


def _keep_trying(pool: Any) -> None:
    """The pool has given up connecting: let it begin anew when somebody is still waiting for a connection."""
    if pool.get_stats()["requests_waiting"]:
        pool.check()


@contextlib.contextmanager
def _ended(connection: Any) -> Iterator[None]:
    """Undo what is left open when something is raised, so that the connection can be used again."""
    try:
        yield
    except BaseException:
        if not connection.closed and connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            try:
                connection.execute("ROLLBACK")
            except psycopg.Error:  # it was lost on the way; what was raised first is what matters
                connection.close()
        raise


class _Cursor:
    """A snapshot or a transaction on one connection."""

    __slots__ = ("_changes", "_connection", "_cursor", "_location")

    def __init__(self, connection: Any, location: str) -> None:
        self._connection = connection
        self._cursor = connection.cursor(binary=True)
        self._location = location
        self._changes: list[text_index.Change] = []  # of the index of words, not yet written

    def rows(self, statement: Executable, **values: Any) -> list[Row]:
        self._run(statement, values)
        result: list[Row] = self._cursor.fetchall()
        return result

    def row(self, statement: Executable, **values: Any) -> Row | None:
        self._run(statement, values)
        result: Row | None = self._cursor.fetchone()
        return result

    def execute(self, statement: Executable, **values: Any) -> int:
        self._run(statement, values)
        return int(self._cursor.rowcount)

    def _run(self, statement: Executable, values: dict[str, Any]) -> None:
        compiled = _compiler.compiled(statement)
        try:
            self._cursor.execute(compiled.sql, compiled.values(values))
        except psycopg.Error as error:
            raise translate(error, self._location) from error

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        sql = _compiler.insert_sql(table)
        try:
            if len(rows) == 1:
                self._cursor.execute(sql, rows[0])
            else:
                self._cursor.executemany(sql, rows)  # the driver sends them all before it waits for the answers
        except psycopg.IntegrityError as error:
            raise Conflict(f"a row of {table.name} exists already: {error}", table=table.name) from error
        except psycopg.Error as error:
            raise translate(error, self._location) from error

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        self.write_changes()  # those that are noted from here on are undone with the part, and no others
        self._command("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._changes.clear()
            if not self._connection.closed:  # with the connection the whole transaction is gone
                self._command("ROLLBACK TO part")
                self._command("RELEASE part")
            raise
        self._command("RELEASE part")

    def _command(self, sql: str) -> None:
        with self._translated():
            self._cursor.execute(sql)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.IntegrityError as error:
            raise Conflict(f"a row exists already: {error}") from error
        except psycopg.Error as error:
            raise translate(error, self._location) from error

    def index_terms(self, mind: bytes, entries: Sequence[TextEntry]) -> None:
        self._changes += text_index.changes_of(mind, entries, adding=True)
        if len(self._changes) >= text_index.MOST_CHANGES:
            self.write_changes()

    def unindex_terms(self, mind: bytes, entries: Sequence[TextEntry]) -> None:
        self._changes += text_index.changes_of(mind, entries, adding=False)

    def write_changes(self) -> None:
        """Write what was noted for the index of words; before a transaction ends, or searches."""
        if self._changes:
            changes, self._changes = self._changes, []
            with self._translated():
                postgres_text.write(self._cursor, changes)

    def begin_rebuild(self, analyser: int) -> int:
        with self._translated():
            return postgres_text.begin(self._cursor, analyser)

    def is_rebuilding(self) -> bool:
        return self.row(text_index.space_of_mind, mind=text_index.MAKING) is not None

    def rebuilt(self, mind: bytes) -> int:
        with self._translated():
            return postgres_text.rebuilt(self._cursor, mind)

    def rebuild_terms(self, mind: bytes, upto: int, entries: Sequence[TextEntry]) -> None:
        self.write_changes()
        with self._translated():
            postgres_text.replace(self._cursor, mind, upto, text_index.changes_of(mind, entries, adding=True))

    def end_rebuild(self) -> None:
        self.write_changes()
        with self._translated():
            postgres_text.end(self._cursor)

    def find_terms(
        self,
        mind: bytes,
        terms: Sequence[str],
        most: int,
        *,
        within: Sequence[str] = (),
        upto: int | None = None,
    ) -> list[tuple[int, float]]:
        space, counts = self._space(mind), self.count_terms(mind, [*terms, *within])
        if space is None:
            return []
        search = text_index.search_for(space, *text_index.apart(counts, terms, within), upto)
        with self._translated():
            return [] if search is None else postgres_text.find(self._cursor, mind, search, most)

    def count_terms(self, mind: bytes, terms: Sequence[str]) -> dict[str, int]:
        self.write_changes()
        with self._translated():
            return postgres_text.counts(self._cursor, mind, terms)

    def indexed(self, mind: bytes) -> tuple[int, int]:
        space = self._space(mind)
        return (space.documents, space.terms) if space else (0, 0)

    def _space(self, mind: bytes) -> text_index.Space | None:
        self.write_changes()
        row = self.row(text_index.space_of_mind, mind=mind)
        return None if row is None else text_index.Space(*row)

    def query_plan(self, statement: Executable, **values: Any) -> list[str]:
        """How PostgreSQL would run a statement, a line a step."""
        compiled = _compiler.compiled(statement)
        return [str(row[0]) for row in self._connection.execute("EXPLAIN " + compiled.sql, compiled.values(values))]
