"""The notary signs checkpoints of this node's chains: on a cadence, on demand, and before the store closes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
from sqlalchemy import bindparam, func, select

from tacit.clock import MICROS_PER_SECOND, Clock
from tacit.errors import IntegrityError
from tacit.journal import mark, merkle
from tacit.journal.append import Appender
from tacit.journal.mark import Checkpoint
from tacit.journal.node import Node
from tacit.journal.writer import Writer
from tacit.stores import schema
from tacit.stores.port import Snapshot, Store

_log = logging.getLogger("tacit.journal.notary")
_event, _checkpoint = schema.event, schema.checkpoint
_last = (
    select(func.coalesce(func.max(_checkpoint.c.last), 0))
    .where(_checkpoint.c.mind == schema.head.c.mind, _checkpoint.c.origin == bindparam("origin"))
    .correlate(schema.head)
    .scalar_subquery()
)
_unsigned = select(schema.head.c.mind, _last, schema.head.c.sequence).where(
    schema.head.c.origin == bindparam("origin"), schema.head.c.sequence > _last
)
_lock = select(schema.head.c.position).where(schema.head.c.mind == bindparam("mind")).with_for_update()
_last_signed = select(func.max(_checkpoint.c.last)).where(
    _checkpoint.c.mind == bindparam("mind"), _checkpoint.c.origin == bindparam("origin")
)
_chain = (
    select(_event.c.sequence, _event.c.hash, _event.c.clock, _event.c.recorded_at)
    .where(
        _event.c.mind == bindparam("mind"),
        _event.c.origin == bindparam("origin"),
        _event.c.sequence > bindparam("after"),
    )
    .order_by(_event.c.sequence)
    .limit(bindparam("most"))
)
_all_checkpoints = select(*_checkpoint.c).order_by(_checkpoint.c.mind, _checkpoint.c.origin, _checkpoint.c.last)
_LARGEST = 100_000  # events under one checkpoint at most, so that a long backlog is signed in bounded memory


class Cadence(msgspec.Struct, frozen=True, kw_only=True):
    """When a checkpoint is due: after that many events, or when the oldest unsigned event is that many seconds old."""

    events: int = 1_000
    seconds: float = 60.0


class Notary:
    """Signs what has been written since the last checkpoint, and copies each checkpoint to the anchor file."""

    def __init__(self, store: Store, writer: Writer, node: Node, clock: Clock, cadence: Cadence, anchor: Path | None):
        self._store = store
        self._writer = writer
        self._node = node
        self._clock = clock
        self._cadence = cadence
        self._anchor = anchor
        self._anchoring = threading.Lock()  # lines go to the anchor file whole, one after the other

    def sign_due(self) -> list[Checkpoint]:
        """Sign the chains whose cadence says so."""
        return self._sign(force=False)

    def sign_all(self) -> list[Checkpoint]:
        """Sign every chain that has unsigned events."""
        return self._sign(force=True)

    def _sign(self, *, force: bool) -> list[Checkpoint]:
        with self._store.snapshot() as snapshot:
            minds = [bytes(row[0]) for row in self._due(snapshot, force=force)]
        made: list[Checkpoint] = []
        for mind in minds:
            while True:
                signed = self._writer.run(lambda appender, mind=mind: self._sign_mind(appender, mind))  # type: ignore[misc]
                if signed is None:
                    break
                made.append(signed)
        if made and self._anchor is not None:
            with self._anchoring:
                mark.append_anchor(self._anchor, made)
        return made

    def _due(self, snapshot: Snapshot, *, force: bool) -> Sequence[tuple[bytes, int, int]]:
        rows = [(row[0], row[1], row[2]) for row in snapshot.rows(_unsigned, origin=self._node.origin)]
        if force:
            return rows
        return [row for row in rows if row[2] - row[1] >= self._cadence.events or self._is_old(snapshot, row)]

    def _is_old(self, snapshot: Snapshot, unsigned: tuple[bytes, int, int]) -> bool:
        mind, last, _ = unsigned
        oldest = snapshot.row(_chain, mind=mind, origin=self._node.origin, after=last, most=1)
        if oldest is None:
            return False
        return self._clock.now() - int(oldest[3]) >= self._cadence.seconds * MICROS_PER_SECOND

    def _sign_mind(self, appender: Appender, mind: bytes) -> Checkpoint | None:
        transaction, origin = appender.transaction, self._node.origin
        transaction.row(_lock, mind=mind)  # another process of this node may be about to sign the same events
        row = transaction.row(_last_signed, mind=mind, origin=origin)
        after = int(row[0]) if row and row[0] is not None else 0
        events = transaction.rows(_chain, mind=mind, origin=origin, after=after, most=_LARGEST)
        if not events:
            return None
        last = events[-1]
        signed = mark.sign(
            self._node,
            mind,
            first=after + 1,
            last=int(last[0]),
            head=bytes(last[1]),
            root=merkle.root([bytes(event[1]) for event in events]),
            clock=int(last[2]),
            signed_at=self._clock.now(),
        )
        transaction.insert(_checkpoint, (signed.row(),))
        return signed

    def anchor_missing(self) -> None:
        """Bring the anchor file up to date: a crash may have come between the commit and the file.

        A damaged anchor stays as it is, and is warned of: it must not keep anybody from the store.
        """
        if self._anchor is None:
            return
        with self._anchoring:
            latest: dict[tuple[bytes, bytes], int] = {}
            try:
                anchored = mark.read_anchor(self._anchor)
            except IntegrityError as error:
                _log.warning("%s; run 'tacit journal verify', then move it away", error)
                return
            for known in anchored:
                chain = (known.mind, known.origin)
                latest[chain] = max(latest.get(chain, 0), known.last)
            missing = [made for made in self._checkpoints() if made.last > latest.get((made.mind, made.origin), 0)]
            if missing:
                mark.append_anchor(self._anchor, missing)

    def _checkpoints(self) -> list[Checkpoint]:
        with self._store.snapshot() as snapshot:
            return [Checkpoint(*row) for row in snapshot.rows(_all_checkpoints)]
