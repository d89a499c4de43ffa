"""The tables of a store in a PostgreSQL database: making them once, and looking whether they are sound."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import psycopg as dialect
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from tacit.errors import InvalidInput, NotAStore, NotFound
from tacit.stores import analyser, objects, postgres_objects, postgres_text, schema

DIALECT: Dialect = dialect.dialect()  # type: ignore[no-untyped-call]
SCHEMA_LOCK = 0x5441434954
"""The advisory lock on the schema ("TACIT"): writers share it, whoever creates or migrates tables holds it alone."""

LOCK_ALONE = f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})"
LOCK_SHARED = f"SELECT pg_advisory_xact_lock_shared({SCHEMA_LOCK})"
_OURS = [table.name for table in (*schema.metadata.sorted_tables, *postgres_text.TABLES)]
_JOURNAL = {table.name for table in schema.tables("journal")}
_PRESENT = """
    SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind::text = ANY(%s) AND relname = ANY(%s)
"""
_INDEXES = """
    SELECT index.relname, indisvalid AND indisready, index.oid::bigint, access.amname
    FROM pg_index
    JOIN pg_class AS index ON index.oid = indexrelid
    JOIN pg_am AS access ON access.oid = index.relam
    JOIN pg_class AS owner ON owner.oid = indrelid
    WHERE owner.relnamespace = current_schema()::regnamespace AND owner.relname = ANY(%s)
    ORDER BY index.relname
"""
_CHECKSUM_FAILURES = "SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()"
_HAS_AMCHECK = "SELECT 1 FROM pg_extension WHERE extname = 'amcheck'"


def ensure_tables(connection: Any, location: str, *, create: bool) -> None:
    """Make the tables in an empty database; look whether they are ours in any other.

    They may stand beside tables of others, as long as no names collide. Processes that start together wait for
    each other.

    Raises:
        NotFound: there is no store, and none may be made.
        NotAStore: the names of our tables are taken by something else.
    """
    if not _present(connection):
        if not create:
            raise NotFound(f"there is no store in {location}", path=location)
        with connection.transaction():
            connection.execute(LOCK_ALONE)
            if not _present(connection):
                _create(connection, location)
                return
    _check_ours(_present(connection), location)


def _tables() -> list[Table]:
    """Those that every database has, and those of the index of words."""
    return [*schema.metadata.sorted_tables, *postgres_text.TABLES]


def _present(connection: Any, kinds: str = "rpvmf") -> set[str]:
    """Which of our tables' names exist in the schema that new tables would go to, as tables or as views."""
    return {row[0] for row in connection.execute(_PRESENT, (list(kinds), _OURS)).fetchall()}


def _check_ours(present: set[str], location: str) -> None:
    revision = schema.revision.name
    advice = "It was left as it is; use a database, or a schema (?options=-csearch_path=name), of its own"
    if revision not in present:
        taken = ", ".join(sorted(present))
        raise NotAStore(f"{location} has tables named {taken}, but is not a Tacit store. {advice}", path=location)
    if not present >= _JOURNAL:
        raise NotAStore(
            f"{location} has a table {revision} of another program, but no journal. {advice}", path=location
        )


def _create(connection: Any, location: str) -> None:
    encoding = connection.execute("SHOW server_encoding").fetchone()[0]
    if encoding != "UTF8":
        raise InvalidInput(
            f"{location} stores text as {encoding}; create the database with ENCODING 'UTF8'", path=location
        )
    for table in _tables():
        connection.execute(str(CreateTable(table).compile(dialect=DIALECT)))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(str(CreateIndex(index).compile(dialect=DIALECT)))
    connection.execute(f'INSERT INTO "{schema.revision.name}" VALUES (%s)', (schema.SCHEMA_REVISION,))  # noqa: S608 - a constant
    connection.execute("INSERT INTO counter VALUES (%s, %s)", (analyser.NAME, analyser.ANALYSER))


def faults(connection: Any) -> list[str]:
    """What is wrong with the tables: what is not as the schema says, indexes that are not valid, and failed checksums.

    Where the extension ``amcheck`` is installed, every row of every table and every index is read and checked too.
    """
    found = objects.differences(postgres_objects.found(connection, _OURS), objects.wanted(DIALECT, _tables()))
    trees = []
    for name, valid, oid, access in connection.execute(_INDEXES, (_OURS,)).fetchall():
        if not valid:
            found.append(f"index {name} is not valid; run REINDEX INDEX {name}")
        elif access == "btree":
            trees.append(oid)
    failures = connection.execute(_CHECKSUM_FAILURES).fetchone()
    if failures is not None and failures[0]:
        found.append(f"the server has met {failures[0]} pages with a wrong checksum")
    if connection.execute(_HAS_AMCHECK).fetchone():
        found += _check_deeply(connection, sorted(_present(connection, kinds="r")), trees)
    return found


def _check_deeply(connection: Any, tables: list[str], indexes: list[int]) -> list[str]:
    found = []
    for name in tables:
        rows = connection.execute(
            "SELECT blkno, offnum, msg FROM verify_heapam(%s::regclass)", (f'"{name}"',)
        ).fetchall()
        found += [f"table {name}, block {block}, row {row}: {message}" for block, row, message in rows]
    for oid in indexes:
        connection.execute("SELECT bt_index_check(%s::bigint::oid::regclass, true)", (oid,))  # raises what it finds
    return found
