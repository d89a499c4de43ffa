"""The embedded store: one SQLite file in WAL mode, fsynced at every commit, optionally encrypted; or memory.

One connection writes, handed from transaction to transaction under a lock; reads take a connection from a small pool,
each read seeing one consistent snapshot. Other processes may have the same file open.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite as dialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import Executable
from sqlcipher3 import dbapi2 as driver

from tacit.errors import (
    Closed,
    Conflict,
    ForkedStore,
    InvalidInput,
    NotAStore,
    NotFound,
    PermissionDenied,
    ReadOnly,
    StoreBusy,
    StoreError,
    StoreFull,
    TacitError,
)
from tacit.stores import schema, sqlite_file, sqlite_objects
from tacit.stores.forking import GATE
from tacit.stores.objects import differences, wanted
from tacit.stores.port import Row, Snapshot, Transaction
from tacit.stores.revision import check_revision
from tacit.stores.statements import Compiler

MEMORY = ":memory:"
_CACHED_STATEMENTS = 512
_POOLED_READERS = 8
_WAL_PAGES = 4_000  # 16 MB of log before it is folded back into the file: fewer, longer checkpoints
_compiler = Compiler(dialect.dialect(paramstyle="qmark"))


class SqliteStore:
    """An embedded store. See ``tacit.stores.port.Store`` for the contract.

    Args:
        path: the file, or ":memory:". A missing file is created when ``create`` is true.
        passphrase: encrypts the file (SQLCipher); the same one is needed to open it again.
        busy_timeout: how long a write waits for other processes, in seconds.
        read_only: open without the right to change anything.
        migrating: accept an older schema, which ``tacit migrate`` is about to change.
        copied_from: the open store of which the file is a copy, encrypted with the same key.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        passphrase: str | None = None,
        busy_timeout: float = 30.0,
        create: bool = True,
        read_only: bool = False,
        migrating: bool = False,
        copied_from: SqliteStore | None = None,
    ) -> None:
        self._memory = str(path) == MEMORY
        self._path = Path(path).absolute()
        self._busy_timeout = busy_timeout
        self._read_only = read_only
        self._migrating = migrating
        self._process = os.getpid()
        self._closed = False
        self._key: str | None = None if copied_from is None else copied_from._key
        self._write_lock = threading.RLock()  # one transaction at a time; in memory also one reader at a time
        self._readers: list[Any] = []  # connections that nobody is using; list.append and pop are atomic
        self._identity: tuple[int, int] | None = None
        if self._memory:
            self._writer = self._connect(MEMORY)
            self._create_tables(self._writer)
        else:
            self._prepare_file(passphrase, create=create and not read_only)
            self._identity = sqlite_file.identity(self._path)
            self._writer = self._connect_again()
        try:
            check_revision(_Cursor(self._writer, self.location), self.location, migrating=self._migrating)
        except BaseException:
            self._writer.close()
            raise

    @property
    def location(self) -> str:
        return MEMORY if self._memory else str(self._path)

    @property
    def path(self) -> Path | None:
        """The file, or None in memory."""
        return None if self._memory else self._path

    @property
    def encrypted(self) -> bool:
        return self._key is not None

    # ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _prepare_file(self, passphrase: str | None, *, create: bool) -> None:
        path = self._path
        if path.exists():
            sqlite_file.inspect(path, encrypted=passphrase is not None or self._key is not None)
        elif not create:
            raise NotFound(f"there is no store at {path}", path=str(path))
        elif not path.parent.is_dir():
            raise NotFound(f"the folder {path.parent} does not exist; create it first", path=str(path))
        if not self._read_only:  # a backup may lie there, and is only read
            sqlite_file.refuse_network(path)
        if not path.exists():
            self._create_file(passphrase)
        if passphrase is not None:
            self._key = sqlite_file.derive_key(passphrase, sqlite_file.read_salt(path))

    def _create_file(self, passphrase: str | None) -> None:
        if passphrase == "":
            raise InvalidInput("an empty passphrase protects nothing; give a real one, or none", path=str(self._path))
        sqlite_file.refuse_remains(self._path)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}.{threading.get_ident()}.new")
        draft.unlink(missing_ok=True)  # left by a process of the same number that was killed here
        if passphrase is not None:
            self._key = sqlite_file.derive_key(passphrase, os.urandom(sqlite_file.SALT_BYTES))
        try:
            with _translated(str(self._path)):
                sqlite_file.touch_private(draft, self._path)
                connection = self._connect(str(draft))
                self._create_tables(connection)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.close()
            sqlite_file.publish(draft, self._path)
        finally:
            for leftover in (draft, *(draft.with_name(draft.name + end) for end in ("-wal", "-shm"))):
                leftover.unlink(missing_ok=True)

    def _create_tables(self, connection: Any) -> None:
        connection.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
        connection.execute("BEGIN IMMEDIATE")
        for table in schema.metadata.sorted_tables:
            connection.execute(str(CreateTable(table).compile(dialect=dialect.dialect())))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(str(CreateIndex(index).compile(dialect=dialect.dialect())))
        connection.execute(_compiler.insert_sql(schema.revision), (schema.SCHEMA_REVISION,))
        connection.execute("COMMIT")

    def _connect(self, target: str) -> Any:
        mode = "ro" if self._read_only else "rw"  # a file that is gone must not come back empty
        uri = target if self._memory else f"{Path(target).as_uri()}?mode={mode}"
        with _translated(self.location):
            connection = driver.connect(
                uri,
                uri=not self._memory,
                timeout=self._busy_timeout,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=_CACHED_STATEMENTS,
            )
            try:
                self._configure(connection)
            except BaseException:
                connection.close()  # now, so that no log is left beside a file that was refused
                raise
        return connection

    def _configure(self, connection: Any) -> None:
        if self._key is not None:
            connection.execute("PRAGMA cipher_log_level=NONE")  # it would write to stderr; errors are raised instead
            connection.execute(f"PRAGMA key=\"x'{self._key}'\"")
        self._unlock(connection)
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")
        if not self._read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")

    def _unlock(self, connection: Any) -> None:
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except driver.DatabaseError as error:
            if self._key is not None and "not a database" in str(error):
                raise PermissionDenied(
                    f"{self.location} cannot be opened with this passphrase", path=self.location
                ) from error
            raise
        except UnicodeDecodeError as error:  # the driver cannot even put its own complaint about the damage into words
            raise driver.DatabaseError("malformed database schema") from error

    def connect(self) -> Any:
        """A connection of its own, in autocommit mode. The caller closes it."""
        self._check_usable()
        return self._connect_again()

    def _connect_again(self) -> Any:
        self._check_same_file()
        connection = self._connect(str(self._path))
        try:
            self._check_same_file()
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_same_file(self) -> None:
        """What is written to a file without a name is lost, and a log that meets another file damages it."""
        if not self._memory and sqlite_file.identity(self._path) != self._identity:
            raise StoreError(
                f"{self._path} was deleted, moved or replaced while it was open, so nothing more is read or written "
                "here; close the store and open it again",
                path=str(self._path),
            )

    # ── reading and writing ──────────────────────────────────────────────────────────────────────────────────────────

    def _check_usable(self) -> None:
        if os.getpid() != self._process:
            raise ForkedStore(
                "the process forked after opening the store; open it again in the child", path=self.location
            )
        if self._closed:
            raise Closed(f"the store {self.location} is closed", path=self.location)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        self._check_usable()
        with GATE.entered(), self._memory_snapshot() if self._memory else self._file_snapshot() as cursor:
            yield cursor

    @contextlib.contextmanager
    def _memory_snapshot(self) -> Iterator[Snapshot]:
        with self._write_lock, _translated(self.location):
            yield _Cursor(self._writer, self.location)

    @contextlib.contextmanager
    def _file_snapshot(self) -> Iterator[Snapshot]:
        connection = self._take_reader()
        try:
            with _translated(self.location):
                connection.execute("BEGIN")
                try:
                    yield _Cursor(connection, self.location)
                finally:
                    connection.execute("ROLLBACK")  # nothing to commit; and COMMIT fails on a damaged file
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)

    def _take_reader(self) -> Any:
        try:
            connection = self._readers.pop()
        except IndexError:  # asking first would not help: another thread may take the last one in between
            return self._connect_again()
        self._check_same_file()
        return connection

    def _give_back(self, connection: Any) -> None:
        if self._closed or len(self._readers) >= _POOLED_READERS:
            connection.close()
        else:
            self._readers.append(connection)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self._check_usable()
        if self._read_only:
            raise ReadOnly(f"{self.location} was opened read-only", path=self.location)
        with self._write_lock, GATE.entered(), _translated(self.location):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                self._check_same_file()
                cursor = _Cursor(self._writer, self.location)
                check_revision(cursor, self.location, migrating=self._migrating)
                yield cursor
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    # ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def integrity(self) -> list[str]:
        with self.snapshot() as snapshot:
            assert isinstance(snapshot, _Cursor)
            said: list[str] = []
            try:
                said += [str(row[0]) for row in snapshot.pragma("integrity_check")]
                said += [str(row[0]) for row in snapshot.pragma("cipher_integrity_check")] if self.encrypted else []
                said += differences(sqlite_objects.found(snapshot.ask), wanted(dialect.dialect()))
            except (driver.DatabaseError, UnicodeDecodeError) as error:  # what it met cannot even be read
                said.append(str(error))
        return [line for line in said if line != "ok"]

    def backup(self, target: Path) -> None:
        self._check_usable()
        if target.exists():
            raise Conflict(f"{target} exists already; a backup never overwrites", path=str(target))
        with self._write_lock if self._memory else contextlib.nullcontext():
            source = self._writer if self._memory else self._connect_again()
            try:
                sqlite_file.touch_private(target, target)
                with _translated(str(target)):
                    copy = driver.connect(str(target), isolation_level=None)
                    if self._key is not None:
                        copy.execute(f"PRAGMA key=\"x'{self._key}'\"")
                    source.backup(copy)
                    copy.execute("PRAGMA journal_mode=DELETE")  # one file that can be read where nothing can be written
                    copy.close()
            finally:
                if not self._memory:
                    source.close()
        with target.open("rb+") as file:
            os.fsync(file.fileno())
        sqlite_file.sync_folder(target.parent)

    def open_copy(self, path: Path) -> SqliteStore:
        """A copy that :meth:`backup` made, opened for reading; an encrypted one with this store's key."""
        return SqliteStore(path, create=False, read_only=True, copied_from=self)

    def size_bytes(self) -> int:
        if self._memory:
            with self.snapshot() as snapshot:
                assert isinstance(snapshot, _Cursor)
                pages, page = snapshot.pragma("page_count")[0][0], snapshot.pragma("page_size")[0][0]
            return int(pages * page)
        parts = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def seal(self) -> None:
        """Close, leaving one file without a log beside it, which can be read where nothing can be written.

        Raises:
            StoreBusy: somebody else has the file open. It stays open here, too.
        """
        self._check_usable()
        with self._write_lock, _translated(self.location):
            while self._readers:
                self._readers.pop().close()
            self._writer.execute("PRAGMA journal_mode=DELETE")
        self.close()

    def close(self) -> None:
        if self._closed or os.getpid() != self._process:
            return
        with self._write_lock:
            self._closed = True
            while self._readers:
                self._readers.pop().close()
            self._writer.close()


class _Cursor:
    """A snapshot or a transaction on one connection."""

    __slots__ = ("_connection", "_location")

    def __init__(self, connection: Any, location: str) -> None:
        self._connection = connection
        self._location = location

    def rows(self, statement: Executable, **values: Any) -> list[Row]:
        compiled = _compiler.compiled(statement)
        try:
            result: list[Row] = self._connection.execute(compiled.sql, compiled.values(values)).fetchall()
        except driver.Error as error:
            raise translate(error, self._location) from error
        return result

    def row(self, statement: Executable, **values: Any) -> Row | None:
        compiled = _compiler.compiled(statement)
        try:
            result: Row | None = self._connection.execute(compiled.sql, compiled.values(values)).fetchone()
        except driver.Error as error:
            raise translate(error, self._location) from error
        return result

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        sql = _compiler.insert_sql(table)
        try:
            if len(rows) == 1:
                self._connection.execute(sql, rows[0])
            else:
                self._connection.executemany(sql, rows)
        except driver.IntegrityError as error:
            raise Conflict(f"a row of {table.name} exists already: {error}", table=table.name) from error
        except driver.Error as error:
            raise translate(error, self._location) from error

    def execute(self, statement: Executable, **values: Any) -> int:
        compiled = _compiler.compiled(statement)
        try:
            return int(self._connection.execute(compiled.sql, compiled.values(values)).rowcount)
        except driver.Error as error:
            raise translate(error, self._location) from error

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # SQLite itself rolls back everything when, say, the disk is full
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

    def pragma(self, name: str) -> list[Row]:
        """The rows of one of SQLite's own questions."""
        return self.ask(f"PRAGMA {name}")

    def ask(self, sql: str) -> list[Row]:
        """The rows of a query about the database itself."""
        result: list[Row] = self._connection.execute(sql).fetchall()
        return result

    def query_plan(self, statement: Executable, **values: Any) -> list[str]:
        """How SQLite would run a statement, a line a step."""
        compiled = _compiler.compiled(statement)
        rows = self._connection.execute("EXPLAIN QUERY PLAN " + compiled.sql, compiled.values(values)).fetchall()
        return [str(row[3]) for row in rows]


@contextlib.contextmanager
def _translated(location: str) -> Iterator[None]:
    """Turn the driver's errors into Tacit's, with what to do."""
    try:
        yield
    except TacitError:
        raise
    except driver.Error as error:
        raise translate(error, location) from error


def translate(error: Exception, location: str) -> TacitError:
    """The error of Tacit's that says what the driver's means, with what to do."""
    text = str(error)
    lowered = text.lower()
    if "locked" in lowered or "busy" in lowered:
        return StoreBusy(
            f"{location} is locked by another process; try again, or raise journal.busy_timeout_seconds", path=location
        )
    if "full" in lowered:
        return StoreFull(
            f"no space is left for {location}; free some and try again. Nothing acknowledged was lost", path=location
        )
    if "readonly" in lowered or "read-only" in lowered:
        return ReadOnly(
            f"{location} cannot be written: {text}. Check the file's and folder's permissions", path=location
        )
    if "not a database" in lowered or "malformed" in lowered or "no such table" in lowered:
        return NotAStore(
            f"{location} is damaged or not a Tacit store ({text}). It was left as it is; restore a backup",
            path=location,
        )
    if "unable to open" in lowered:
        return PermissionDenied(f"{location} cannot be opened: {text}. Check its folder and permissions", path=location)
    return StoreError(f"the database failed on {location}: {text}", path=location)
