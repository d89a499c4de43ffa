"""Opens the store that a location names."""

from __future__ import annotations

import re
from urllib.parse import unquote

from tacit.errors import InvalidInput
from tacit.stores.port import Store
from tacit.stores.sqlite import MEMORY, SqliteStore

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_POSTGRES = ("postgresql", "postgres")


def is_postgres(location: str) -> bool:
    """Whether a location names a PostgreSQL database."""
    return location.startswith(tuple(f"{scheme}://" for scheme in _POSTGRES))


def file_path(location: str) -> str:
    """The path in a location that names an embedded store: a plain path, ``sqlite:///path``, or ``:memory:``.

    Raises:
        InvalidInput: it is empty, or a URL of something else.
    """
    if not location:
        raise InvalidInput("the store has no location; give a path, ':memory:' or a postgresql:// URL")
    scheme, mark, rest = location.partition("://")
    if not mark or not _SCHEME.fullmatch(scheme):
        return location
    if scheme != "sqlite":
        raise InvalidInput(
            f"{scheme}:// is no store that Tacit knows; give a path, sqlite:///path, ':memory:' or a postgresql:// URL",
            scheme=scheme,
        )
    if not rest.startswith("/"):
        raise InvalidInput("write sqlite:///path with three slashes, or sqlite:////path from the root", scheme=scheme)
    return unquote(rest[1:]) or MEMORY


def open_store(
    location: str,
    *,
    passphrase: str | None = None,
    busy_timeout: float = 30.0,
    create: bool = True,
    read_only: bool = False,
    migrating: bool = False,
    pool_min: int = 10,
    pool_max: int = 100,
    pool_timeout: float = 30.0,
) -> Store:
    """Open an embedded store or a PostgreSQL database.

    Args:
        location: a path, ``sqlite:///path``, ``":memory:"``, or a ``postgresql://`` URL.
        passphrase: the key of an encrypted file.
        busy_timeout: how long a write to a file waits for other processes, in seconds.
        create: make a store where there is none.
        read_only: open without the right to change anything.
        migrating: accept an older schema, which ``tacit migrate`` is about to change.
        pool_min, pool_max, pool_timeout: the pool of connections to PostgreSQL; the timeout is in seconds.

    Raises:
        InvalidInput: the location is not understood.
        TacitError: see ``SqliteStore`` and ``PostgresStore``.
    """
    if not is_postgres(location):
        return SqliteStore(
            file_path(location),
            passphrase=passphrase,
            busy_timeout=busy_timeout,
            create=create,
            read_only=read_only,
            migrating=migrating,
        )
    if passphrase is not None:
        raise InvalidInput("a passphrase encrypts an embedded store; encrypt the disk of the PostgreSQL server instead")
    from tacit.stores.postgres import PostgresStore  # the driver is optional, and slow to import

    return PostgresStore(
        location,
        pool_min=pool_min,
        pool_max=pool_max,
        pool_timeout=pool_timeout,
        create=create,
        read_only=read_only,
        migrating=migrating,
    )
