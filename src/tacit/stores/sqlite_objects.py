"""What stands in an SQLite database beside its rows. All of the file is the store's, so all of it is listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from sqlalchemy.dialects import sqlite as dialect

from tacit.stores import objects, schema, sqlite_reindex, sqlite_text
from tacit.stores.objects import Objects
from tacit.stores.port import Row

_OTHERS = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE substr(name, 1, 7) <> 'sqlite_'"
"""SQLite's own, such as the statistics that ANALYZE leaves, have names that nobody else can use."""
_COLUMNS = (
    'SELECT m.name, c.name, c.type, c."notnull", c.pk FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c '
    "WHERE m.type = 'table' AND substr(m.name, 1, 7) <> 'sqlite_' ORDER BY m.name, c.pk, c.cid"
)
_OF_FTS = {*sqlite_text.CREATE, *sqlite_text.SHADOWS, *sqlite_reindex.TABLES}
"""Tables whose columns are FTS5's own affair; what is in them is checked by ``PRAGMA integrity_check``."""
_UNIQUE_KEYS = (
    "SELECT m.name, k.name, c.name "
    "FROM sqlite_master AS m, pragma_index_list(m.name) AS k, pragma_index_info(k.name) AS c "
    "WHERE m.type = 'table' AND k.origin = 'u' ORDER BY m.name, k.name, c.seqno"
)


def wanted() -> Objects:
    """All that the file of a store should hold."""
    index = {objects.table(name): objects.index_definition(sql) for name, sql in sqlite_text.CREATE.items()}
    index |= {objects.table(name): "" for name in sqlite_text.SHADOWS}
    return objects.wanted(dialect.dialect(), schema.metadata.sorted_tables) | index


def found(ask: Callable[[str], list[Row]]) -> Objects:
    """All that the database holds.

    Args:
        ask: runs a query and gives its rows.
    """
    listed: Objects = {}
    for kind, name, table, sql in ask(_OTHERS):
        if name in sqlite_reindex.TABLES:  # an index is being made anew
            continue
        if kind == "table":
            listed[objects.table(name)] = objects.index_definition(sql) if name in sqlite_text.CREATE else ""
        elif kind == "index":
            listed[objects.index(table, name)] = objects.index_definition(sql)
        else:
            listed["", f"{kind} {name}" + (f" on {table}" if kind == "trigger" else "")] = ""
    return listed | _columns(ask(_COLUMNS)) | _unique_keys(ask(_UNIQUE_KEYS))


def _columns(rows: list[Row]) -> Objects:
    listed: Objects = {}
    keys: dict[str, list[str]] = defaultdict(list)
    for table, name, kind, filled, place_in_key in rows:
        if table in _OF_FTS:
            continue
        listed[objects.column(table, name)] = objects.column_definition(kind, nullable=not filled)
        if place_in_key:
            keys[table].append(name)
    return listed | {objects.primary_key(table): objects.listed(columns) for table, columns in keys.items()}


def _unique_keys(rows: list[Row]) -> Objects:
    keys: dict[tuple[str, str], list[str]] = defaultdict(list)
    for table, key, column in rows:
        keys[table, key].append(column)
    return {objects.unique_key(table, objects.listed(columns)): "" for (table, _), columns in keys.items()}
