"""The store port: all that Tacit asks of a database, on one screen.

A store runs SQLAlchemy Core statements over the tables in ``schema``. It knows nothing of journals, episodes or minds,
and nothing above it knows which database it is. There are three: ``sqlite`` (a file), ``sqlite`` in memory (the twin
for tests and embedding), and ``postgres``. All pass the suite in ``conformance``.

Transactions are durable when they return (fsync), and serialised where it matters: SQLite has one writer at a time;
on PostgreSQL whoever changes a mind first locks that mind's row in ``head``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Table
from sqlalchemy.sql import Executable

Row: TypeAlias = tuple[Any, ...]
TextEntry: TypeAlias = tuple[int, Sequence[str]]
"""A document of the index of words: its number (1 … 2**36 - 1, growing with time), and its terms with repeats.

Terms are made by ``terms.terms_of``. A document without terms is none."""


class Snapshot(Protocol):
    """One consistent view of the database, as of its first read."""

    def rows(self, statement: Executable, **values: Any) -> list[Row]:
        """All rows of a select; ``values`` fill its ``bindparam`` names."""
        ...

    def row(self, statement: Executable, **values: Any) -> Row | None:
        """The first row of a select, or None."""
        ...

    def find_terms(
        self, mind: bytes, terms: Sequence[str], most: int, *, within: Sequence[str] = (), upto: int | None = None
    ) -> list[tuple[int, float]]:
        """The documents that hold any of the terms, and all of those ``within``, and whose number is not above
        ``upto``, if it is given; see ``text_index`` for how much is looked at.

        At most ``most`` numbers with their scores (more is better), the best first, of equal ones the newest. They are
        candidates: how often a term stands in a document does not count.
        """
        ...

    def count_terms(self, mind: bytes, terms: Sequence[str]) -> dict[str, int]:
        """In how many documents each of the terms stands; those that stand in none are left out."""
        ...

    def indexed(self, mind: bytes) -> tuple[int, int]:
        """How many documents a mind has in the index of words, and how many terms they have in all, with repeats."""
        ...


class Transaction(Snapshot, Protocol):
    """A write in progress: it sees its own changes, others see them after it ends without an exception."""

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows whose values stand in the order of the table's columns. A key that exists raises Conflict."""
        ...

    def execute(self, statement: Executable, **values: Any) -> int:
        """Run an insert, update or delete; how many rows it touched."""
        ...

    def index_terms(self, mind: bytes, entries: Sequence[TextEntry]) -> None:
        """Add documents, under numbers that were not used before, to the index of words.

        The same document again raises Conflict, at the latest when the transaction ends.
        """
        ...

    def unindex_terms(self, mind: bytes, entries: Sequence[TextEntry]) -> None:
        """Take documents away, given the terms with which they were added; those that are not there are left out."""
        ...

    def begin_rebuild(self, analyser: int) -> int:
        """Begin to make the index of words anew, or go on with what was begun for the same ``analyser``; how many
        documents are done. Whoever calls it holds the lock on the whole store."""
        ...

    def is_rebuilding(self) -> bool:
        """Whether an index is being made anew, by anybody, or was when its maker was killed."""
        ...

    def rebuilt(self, mind: bytes) -> int:
        """Up to which number a mind's documents were made anew; 0 for none."""
        ...

    def rebuild_terms(self, mind: bytes, upto: int, entries: Sequence[TextEntry]) -> None:
        """Give all documents of a mind whose numbers are above what was ``rebuilt`` and not above ``upto``, anew.

        Whoever calls it holds the lock on the mind.
        """
        ...

    def end_rebuild(self) -> None:
        """Search, from the end of the transaction on, only what was made anew. It must be all, and nobody may write to
        any mind meanwhile."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """A part that can fail alone: on an exception its changes are undone and the exception goes on."""
        ...


class Store(Protocol):
    """A database. Safe to use from many threads; many processes may open the same one."""

    @property
    def location(self) -> str:
        """Where it is, for people: a path or a URL without its password."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether it can only be read: it was opened so, or this user may not write it. Then transaction() raises."""
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Read consistently. Never waits for writers."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Write durably, all or nothing. Raises ReadOnly, StoreBusy, StoreFull … with nothing stored."""
        ...

    def integrity(self) -> list[str]:
        """What the database's own check finds wrong, and what is not as the schema says; empty when it is sound.

        Tables, columns, keys and indexes that are missing, altered or not ours are named, and so are triggers and
        views: Tacit has none.
        """
        ...

    def backup(self, target: Path) -> None:
        """Write a consistent copy, while others read and write. ``target`` must not exist."""
        ...

    def scrub(self) -> bool:
        """Take what deleted rows leave behind out of the files, as far as the database can; whether all of it is out.

        It is not while somebody reads as of an earlier time, or in files that only others can reach (archived logs,
        replicas, backups). Try again later.
        """
        ...

    def size_bytes(self) -> int:
        """How much room it takes now."""
        ...

    def opener(self) -> Callable[[], Store] | None:
        """What opens the same database for reading in another process of this user; None when no other one can.

        It can be pickled, and holds the key or the password.
        """
        ...

    def close(self) -> None:
        """Let go of every connection. Calling it twice is nothing."""
        ...
