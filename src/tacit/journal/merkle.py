"""Merkle trees as in RFC 9162, section 2.1, over event hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf(entry: bytes) -> bytes:
    """The hash of one entry: SHA-256(0x00 ‖ entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(entries: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of a non-empty list of entries (RFC 9162, 2.1.1)."""
    level = [leaf(entry) for entry in entries]
    while len(level) > 1:
        paired = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired if len(level) % 2 == 0 else [*paired, level[-1]]
    return level[0]


def inclusion_proof(entries: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of entry ``index``, leaf side first (RFC 9162, 2.1.3.1)."""
    level = [leaf(entry) for entry in entries]
    path = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        paired = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired if len(level) % 2 == 0 else [*paired, level[-1]]
        index //= 2
    return path


def verify_inclusion(entry: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> bool:
    """Whether ``proof`` shows that ``entry`` is number ``index`` of ``size`` under that root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, computed = index, size - 1, leaf(entry)
    for sibling in proof:
        if last == 0:
            return False
        if position % 2 == 1 or position == last:
            computed = node(sibling, computed)
            while position % 2 == 0 and position != 0:
                position, last = position // 2, last // 2
        else:
            computed = node(computed, sibling)
        position, last = position // 2, last // 2
    return last == 0 and computed == expected_root
