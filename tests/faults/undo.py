"""The undo log that the preloaded library writes: reading it, and playing its records backwards and forwards."""

from __future__ import annotations

import enum
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("=IIQQQqqq")


class Kind(enum.IntEnum):
    """What a record is about; the numbers are those of ``lossy_log.h``."""

    WRITE = 1
    TRUNCATE = 2
    SYNC = 3
    SYNC_FAILED = 4
    SYNC_DIRECTORY = 5
    CREATE = 6
    UNLINK = 7
    RENAME = 8


@dataclass(frozen=True)
class Record:
    """One change, as it was logged just before it was made; a sync is logged after it returned, with its begin time."""

    kind: Kind
    time: int
    """Nanoseconds of the machine's monotonic clock, the same for all processes."""
    inode: int
    path: Path
    data: bytes
    """The old bytes that a write or truncation replaced; for a rename, the new path."""
    offset: int
    """Where a write began; the new size for a truncation."""
    length: int
    """How many bytes a write asked for; for a rename, the inode of the file it replaced, or 0."""
    old_size: int

    @property
    def target(self) -> Path:
        """The new path of a rename."""
        return Path(os.fsdecode(self.data))


def read(log: Path) -> list[Record]:
    """All records of all processes, in the order in which the changes were made."""
    records = [record for file in sorted(log.glob("undo-*")) for record in _records(file.read_bytes())]
    return sorted(records, key=lambda record: record.time)


def _records(content: bytes) -> Iterator[Record]:
    """A record cut short at the end belongs to a process killed while it wrote it: its change was never made."""
    at = 0
    while at + _HEADER.size <= len(content):
        kind, path_length, time, inode, data_length, offset, length, old_size = _HEADER.unpack_from(content, at)
        path_at = at + _HEADER.size
        data_at = path_at + path_length
        at = data_at + data_length
        if at > len(content):
            return
        path = Path(os.fsdecode(content[path_at:data_at]))
        yield Record(Kind(kind), time, inode, path, content[data_at:at], offset, length, old_size)


def undo_data(file: int, record: Record) -> bytes:
    """Takes a write or truncation back and returns the bytes it had written, for ``redo_data``."""
    written = os.pread(file, record.length, record.offset)
    _write_all(file, record.data, record.offset)
    os.ftruncate(file, record.old_size)
    return written


def redo_data(file: int, record: Record, written: bytes) -> None:
    """Makes a write or truncation again that was taken back."""
    if record.kind is Kind.TRUNCATE:
        os.ftruncate(file, record.offset)
    _write_all(file, written, record.offset)


def _write_all(file: int, content: bytes, offset: int) -> None:
    while content:
        done = os.pwrite(file, content, offset)
        content, offset = content[done:], offset + done


def undo_entry(log: Path, record: Record) -> None:
    """Takes back that a name was made, removed or changed; nothing where the process died just before that."""
    if record.kind is Kind.CREATE and _inode(record.path) == record.inode:
        _save(log, record)
        record.path.unlink()
    if record.kind is Kind.UNLINK and _inode(record.path) is None:
        os.link(saved(log, record.inode), record.path)
    if record.kind is Kind.RENAME and _inode(record.target) == record.inode:
        record.target.rename(record.path)
        if record.length:
            os.link(saved(log, record.length), record.target)


def redo_entry(log: Path, record: Record) -> None:
    """Makes a change of a name again that was taken back."""
    if record.kind is Kind.CREATE and _inode(record.path) is None:
        os.link(saved(log, record.inode), record.path)
    if record.kind is Kind.UNLINK:
        record.path.unlink()
    if record.kind is Kind.RENAME:
        record.path.replace(record.target)


def saved(log: Path, inode: int) -> Path:
    """The link that keeps a file which lost its name."""
    return log / f"saved-{inode}"


def _save(log: Path, record: Record) -> None:
    if not saved(log, record.inode).exists():
        os.link(record.path, saved(log, record.inode))


def _inode(path: Path) -> int | None:
    return path.lstat().st_ino if os.path.lexists(path) else None
