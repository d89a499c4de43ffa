"""Takes what deleted and moved rows leave behind out of a plain SQLite file.

With ``secure_delete`` SQLite overwrites what it deletes. But where it moves a row to another page (when a page is
split, or two are put together), the old copy stays in the unused part between the page's index and its rows, and is
not found again when the row is deleted (SQLite's "Database File Format", section 1.6). VACUUM would write the whole
file anew, through memory; this overwrites only those unused bytes, which no reader ever looks at.

Nobody may write meanwhile: the caller's connection holds the lock on writing, the log is empty, and so the file alone
says what there is. Afterwards one page is written through SQLite, so that every other connection, in every process,
drops its copies of pages, in which the old bytes still stand.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from tacit.stores.forking import FreshLock

_CHUNK_BYTES = 4 << 20
_FILE_HEADER_BYTES = 100
_LEAF_HEADER, _INNER_HEADER = 8, 12
_HEADER_BYTES = {2: _INNER_HEADER, 5: _INNER_HEADER, 10: _LEAF_HEADER, 13: _LEAF_HEADER}
"""Of the pages of indexes and tables, by their first byte. Other pages begin with the number of another page, whose
first byte is 0 in files up to 64 GB; larger ones are not scrubbed."""
_LARGEST_BYTES = 64 << 30
_COUNTS = struct.Struct(">HH")
_Identity: TypeAlias = tuple[int, int]
_users: Counter[_Identity] = Counter()
_handles: dict[_Identity, int] = {}
"""One for each file, open for as long as any store of this process has the file open: closing one would take away the
locks that SQLite has on the file in this process (fcntl(2))."""
_lock = FreshLock()  # guards both


def begin(identity: _Identity | None) -> None:
    """A store of this process is about to open the file."""
    if identity is not None:
        with _lock:
            _users[identity] += 1


def end(identity: _Identity | None) -> None:
    """A store of this process has closed the file."""
    if identity is None:
        return
    with _lock:
        _users[identity] -= 1
        if _users[identity] <= 0:
            del _users[identity]
            handle = _handles.pop(identity, None)
            if handle is not None:
                os.close(handle)


def empty_log(connection: Any, log: Path, then: Callable[[], None]) -> bool:
    """Fold the log back into the file, and run ``then`` while it is empty and nobody can write.

    Returns:
        whether that could be done; not while somebody reads as of an earlier time, or writes again and again.
    """
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        if log.exists() and log.stat().st_size:
            connection.execute("ROLLBACK")  # somebody wrote in between
            return False
        then()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version={int(version)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return True


def clear_gaps(path: Path, page_bytes: int) -> int:
    """Overwrite the unused bytes of every page of the file; on how many there were any.

    See the head of this file for what the caller must see to.
    """
    if not hasattr(os, "pread"):
        return 0  # Windows, whose locks are of another kind
    handle = _handle(path)
    size, cleared = os.fstat(handle).st_size, 0
    if size > _LARGEST_BYTES:
        return 0
    chunk_bytes = _CHUNK_BYTES // page_bytes * page_bytes
    for start in range(0, size, chunk_bytes):
        chunk = os.pread(handle, chunk_bytes, start)
        for at in range(0, len(chunk) - page_bytes + 1, page_bytes):
            first, last = _gap(chunk, at, page_bytes, start + at == 0)
            if first < last and chunk.count(0, first, last) < last - first:
                os.pwrite(handle, bytes(last - first), start + first)
                cleared += 1
    if cleared:
        os.fsync(handle)
    return cleared


def _gap(chunk: bytes, at: int, page_bytes: int, is_first: bool) -> tuple[int, int]:
    """Where the unused part of the page at an offset begins and ends, in the chunk; nothing if it is no such page."""
    header = at + (_FILE_HEADER_BYTES if is_first else 0)
    header_bytes = _HEADER_BYTES.get(chunk[header])
    if header_bytes is None:
        return 0, 0
    cells, content = _COUNTS.unpack_from(chunk, header + 3)
    first = header + header_bytes + 2 * cells
    last = at + (content or 65_536)
    return (first, last) if header < first <= last <= at + page_bytes else (0, 0)


def _handle(path: Path) -> int:
    found = path.stat()
    key = (found.st_dev, found.st_ino)
    with _lock:
        if key not in _handles:
            _handles[key] = os.open(path, os.O_RDWR)
        return _handles[key]
