"""What stands in a PostgreSQL database beside its rows. Others may use the same schema, so only our tables are looked
at, and what hangs on them: a rule or a trigger can change what is written, and a view stands in a migration's way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tacit.stores import objects
from tacit.stores.objects import Objects
from tacit.stores.port import Row

_OURS = """
    WITH ours AS (
        SELECT oid, relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname = ANY(%s)
    )
"""
_COLUMNS = """
    SELECT relname, attname, format_type(atttypid, atttypmod), collname, attnotnull
    FROM ours
    LEFT JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_collation ON pg_collation.oid = attcollation AND collname <> 'default'
"""
_INDEXES = """
    SELECT ours.relname, index.relname, pg_get_indexdef(indexrelid), pg_get_constraintdef(pg_constraint.oid)
    FROM ours
    JOIN pg_index ON indrelid = ours.oid
    JOIN pg_class AS index ON index.oid = indexrelid
    LEFT JOIN pg_constraint ON conindid = indexrelid AND contype IN ('p', 'u')
"""
_OTHERS = """
    SELECT 'trigger ' || tgname || ' on ' || relname FROM ours JOIN pg_trigger ON tgrelid = ours.oid
    WHERE NOT tgisinternal
    UNION SELECT 'rule ' || rulename || ' on ' || relname FROM ours JOIN pg_rewrite ON ev_class = ours.oid
    UNION SELECT 'view ' || view.relname
    FROM ours
    JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = ours.oid AND classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite ON pg_rewrite.oid = objid
    JOIN pg_class AS view ON view.oid = ev_class AND view.relkind IN ('v', 'm')
    WHERE view.relnamespace = current_schema()::regnamespace
"""


def found(connection: Any, ours: Sequence[str]) -> Objects:
    """All that the connection's schema holds of the tables of these names, and of what hangs on them."""
    listed: Objects = {}
    for table, name, kind, collation, filled in _ask(connection, _COLUMNS, ours):
        listed[objects.table(table)] = ""
        if name is not None:
            text = f"{kind} collate {collation}" if collation else kind
            listed[objects.column(table, name)] = objects.column_definition(text, nullable=not filled)
    listed |= dict(_keys_and_indexes(connection, ours))
    return listed | {("", row[0]): "" for row in _ask(connection, _OTHERS, ours)}


def _keys_and_indexes(connection: Any, ours: Sequence[str]) -> Iterator[tuple[tuple[str, str], str]]:
    for table, name, index, constraint in _ask(connection, _INDEXES, ours):
        if constraint is None:
            yield objects.index(table, name), objects.index_definition(index)
            continue
        kind, columns = constraint.replace('"', "").split(" (", 1)
        if kind == "PRIMARY KEY":
            yield objects.primary_key(table), f"({columns}"
        else:
            yield objects.unique_key(table, f"({columns}"), ""


def _ask(connection: Any, query: str, ours: Sequence[str]) -> list[Row]:
    rows: list[Row] = connection.execute(_OURS + query, (ours,)).fetchall()
    return rows
