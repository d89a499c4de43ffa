"""Checks the signed checkpoints of one mind against its chains, while these are walked."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, select

from tacit.journal import merkle
from tacit.journal.chain import Chain
from tacit.journal.mark import Checkpoint
from tacit.journal.problems import Findings, distinct
from tacit.stores import schema
from tacit.stores.port import Snapshot

_checkpoint = schema.checkpoint
_BATCH = 64
_BLOCK = 1_024  # a power of two: whole blocks of events are subtrees of the Merkle tree, kept as their root only
_NEVER = 2**63
_next_of_chain = (
    select(*_checkpoint.c)
    .where(
        _checkpoint.c.mind == bindparam("mind"),
        _checkpoint.c.origin == bindparam("origin"),
        _checkpoint.c.last > bindparam("after"),
    )
    .order_by(_checkpoint.c.last)
    .limit(_BATCH)
)
_first_origin = (
    select(_checkpoint.c.origin).where(_checkpoint.c.mind == bindparam("mind")).order_by(_checkpoint.c.origin).limit(1)
)
_next_origin = _first_origin.where(_checkpoint.c.origin > bindparam("after"))


class _Expected:
    """The checkpoints of one chain that are still to come, and the Merkle tree of what they have to cover."""

    def __init__(self) -> None:
        self.waiting: list[Checkpoint] = []  # the next one last
        self.subtrees: list[tuple[int, bytes]] = []  # blocks, root: whole subtrees, larger ones first
        self.covered = 0  # the last sequence under a checkpoint


class CheckpointCheck:
    """Compares each checkpoint with the events that it covers when the walk reaches its last event."""

    def __init__(self, findings: Findings, snapshot: Snapshot, mind: bytes) -> None:
        self._findings = findings
        self._snapshot = snapshot
        self._mind = mind
        self._expected: dict[bytes, _Expected] = {}

    def begin(self, chain: Chain) -> None:
        """A chain was met for the first time."""
        self._expected[chain.origin] = _Expected()
        self._load(chain, 0)
        self._plan(chain)

    def reached(self, chain: Chain) -> None:
        """The chain has come to where a block is full or a checkpoint ends."""
        expected = self._expected[chain.origin]
        while expected.waiting and expected.waiting[-1].last <= chain.sequence:
            self._compare(expected.waiting.pop(), chain, expected)
            if not expected.waiting:
                self._load(chain, expected.covered)
        if len(chain.hashes) >= _BLOCK:
            if expected.waiting:
                _grow(expected.subtrees, chain.hashes[:_BLOCK])
            chain.hashes = chain.hashes[_BLOCK:]
        self._plan(chain)

    def finish(self, chains: Mapping[bytes, Chain], *, complete: bool) -> None:
        """The walk is over: no checkpoint may be left. ``complete`` is False when the walk could not reach the end."""
        for chain in chains.values() if complete else ():
            while waiting := self._expected[chain.origin].waiting:
                self._beyond(waiting[0], chain.sequence)
                self._load(chain, waiting[0].last)
        unknown = distinct(self._findings, self._snapshot, _first_origin, _next_origin, "checkpoint", mind=self._mind)
        for origin in unknown if complete else ():
            if origin not in chains:
                self._findings.add(
                    "checkpoint", "there are checkpoints, but no events, of this origin", mind=self._mind, origin=origin
                )

    def _beyond(self, mark: Checkpoint, sequence: int) -> None:
        self._findings.add(
            "checkpoint",
            f"the tail of the chain is missing: its last event is {sequence:,}, but {mark.last:,} was signed",
            mind=self._mind,
            origin=mark.origin,
            sequence=mark.last,
        )

    def _load(self, chain: Chain, after: int) -> None:
        rows = self._findings.read(self._snapshot, _next_of_chain, mind=self._mind, origin=chain.origin, after=after)
        if rows is None:
            self._findings.add(
                "checkpoint",
                f"the checkpoints behind sequence {after} cannot be read: {self._findings.unreadable}",
                mind=self._mind,
                origin=chain.origin,
                sequence=after,
            )
        marks = [Checkpoint(*row) for row in rows or ()]
        sound = [mark for mark in marks if isinstance(mark.last, int) and mark.last > after]
        self._expected[chain.origin].waiting = sound[::-1]

    def _plan(self, chain: Chain) -> None:
        waiting = self._expected[chain.origin].waiting
        end_of_block = chain.sequence + _BLOCK - len(chain.hashes)
        chain.next_check = min(waiting[-1].last if waiting else _NEVER, end_of_block)

    def _compare(self, mark: Checkpoint, chain: Chain, expected: _Expected) -> None:
        self._findings.checkpoints += 1
        reasons = []
        if mark.first != expected.covered + 1:
            reasons.append(f"it begins at {mark.first}, where {expected.covered + 1} was expected")
        if mark.last != chain.sequence:
            reasons.append("its last event is missing")
        elif mark.head != chain.hash or mark.clock != chain.clock:
            reasons.append("its head or clock is not that of its last event")
        if mark.root != _root(expected.subtrees, chain.hashes):
            reasons.append("its Merkle root is not that of its events")
        if not is_signed(mark):
            reasons.append("its signature is not valid")
        if reasons:
            self._findings.add(
                "checkpoint", "; ".join(reasons), mind=self._mind, origin=chain.origin, sequence=mark.last
            )
        expected.covered = mark.last
        expected.subtrees.clear()
        chain.hashes = []


def is_signed(mark: Checkpoint) -> bool:
    """Whether the signature holds; False as well when damage has left fields that cannot be signed at all."""
    sizes = ((mark.mind, 16), (mark.origin, 32), (mark.head, 32), (mark.root, 32), (mark.signature, 64))
    if not all(isinstance(raw, bytes) and len(raw) == size for raw, size in sizes):
        return False
    try:
        return mark.is_valid()
    except (struct.error, TypeError):
        return False


def _grow(subtrees: list[tuple[int, bytes]], block: Sequence[bytes]) -> None:
    """Add a whole block on the right, joining subtrees of equal size as a binary counter carries."""
    size, joined = 1, merkle.root(block)
    while subtrees and subtrees[-1][0] == size:
        joined = merkle.node(subtrees.pop()[1], joined)
        size *= 2
    subtrees.append((size, joined))


def _root(subtrees: Sequence[tuple[int, bytes]], rest: Sequence[bytes]) -> bytes | None:
    """The Merkle root of whole subtrees followed by less than a block of single events; None when there is nothing."""
    roots = [root for _, root in subtrees] + ([merkle.root(rest)] if rest else [])
    if not roots:
        return None
    joined = roots.pop()
    while roots:
        joined = merkle.node(roots.pop(), joined)
    return joined
