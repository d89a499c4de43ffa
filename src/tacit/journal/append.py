"""The way in: events are prepared in the caller's thread, and written in groups by one thread.

A group is one durable transaction in which a bad event fails alone. A job's future resolves only after the commit that
made it durable.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec
from sqlalchemy import bindparam, func, select, update

from tacit.clock import Clock, storable
from tacit.errors import Conflict, Erased, LimitExceeded, StoreBusy
from tacit.ids import Entropy, new_id
from tacit.journal import canonical
from tacit.journal import event as events
from tacit.journal.event import Event
from tacit.journal.expiring import is_expired
from tacit.stores import schema
from tacit.stores.port import Row, Transaction

_log = logging.getLogger("tacit.journal.append")
T = TypeVar("T")
_OWN_LEVELS = 4  # the bound on depth is for what people hand in, which lies at most that deep in a payload of ours
CLOCK_SHIFT = 10  # bits of the hybrid clock that count events within one microsecond

_head = select(*schema.head.c).where(schema.head.c.mind == bindparam("mind")).with_for_update()
_head_at_once = select(*schema.head.c).where(schema.head.c.mind == bindparam("mind")).with_for_update(nowait=True)
_set_head = (
    update(schema.head)
    .where(schema.head.c.mind == bindparam("of"))
    .values({column.name: bindparam(column.name) for column in schema.head.c if column.name != "mind"})
)
_last_of_origin = select(func.max(schema.event.c.sequence)).where(
    schema.event.c.mind == bindparam("mind"), schema.event.c.origin == bindparam("origin")
)
_hash_of = select(schema.event.c.hash).where(
    schema.event.c.mind == bindparam("mind"),
    schema.event.c.origin == bindparam("origin"),
    schema.event.c.sequence == bindparam("sequence"),
)
_event_by_id = select(*schema.event.c).where(
    schema.event.c.mind == bindparam("mind"), schema.event.c.id == bindparam("id")
)
_heads_of = (
    select(schema.head.c.mind, schema.head.c.position)
    .select_from(schema.head.join(schema.mind, schema.mind.c.id == schema.head.c.mind))
    .where(schema.mind.c.tenant == bindparam("tenant"))
)
_body_at = select(schema.payload.c.body).where(
    schema.payload.c.mind == bindparam("mind"), schema.payload.c.position == bindparam("position")
)


class Masker(Protocol):
    """Finds secrets; see ``tacit.journal.masking``."""

    def suspects(self, body: bytes) -> bool: ...

    def mask(self, value: Any) -> tuple[Any, int]: ...


class Projection(Protocol):
    """Folds events of some kinds into view tables, inside the transaction that appends them.

    It must be deterministic: the same events in the same order always give the same rows. It reads views only: the
    event itself may not be in its table yet. ``size`` is the number of canonical bytes of the payload.
    """

    @property
    def kinds(self) -> frozenset[str]: ...

    def apply(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None: ...


class Prepared(msgspec.Struct, frozen=True):
    """An event that is ready to be written: checked, masked, salted and digested."""

    id: bytes
    kind: str
    payload: dict[str, Any]
    salt: bytes
    body: bytes
    digest: bytes
    occurred_at: int | None
    causation: bytes | None
    actor: str
    version: int
    repeatable: bool
    """The id was derived from a key, so an earlier attempt may have written it already."""
    masked: int


class Appended(msgspec.Struct, frozen=True):
    """The event in the journal; ``new`` is False when an earlier attempt had written it already."""

    event: Event
    new: bool


class Preparer:
    """Makes events ready in the caller's thread, so that the writing thread does only what needs the lock."""

    def __init__(
        self, clock: Clock, entropy: Entropy, masker: Masker, *, max_body_bytes: int = 10_000_000, max_depth: int = 32
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._masker = masker
        self._max_body_bytes = max_body_bytes
        self._max_depth = max_depth + _OWN_LEVELS

    def new_id(self) -> bytes:
        """An id for an event that is yet to be prepared."""
        return new_id(storable(self._clock.now()), self._entropy)

    def prepare(
        self,
        kind: str,
        payload: dict[str, Any],
        *,
        id: bytes | None = None,
        occurred_at: int | None = None,
        causation: bytes | None = None,
        actor: str = "",
        version: int = 1,
        secret: bool = False,
    ) -> Prepared:
        """Check, mask, encode and digest an event.

        Args:
            kind: ``noun.verb``.
            payload: JSON; masked copies are made when it holds secrets.
            id: given when a retry must find this event again; a new UUIDv7 otherwise.
            occurred_at: µs since 1970 UTC; the time of writing when None.
            secret: the payload is itself a secret of the store's, not to be masked.

        Raises:
            InvalidInput: see ``canonical.encode``.
            LimitExceeded: the canonical bytes exceed the bound for one event.
        """
        events.check_actor(actor)
        payload, body, masked = self._encode(payload, secret=secret)
        salt = self._entropy.bytes(events.SALT_BYTES)
        return Prepared(
            id=id or self.new_id(),
            kind=kind,
            payload=payload,
            salt=salt,
            body=body,
            digest=events.payload_digest(salt, body),
            occurred_at=occurred_at,
            causation=causation,
            actor=actor,
            version=version,
            repeatable=id is not None,
            masked=masked,
        )

    def _encode(self, payload: dict[str, Any], *, secret: bool) -> tuple[dict[str, Any], bytes, int]:
        """The payload without secrets, its canonical bytes, and how many secrets were masked."""
        body, masked = canonical.encode(payload, max_depth=self._max_depth), 0
        if not secret and self._masker.suspects(body):
            payload, masked = self._masker.mask(payload)
            body = canonical.encode(payload, max_depth=self._max_depth) if masked else body
        if masked:
            _log.info("secrets were masked", extra={"masked": masked})
        if len(body) > self._max_body_bytes:
            raise LimitExceeded(
                f"the event is {len(body):,} bytes, more than the {self._max_body_bytes:,} of limits.event_bytes",
                limit=self._max_body_bytes,
                size=len(body),
            )
        return payload, body, masked


class _Head(msgspec.Struct, frozen=True):
    """How far a mind's journal has come, as the ``head`` row says."""

    mind: bytes
    position: int
    clock: int
    recorded_at: int
    origin: bytes
    sequence: int
    hash: bytes


Check: TypeAlias = "Callable[[Appender, bytes, int], None]"
"""Raises when a mind that keeps so many events may have no further one."""


class OutOfOrder(StoreBusy):
    """Another transaction holds a mind that comes before one that is held here. Everything is to be undone, and done
    again after :meth:`Appender.hold_all` of ``minds``."""

    def __init__(self, message: str, minds: frozenset[bytes]) -> None:
        super().__init__(message)
        self.minds = minds


class Appender:
    """Appends events inside one transaction, keeping the heads of the minds that it touches."""

    def __init__(
        self,
        transaction: Transaction,
        *,
        origin: bytes,
        clock: Clock,
        projections: Mapping[str, Sequence[Projection]],
        retrying: bool,
    ) -> None:
        self._transaction = transaction
        self._unwritten: list[tuple[Row, Row]] = []  # of events and payloads: written together, in far less time
        self._origin = origin
        self._clock = clock
        self._projections = projections
        self._retrying = retrying
        self._heads: dict[bytes, _Head] = {}
        self._known: set[bytes] = set()  # minds whose head row exists in the database
        self._check: Check | None = None

    @property
    def transaction(self) -> Transaction:
        """The transaction, with all that was appended so far in it."""
        if self._unwritten:
            events, payloads = zip(*self._unwritten, strict=True)
            self._unwritten.clear()
            self._transaction.insert(schema.event, events)
            self._transaction.insert(schema.payload, payloads)
        return self._transaction

    @property
    def views(self) -> Transaction:
        """The transaction, for reading views, and events of before this job: its own may not be in their table yet.

        Whoever needs no more reads here, since the events of a job are written together in far less time.
        """
        return self._transaction

    def run(self, job: Callable[[Appender], T]) -> T:
        """Run a job in a savepoint: when it raises, all that it did is undone."""
        heads, known = dict(self._heads), set(self._known)
        try:
            with self.transaction.savepoint():
                result = job(self)
                self.transaction  # noqa: B018 - what was appended is written inside the savepoint
                return result
        except BaseException:
            self._heads, self._known = heads, known
            self._unwritten.clear()
            raise

    @contextlib.contextmanager
    def checking(self, check: Check) -> Iterator[None]:
        """While the block lasts, every new event is checked first."""
        before, self._check = self._check, check
        try:
            yield
        finally:
            self._check = before

    def kept_by(self, tenant: str) -> int:
        """How many events the minds of a tenant keep, with those of this transaction."""
        kept = {bytes(mind): int(position) for mind, position in self._transaction.rows(_heads_of, tenant=tenant)}
        return sum(self._heads[mind].position if mind in self._heads else position for mind, position in kept.items())

    def hold(self, mind: bytes) -> None:
        """Lock a mind until the commit: what a job reads of it from here on stays so until it has appended."""
        self._lock(mind)

    def hold_all(self, minds: Iterable[bytes]) -> None:
        """Lock minds in the one order in which everybody does that waits for them."""
        for mind in sorted(minds):
            self._lock(mind)

    def append(self, mind: bytes, prepared: Prepared) -> Appended:
        """Write one event and fold it into the views.

        Raises:
            QuotaExceeded: see ``checking``.
            Conflict: the id was used before, for something else.
            Erased: the id was used before, for what has been erased.
            StoreError: the machine's clock is wrong, see ``tacit.clock.storable``.
        """
        head = self._lock(mind)
        if prepared.repeatable or self._retrying:
            earlier = self._earlier(mind, prepared)
            if earlier is not None:
                return Appended(earlier, new=False)
        if self._check is not None:
            self._check(self, mind, head.position)
        event = self._next(head, prepared)
        self._unwritten.append((event.row(), (mind, event.position, prepared.salt, prepared.body)))
        self._heads[mind] = _Head(
            mind, event.position, event.clock, event.recorded_at, event.origin, event.sequence, event.hash
        )
        for projection in self._projections.get(prepared.kind, ()):
            projection.apply(self._transaction, event, prepared.payload, len(prepared.body))
        return Appended(event, new=True)

    def _lock(self, mind: bytes) -> _Head:
        """The mind's head. Reading it locks it, so sequences have no gaps and readers cannot skip one."""
        head = self._heads.get(mind)
        if head is None:
            row = self._head_row(mind)
            if row is not None:
                self._known.add(mind)
            head = _Head(*row) if row else _Head(mind, 0, 0, 0, self._origin, 0, events.NO_PREVIOUS)
            if head.origin != self._origin:
                head = self._head_of_own_chain(head)
            self._heads[mind] = head
        return head

    def _head_row(self, mind: bytes) -> Row | None:
        """Waiting for a mind that comes before one that is held could be waiting for somebody who waits for that."""
        if not self._heads or mind > max(self._heads):
            return self._transaction.row(_head, mind=mind)
        try:
            return self._transaction.row(_head_at_once, mind=mind)
        except StoreBusy as error:
            raise OutOfOrder(error.message, frozenset({*self._heads, mind})) from error

    def _head_of_own_chain(self, head: _Head) -> _Head:
        """Positions and clocks go on, while sequence and hash are those of this node's own chain."""
        row = self.transaction.row(_last_of_origin, mind=head.mind, origin=self._origin)
        sequence = int(row[0]) if row and row[0] is not None else 0
        found = self.transaction.row(_hash_of, mind=head.mind, origin=self._origin, sequence=sequence)
        return msgspec.structs.replace(
            head, origin=self._origin, sequence=sequence, hash=found[0] if found else events.NO_PREVIOUS
        )

    def _next(self, head: _Head, prepared: Prepared) -> Event:
        now = storable(self._clock.now())
        recorded_at = max(now, head.recorded_at)
        clock = max(now << CLOCK_SHIFT, head.clock + 1)
        occurred_at = recorded_at if prepared.occurred_at is None else prepared.occurred_at
        sequence = head.sequence + 1
        digest = events.header_hash(
            prepared.id, head.mind, self._origin, sequence, clock, occurred_at, recorded_at, prepared.version,
            prepared.causation, prepared.digest, head.hash, prepared.kind, prepared.actor,
        )  # fmt: skip
        return Event(
            head.mind, head.position + 1, self._origin, sequence, prepared.id, clock, prepared.kind, prepared.actor,
            occurred_at, recorded_at, prepared.version, prepared.causation, prepared.digest, head.hash, digest,
        )  # fmt: skip

    def _earlier(self, mind: bytes, prepared: Prepared) -> Event | None:
        row = self.transaction.row(_event_by_id, mind=mind, id=prepared.id)
        if row is None:
            return None
        earlier = Event(*row)
        stored = self.transaction.row(_body_at, mind=mind, position=earlier.position)
        if stored is None and not is_expired(self.transaction, earlier):
            raise Erased("this was erased, and is not taken in again", kind=prepared.kind)
        # of what expired nothing is left to compare with
        if earlier.kind != prepared.kind or (stored is not None and bytes(stored[0]) != prepared.body):
            raise Conflict(
                "the same key was used before for something else; use a new key, or repeat the call unchanged",
                kind=prepared.kind,
            )
        return earlier

    def finish(self) -> None:
        """Write what is left, and the heads; called once, before the commit."""
        transaction = self.transaction
        for mind, head in self._heads.items():
            row = msgspec.structs.astuple(head)
            if mind in self._known:
                transaction.execute(_set_head, of=mind, **dict(zip(head.__struct_fields__[1:], row[1:], strict=True)))
            elif head.position:
                transaction.insert(schema.head, (row,))
