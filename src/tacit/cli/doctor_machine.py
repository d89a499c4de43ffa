"""What the doctor looks at on any machine: Python, the operating system, the database library, settings, extras."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from sqlcipher3 import dbapi2

from tacit.cli.finding import Finding, ok, problem, warning

if TYPE_CHECKING:
    from tacit.ops.settings import Loaded

TRIED_SYSTEMS = ("Linux",)
UNTRIED_SYSTEMS = ("Darwin", "Windows")
"""Expected to work for the embedded store, and never tried."""
EXTRAS = {"psycopg": "PostgreSQL stores: pip install 'tacit[postgres]'"}


def machine(loaded: Loaded) -> Iterator[Finding]:
    """Everything that does not depend on the store."""
    from tacit import __version__

    yield ok("tacit", __version__)
    yield ok("python", f"{platform.python_version()} ({platform.python_implementation()})")
    yield _system()
    yield from _database()
    for name, meaning in EXTRAS.items():
        yield ok(f"extra {name}", _installed(name) or f"not installed; only needed for {meaning}")
    yield from _settings(loaded)


def _system() -> Finding:
    system = platform.system()
    named = f"{system} {platform.release()} on {platform.machine()}"
    if system in TRIED_SYSTEMS:
        return ok("system", f"{named}; Tacit is tried on {', '.join(TRIED_SYSTEMS)}")
    expected = " It is expected to work there with an embedded store." if system in UNTRIED_SYSTEMS else ""
    return warning("system", f"{named}: Tacit has not been tried on it.{expected}")


def _database() -> Iterator[Finding]:
    connection = dbapi2.connect(":memory:")
    try:
        cipher = connection.execute("PRAGMA cipher_version").fetchone()
        yield ok("sqlite", f"{dbapi2.sqlite_version}, SQLCipher {cipher[0] if cipher else 'missing'}")
        if not cipher:
            yield warning("encryption", "this SQLite has no SQLCipher: stores cannot be encrypted")
        try:
            connection.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
            connection.execute("INSERT INTO words(words, rank) VALUES ('secure-delete', 1)")
        except dbapi2.Error as error:
            yield problem("full text", f"FTS5 with secure-delete is missing: {error}")
        else:
            yield ok("full text", "FTS5 with secure-delete")
    finally:
        connection.close()


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _settings(loaded: Loaded) -> Iterator[Finding]:
    given = [f"{key} ({source})" for key, source in loaded.sources.items() if source != "default"]
    yield ok("settings", ", ".join(given) if given else "all defaults")
    for text in loaded.warnings:
        yield warning("settings", text)
