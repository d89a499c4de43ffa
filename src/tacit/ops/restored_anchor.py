"""The anchor file of a restored store, and what the old one knew of that the backup does not hold."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from sqlalchemy import func, select

from tacit.clock import Clock, from_micros
from tacit.errors import IntegrityError
from tacit.journal.mark import parse_anchor_line
from tacit.journal.node import Node
from tacit.journal.notary import Cadence, Notary
from tacit.journal.writer import Writer
from tacit.stores import schema, sqlite_file
from tacit.stores.leftovers import remove
from tacit.stores.port import Store

_STAMP = "%Y%m%dT%H%M%S%fZ"
_ends_of_chains = select(schema.event.c.mind, schema.event.c.origin, func.max(schema.event.c.sequence)).group_by(
    schema.event.c.mind, schema.event.c.origin
)
_Ends: TypeAlias = dict[tuple[bytes, bytes], int]


class RestoredAnchor:
    """The anchor of the restored store, written beside the old one before it takes its place."""

    def __init__(self, path: Path | None, draft: Path | None, held: _Ends) -> None:
        self.path = path
        self.missing = 0
        """How many events the old anchor vouches for that the store does not hold; known once it is replaced."""
        self._draft = draft
        self._held = held  # where each chain of the restored store ends

    @classmethod
    def prepare(cls, store: Store, old: Node | None, clock: Clock, path: Path | None) -> RestoredAnchor:
        """Sign the events behind the last checkpoint with the old key, which nobody will use any more, and write the
        checkpoints to a draft."""
        draft = draft_of(path) if path is not None else None
        if draft is not None:
            remove(draft)
        if old is not None:
            writer = Writer(store, origin=old.origin, clock=clock, projections={})
            try:
                Notary(store, writer, old, clock, Cadence(), None).sign_all()
                Notary(store, writer, old, clock, Cadence(), draft).anchor_missing()
            finally:
                writer.close()
        with store.snapshot() as snapshot:
            held = {(bytes(mind), bytes(origin)): int(last) for mind, origin, last in snapshot.rows(_ends_of_chains)}
        return cls(path, draft, held)

    def place(self, now: int) -> str:
        """Put the draft in place; where the old anchor is kept, or empty. Nobody may be writing to the old one."""
        if self.path is None or self._draft is None:
            return ""
        kept = ""
        ends, damaged = _read(self.path)
        self.missing = sum(max(0, last - self._held.get(chain, 0)) for chain, last in ends.items())
        if self.path.exists() and (self.missing or damaged or not self._draft.exists()):
            kept = str(free_name(self.path, now))
            self.path.rename(kept)
        if self._draft.exists():
            self._draft.replace(self.path)
        sqlite_file.sync_folder(self.path.parent)
        return kept


def _read(anchor: Path) -> tuple[_Ends, bool]:
    """Where the chains end that an anchor vouches for, and whether some of its lines are damaged."""
    ends: _Ends = {}
    if not anchor.exists():
        return ends, False
    damaged = False
    *lines, _cut = anchor.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            mark = parse_anchor_line(line, number, anchor)
        except IntegrityError:
            damaged = True
            continue
        ends[mark.mind, mark.origin] = max(ends.get((mark.mind, mark.origin), 0), mark.last)
    return ends, damaged


def draft_of(anchor: Path) -> Path:
    """Where the new anchor is written before it takes the place of the old one."""
    return anchor.with_name(f".{anchor.name}.partial")


def free_name(path: Path, now: int) -> Path:
    """A name that is free, beside ``path``."""
    kept = path.with_name(f"{path.name}.before-restore")
    return kept if not kept.exists() else path.with_name(f"{kept.name}-{from_micros(now).strftime(_STAMP)}")
