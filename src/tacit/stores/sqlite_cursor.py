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
from tacit.stores import sqlite_text, text_index
from tacit.stores.port import Row, TextEntry
from tacit.stores.sqlite_errors import translate, translated
from tacit.stores.statements import Compiler

COMPILER = Compiler(dialect.dialect(paramstyle="qmark"))


class Cursor:
    """A snapshot or a transaction on one connection."""

    __slots__ = ("_changes", "_connection", "_counted", "_location", "_spaces", "_term_counts")

    def __init__(
        self,
        connection: Any,
        location: str,
        term_counts: sqlite_text.TermCounts | None = None,
        *,
        steady: bool = False,
    ) -> None:
        self._connection = connection
        self._location = location
        self._term_counts = term_counts  # only of what is committed
        # where nothing changes as long as this lasts, each term is counted once
        self._counted: dict[tuple[bytes, str], int] | None = {} if steady else None
        self._spaces: dict[bytes, text_index.Space | None] | None = {} if steady else None
        self._changes: list[text_index.Change] = []  # of the index of words, not yet written

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
        self.write_changes()  # those that are noted from here on are undone with the part, and no others
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._changes.clear()
            if self._connection.in_transaction:  # SQLite itself rolls back everything when, say, the disk is full
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

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
            with translated(self._location):
                sqlite_text.write(self._connection, changes)

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
        with translated(self._location):
            return [] if search is None else sqlite_text.find(self._connection, space, search, most)

    def count_terms(self, mind: bytes, terms: Sequence[str]) -> dict[str, int]:
        space, counted = self._space(mind), self._counted
        if space is None:
            return {}
        unknown = terms if counted is None else [term for term in terms if (mind, term) not in counted]
        with translated(self._location):
            found = sqlite_text.counts(self._connection, space, unknown, self._term_counts)
        if counted is None:
            return found
        counted.update({(mind, term): found.get(term, 0) for term in unknown})
        return {term: count for term in terms if (count := counted[mind, term])}

    def indexed(self, mind: bytes) -> tuple[int, int]:
        space = self._space(mind)
        return (space.documents, space.terms) if space else (0, 0)

    def _space(self, mind: bytes) -> text_index.Space | None:
        if self._spaces is not None and mind in self._spaces:
            return self._spaces[mind]
        self.write_changes()
        row = self.row(text_index.space_of_mind, mind=mind)
        space = None if row is None else text_index.Space(*row)
        if self._spaces is not None:
            self._spaces[mind] = space
        return space

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
