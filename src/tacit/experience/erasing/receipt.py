"""The receipt of an erasure: what it says, how it is signed, and how it is checked."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import bindparam, func, select

from tacit.errors import InvalidInput
from tacit.experience.episode import Data
from tacit.experience.erasing.target import What
from tacit.ids import format_id, parse_id
from tacit.journal import canonical
from tacit.journal.erasing import Erasure, erasure_of, has_payload, new_marks
from tacit.journal.event import Event, Recorded, payload_digest
from tacit.journal.node import Node, is_signed_by
from tacit.journal.read import event_by_id
from tacit.stores import schema
from tacit.stores.port import Snapshot

_TAG = b"tacit/erased/1".ljust(16, b"\x00")
_MOST_TOLD = 100
NO_RECEIPT = "this is not the receipt of an erasure; give what mind.erase returned, or its JSON as it was written"
_node, _payload = schema.node, schema.payload
_known = select(_node.c.origin).where(_node.c.origin == bindparam("origin"))
_place = select(schema.event.c.position).where(
    schema.event.c.mind == bindparam("mind"), schema.event.c.id == bindparam("id")
)
_sealed = select(_payload.c.salt, _payload.c.body).where(
    _payload.c.mind == bindparam("mind"), _payload.c.position == bindparam("position")
)
_next_in_chain = select(schema.event.c.previous).where(
    schema.event.c.mind == bindparam("mind"),
    schema.event.c.origin == bindparam("origin"),
    schema.event.c.sequence == bindparam("sequence"),
)
_rows_of = {
    name: select(func.count()).select_from(table).where(table.c.mind == bindparam("mind"), column == bindparam("id"))
    for name, table, column in (
        ("episode", schema.episode, schema.episode.c.id),
        ("step", schema.step, schema.step.c.episode),
        ("lesson", schema.lesson, schema.lesson.c.episode),
        ("vector", schema.vector, schema.vector.c.owner),
        ("contribution", schema.contribution, schema.contribution.c.episode),
        ("memory", schema.memory, schema.memory.c.id),
    )
}
_memory_rows = (
    select(func.count())
    .select_from(schema.memory)
    .where(schema.memory.c.mind == bindparam("mind"), schema.memory.c.id == bindparam("id"))
)


class ErasureRef(Data, frozen=True):
    """An event in the journal that says what was erased: its id, and in hex its chain, its hash; its place there."""

    id: str
    origin: str
    sequence: int
    hash: str


class Receipt(Data, frozen=True, kw_only=True, omit_defaults=False):
    """What was erased. Ids, hashes and counts only: it can be shown to anybody.

    ``counts`` are rows by table; ``payload`` among them is the number of events whose content is gone, ``tombstone``
    the number of marks by which the same is refused from now on. ``erased_at`` is µs since 1970 UTC.
    """

    format: str = "tacit-receipt-1"
    mind: str
    what: What
    erased_at: int
    episodes: tuple[str, ...] = ()
    memories: tuple[str, ...] = ()
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    erasures: tuple[ErasureRef, ...] = ()
    """The events that say so; one for each batch."""
    origin: str = ""
    """The public key of the node that signed, in hex."""
    signature: str = ""
    """Ed25519, in hex, over the rest of the receipt; empty when nothing was done."""
    dry_run: bool = False
    """Whether this only tells what would go."""
    repeated: bool = False
    """Whether nothing was left to erase, so that this tells again what was erased at ``erased_at``. It is about the
    call, not about what was erased, so it is not signed."""

    def to_json(self) -> bytes:
        """The receipt as JSON, to be kept."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, raw: bytes | str) -> Receipt:
        """A receipt from its JSON.

        Raises:
            InvalidInput: it is none.
        """
        try:
            return msgspec.json.decode(raw, type=cls)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise InvalidInput(NO_RECEIPT) from error


class ReceiptCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What checking a receipt found; at most 100 problems are listed."""

    ok: bool
    problems: tuple[str, ...] = ()


def signed(receipt: Receipt, node: Node) -> Receipt:
    """The receipt, signed by this node."""
    own = msgspec.structs.replace(receipt, origin=node.origin.hex(), signature="")
    return msgspec.structs.replace(own, signature=node.sign(_message(own)).hex())


def _message(receipt: Receipt) -> bytes:
    """The signed bytes: a tag, and the receipt as canonical JSON, without its signature and what is not signed."""
    fields: dict[str, Any] = msgspec.to_builtins(receipt)
    del fields["signature"], fields["repeated"]
    fields["erased_at"] = str(receipt.erased_at)
    return _TAG + canonical.encode(fields)


def ref_of(event: Event) -> ErasureRef:
    """An event as a receipt names it."""
    return ErasureRef(format_id(event.id), event.origin.hex(), event.sequence, event.hash.hex())


def check_receipt(snapshot: Snapshot, mind: bytes, receipt: Receipt) -> ReceiptCheck:
    """Whether a receipt is genuine, and what it says still holds: see :meth:`tacit.Mind.check_receipt`."""
    problems: list[str] = []
    if receipt.dry_run:
        problems.append("it is the receipt of a dry run, which erased nothing")
    else:
        problems += _check_signature(snapshot, receipt)
    if receipt.mind != format_id(mind):
        problems.append(f"it is of another mind, {receipt.mind}")
        return ReceiptCheck(ok=False, problems=tuple(problems))
    for ref in receipt.erasures:
        problems += _check_erasure(snapshot, mind, ref)
    for id in receipt.episodes:
        for name, count in _rows_of.items():
            if (row := snapshot.row(count, mind=mind, id=parse_id(id))) and row[0]:
                problems.append(f"the table {name} still tells of episode {id}")
    for id in receipt.memories:
        if (row := snapshot.row(_memory_rows, mind=mind, id=parse_id(id))) and row[0]:
            problems.append(f"the table memory still tells of memory {id}")
    return ReceiptCheck(ok=not problems, problems=tuple(problems[:_MOST_TOLD]))


def _check_signature(snapshot: Snapshot, receipt: Receipt) -> list[str]:
    try:
        origin, signature = bytes.fromhex(receipt.origin), bytes.fromhex(receipt.signature)
    except ValueError:
        return ["its key or its signature is not in hex"]
    if not is_signed_by(origin, _message(receipt), signature):
        return ["its signature is not valid: it was changed, or is not from this program"]
    if snapshot.row(_known, origin=origin) is None:
        return [f"it was signed by a key that this store never had, {receipt.origin}"]
    return []


def _check_erasure(snapshot: Snapshot, mind: bytes, ref: ErasureRef) -> list[str]:
    """What is wrong with one event: it must be in the chain, and what it says was erased must be gone."""
    recorded = event_by_id(snapshot, mind, parse_id(ref.id))
    if recorded is None or recorded.payload is None:
        return [f"the journal does not hold the erasure {ref.id}, or not what it says"]
    erasure = erasure_of(recorded.payload)
    problems = (
        [] if ref.hash in (recorded.event.hash.hex(), erasure.again) else [f"the erasure {ref.id} is another one"]
    )
    problems += _check_chained(snapshot, recorded)
    for id in erasure.events:
        row = snapshot.row(_place, mind=mind, id=parse_id(id))
        if row is not None and has_payload(snapshot, mind, int(row[0])):
            problems.append(f"the content of event {id} is there")
    if new_marks(snapshot, mind, map(bytes.fromhex, erasure.marks)):
        problems.append(f"tombstones of the erasure {ref.id} are missing, so what was erased could come again")
    return problems


def _check_chained(snapshot: Snapshot, recorded: Recorded) -> list[str]:
    """Whether the event is as it was written: its payload, its hash, and its follower's word for it."""
    event = recorded.event
    row = snapshot.row(_sealed, mind=event.mind, position=event.position)
    follower = snapshot.row(_next_in_chain, mind=event.mind, origin=event.origin, sequence=event.sequence + 1)
    sound = (
        row is not None
        and payload_digest(bytes(row[0]), bytes(row[1])) == event.digest
        and event.computed_hash() == event.hash
        and (follower is None or bytes(follower[0]) == event.hash)
    )
    return [] if sound else [f"the event {format_id(event.id)} was changed; run 'tacit journal verify'"]


def told(erasures: list[Erasure]) -> dict[str, Any]:
    """What several erasures come to, as fields of a receipt."""
    counts: dict[str, int] = {}
    for erasure in erasures:
        for name, count in erasure.counts.items():
            counts[name] = counts.get(name, 0) + count
    return {
        "episodes": tuple(sorted({id for erasure in erasures for id in erasure.episodes})),
        "memories": tuple(sorted({id for erasure in erasures for id in erasure.memories})),
        "counts": dict(sorted(counts.items())),
    }
