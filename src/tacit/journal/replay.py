"""Rebuilds every view from the journal alone, and compares.

The journal is copied into an empty store and folded again, in the total order, by the same projections and consumers.
No model is asked and nothing is written to the journal: what a consumer emitted when it ran is in the journal already,
so a replay finds it there instead of emitting it. A consumer that asks a model writes the answer into an event, and
views come from that event; such a consumer keeps no views and is not handed to a replay.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Table, bindparam, select

from tacit.clock import ManualClock
from tacit.errors import Conflict, IntegrityError
from tacit.ids import format_id
from tacit.journal import canonical
from tacit.journal.append import Appended, Appender, Prepared, Projection
from tacit.journal.consumer import EventConsumer
from tacit.journal.erasing import erased_events
from tacit.journal.event import Event
from tacit.journal.expiring import EPISODE_EXPIRED, Expired, expired_events
from tacit.journal.journal import by_kind
from tacit.journal.order import TotalOrder
from tacit.journal.read import event_by_id, events_after
from tacit.stores import schema
from tacit.stores.copy import batches
from tacit.stores.port import Snapshot, Store, Transaction
from tacit.stores.sqlite import MEMORY, SqliteStore

_BATCH = 500
_first_mind = select(schema.event.c.mind).order_by(schema.event.c.mind).limit(1)
_next_mind = _first_mind.where(schema.event.c.mind > bindparam("after"))
_body_at = select(schema.payload.c.body).where(
    schema.payload.c.mind == bindparam("mind"), schema.payload.c.position == bindparam("position")
)
_last_event = (
    select(*schema.event.c)
    .where(schema.event.c.mind == bindparam("mind"))
    .order_by(schema.event.c.position.desc())
    .limit(1)
)
_offsets = select(schema.consumer.c.mind, schema.consumer.c.name, schema.consumer.c.position)

Offsets = Mapping[tuple[bytes, str], int]
"""How far each consumer had come: (mind, consumer) → position."""


def view_digests(snapshot: Snapshot) -> dict[str, str]:
    """The digest of each view table, in hex.

    A digest is SHA-256 over MessagePack: an array of the table's name and an array of its columns' names, followed by
    each row as an array, in the order of the primary key (text by its UTF-8 bytes). Equal rows give equal digests.
    """
    return {table.name: _digest(snapshot, table) for table in schema.tables("view")}


def _digest(snapshot: Snapshot, table: Table) -> str:
    encode = msgspec.msgpack.Encoder().encode
    digest = hashlib.sha256(encode([str(table.name), [str(column.name) for column in table.c]]))
    for rows in batches(snapshot, table):
        digest.update(b"".join([encode(row) for row in rows]))
    return digest.hexdigest()


def compare(live: Mapping[str, str], rebuilt: Mapping[str, str]) -> list[str]:
    """The names of the views whose digests differ, or that only one side has."""
    return sorted(name for name in live.keys() | rebuilt.keys() if live.get(name) != rebuilt.get(name))


def replay(
    source: Store,
    target: Store,
    projections: Sequence[Projection],
    consumers: Sequence[EventConsumer] = (),
    *,
    progress: Callable[[int], object] | None = None,
) -> dict[str, str]:
    """Copy the journal into ``target`` and rebuild its views and heads there; the digests of the views.

    Args:
        target: an empty store, such as :func:`scratch_store` gives.
        projections: those of the live store, without limits.
        consumers: those that keep views; they run until the head of the journal.
        progress: called now and then with the number of events folded so far.

    Raises:
        Conflict: ``target`` is not empty.
        IntegrityError: the journal lacks a payload, or an event that a consumer emits; run ``verify``, or let the live
            consumers reach the head first.
    """
    with source.snapshot() as snapshot:
        _copy_journal(snapshot, target)
    return _rebuild(target, projections, consumers, None, progress)


def differing_views(
    source: Store,
    target: Store,
    projections: Sequence[Projection],
    consumers: Sequence[EventConsumer] = (),
    *,
    progress: Callable[[int], object] | None = None,
) -> list[str]:
    """Replay and compare, while others may go on writing: the names of views that are not what the journal says.

    Journal, views and consumers' offsets are read in one snapshot, and each consumer runs as far as it had come there.
    """
    with source.snapshot() as snapshot:
        live = view_digests(snapshot)
        offsets = {(bytes(mind), name): position for mind, name, position in snapshot.rows(_offsets)}
        _copy_journal(snapshot, target)
    return compare(live, _rebuild(target, projections, consumers, offsets, progress))


@contextlib.contextmanager
def scratch_store(folder: Path | None = None) -> Iterator[Store]:
    """An empty store that is gone afterwards: in memory, or an encrypted file in ``folder`` for a large journal."""
    if folder is None:
        with contextlib.closing(SqliteStore(MEMORY)) as store:
            yield store
        return
    with tempfile.TemporaryDirectory(prefix=".tacit-replay-", dir=folder) as inside:
        path = Path(inside) / "replay.db"
        with contextlib.closing(SqliteStore(path, passphrase=secrets.token_hex(32))) as store:
            yield store


# ── copying ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _copy_journal(snapshot: Snapshot, target: Store) -> None:
    with target.snapshot() as empty:
        if empty.row(_first_mind) is not None:
            raise Conflict(f"{target.location} is not empty; replay into an empty store", path=target.location)
    for table in schema.tables("journal"):
        for rows in batches(snapshot, table):
            with target.transaction() as transaction:
                transaction.insert(table, rows)


# ── folding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rebuild(
    target: Store,
    projections: Sequence[Projection],
    consumers: Sequence[EventConsumer],
    offsets: Offsets | None,
    progress: Callable[[int], object] | None,
) -> dict[str, str]:
    folders, done = by_kind(projections), 0
    with target.snapshot() as snapshot:
        minds = _minds(snapshot)
    for mind in minds:
        for count in _fold(target, mind, folders):
            done += count
            if progress is not None:
                progress(done)
        for consumer in consumers:
            _consume(target, mind, consumer, None if offsets is None else offsets.get((mind, consumer.name), 0))
    with target.snapshot() as snapshot:
        return view_digests(snapshot)


def _minds(snapshot: Snapshot) -> list[bytes]:
    found: list[bytes] = []
    row = snapshot.row(_first_mind)
    while row is not None:
        found.append(bytes(row[0]))
        row = snapshot.row(_next_mind, after=found[-1])
    return found


def _fold(target: Store, mind: bytes, folders: Mapping[str, Sequence[Projection]]) -> Iterator[int]:
    """Fold a mind's events batch by batch, each in one transaction; how many each batch had."""
    with target.snapshot() as snapshot:
        order, erased = TotalOrder(snapshot, mind), erased_events(snapshot, mind)
        expired = expired_events(snapshot, mind)
    while True:
        with target.transaction() as transaction:
            events = order.take(transaction, _BATCH)
            if not events:
                _set_head(transaction, mind)
                return
            for event in events:
                if event.id in erased:  # erasing left the views as if it had never been
                    continue
                if event.id in expired:
                    _apply_what_stayed(transaction, event, expired[event.id], folders.get(EPISODE_EXPIRED, ()))
                else:
                    _apply(transaction, event, folders.get(event.kind, ()))
        yield len(events)


def _apply(transaction: Transaction, event: Event, folders: Sequence[Projection]) -> None:
    if not folders:
        return
    row = transaction.row(_body_at, mind=event.mind, position=event.position)
    if row is None:
        raise IntegrityError(
            f"the payload of event {format_id(event.id)} is missing, so its views cannot be rebuilt; "
            "run 'tacit journal verify'",
            id=format_id(event.id),
            sequence=event.sequence,
        )
    body = bytes(row[0])
    payload = canonical.decode(body)
    for projection in folders:
        projection.apply(transaction, event, payload, len(body))


def _apply_what_stayed(transaction: Transaction, event: Event, expired: Expired, folders: Sequence[Projection]) -> None:
    """Fold, in the place of an event whose payload expired, the event by which it did: later ones build on it."""
    if not expired.stands_in:
        return
    recorded = event_by_id(transaction, event.mind, expired.by)
    assert recorded is not None
    payload = {**(recorded.payload or {}), "at": format_id(event.id)}
    for projection in folders:
        projection.apply(transaction, recorded.event, payload, 0)


def _set_head(transaction: Transaction, mind: bytes) -> None:
    row = transaction.row(_last_event, mind=mind)
    assert row is not None
    last = Event(*row)
    transaction.insert(
        schema.head,
        ((mind, last.position, last.clock, last.recorded_at, last.origin, last.sequence, last.hash),),
    )


# ── consumers ────────────────────────────────────────────────────────────────────────────────────────────────────────


class ReplayAppender(Appender):
    """What a consumer gets in a replay: appending finds the event that the live run emitted, and writes nothing."""

    def __init__(self, transaction: Transaction, consumer: str) -> None:
        super().__init__(transaction, origin=b"", clock=ManualClock(0), projections={}, retrying=True)
        self._consumer = consumer

    def append(self, mind: bytes, prepared: Prepared) -> Appended:
        """The event in the journal.

        Raises:
            IntegrityError: the journal does not hold it.
        """
        recorded = event_by_id(self.transaction, mind, prepared.id)
        if recorded is None:
            raise IntegrityError(
                f"in the replay, {self._consumer} emits a {prepared.kind} that the journal does not hold. "
                "Let the live consumers reach the head of the journal first ('settle'), then replay",
                consumer=self._consumer,
                kind=prepared.kind,
            )
        return Appended(recorded.event, new=False)


def _consume(target: Store, mind: bytes, consumer: EventConsumer, until: int | None) -> None:
    position = 0
    while True:
        with target.transaction() as transaction:
            events = events_after(transaction, mind, position, _BATCH, consumer.kinds)
            wanted = [event for event in events if until is None or event.position <= until]
            if not wanted:
                return
            effects = consumer.prepare(transaction, mind, wanted)
            consumer.apply(ReplayAppender(transaction, consumer.name), mind, effects)
            position = wanted[-1].position
