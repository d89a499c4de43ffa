"""The proof that one event stands under a signed checkpoint, which can be checked without the rest of the journal."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select

from tacit.errors import Conflict, NotFound
from tacit.ids import format_id
from tacit.journal import merkle
from tacit.journal.event import Event
from tacit.journal.mark import Checkpoint
from tacit.journal.read import event_by_id
from tacit.stores import schema
from tacit.stores.port import Snapshot

_event, _checkpoint = schema.event.c, schema.checkpoint.c
_over = (
    select(*_checkpoint)
    .where(
        _checkpoint.mind == bindparam("mind"),
        _checkpoint.origin == bindparam("origin"),
        _checkpoint.first <= bindparam("sequence"),
        _checkpoint.last >= bindparam("sequence"),
    )
    .order_by(_checkpoint.last)
    .limit(1)
)
_hashes = (
    select(_event.hash)
    .where(
        _event.mind == bindparam("mind"),
        _event.origin == bindparam("origin"),
        _event.sequence >= bindparam("first"),
        _event.sequence <= bindparam("last"),
    )
    .order_by(_event.sequence)
)


def prove(snapshot: Snapshot, mind: bytes, id: bytes) -> dict[str, Any]:
    """The header of an event, the checkpoint over it, and the path from one to the other (RFC 9162, 2.1.3).

    Hashes, keys and signatures are in hex; numbers above 2⁵³ are texts.

    Raises:
        NotFound: there is no such event.
        Conflict: no checkpoint covers it yet.
    """
    found = event_by_id(snapshot, mind, id)
    if found is None:
        raise NotFound(f"there is no event {format_id(id)} in this mind", event=format_id(id))
    event = found.event
    row = snapshot.row(_over, mind=mind, origin=event.origin, sequence=event.sequence)
    if row is None:
        raise Conflict(
            f"event {format_id(id)} is not signed yet; run 'tacit journal checkpoint' first", event=format_id(id)
        )
    signed = Checkpoint(*row)
    hashes = [
        bytes(each[0])
        for each in snapshot.rows(_hashes, mind=mind, origin=event.origin, first=signed.first, last=signed.last)
    ]
    index = event.sequence - signed.first
    return {
        "event": _header(event),
        "checkpoint": _signed(signed),
        "index": index,
        "size": len(hashes),
        "path": [step.hex() for step in merkle.inclusion_proof(hashes, index)],
    }


def _header(event: Event) -> dict[str, Any]:
    return {
        "id": format_id(event.id),
        "mind": format_id(event.mind),
        "origin": event.origin.hex(),
        "sequence": event.sequence,
        "clock": str(event.clock),
        "kind": event.kind,
        "actor": event.actor,
        "occurred_at": str(event.occurred_at),
        "recorded_at": str(event.recorded_at),
        "version": event.version,
        "causation": None if event.causation is None else format_id(event.causation),
        "digest": event.digest.hex(),
        "previous": event.previous.hex(),
        "hash": event.hash.hex(),
    }


def _signed(signed: Checkpoint) -> dict[str, Any]:
    return {
        "first": signed.first,
        "last": signed.last,
        "head": signed.head.hex(),
        "root": signed.root.hex(),
        "clock": str(signed.clock),
        "signed_at": str(signed.signed_at),
        "signature": signed.signature.hex(),
    }
