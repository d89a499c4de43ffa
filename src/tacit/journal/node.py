"""The writing node: an Ed25519 key pair whose public half is the *origin* of every event written here."""

from __future__ import annotations

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import bindparam, select, update

from tacit.clock import storable
from tacit.ids import Entropy
from tacit.stores import schema
from tacit.stores.port import Snapshot, Store, Transaction

KEY_BYTES = 32

_active = select(schema.node.c.origin, schema.node.c.secret).where(schema.node.c.retired_at.is_(None))
_retire = update(schema.node).where(schema.node.c.retired_at.is_(None)).values(retired_at=bindparam("now"))


class Node(msgspec.Struct, frozen=True):
    """A key pair: ``origin`` is public, ``secret`` stays in the store."""

    origin: bytes
    secret: bytes

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature (RFC 8032), 64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.secret).sign(message)

    def __repr__(self) -> str:
        return f"Node({self.origin.hex()})"


def new_node(entropy: Entropy) -> Node:
    """A fresh key pair."""
    secret = entropy.bytes(KEY_BYTES)
    return Node(Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw(), secret)


def is_signed_by(origin: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of ``origin``'s key signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(origin).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def load_node(store: Store, entropy: Entropy, now: int, *, create: bool = True) -> Node | None:
    """The store's own key pair, made at the first opening; None when there is none and none may be made."""
    with store.snapshot() as snapshot:
        node = active_node(snapshot)
    if node is None and create:
        with store.transaction() as transaction:
            transaction.row(schema.whole_store)
            node = active_node(transaction)  # another process may have been first
            if node is None:
                node = new_node(entropy)
                transaction.insert(schema.node, ((node.origin, node.secret, storable(now), None),))
    return node


def active_node(snapshot: Snapshot) -> Node | None:
    """The key pair that is in use, or None."""
    row = snapshot.row(_active)
    return None if row is None else Node(bytes(row[0]), bytes(row[1]))


def rotate_node(transaction: Transaction, entropy: Entropy, now: int) -> Node:
    """Retire the key and start a new one: a restored copy must not continue the chain that the original continues."""
    transaction.row(schema.whole_store)
    transaction.execute(_retire, now=now)
    node = new_node(entropy)
    transaction.insert(schema.node, ((node.origin, node.secret, now, None),))
    return node
