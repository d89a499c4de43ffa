"""The anchor file of a restored store, and what the old one knew of that the backup does not hold."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import bindparam, func, select

from tacit.clock import Clock, from_micros
from tacit.errors import IntegrityError
from tacit.journal.mark import parse_anchor_line
from tacit.journal.node import Node
from tacit.journal.notary import Cadence, Notary
from tacit.journal.writer import Writer
from tacit.stores import schema, sqlite_file
from tacit.stores.port import Store

_STAMP = "%Y%m%dT%H%M%S%fZ"
_end_of_chain = select(func.coalesce(func.max(schema.event.c.sequence), 0)).where(
    schema.event.c.mind == bindparam("mind"), schema.event.c.origin == bindparam("origin")
)


class RestoredAnchor:
    """The anchor of the restored store, written beside the old one before it takes its place."""

    def __init__(self, path: Path | None, draft: Path | None, *, missing: int, damaged: bool) -> None:
        self.path = path
        self.missing = missing
        self._draft = draft
        self._keep = missing > 0 or damaged

    @classmethod
    def prepare(cls, store: Store, old: Node | None, clock: Clock, path: Path | None) -> RestoredAnchor:
        """Sign the events behind the last checkpoint with the old key, which nobody will use any more, and write the
        checkpoints to a draft."""
        draft = draft_of(path) if path is not None else None
        if draft is not None:
            draft.unlink(missing_ok=True)
        if old is not None:
            writer = Writer(store, origin=old.origin, clock=clock, projections={})
            try:
                Notary(store, writer, old, clock, Cadence(), None).sign_all()
                Notary(store, writer, old, clock, Cadence(), draft).anchor_missing()
            finally:
                writer.close()
        missing, damaged = _beyond(store, path) if path is not None else (0, False)
        return cls(path, draft, missing=missing, damaged=damaged)

    def place(self, now: int) -> str:
        """Put the draft in place; where the old anchor is kept, or empty."""
        if self.path is None or self._draft is None:
            return ""
        kept = ""
        if self.path.exists() and (self._keep or not self._draft.exists()):
            kept = str(free_name(self.path, now))
            self.path.rename(kept)
        if self._draft.exists():
            self._draft.replace(self.path)
        sqlite_file.sync_folder(self.path.parent)
        return kept


def _beyond(store: Store, anchor: Path) -> tuple[int, bool]:
    """How many events an anchor vouches for that the store does not hold, and whether some of its lines are damaged."""
    if not anchor.exists():
        return 0, False
    ends: dict[tuple[bytes, bytes], int] = {}
    damaged = False
    *lines, _cut = anchor.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            mark = parse_anchor_line(line, number, anchor)
        except IntegrityError:
            damaged = True
            continue
        ends[mark.mind, mark.origin] = max(ends.get((mark.mind, mark.origin), 0), mark.last)
    missing = 0
    with store.snapshot() as snapshot:
        for (mind, origin), last in ends.items():
            row = snapshot.row(_end_of_chain, mind=mind, origin=origin)
            missing += max(0, last - (int(row[0]) if row else 0))
    return missing, damaged


def draft_of(anchor: Path) -> Path:
    """Where the new anchor is written before it takes the place of the old one."""
    return anchor.with_name(f".{anchor.name}.partial")


def free_name(path: Path, now: int) -> Path:
    """A name that is free, beside ``path``."""
    kept = path.with_name(f"{path.name}.before-restore")
    return kept if not kept.exists() else path.with_name(f"{kept.name}-{from_micros(now).strftime(_STAMP)}")
