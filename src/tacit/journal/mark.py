"""Signed checkpoints: what they say, how they are signed, and the anchor file that keeps them outside the database."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from tacit.errors import IntegrityError, StoreError, StoreFull
from tacit.ids import format_id, parse_id
from tacit.journal import canonical
from tacit.journal.node import Node, is_signed_by
from tacit.stores.sqlite_file import sync_folder

_TAG = b"tacit/mark/1".ljust(16, b"\x00")
_MESSAGE = struct.Struct(">16s16s32sQQ32s32sQq")
ANCHOR_VERSION = 1


class Checkpoint(msgspec.Struct, frozen=True):
    """A signed statement about events ``first`` … ``last`` of one chain, in the order of the ``checkpoint`` table."""

    mind: bytes
    origin: bytes
    last: int
    first: int
    head: bytes
    root: bytes
    clock: int
    signed_at: int
    signature: bytes

    def message(self) -> bytes:
        """The bytes that are signed."""
        return message(self.mind, self.origin, self.first, self.last, self.head, self.root, self.clock, self.signed_at)

    def is_valid(self) -> bool:
        """Whether the origin's key signed exactly this."""
        return is_signed_by(self.origin, self.message(), self.signature)

    def row(self) -> tuple[Any, ...]:
        """The checkpoint as a row of its table."""
        return msgspec.structs.astuple(self)


def message(
    mind: bytes, origin: bytes, first: int, last: int, head: bytes, root: bytes, clock: int, signed_at: int
) -> bytes:
    """The signed bytes, in the order of the specification."""
    return _MESSAGE.pack(_TAG, mind, origin, first, last, head, root, clock, signed_at)


def sign(
    node: Node, mind: bytes, *, first: int, last: int, head: bytes, root: bytes, clock: int, signed_at: int
) -> Checkpoint:
    """A checkpoint signed by this node for its own chain."""
    signature = node.sign(message(mind, node.origin, first, last, head, root, clock, signed_at))
    return Checkpoint(mind, node.origin, last, first, head, root, clock, signed_at, signature)


def anchor_line(mark: Checkpoint) -> bytes:
    """The line of the anchor file for a checkpoint."""
    return (
        canonical.encode(
            {
                "v": ANCHOR_VERSION,
                "mind": format_id(mark.mind),
                "origin": mark.origin.hex(),
                "first": mark.first,
                "last": mark.last,
                "head": mark.head.hex(),
                "root": mark.root.hex(),
                "clock": str(mark.clock),
                "signed_at": str(mark.signed_at),
                "signature": mark.signature.hex(),
            }
        )
        + b"\n"
    )


def read_anchor(path: Path) -> list[Checkpoint]:
    """The checkpoints in an anchor file; empty when there is none.

    A last line without its line break was cut off by a crash and is left out: its checkpoint is in the database.

    Raises:
        IntegrityError: a whole line is not a checkpoint.
        StoreError: the file cannot be read.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"the anchor {path} cannot be read: {error.strerror}", path=str(path)) from error
    *lines, _cut = raw.split(b"\n")
    return [parse_anchor_line(line, number, path) for number, line in enumerate(lines, start=1)]


def parse_anchor_line(line: bytes, number: int, path: Path) -> Checkpoint:
    """The checkpoint of one line, without its line break.

    Raises:
        IntegrityError: it is none; the message names the file and the line.
    """
    try:
        fields = canonical.decode(line)
        if fields["v"] != ANCHOR_VERSION:
            raise ValueError("another version of the format")
        return Checkpoint(
            mind=parse_id(fields["mind"]),
            origin=bytes.fromhex(fields["origin"]),
            last=int(fields["last"]),
            first=int(fields["first"]),
            head=bytes.fromhex(fields["head"]),
            root=bytes.fromhex(fields["root"]),
            clock=int(fields["clock"]),
            signed_at=int(fields["signed_at"]),
            signature=bytes.fromhex(fields["signature"]),
        )
    except Exception as error:
        raise IntegrityError(f"line {number} of the anchor {path} is damaged", path=str(path), line=number) from error


def append_anchor(path: Path, marks: Iterable[Checkpoint]) -> None:
    """Add checkpoints to the anchor file, durably. A line that a crash cut off is taken away first.

    Raises:
        StoreFull, StoreError: the file could not be written; the checkpoints are in the database all the same.
    """
    data = b"".join(anchor_line(mark) for mark in marks)
    append_lines(path, data, "anchor")


def append_lines(path: Path, data: bytes, called: str) -> None:
    """Add whole lines to a file, durably. A line that a crash cut off is taken away first.

    Raises:
        StoreFull, StoreError: the file, which errors call so, could not be written.
    """
    try:
        _append(path, data)
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
        raise kind(f"the {called} {path} cannot be written: {error.strerror}", path=str(path)) from error


def _append(path: Path, data: bytes) -> None:
    is_new = not path.exists()
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                _drop_cut_line(file)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_folder(path.parent)


def _drop_cut_line(file: Any) -> None:
    file.seek(0)
    whole = file.read()
    file.truncate(whole.rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)
