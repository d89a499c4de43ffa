"""A second index of words beside the one that is searched, while it is made anew in an SQLite file.

FTS5 takes a document away only if it is told the terms that were put in, and those of another analyser nobody knows: so
a new table is filled, and takes the place of the old one, which is dropped whole. Rows of ``text_space`` tell how far
it is: one for all of it, and one for each mind, whose ``last`` is the number up to which its documents are in the new
table. What is written to the index meanwhile, up to there, is written to both.
"""

# ruff: noqa: S608 - the statements hold only names and constants of this module

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tacit.stores import sqlite_text
from tacit.stores.sqlite_text import Place
from tacit.stores.text_index import MAKING, Change, is_of_making, making_of, runs

NEW = f"{sqlite_text.TABLE}_new"
TABLES = frozenset({NEW, *(f"{NEW}_{part}" for part in sqlite_text.PARTS)})
"""What stands in the file while an index is made anew."""

_place = Place(NEW)
_INSERT = "INSERT INTO text_space VALUES (?, ?, ?, ?, ?, ?)"
_GROW = "UPDATE text_space SET documents = documents + ?, terms = terms + ?, last = max(last, ?) WHERE mind = ?"
_NONE = f"UPDATE text_space SET epoch = epoch + 1, documents = 0, terms = 0 WHERE NOT {is_of_making('mind')}"
_MADE = f"SELECT documents, terms, substr(mind, 2) FROM text_space WHERE {is_of_making('mind')}"
_TOTALS = "UPDATE text_space SET documents = ?, terms = ? WHERE mind = ?"
_DONE = f"SELECT coalesce(sum(documents), 0) FROM text_space WHERE {is_of_making('mind')}"
_FORGET = f"DELETE FROM text_space WHERE {is_of_making('mind')}"


def begin(connection: Any, analyser: int) -> int:
    """Make the empty table, unless one of the same analyser is there; how many documents it holds."""
    row = connection.execute(sqlite_text.SPACE, (MAKING,)).fetchone()
    if row is None or row[4] != analyser:
        connection.execute(f"DROP TABLE IF EXISTS {NEW}")
        connection.execute(_FORGET)
        connection.execute(sqlite_text.create_table(NEW))
        connection.execute(sqlite_text.secure_delete(NEW))
        connection.execute(_INSERT, (MAKING, 0, 0, 0, 0, analyser))
    return int(connection.execute(_DONE).fetchone()[0])


def rebuilt(connection: Any, mind: bytes) -> int:
    """Up to which number the documents of a mind are in the new table."""
    row = connection.execute(sqlite_text.SPACE, (making_of(mind),)).fetchone()
    return row[3] if row else 0


def add(connection: Any, mind: bytes, upto: int, changes: Sequence[Change]) -> None:
    """Put the documents of a mind up to a number, behind those that are there, into the new table."""
    if connection.execute(sqlite_text.SPACE, (making_of(mind),)).fetchone() is None:
        connection.execute(_INSERT, (making_of(mind), 0, 0, 0, 0, 0))
    space = sqlite_text.space_of(connection, mind) or sqlite_text.new_space(connection, mind)
    _place.add(connection, space, changes)
    _grow(connection, mind, changes, 1, upto)


def follow(connection: Any, changes: Sequence[Change]) -> None:
    """Write what was written to the index to the new table too, as far as that has come."""
    if connection.execute(sqlite_text.SPACE, (MAKING,)).fetchone() is None:
        return
    for adding, mind, run in runs(changes):
        space, upto = sqlite_text.space_of(connection, mind), rebuilt(connection, mind)
        reached = [change for change in run if change.number <= upto]
        if space is None or not reached:
            continue
        if adding:
            _place.add(connection, space, reached)
        else:
            reached = _place.remove(connection, space, reached)
        _grow(connection, mind, reached, 1 if adding else -1, upto)


def end(connection: Any) -> None:
    """Let the new table take the place of the old one."""
    connection.execute(_NONE)
    connection.executemany(_TOTALS, connection.execute(_MADE).fetchall())
    connection.execute(_FORGET)
    connection.execute(f"DROP TABLE {sqlite_text.VOCABULARY}")
    connection.execute(f"DROP TABLE {sqlite_text.TABLE}")
    connection.execute(f"ALTER TABLE {NEW} RENAME TO {sqlite_text.TABLE}")
    connection.execute(sqlite_text.CREATE[sqlite_text.VOCABULARY])


def _grow(connection: Any, mind: bytes, changes: Sequence[Change], sign: int, upto: int) -> None:
    terms = sum(change.length for change in changes)
    connection.execute(_GROW, (sign * len(changes), sign * terms, upto, making_of(mind)))
