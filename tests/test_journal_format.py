"""The journal format as docs/journal-format.md says it, written again from that page alone, against the test vectors.

Nothing here but the last tests uses Tacit: a program in another language would look like this.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
import uuid
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "journal.json").read_text(encoding="utf-8"))


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# ── canonical JSON (RFC 8785) ────────────────────────────────────────────────────────────────────────────────────────


def ecmascript(number: float) -> str:
    """A number as ECMAScript prints it (ECMA-262, Number::toString)."""
    if number == 0:
        return "0"
    sign, digits, exponent = decimal_digits(number)
    point = len(digits) + exponent
    if len(digits) <= point <= 21:
        text = digits + "0" * (point - len(digits))
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        text = f"{digits[0]}{rest}e{point - 1:+d}"
    return sign + text


def decimal_digits(number: float) -> tuple[str, str, int]:
    """The sign, the fewest digits that tell the number from its neighbours, and their power of ten."""
    mantissa, _, power = f"{number!r}".lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits, exponent = whole + fraction, int(power or 0) - len(fraction)
    stripped = digits.rstrip("0")
    return sign, stripped.lstrip("0"), exponent + len(digits) - len(stripped)


def canonical(value: Any) -> str:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ecmascript(float(value))
    return json.dumps(value, ensure_ascii=False)


@pytest.mark.requirement("JR-01")
@pytest.mark.parametrize("vector", VECTORS["canonical"])
def test_canonical_json(vector: dict[str, str]) -> None:
    assert canonical(json.loads(vector["json"])) == vector["canonical"]


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def header(event: dict[str, Any]) -> bytes:
    parts = [
        b"tacit/event/1\x00\x00\x00",
        uuid.UUID(event["id"]).bytes,
        uuid.UUID(event["mind"]).bytes,
        raw(event["origin"]),
        struct.pack(">Q", event["sequence"]),
        struct.pack(">Q", int(event["clock"])),
        struct.pack(">q", int(event["occurred_at"])),
        struct.pack(">q", int(event["recorded_at"])),
        struct.pack(">H", event["version"]),
        uuid.UUID(event["causation"]).bytes if event["causation"] else bytes(16),
        raw(event["digest"]),
        raw(event["previous"]),
        bytes((len(event["kind"]),)),
        event["kind"].encode("ascii"),
        bytes((len(event["actor"]),)),
        event["actor"].encode("ascii"),
    ]
    return b"".join(parts)


@pytest.mark.requirement("JR-01")
@pytest.mark.parametrize("event", VECTORS["events"])
def test_payload_header_and_hash_of_an_event(event: dict[str, Any]) -> None:
    body = event["body"].encode()
    assert canonical(json.loads(body)).encode() == body
    assert sha256(raw(event["salt"]) + body) == raw(event["digest"])
    assert header(event) == raw(event["header"])
    assert sha256(header(event)) == raw(event["hash"])


@pytest.mark.requirement("JR-01")
def test_events_form_a_chain() -> None:
    previous, clock = bytes(32), 0
    for sequence, event in enumerate(VECTORS["events"], start=1):
        assert event["sequence"] == sequence
        assert raw(event["previous"]) == previous
        assert int(event["clock"]) > clock
        assert uuid.UUID(event["id"]).version == 7
        previous, clock = raw(event["hash"]), int(event["clock"])


@pytest.mark.parametrize("vector", VECTORS["keyed_ids"])
def test_derived_ids(vector: dict[str, Any]) -> None:
    message = b"".join(struct.pack(">I", len(part.encode())) + part.encode() for part in vector["parts"])
    cut = bytearray(hmac.new(raw(vector["secret"]), message, hashlib.sha256).digest()[:16])
    cut[6] = 0x80 | cut[6] & 0x0F
    cut[8] = 0x80 | cut[8] & 0x3F
    assert uuid.UUID(bytes=bytes(cut)) == uuid.UUID(vector["id"])


def test_derived_ids_do_not_run_into_each_other() -> None:
    ids = [vector["id"] for vector in VECTORS["keyed_ids"]]
    assert len(set(ids)) == len(ids)


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────────


def merkle_root(entries: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, as it is written there."""
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0])
    split = 1 << (len(entries) - 1).bit_length() - 1
    return sha256(b"\x01" + merkle_root(entries[:split]) + merkle_root(entries[split:]))


def audit_path(index: int, entries: list[bytes]) -> list[bytes]:
    """RFC 9162, section 2.1.3.1."""
    if len(entries) == 1:
        return []
    split = 1 << (len(entries) - 1).bit_length() - 1
    if index < split:
        return [*audit_path(index, entries[:split]), merkle_root(entries[split:])]
    return [*audit_path(index - split, entries[split:]), merkle_root(entries[:split])]


@pytest.mark.requirement("JR-01")
@pytest.mark.parametrize("tree", VECTORS["merkle"], ids=lambda tree: str(len(tree["entries"])))
def test_merkle_roots_and_audit_paths(tree: dict[str, Any]) -> None:
    entries = [raw(entry) for entry in tree["entries"]]
    assert merkle_root(entries) == raw(tree["root"])
    proofs = [[step.hex() for step in audit_path(index, entries)] for index in range(len(entries))]
    assert proofs == tree["proofs"]


def checkpoint_message(mark: dict[str, Any]) -> bytes:
    return b"".join((
        b"tacit/mark/1\x00\x00\x00\x00",
        uuid.UUID(mark["mind"]).bytes,
        raw(mark["origin"]),
        struct.pack(">QQ", mark["first"], mark["last"]),
        raw(mark["head"]),
        raw(mark["root"]),
        struct.pack(">Qq", int(mark["clock"]), int(mark["signed_at"])),
    ))  # fmt: skip


@pytest.mark.requirement("JR-01")
def test_a_checkpoint_is_signed_by_its_origin() -> None:
    mark, events = VECTORS["checkpoint"], VECTORS["events"]
    assert raw(mark["root"]) == merkle_root([raw(event["hash"]) for event in events])
    assert mark["head"] == events[-1]["hash"]
    message = checkpoint_message(mark)
    assert message == raw(mark["message"])
    key = Ed25519PublicKey.from_public_bytes(raw(mark["origin"]))
    key.verify(raw(mark["signature"]), message)
    with pytest.raises(InvalidSignature):
        key.verify(raw(mark["signature"]), message[:-1] + b"\x00")
    secret = Ed25519PrivateKey.from_private_bytes(raw(VECTORS["node"]["secret"]))
    assert secret.sign(message) == raw(mark["signature"])  # Ed25519 is deterministic


@pytest.mark.requirement("JR-01")
def test_the_line_of_the_anchor_file() -> None:
    mark = VECTORS["checkpoint"]
    names = ("clock", "first", "head", "last", "mind", "origin", "root", "signature", "signed_at")
    assert canonical({"v": 1, **{name: mark[name] for name in names}}) + "\n" == mark["anchor_line"]


# ── Tacit itself ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-01")
def test_tacit_makes_exactly_these_vectors() -> None:
    import make_vectors

    assert make_vectors.PATH.read_text(encoding="utf-8") == make_vectors.text()


@pytest.mark.requirement("JR-01")
def test_tacit_accepts_each_proof_for_its_own_entry_only() -> None:
    from tacit.journal.merkle import verify_inclusion

    for tree in VECTORS["merkle"]:
        entries = [raw(entry) for entry in tree["entries"]]
        for index, steps in enumerate(tree["proofs"]):
            proof = [raw(step) for step in steps]
            for claimed in range(len(entries)):
                holds = verify_inclusion(entries[claimed], index, len(entries), proof, raw(tree["root"]))
                assert holds == (claimed == index)
            if proof:
                assert not verify_inclusion(entries[index], index, len(entries), proof[:-1], raw(tree["root"]))
            assert not verify_inclusion(entries[index], index, len(entries), [*proof, bytes(32)], raw(tree["root"]))
            assert not verify_inclusion(entries[index], len(entries), len(entries), proof, raw(tree["root"]))


@pytest.mark.requirement("JR-01")
def test_tacit_reads_the_anchor_line_back() -> None:
    from tacit.journal.mark import anchor_line, parse_anchor_line

    line = VECTORS["checkpoint"]["anchor_line"].encode()
    mark = parse_anchor_line(line[:-1], 1, Path("anchor"))
    assert mark.is_valid()
    assert anchor_line(mark) == line
