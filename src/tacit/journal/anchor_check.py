"""Checks the anchor file against the database: what was signed and anchored must still be there.

The file is opened before the database is read, so that every line in it was committed before that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import bindparam, func, select

from tacit.errors import IntegrityError
from tacit.journal.checkpoint_check import is_signed
from tacit.journal.mark import Checkpoint, anchor_line, parse_anchor_line
from tacit.journal.problems import Findings
from tacit.stores import schema
from tacit.stores.port import Snapshot

_checkpoint, _event = schema.checkpoint, schema.event
_same_place = select(*_checkpoint.c).where(
    _checkpoint.c.mind == bindparam("mind"),
    _checkpoint.c.origin == bindparam("origin"),
    _checkpoint.c.last == bindparam("last"),
)
_end_of_chain = select(func.max(_event.c.sequence)).where(
    _event.c.mind == bindparam("mind"), _event.c.origin == bindparam("origin")
)


class AnchorCheck:
    """The lines that an anchor file held when it was opened."""

    def __init__(self, findings: Findings, path: Path) -> None:
        self._findings = findings
        self._path = path
        self._file: BinaryIO | None = None
        self._size = 0
        self._agreed: set[tuple[bytes, bytes, int]] = set()  # so that a line that stands there twice counts once
        try:
            self._file = path.open("rb")
            self._size = path.stat().st_size
        except FileNotFoundError:
            return  # nothing was signed yet, or no anchor is kept: the report shows 0 anchored
        except OSError as error:
            findings.add("anchor", f"the anchor {path} cannot be read: {error.strerror}")

    def check(self, snapshot: Snapshot) -> None:
        """Compare each whole line with the database."""
        if self._file is None:
            return
        cut: dict[tuple[bytes, bytes], Checkpoint] = {}  # the last anchored checkpoint of each chain cut short
        with self._file:
            for number, mark in self._marks():
                if self._is_missing(snapshot, number, mark):
                    known = cut.get((mark.mind, mark.origin))
                    cut[mark.mind, mark.origin] = mark if known is None or known.last < mark.last else known
        self._findings.anchored = len(self._agreed)
        for mark in cut.values():
            self._report_cut(snapshot, mark)

    def _marks(self) -> Iterator[tuple[int, Checkpoint]]:
        assert self._file is not None
        left = self._size
        for number, line in enumerate(self._file, start=1):
            left -= len(line)
            if left < 0 or not line.endswith(b"\n"):
                return  # it was added or being written after the file was opened, or a crash cut it off
            try:
                mark = parse_anchor_line(line[:-1], number, self._path)
            except IntegrityError as error:
                self._findings.add("anchor", error.message)
                continue
            if anchor_line(mark) != line:
                self._add(f"line {number} of {self._path} was changed: it is not in its canonical form", mark)
            yield number, mark

    def _is_missing(self, snapshot: Snapshot, number: int, mark: Checkpoint) -> bool:
        rows = self._findings.read(snapshot, _same_place, mind=mark.mind, origin=mark.origin, last=mark.last)
        if rows is None:
            self._add(f"the checkpoint of line {number} cannot be read: {self._findings.unreadable}", mark)
        elif rows and Checkpoint(*rows[0]) == mark:
            self._agreed.add((mark.mind, mark.origin, mark.last))
        elif not is_signed(mark):
            self._add(f"line {number} of {self._path} was changed: its signature is not valid", mark)
        elif rows:
            self._add(f"the checkpoint was changed: line {number} of {self._path} says otherwise", mark)
        else:
            return True
        return False

    def _report_cut(self, snapshot: Snapshot, mark: Checkpoint) -> None:
        rows = self._findings.read(snapshot, _end_of_chain, mind=mark.mind, origin=mark.origin)
        end = rows[0][0] if rows else None
        if end is not None and end >= mark.last:
            self._add(f"a checkpoint up to sequence {mark.last:,} was anchored and is gone from the database", mark)
            return
        self._add(
            f"the tail of the chain was cut off: its last event is {end or 0:,}, but {mark.last:,} was anchored", mark
        )

    def _add(self, message: str, mark: Checkpoint) -> None:
        self._findings.add("anchor", message, mind=mark.mind, origin=mark.origin, sequence=mark.last)
