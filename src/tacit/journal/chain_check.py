"""Checks the chains of one mind: every event and payload, in the order in which the store received them.

This is the loop that a large journal spends its time in, so a sound event takes one pass of plain comparisons; only
one that fails it is looked at again, to say why.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, case, func, select

from tacit.errors import TacitError
from tacit.ids import ID_BYTES, format_id
from tacit.journal import event as events
from tacit.journal.chain import Chain
from tacit.journal.checkpoint_check import CheckpointCheck
from tacit.journal.erasing import erased_events
from tacit.journal.expiring import expired_events
from tacit.journal.problems import NOT_DAMAGE, Findings
from tacit.stores import schema
from tacit.stores.port import Row, Snapshot

_BATCH = 512
_INLINE_BYTES = 65_536  # longer payloads are read one by one, so that a batch never takes more than 32 MB
_event, _payload = schema.event, schema.payload
_size = func.length(_payload.c.body)
_after = (
    select(
        *[column for column in _event.c if column.name != "mind"],
        _payload.c.salt,
        case((_size <= _INLINE_BYTES, _payload.c.body)),
        _size,
    )
    .select_from(
        _event.outerjoin(_payload, (_payload.c.mind == _event.c.mind) & (_payload.c.position == _event.c.position))
    )
    .where(_event.c.mind == bindparam("mind"), _event.c.position > bindparam("after"))
    .order_by(_event.c.position)
    .limit(bindparam("most"))
)
_place_after = (
    select(_event.c.origin, _event.c.sequence, _event.c.id)
    .where(_event.c.mind == bindparam("mind"), _event.c.position > bindparam("after"))
    .order_by(_event.c.position)
    .limit(1)
)
_body_at = select(_payload.c.body).where(
    _payload.c.mind == bindparam("mind"), _payload.c.position == bindparam("position")
)


class _Labels(dict[tuple[str, str], bytes]):
    """The end of the header, with the kind and the actor; few different ones come again and again."""

    _MOST = 10_000

    def __missing__(self, label: tuple[str, str]) -> bytes:
        kind, actor = label
        events.check_kind(kind)
        events.check_actor(actor)
        if len(self) >= self._MOST:
            self.clear()
        made = self[label] = bytes((len(kind),)) + kind.encode() + bytes((len(actor),)) + actor.encode()
        return made


class MindCheck:
    """Walks one mind's journal. ``last`` is its last event's row without the mind, or None."""

    def __init__(self, findings: Findings, snapshot: Snapshot, mind: bytes) -> None:
        self._findings = findings
        self._snapshot = snapshot
        self._mind = mind
        self._labels = _Labels()
        self._marks = CheckpointCheck(findings, snapshot, mind)
        self.chains: dict[bytes, Chain] = {}
        self.payloads = 0  # how many were found beside their event
        self.readable = True
        self.last: Row | None = None
        self._erased: frozenset[bytes] | None = None
        """The events whose payloads were erased; read when the first payload is missing."""

    def walk(self, progress: Callable[[int], object]) -> None:
        """Check every event; a stretch that cannot be read ends the walk with a problem."""
        after, most = 0, _BATCH
        while True:
            rows = self._findings.read(self._snapshot, _after, mind=self._mind, after=after, most=most)
            if rows is None and most > 1:
                most = max(1, most // 8)  # come as near to the damage as can be
                continue
            if rows is None:
                self._unreadable(after)
                break
            if not rows:
                break
            self._check(rows, after)
            self.last = rows[-1]
            if not isinstance(self.last[0], int) or self.last[0] <= after:
                self._findings.add("event", "the events are not in order of their positions", mind=self._mind)
                break
            after = self.last[0]
            self._findings.events += len(rows)
            progress(self._findings.events)
        self._marks.finish(self.chains, complete=self.readable)

    def _unreadable(self, after: int) -> None:
        self.readable = False
        reason = self._findings.unreadable
        rows = self._findings.read(self._snapshot, _place_after, mind=self._mind, after=after)
        origin, sequence, id = rows[0] if rows else (b"", 0, b"")
        if not rows and self.last is not None:
            origin, sequence = self.last[1], self.last[2] + 1
        self._findings.add(
            "event",
            f"the event at position {after + 1} and those behind it cannot be read: {reason}",
            mind=self._mind,
            origin=origin,
            sequence=sequence,
            id=id,
        )

    def _check(self, rows: list[Row], after: int) -> None:
        mind, chains, labels, tag = self._mind, self.chains, self._labels, events.TAG
        pack, sha256, none, expected = events.FIXED.pack, hashlib.sha256, events.NO_CAUSATION, after
        for row in rows:
            expected += 1
            (position, origin, sequence, id, clock, kind, actor, occurred_at, recorded_at, version, causation,
             digest, previous, hash, salt, body, size) = row  # fmt: skip
            chain = chains.get(origin)
            if body is None and size is not None:
                body = self._long_body(position)
            try:
                sound = (
                    chain is not None
                    and sha256(
                        pack(
                            tag, id, mind, origin, sequence, clock, occurred_at, recorded_at, version,
                            causation or none, digest, previous,
                        )
                        + labels[kind, actor]
                    ).digest()
                    == hash
                    and previous == chain.hash
                    and sequence == chain.sequence + 1
                    and position == expected
                    and clock > chain.clock
                    and recorded_at >= chain.recorded_at
                    and sha256(salt + body).digest() == digest
                    and len(salt) == 16
                    and len(id) == 16
                    and (causation is None or (len(causation) == 16 and causation != none))
                )  # fmt: skip
            except (struct.error, TypeError, AttributeError, TacitError):
                sound = False
            if not sound:
                chain = self._examine(row, body, expected)
                expected = position if isinstance(position, int) else expected
                if chain is None:
                    continue
            assert chain is not None
            chain.sequence, chain.hash, chain.clock, chain.recorded_at = sequence, hash, clock, recorded_at
            chain.hashes.append(hash)
            if body is not None:
                self.payloads += 1
            if sequence >= chain.next_check:
                self._marks.reached(chain)

    def _long_body(self, position: int) -> Any:
        rows = self._findings.read(self._snapshot, _body_at, mind=self._mind, position=position)
        return rows[0][0] if rows else None

    # ── why an event is not sound ────────────────────────────────────────────────────────────────────────────────────

    def _examine(self, row: Row, body: Any, expected: int) -> Chain | None:
        """Note all that is wrong with an event; its chain to go on with, or None when it has no usable place in it."""
        position, origin, sequence, id, clock = row[:5]
        chain = self.chains.get(origin) if isinstance(origin, bytes) else None
        reasons = _header_reasons(self._mind, row, self._labels)
        sound_header = not reasons
        if chain is None and isinstance(origin, bytes) and sound_header:
            chain = self.chains[origin] = Chain(origin)
            self._marks.begin(chain)
        if chain is not None and isinstance(sequence, int):
            reasons += self._place_reasons(row, chain, expected)
        payload_reason = self._payload_reason(row, body)
        if reasons or payload_reason:
            self._findings.add(
                "event" if reasons else "payload",
                "; ".join(reasons + ([payload_reason] if payload_reason else [])),
                mind=self._mind,
                origin=origin,
                sequence=sequence,
                id=id,
            )
        numbers = all(isinstance(number, int) for number in (position, sequence, clock, row[8]))
        return chain if numbers and isinstance(row[13], bytes) else None

    def _place_reasons(self, row: Row, chain: Chain, expected: int) -> list[str]:
        position, _, sequence, id, clock = row[:5]
        recorded_at, previous = row[8], row[12]
        reasons = []
        if sequence > chain.sequence + 1:
            self._missing(chain, sequence, id)
        elif sequence <= chain.sequence:
            reasons.append(f"its sequence does not follow {chain.sequence}")
        elif previous != chain.hash:
            reasons.append("its 'previous' is not the hash of the event before it")
        if position != expected and sequence <= chain.sequence + 1:
            reasons.append(f"it is at position {position}, where {expected} was expected")
        if isinstance(clock, int) and clock <= chain.clock:
            reasons.append("its clock goes back")
        if isinstance(recorded_at, int) and recorded_at < chain.recorded_at:
            reasons.append("its recorded_at goes back")
        return reasons

    def _missing(self, chain: Chain, sequence: int, id: Any) -> None:
        first, last = chain.sequence + 1, sequence - 1
        which = f"event {first} of the chain is" if first == last else f"events {first} to {last} of the chain are"
        follower = format_id(id) if isinstance(id, bytes) and len(id) == ID_BYTES else "damaged too"
        self._findings.add(
            "event",
            f"{which} missing; the next one, {sequence}, is {follower}",
            mind=self._mind,
            origin=chain.origin,
            sequence=first,
        )

    def _payload_reason(self, row: Row, body: Any) -> str:
        digest, salt, size = row[11], row[14], row[16]
        if salt is None and size is None:
            return "" if self._is_erased(row[3]) else "its payload is missing"
        if body is None:
            return f"its payload cannot be read: {self._findings.unreadable}"
        if not isinstance(salt, bytes) or len(salt) != events.SALT_BYTES or not isinstance(body, bytes):
            return "its payload is damaged"
        return "" if events.payload_digest(salt, body) == digest else "its payload does not match its digest"

    def _is_erased(self, id: Any) -> bool:
        """Whether the journal says that it was erased or has expired; a damaged one says nothing, and is found where it
        is."""
        if self._erased is None:
            try:
                gone = erased_events(self._snapshot, self._mind)
                self._erased = gone | expired_events(self._snapshot, self._mind).keys()
            except NOT_DAMAGE:
                raise
            except Exception:  # noqa: BLE001 - whatever a damaged payload makes of it
                self._erased = frozenset()
        return id in self._erased


def _header_reasons(mind: bytes, row: Row, labels: _Labels) -> list[str]:
    """What is wrong with a header by itself, its place in the chain apart."""
    (_, origin, sequence, id, clock, kind, actor, occurred_at, recorded_at, version, causation,
     digest, previous, hash, _, _, _) = row  # fmt: skip
    reasons = []
    if not _is_raw(id, ID_BYTES):
        reasons.append("its id is not 16 bytes")
    if not _is_raw(origin, 32) or not _is_raw(digest, 32) or not _is_raw(previous, 32):
        reasons.append("its origin, digest or 'previous' is not 32 bytes")
    if causation is not None and (not _is_raw(causation, ID_BYTES) or causation == events.NO_CAUSATION):
        reasons.append("its causation is not an id")
    try:
        label = labels[kind, actor]
    except (TacitError, TypeError, AttributeError):
        return [*reasons, "its kind or actor is malformed"]
    try:
        fixed = events.FIXED.pack(
            events.TAG, id, mind, origin, sequence, clock, occurred_at, recorded_at, version,
            causation or events.NO_CAUSATION, digest, previous,
        )  # fmt: skip
    except (struct.error, TypeError):
        return [*reasons, "a field is not of its type"]
    if hashlib.sha256(fixed + label).digest() != hash:
        reasons.append("its hash does not match its fields")
    return reasons


def _is_raw(value: Any, size: int) -> bool:
    return isinstance(value, bytes) and len(value) == size
