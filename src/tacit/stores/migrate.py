"""Brings a store of an older schema up to date: forward only, all steps in one transaction, or none.

Only here is Alembic imported, because it takes long to load and is rarely needed. A step is a file in
``migrations/versions``; it must also run without a database, so that a dry run can show its SQL.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.base import Script
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlcipher3 import dbapi2 as driver

from tacit.errors import InvalidInput, SchemaMismatch, TacitError
from tacit.stores import schema
from tacit.stores.opening import file_path, is_postgres
from tacit.stores.revision import read_revision
from tacit.stores.sqlite import MEMORY, SqliteStore
from tacit.stores.sqlite_errors import translate

SCRIPTS = Path(__file__).parent / "migrations"
_alone = threading.Lock()  # Alembic keeps the migration that is running in module globals


class MigrationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a migration did, or would do."""

    found: str
    """The revision of the schema that the store had."""
    target: str
    """The revision that this program knows."""
    steps: list[str]
    """The steps between them, in order, as "revision: title"; empty when there is nothing to do."""
    sql: list[str]
    """The statements of those steps."""
    done: bool
    """Whether the store has the target revision now."""


def migrate(location: str, passphrase: str | None = None, dry_run: bool = False) -> MigrationReport:
    """Bring the store to the schema that this program knows. Doing it twice changes nothing more.

    Other processes may have the store open: they wait, and are told afterwards when they are too old for it.

    Args:
        location: as for ``open_store``.
        passphrase: the key of an encrypted file.
        dry_run: only say what would be done.

    Raises:
        SchemaMismatch: the store was written by a newer Tacit, or by something else.
        InvalidInput: a store in memory, which is always new.
        NotFound: there is no store there.
    """
    with _connected(location, passphrase) as connection, _alone:
        row = connection.execute(read_revision).one_or_none()
        found = str(row[0]) if row else ""
        steps = _steps(found)
        if steps and not dry_run:
            upgrade(connection)
        return MigrationReport(
            found=found,
            target=schema.SCHEMA_REVISION,
            steps=[f"{step.revision}: {step.doc}" for step in steps],
            sql=_sql(found, connection.dialect.name) if steps else [],
            done=not (steps and dry_run),
        )


def upgrade(connection: Connection) -> None:
    """Run, in the caller's transaction, every step that the database has not seen; in an empty one, all of them."""
    schema.revision.create(connection, checkfirst=True)
    command.upgrade(_config(connection=connection), schema.SCHEMA_REVISION)


def _config(output: io.StringIO | None = None, **attributes: Any) -> Config:
    config = Config(output_buffer=output, attributes=attributes)
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def _scripts() -> list[Script]:
    """Every step, from the first to the one that makes the schema that this program knows."""
    return list(ScriptDirectory.from_config(_config()).walk_revisions(head=schema.SCHEMA_REVISION))[::-1]


def _steps(found: str) -> list[Script]:
    """The steps from a revision to the target, in the order in which they run."""
    line = _scripts()
    names = [step.revision for step in line]
    if found not in names:
        raise SchemaMismatch(
            f"the store has schema {found or 'none'}, which is no older one of schema {schema.SCHEMA_REVISION}, "
            "the one that this program knows; install a newer Tacit",
            found=found,
            known=schema.SCHEMA_REVISION,
        )
    return line[names.index(found) + 1 :]


def _sql(found: str, dialect: str) -> list[str]:
    """The statements that lead from a revision to the target."""
    output = io.StringIO()
    command.upgrade(_config(output, dialect=dialect), f"{found}:{schema.SCHEMA_REVISION}", sql=True)
    lines = [line for line in output.getvalue().splitlines() if not line.startswith("--")]
    statements = "\n".join(lines).split(";\n")
    return [statement.strip() for statement in statements if statement.strip()]


@contextmanager
def _connected(location: str, passphrase: str | None) -> Iterator[Connection]:
    """A connection in a transaction that keeps all other writers out, for Alembic."""
    if is_postgres(location):
        with _connected_to_postgres(location) as connection:
            yield connection
        return
    path = file_path(location)
    if path == MEMORY:
        raise InvalidInput("a store in memory is always new; there is nothing to migrate")
    with closing(SqliteStore(path, passphrase=passphrase, create=False, migrating=True)) as store:
        engine = create_engine("sqlite://", module=driver, creator=store.connect, poolclass=NullPool)
        event.listen(engine, "begin", _begin_immediately)
        with _translated(translate, store.location), engine.begin() as connection:
            yield connection


@contextmanager
def _connected_to_postgres(location: str) -> Iterator[Connection]:
    from tacit.stores.postgres import PostgresStore  # its driver is optional
    from tacit.stores.postgres_errors import translate as translate_postgres
    from tacit.stores.postgres_tables import LOCK_ALONE

    with closing(PostgresStore(location, pool_min=0, pool_max=1, create=False, migrating=True)) as store:

        def connect() -> Any:
            connection = store.connect()
            connection.autocommit = False
            return connection

        engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
        with _translated(translate_postgres, store.location), engine.begin() as connection:
            connection.execute(text(LOCK_ALONE))
            yield connection


@contextmanager
def _translated(translate: Callable[[Exception, str], TacitError], location: str) -> Iterator[None]:
    """Turn the driver's errors, which SQLAlchemy wraps, into Tacit's."""
    try:
        yield
    except DBAPIError as error:
        raise translate(error.orig if isinstance(error.orig, Exception) else error, location) from error


def _begin_immediately(connection: Connection) -> None:
    """The driver is in autocommit mode; this takes the write lock before anything is read."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
