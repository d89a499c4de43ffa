"""The embedded store: one SQLite file in WAL mode, fsynced at every commit, optionally encrypted; or memory.

One connection writes, handed from transaction to transaction under a lock; reads take a connection from a small pool,
each read seeing one consistent snapshot. Other processes may have the same file open.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.dialects import sqlite as dialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlcipher3 import dbapi2 as driver

from tacit.errors import (
    Closed,
    Conflict,
    ForkedStore,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ReadOnly,
    StoreBusy,
    StoreError,
)
from tacit.stores import schema, sqlite_file, sqlite_guest, sqlite_lock, sqlite_objects, sqlite_scrub, sqlite_text
from tacit.stores.forking import GATE
from tacit.stores.leftovers import remove, removed_at_the_end
from tacit.stores.objects import differences
from tacit.stores.port import Snapshot, Store, Transaction
from tacit.stores.revision import check_revision
from tacit.stores.sqlite_cursor import COMPILER, Cursor
from tacit.stores.sqlite_errors import translated

MEMORY = ":memory:"
_CACHED_STATEMENTS = 512
_POOLED_READERS = 8
_WAL_PAGES = 4_000  # 16 MB of log before it is folded back into the file: fewer, longer checkpoints

_SCRUB_MS = 200
"""So long scrubbing waits for readers of an earlier time; writers wait with it."""


class SqliteStore:
    """An embedded store. See ``tacit.stores.port.Store`` for the contract.

    A file that this user may read, but not write, is opened all the same, and can only be read.

    In memory there is one connection for all, so a read keeps out the writing thread until it is done. A signal handler
    or a ``__del__`` that writes in the middle of a read in memory, and waits for it, waits for ever; with a file it
    does not.

    Args:
        path: the file, or ":memory:". A missing file is created when ``create`` is true.
        passphrase: encrypts the file (SQLCipher); the same one is needed to open it again.
        busy_timeout: how long a write waits for other processes, in seconds.
        read_only: open without the right to change anything.
        migrating: accept an older schema, which ``tacit migrate`` is about to change.
        key: the key that an open store has derived from the passphrase; for a copy of its file.
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
        key: str | None = None,
    ) -> None:
        self._memory = str(path) == MEMORY
        self._path = Path(path).absolute()
        self._busy_timeout = busy_timeout
        self._read_only = read_only
        self._obstacle = ""  # why this user could not write the file even if that were asked for
        self._tidy = False  # whether reading is to leave nothing beside the file, as there was nothing before
        self._migrating = migrating
        self._process = os.getpid()
        self._closed = False
        self._key = key
        self._write_lock = threading.RLock()  # one transaction at a time; in memory also one reader at a time
        self._term_counts = sqlite_text.TermCounts()
        self._readers: list[Any] = []  # connections that nobody is using; list.append and pop are atomic
        self._identity: tuple[int, int] | None = None
        if self._memory:
            self._writer = self._connect(MEMORY)
            self._create_tables(self._writer)
        else:
            with sqlite_lock.opening(self._path, busy_timeout):
                self._prepare_file(passphrase, create=create and not read_only)
                self._identity = sqlite_file.identity(self._path)
                sqlite_scrub.begin(self._identity)
                try:
                    self._writer = self._connect_again()
                except BaseException:
                    sqlite_scrub.end(self._identity)
                    raise
        try:
            check_revision(Cursor(self._writer, self.location), self.location, migrating=self._migrating)
        except BaseException:
            self._writer.close()
            sqlite_scrub.end(self._identity)
            raise

    @property
    def location(self) -> str:
        return MEMORY if self._memory else str(self._path)

    @property
    def path(self) -> Path | None:
        """The file, or None in memory."""
        return None if self._memory else self._path

    @property
    def read_only(self) -> bool:
        return self._read_only

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
        self._obstacle = sqlite_guest.obstacle(path)
        self._read_only = self._read_only or self._obstacle != ""
        self._tidy = self._read_only and not self._obstacle and sqlite_file.is_at_rest(path)
        if passphrase is not None:
            self._key = sqlite_file.derive_key(passphrase, sqlite_file.read_salt(path))

    def _create_file(self, passphrase: str | None) -> None:
        if passphrase == "":
            raise InvalidInput("an empty passphrase protects nothing; give a real one, or none", path=str(self._path))
        sqlite_file.refuse_remains(self._path)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}.{threading.get_ident()}.new")
        remove(draft)  # left by a process of the same number that was killed here
        if passphrase is not None:
            self._key = sqlite_file.derive_key(passphrase, os.urandom(sqlite_file.SALT_BYTES))
        with removed_at_the_end(draft, *sqlite_file.log_paths(draft)):
            with translated(str(self._path)):
                sqlite_file.touch_private(draft, self._path)
                connection = self._connect(str(draft))
                self._create_tables(connection)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.close()
            sqlite_file.publish(draft, self._path)

    def _create_tables(self, connection: Any) -> None:
        connection.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
        connection.execute("BEGIN IMMEDIATE")
        for table in schema.metadata.sorted_tables:
            connection.execute(str(CreateTable(table).compile(dialect=dialect.dialect())))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(str(CreateIndex(index).compile(dialect=dialect.dialect())))
        sqlite_text.create(connection)
        connection.execute(COMPILER.insert_sql(schema.revision), (schema.SCHEMA_REVISION,))
        connection.execute("COMMIT")

    def _connect(self, target: str, *, immutable: bool = False) -> Any:
        # never "rwc": a file that is gone must not come back empty; and only "rw" takes away the log when it is closed
        mode = "ro" if self._read_only and not self._tidy else "rw"
        uri = target if self._memory else f"{Path(target).as_uri()}?mode={mode}{'&immutable=1' if immutable else ''}"
        with translated(self.location):
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
        if self._read_only:
            connection.execute("PRAGMA query_only=ON")
        else:
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
        return self._connect_to_file()[0]

    def _connect_to_file(self) -> tuple[Any, bool]:
        """A connection, and whether it relies on nobody changing the file."""
        with sqlite_lock.opening(self._path, self._busy_timeout):
            self._check_same_file()
            connection, immutable = (
                self._connect_as_guest() if self._obstacle else (self._connect(str(self._path)), False)
            )
            try:
                self._check_same_file()
            except BaseException:
                connection.close()
                raise
        return connection, immutable

    def _connect_as_guest(self) -> tuple[Any, bool]:
        if any(log.exists() for log in sqlite_file.log_paths(self._path)):
            try:
                return self._connect(str(self._path)), False
            except PermissionDenied as error:
                if not isinstance(error.__cause__, driver.OperationalError):  # it is the passphrase that is wrong
                    raise
                if sqlite_file.has_log(self._path):
                    raise PermissionDenied(
                        f"{self._path} was not closed, or is open elsewhere, and what is in its log can be read only "
                        f"where it can be written: {self._obstacle}. Open and close it once as a user who may write "
                        "it, or copy it, with the -wal file beside it, to another folder",
                        path=str(self._path),
                    ) from error.__cause__
        return self._connect(str(self._path), immutable=True), True

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

    def _check_writable(self) -> None:
        if self._obstacle:
            raise ReadOnly(
                f"{self.location} can only be read: {self._obstacle}. Nothing was written; "
                "make it writable, or work on a copy of it",
                path=self.location,
            )
        if self._read_only:
            raise ReadOnly(f"{self.location} was opened read-only", path=self.location)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        self._check_usable()
        one = self._memory_snapshot if self._memory else self._guest_snapshot if self._obstacle else self._file_snapshot
        with GATE.entered(), one() as cursor:
            yield cursor

    @contextlib.contextmanager
    def _memory_snapshot(self) -> Iterator[Snapshot]:
        with self._write_lock, translated(self.location):
            committed = None if self._writer.in_transaction else self._term_counts
            yield Cursor(self._writer, self.location, committed)

    @contextlib.contextmanager
    def _file_snapshot(self) -> Iterator[Snapshot]:
        connection = self._take_reader()
        try:
            with self._reading(connection) as cursor:
                yield cursor
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)

    @contextlib.contextmanager
    def _reading(self, connection: Any) -> Iterator[Snapshot]:
        with translated(self.location):
            connection.execute("BEGIN")
            try:
                yield Cursor(connection, self.location, self._term_counts, steady=True)
            finally:
                connection.execute("ROLLBACK")  # nothing to commit; and COMMIT fails on a damaged file

    @contextlib.contextmanager
    def _guest_snapshot(self) -> Iterator[Snapshot]:
        """Each time on a new connection: whoever may write the file may have come or gone since the last one."""
        before = sqlite_guest.stamp(self._path)
        connection, immutable = self._connect_to_file()
        try:
            with contextlib.closing(connection), self._reading(connection) as cursor:
                yield cursor
        except StoreError:
            if immutable:
                self._check_unchanged(before)
            raise
        if immutable:
            self._check_unchanged(before)

    def _check_unchanged(self, before: sqlite_guest.Stamp | None) -> None:
        if sqlite_guest.stamp(self._path) != before:
            raise StoreBusy(
                f"{self._path} was changed by another process while it was read, so what was read may be wrong; "
                "try again",
                path=str(self._path),
            )

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
        self._check_writable()
        with self._write_lock, GATE.entered(), translated(self.location):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                self._check_same_file()
                cursor = Cursor(self._writer, self.location)
                check_revision(cursor, self.location, migrating=self._migrating)
                yield cursor
                cursor.write_changes()
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    # ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def integrity(self) -> list[str]:
        with self.snapshot() as snapshot:
            assert isinstance(snapshot, Cursor)
            said: list[str] = []
            try:
                said += [str(row[0]) for row in snapshot.pragma("integrity_check")]
                said += [str(row[0]) for row in snapshot.pragma("cipher_integrity_check")] if self.encrypted else []
                said += differences(sqlite_objects.found(snapshot.ask), sqlite_objects.wanted())
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
                with translated(str(target)):
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

    def scrub(self) -> bool:
        """Empty the log, and overwrite what rows that were moved have left behind; see ``sqlite_scrub``.

        In an encrypted file that is under its key, and stays until its room is used again.
        """
        self._check_usable()
        self._check_writable()
        if self._memory:
            return True
        connection = self._connect_again()
        with contextlib.closing(connection), GATE.entered(), translated(self.location):
            connection.execute(f"PRAGMA busy_timeout={_SCRUB_MS}")
            if self.encrypted:
                return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            log = sqlite_file.log_paths(self._path)[0]
            return sqlite_scrub.empty_log(connection, log, lambda: self._clear_gaps(int(page_bytes)))

    def _clear_gaps(self, page_bytes: int) -> None:
        self._check_same_file()
        sqlite_scrub.clear_gaps(self._path, page_bytes)

    def open_copy(self, path: Path) -> SqliteStore:
        """A copy that :meth:`backup` made, opened for reading; an encrypted one with this store's key."""
        return SqliteStore(path, create=False, read_only=True, key=self._key)

    def opener(self) -> Callable[[], Store] | None:
        if self._memory:
            return None
        return partial(
            SqliteStore, self._path, key=self._key, busy_timeout=self._busy_timeout, create=False, read_only=True
        )

    def size_bytes(self) -> int:
        if self._memory:
            with self.snapshot() as snapshot:
                assert isinstance(snapshot, Cursor)
                pages, page = snapshot.pragma("page_count")[0][0], snapshot.pragma("page_size")[0][0]
            return int(pages * page)
        parts = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def seal(self) -> None:
        """Close, leaving one file without a log beside it, which can be read where nothing can be written.

        Raises:
            StoreBusy: somebody else has the file open. It stays open here, too.
            ReadOnly: it cannot be written, so nobody knows whether somebody else has it open.
        """
        self._check_usable()
        self._check_writable()
        with self._write_lock, translated(self.location):
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
            sqlite_scrub.end(self._identity)
