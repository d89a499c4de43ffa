"""Makes the test vectors of docs/journal-format.md: ``python -m tests.make_vectors`` from the root of the project.

They come from a seeded source, so the same program makes the same file; they never change once released.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from tacit.clock import ManualClock
from tacit.ids import Entropy, SeededEntropy, format_id, keyed_id, new_id
from tacit.journal import canonical, mark, merkle
from tacit.journal.event import NO_PREVIOUS, SALT_BYTES, Event, header_bytes, payload_digest
from tacit.journal.node import new_node

PATH = Path(__file__).parent / "vectors" / "journal.json"

VALUES = [
    '{"b":1,"a":2,"aa":3,"A":4,"":5}',
    '{"numbers":[0,-0.0,1.0,-1.5,0.1,1e21,1e20,123456789012345680000.0,1e-6,1e-7,5e-324,1.7976931348623157e308]}',
    '{"more":[333333333.3333332,4.5,2e-3,0.000001,1e23,9007199254740991,-9007199254740991,0.30000000000000004]}',
    r'{"escapes":"quote \" backslash \\ slash \/ tab \t line \n return \r del \u007f next \u0085 line \u2028"}',
    r'{"\ud83d\ude00":"astral","\ufb33":"above the surrogates","\u20ac":"euro","z":"ascii","\ud800\udc00":"first"}',
    '{"nested":{"list":[[],{},[{"deep":[null,true,false]}]]},"text":"Grüße, 世界"}',
]
PARTS = [["episode", "order-17"], ["step", "", "a"], ["step", "a", ""], ["récord", "日本"]]


def build() -> dict[str, Any]:
    """Every vector, as plain JSON. Bytes are in hex."""
    entropy, clock = SeededEntropy(2026), ManualClock()
    node = new_node(entropy)
    mind = new_id(clock.now(), entropy)
    events = _events(entropy, clock, mind, node.origin)
    hashes, last = [event.hash for event, _ in events], events[-1][0]
    clock.advance(60)
    signed = mark.sign(
        node, mind, first=1, last=3, head=last.hash, root=merkle.root(hashes), clock=last.clock, signed_at=clock.now()
    )
    return {
        "canonical": [{"json": text, "canonical": canonical.encode(json.loads(text)).decode()} for text in VALUES],
        "node": {"secret": node.secret.hex(), "origin": node.origin.hex()},
        "events": [described for _, described in events],
        "keyed_ids": _keyed_ids(entropy),
        "merkle": [_tree(entropy, size) for size in range(1, 10)],
        "checkpoint": {
            "mind": format_id(mind),
            "origin": node.origin.hex(),
            "first": signed.first,
            "last": signed.last,
            "head": signed.head.hex(),
            "root": signed.root.hex(),
            "clock": str(signed.clock),
            "signed_at": str(signed.signed_at),
            "message": signed.message().hex(),
            "signature": signed.signature.hex(),
            "anchor_line": mark.anchor_line(signed).decode(),
        },
    }


def _events(entropy: Entropy, clock: ManualClock, mind: bytes, origin: bytes) -> list[tuple[Event, dict[str, Any]]]:
    """Three chained events, and what is said of each."""
    opened = new_id(clock.now(), entropy)
    told = [
        ("episode.started", "", None, {"task": {"description": "Change the seat", "complexity": 0.25}}, 0),
        ("step.logged", "agent-7", opened, {"step": {"tool": "search", "observation": "12A is free\n"}}, -5_000_000),
        ("episode.completed", "agent-7", opened, {"outcome": {"kind": "success", "score": 1}}, 0),
    ]
    made: list[tuple[Event, dict[str, Any]]] = []
    previous = NO_PREVIOUS
    for sequence, (kind, actor, causation, payload, late) in enumerate(told, start=1):
        clock.advance(1.5)
        salt, body = entropy.bytes(SALT_BYTES), canonical.encode(payload)
        id = opened if sequence == 1 else new_id(clock.now(), entropy)
        event = Event(
            mind, sequence, origin, sequence, id, clock.now() * 1024 + sequence, kind, actor, clock.now() + late,
            clock.now(), 1, causation, payload_digest(salt, body), previous, b"",
        )  # fmt: skip
        event = msgspec.structs.replace(event, hash=event.computed_hash())
        made.append((event, _described(event, salt, body)))
        previous = event.hash
    return made


def _described(event: Event, salt: bytes, body: bytes) -> dict[str, Any]:
    header = header_bytes(
        event.id, event.mind, event.origin, event.sequence, event.clock, event.occurred_at, event.recorded_at,
        event.version, event.causation, event.digest, event.previous, event.kind, event.actor,
    )  # fmt: skip
    return {
        "id": format_id(event.id),
        "mind": format_id(event.mind),
        "origin": event.origin.hex(),
        "sequence": event.sequence,
        "clock": str(event.clock),
        "occurred_at": str(event.occurred_at),
        "recorded_at": str(event.recorded_at),
        "version": event.version,
        "causation": None if event.causation is None else format_id(event.causation),
        "kind": event.kind,
        "actor": event.actor,
        "salt": salt.hex(),
        "body": body.decode(),
        "digest": event.digest.hex(),
        "previous": event.previous.hex(),
        "header": header.hex(),
        "hash": event.hash.hex(),
    }


def _keyed_ids(entropy: Entropy) -> list[dict[str, Any]]:
    secret = entropy.bytes(32)
    return [{"secret": secret.hex(), "parts": parts, "id": format_id(keyed_id(secret, *parts))} for parts in PARTS]


def _tree(entropy: Entropy, size: int) -> dict[str, Any]:
    entries = [entropy.bytes(32) for _ in range(size)]
    proofs = [merkle.inclusion_proof(entries, index) for index in range(size)]
    return {
        "entries": [entry.hex() for entry in entries],
        "root": merkle.root(entries).hex(),
        "proofs": [[step.hex() for step in proof] for proof in proofs],
    }


def text() -> str:
    """The file's text."""
    return json.dumps(build(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
