"""What PostgreSQL says, in Tacit's errors; and its address without the password."""

from __future__ import annotations

import contextlib
import logging
import re
from urllib.parse import quote, urlencode

from tacit.errors import (
    Conflict,
    InvalidInput,
    NotAStore,
    NotFound,
    PermissionDenied,
    ReadOnly,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnavailable,
    TacitError,
)

try:
    import psycopg as psycopg
    import psycopg_pool as psycopg_pool
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.types.numeric import Int8BinaryDumper as Int8BinaryDumper
except ImportError as error:
    raise StoreError(
        "a postgresql:// store needs its driver, which is not installed; run: pip install 'tacit[postgres]'"
    ) from error

for _driver in ("psycopg", "psycopg_pool"):
    # What the driver and its pool warn of, we raise. Without a handler somewhere, logging would write it to stderr.
    logging.getLogger(_driver).addHandler(logging.NullHandler())

_SECRETS = ("password", "sslpassword")
_LOST = "08006"  # connection_failure
_MEANINGS: tuple[tuple[tuple[str, ...], type[TacitError], str], ...] = (
    # SQLSTATE or how it begins ("PostgreSQL Error Codes" in its manual), our error, its message. The first match wins.
    (("53100",), StoreFull, "no space is left for {location}; free some and try again. Nothing acknowledged was lost"),
    (("23505",), Conflict, "a row exists already: {text}"),
    # serialization, deadlock, lock and statement timeouts, and all other lack of resources
    (
        ("40001", "40P01", "55P03", "57014", "53"),
        StoreBusy,
        "{location} is busy: {text}. Try again; if it has too few connections, raise its max_connections",
    ),
    # connections lost, shut down, or not accepted yet
    (
        ("08", "57P", "25P03"),
        StoreUnavailable,
        "{location} cannot be reached: {text}. Try again when the server is back",
    ),
    (
        ("28", "42501"),
        PermissionDenied,
        "{location} refuses: {text}. Check the user, the password and the rights in the database",
    ),
    (("25006",), ReadOnly, "{location} cannot be written: {text}. Is it a standby server?"),
    # tables or columns that are not there, and corruption that the server itself has found
    (
        ("42P01", "42703", "XX001", "XX002"),
        NotAStore,
        "{location} is damaged or not a Tacit store ({text}). It was left as it is; restore a backup",
    ),
    (("3D000", "3F000"), NotFound, "{location} does not exist: {text}. Run 'createdb' or CREATE SCHEMA first"),
)
_REFUSALS = (
    # A connection that is refused has no SQLSTATE, only the server's words.
    (re.compile(r"too many clients|remaining connection slots|too many connections"), "53300"),
    (re.compile(r"authentication failed|no password supplied|pg_hba\.conf|role \S+ does not exist"), "28000"),
    (re.compile(r"database \S+ does not exist"), "3D000"),
)


def parse(url: str) -> dict[str, str]:
    """The parts of a ``postgresql://`` URL, by libpq's names.

    Raises:
        InvalidInput: it cannot be read. The message does not repeat it: it may hold a password.
    """
    with contextlib.suppress(psycopg.Error):  # its message may repeat the URL, so it is not even the cause of ours
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
        if re.fullmatch(r"[\d,]*", parts.get("port", "")):
            return parts
    raise InvalidInput(
        "the postgresql:// URL cannot be read; write it as postgresql://user:password@host:port/database, "
        "with %-escapes for special characters"
    )


def address(parts: dict[str, str]) -> str:
    """The URL for people: without any password or option."""
    user, host = parts.get("user", ""), parts.get("host", "")
    port = f":{parts['port']}" if "port" in parts else ""
    is_socket = host.startswith(("/", "@"))
    name = quote(user, safe="") + "@" if user else ""
    query = "?" + urlencode({"host": host}, safe="/") if is_socket else ""
    return f"postgresql://{name}{'' if is_socket else host}{port}/{quote(parts.get('dbname', ''), safe='')}{query}"


def without_secrets(text: str, parts: dict[str, str]) -> str:
    """The text with every password of the URL replaced, should a driver ever repeat it."""
    for name in _SECRETS:
        if parts.get(name):
            text = text.replace(parts[name], "***")
    return text


def translate(error: Exception, location: str) -> TacitError:
    """The error of Tacit's that says what the driver's means, with what to do."""
    text = str(error).strip()
    state = _state(error, text)
    for beginnings, kind, message in _MEANINGS:
        if state.startswith(beginnings):
            return kind(message.format(location=location, text=text), path=location)
    if isinstance(error, psycopg.DataError):
        return InvalidInput(f"{location} cannot hold a value: {text}", path=location)
    return StoreError(f"the database failed on {location}: {text}", path=location)


def _state(error: Exception, text: str) -> str:
    """The SQLSTATE of an error; empty when it arose in the driver itself."""
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return str(state)
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return ""
    return next((state for pattern, state in _REFUSALS if pattern.search(text)), _LOST)
