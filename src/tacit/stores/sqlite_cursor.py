"""A snapshot or a transaction of the embedded store: SQLAlchemy Core statements run on one connection."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite as dialect
from sqlalchemy.sql import Executable
from sqlcipher3 import dbapi2 as driver

from tacit.errors import Conflict
from tacit.stores.port import Row
from tacit.stores.sqlite_errors import translate
from tacit.stores.statements import Compiler

COMPILER = Compiler(dialect.dialect(paramstyle="qmark"))


class Cursor:
    """A snapshot or a transaction on one connection."""

    __slots__ = ("_connection", "_location")

    def __init__(self, connection: Any, location: str) -> None:
        self._connection = connection
        self._location = location

    def rows(self, statement: Executable, **values: Any) -> list[Row]:
        compiled = COMPILER.compiled(statement)
        try:
            result: list[Row] = self._connection.execute(compiled.sql, compiled.values(values)).fetchall()
        except driver.Error as error:
            raise translate(error, self._location) from error
        return result

    def row(self, statement: Executable, **values: Any) -> Row | None:
        compiled = COMPILER.compiled(statement)
        try:
            result: Row | None = self._connection.execute(compiled.sql, compiled.values(values)).fetchone()
        except driver.Error as error:
            raise translate(error, self._location) from error
        return result

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        sql = COMPILER.insert_sql(table)
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
        compiled = COMPILER.compiled(statement)
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
        compiled = COMPILER.compiled(statement)
        rows = self._connection.execute("EXPLAIN QUERY PLAN " + compiled.sql, compiled.values(values)).fetchall()
        return [str(row[3]) for row in rows]
