"""Verifies a journal: every chain, payload, checkpoint and head, and the anchor file, as docs/journal-format.md lists.

The database's own check (``store.integrity()``) and the views (``journal.replay``) are separate questions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Table, bindparam, func, select

from tacit.ids import ID_BYTES
from tacit.journal.anchor_check import AnchorCheck
from tacit.journal.chain_check import MindCheck
from tacit.journal.problems import Findings, Problem, Verification, distinct
from tacit.stores import schema
from tacit.stores.port import Snapshot, Store

__all__ = ["Problem", "Verification", "verify"]

_event, _payload = schema.event, schema.payload
_WITH_MINDS = (schema.head, schema.payload, schema.checkpoint)
_first_mind = {table: select(table.c.mind).order_by(table.c.mind).limit(1) for table in (_event, *_WITH_MINDS)}
_next_mind = {table: first.where(table.c.mind > bindparam("after")) for table, first in _first_mind.items()}
_any_event = select(_event.c.position).where(_event.c.mind == bindparam("mind")).limit(1)
_head = select(
    schema.head.c.position,
    schema.head.c.clock,
    schema.head.c.recorded_at,
    schema.head.c.origin,
    schema.head.c.sequence,
    schema.head.c.hash,
).where(schema.head.c.mind == bindparam("mind"))
_payload_count = select(func.count()).select_from(_payload).where(_payload.c.mind == bindparam("mind"))
_orphans = (
    select(_payload.c.position)
    .select_from(
        _payload.outerjoin(_event, (_event.c.mind == _payload.c.mind) & (_event.c.position == _payload.c.position))
    )
    .where(_payload.c.mind == bindparam("mind"), _event.c.position.is_(None))
    .order_by(_payload.c.position)
    .limit(1)
)
_offsets = (
    select(schema.consumer.c.name, schema.consumer.c.position)
    .where(schema.consumer.c.mind == bindparam("mind"))
    .order_by(schema.consumer.c.name)
)
_nodes = select(schema.node.c.origin, schema.node.c.secret, schema.node.c.retired_at)


def verify(store: Store, anchor: Path | None, *, progress: Callable[[int], object] | None = None) -> Verification:
    """Check the whole journal, in batches, on one consistent snapshot, while others may go on writing.

    Args:
        anchor: the anchor file; None when the store has none.
        progress: called now and then with the number of events checked so far.

    Damaged rows never raise; they are problems in the report. What does raise is a store that cannot be asked at
    the moment: closed, busy, or out of reach.
    """
    findings = Findings()
    anchored = AnchorCheck(findings, anchor) if anchor is not None else None
    with store.snapshot() as snapshot:
        for mind in distinct(findings, snapshot, _first_mind[_event], _next_mind[_event], "event"):
            _check_mind(findings, snapshot, mind, progress or _ignore)
        for table in _WITH_MINDS:
            _check_minds_of(findings, snapshot, table)
        _check_nodes(findings, snapshot)
        if anchored is not None:
            anchored.check(snapshot)
    return findings.report()


def _ignore(_events: int) -> None:
    """Progress that nobody asked for."""


def _check_mind(findings: Findings, snapshot: Snapshot, mind: Any, progress: Callable[[int], object]) -> None:
    findings.minds += 1
    if not isinstance(mind, bytes) or len(mind) != ID_BYTES:
        findings.add("event", "there are events of a mind whose id is not 16 bytes", mind=mind)
        return
    walked = MindCheck(findings, snapshot, mind)
    walked.walk(progress)
    if walked.readable:
        _check_head(findings, snapshot, mind, walked)
        _check_payload_count(findings, snapshot, mind, walked)
        _check_offsets(findings, snapshot, mind, walked)


def _check_head(findings: Findings, snapshot: Snapshot, mind: bytes, walked: MindCheck) -> None:
    assert walked.last is not None
    position, origin, sequence, id, clock = walked.last[:5]
    expected = (position, clock, walked.last[8], origin, sequence, walked.last[13])
    rows = findings.read(snapshot, _head, mind=mind)
    if rows and rows[0] == expected:
        return
    if rows is None:
        message = f"the head of the mind cannot be read: {findings.unreadable}"
    elif not rows:
        message = "the mind has events, but no head"
    else:
        message = f"the head of the mind says position {rows[0][0]}, which is not its last event"
    findings.add("head", message, mind=mind, origin=origin, sequence=sequence, id=id)


def _check_payload_count(findings: Findings, snapshot: Snapshot, mind: bytes, walked: MindCheck) -> None:
    rows = findings.read(snapshot, _payload_count, mind=mind)
    if rows and rows[0][0] == walked.payloads:
        return
    found = findings.read(snapshot, _orphans, mind=mind)
    if found:
        findings.add("payload", f"there is a payload at position {found[0][0]}, but no event", mind=mind)
    elif rows is None or found is None:
        findings.add("payload", f"the payloads cannot be counted: {findings.unreadable}", mind=mind)


def _check_offsets(findings: Findings, snapshot: Snapshot, mind: bytes, walked: MindCheck) -> None:
    """A consumer that claims to have seen what is not there would pass over it when it comes."""
    assert walked.last is not None
    rows = findings.read(snapshot, _offsets, mind=mind)
    if rows is None:
        findings.add("consumer", f"the offsets of the consumers cannot be read: {findings.unreadable}", mind=mind)
        return
    last = walked.last[0]
    for name, position in rows:
        if not isinstance(position, int) or not 0 <= position <= last:
            message = f"the consumer {name} claims to be at position {position}, but the last event is {last}"
            findings.add("consumer", message, mind=mind)


def _check_minds_of(findings: Findings, snapshot: Snapshot, table: Table) -> None:
    """A mind that other tables speak of has events."""
    for mind in distinct(findings, snapshot, _first_mind[table], _next_mind[table], table.name):
        if findings.read(snapshot, _any_event, mind=mind) == []:
            findings.add("table", f"table {table.name} has rows of a mind without any event", mind=mind)


def _check_nodes(findings: Findings, snapshot: Snapshot) -> None:
    rows = findings.read(snapshot, _nodes)
    if rows is None:
        findings.add("node", f"the keys of the node cannot be read: {findings.unreadable}")
        return
    for origin, secret, _ in rows:
        if not _is_pair(origin, secret):
            findings.add("node", "the secret key of the node is not that of its public key", origin=origin)
    active = sum(retired_at is None for _, _, retired_at in rows)
    if active != 1 and (rows or findings.events):
        findings.add("node", f"the store has {active} active node keys, where one was expected")


def _is_pair(origin: Any, secret: Any) -> bool:
    if not isinstance(secret, bytes) or len(secret) != 32:
        return False
    made = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    return isinstance(origin, bytes) and made == origin
