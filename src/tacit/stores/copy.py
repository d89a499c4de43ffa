"""Copies all tables from one store into another, row by row: backups, restores, moves between databases."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Select, Table, bindparam, select, tuple_

from tacit.errors import Conflict, NotFound
from tacit.stores import schema, sqlite_file
from tacit.stores.analyser import OWN
from tacit.stores.leftovers import removed_at_the_end
from tacit.stores.port import Row, Snapshot, Transaction
from tacit.stores.sqlite import SqliteStore
from tacit.stores.terms import terms_of_memory

_MADE_ANEW = (schema.revision, schema.text_space)
"""What the target has of its own: its revision, and the index of words."""
_COLUMNS = [column.name for column in schema.memory.c]
_FIRST_ROWS = 16
_MOST_ROWS = 1_000
_BATCH_BYTES = 8_000_000


def copy_tables(source: Snapshot, target: Transaction) -> dict[str, int]:
    """Copy every table but the revision into the empty tables of another store; how many rows of each.

    Rows arrive byte for byte as they were, and what they say in words is indexed anew: each database has an index of
    its own making. Memory stays bounded: a batch is some megabytes, or one row.

    Raises:
        Conflict: the target holds some of the rows already.
    """
    counts: dict[str, int] = {}
    for table in schema.metadata.sorted_tables:
        if table in _MADE_ANEW:
            continue
        counts[table.name] = 0
        for rows in batches(source, table):
            if table is schema.counter:
                rows = [row for row in rows if not row[0].startswith(OWN)]
            target.insert(table, rows)
            counts[table.name] += len(rows)
            if table is schema.memory:
                _index(target, rows)
    return counts


def _index(target: Transaction, rows: list[Row]) -> None:
    told = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    for mind, of_mind in groupby(told, key=itemgetter("mind")):
        target.index_terms(mind, [(each["since"], terms_of_memory(each)) for each in of_mind])


def copy_to_file(source: Snapshot, target: Path, *, passphrase: str | None = None) -> None:
    """Copy every table into a new embedded store, which gets its name when it is complete.

    Raises:
        Conflict: ``target`` exists already.
        NotFound: its folder does not exist.
    """
    if target.exists():
        raise Conflict(f"{target} exists already; a backup never overwrites", path=str(target))
    if not target.parent.is_dir():
        raise NotFound(f"the folder {target.parent} does not exist; create it first", path=str(target))
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}.new")
    with removed_at_the_end(draft, *sqlite_file.log_paths(draft)):
        store = SqliteStore(draft, passphrase=passphrase)
        try:
            with store.transaction() as transaction:
                copy_tables(source, transaction)
            store.seal()
        finally:
            store.close()
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        if not sqlite_file.publish(draft, target):
            raise Conflict(f"{target} exists already; a backup never overwrites", path=str(target))


def batches(source: Snapshot, table: Table) -> Iterator[list[Row]]:
    """The rows of a table in the order of its primary key, as many at once as their size allows."""
    key = list(table.primary_key)
    places = [list(table.c).index(column) for column in key]
    most = _FIRST_ROWS
    statement = _page(table, after=False)
    values: dict[str, Any] = {}
    while rows := source.rows(statement, most=most, **values):
        yield rows
        if len(rows) < most:
            return
        values = {f"after_{column.name}": rows[-1][place] for column, place in zip(key, places, strict=True)}
        statement = _page(table, after=True)
        most = _next_size(rows)


@lru_cache(maxsize=64)
def _page(table: Table, *, after: bool) -> Select[Any]:
    key = list(table.primary_key)
    statement = select(*table.c).order_by(*key).limit(bindparam("most"))
    if not after:
        return statement
    last = [bindparam(f"after_{column.name}", type_=column.type) for column in key]
    return statement.where(tuple_(*key) > tuple_(*last))


def _next_size(rows: list[Row]) -> int:
    """How many rows of this size fill a batch; at most four times as many as now, should larger ones follow."""
    size = sum(len(value) if isinstance(value, bytes | str) else 8 for row in rows for value in row)
    return max(1, min(_MOST_ROWS, 4 * len(rows), _BATCH_BYTES * len(rows) // max(1, size)))
