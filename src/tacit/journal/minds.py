"""Minds: each is opened by an event of its own, so that the journal alone says which there are."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from sqlalchemy import bindparam, select

from tacit.clock import storable
from tacit.errors import InvalidInput, NotFound, shown
from tacit.ids import Entropy, new_id
from tacit.journal.append import Appender
from tacit.journal.event import Event
from tacit.journal.journal import Journal
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

MIND_CREATED = "mind.created"
_SECRET_BYTES = 32
_NAME = re.compile(
    r"[^\s/\x00-\x1f\x7f\ud800-\udfff](?:[^/\x00-\x1f\x7f\ud800-\udfff]{0,98}[^\s/\x00-\x1f\x7f\ud800-\udfff])?"
)
NAME_RULE = "1 to 100 characters without '/' or control characters, and without space at the ends"

_mind = schema.mind
_by_name = select(*_mind.c).where(_mind.c.tenant == bindparam("tenant"), _mind.c.name == bindparam("name"))
_all = select(*_mind.c).order_by(_mind.c.tenant, _mind.c.name)


class MindInfo(msgspec.Struct, frozen=True):
    """A mind: its id, its owner, its name, and the secret under which its keys are hidden."""

    id: bytes
    tenant: str
    name: str
    secret: bytes
    created_at: int

    def __repr__(self) -> str:
        return f"MindInfo({self.tenant}/{self.name})"


class MindProjection:
    """The ``mind`` view: one row for each ``mind.created``."""

    kinds = frozenset({MIND_CREATED})

    def apply(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        secret = bytes.fromhex(payload["secret"])
        transaction.insert(_mind, ((event.mind, payload["tenant"], payload["name"], secret, event.recorded_at),))


def is_name(name: object) -> bool:
    """Whether this can be the name of a mind or a tenant: see ``NAME_RULE``."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_name(name: str, what: str) -> None:
    """Refuse what cannot be the name of a mind or a tenant."""
    if not is_name(name):
        raise InvalidInput(f"{shown(name)} is not a name for a {what}; use {NAME_RULE}", field=what)


def find_mind(snapshot: Snapshot, tenant: str, name: str) -> MindInfo | None:
    """The mind of that name, or None."""
    row = snapshot.row(_by_name, tenant=tenant, name=name)
    return None if row is None else _info(row)


def require_mind(snapshot: Snapshot, tenant: str, name: str) -> MindInfo:
    """The mind of that name.

    Raises:
        NotFound: there is none.
    """
    found = find_mind(snapshot, tenant, name)
    if found is None:
        raise NotFound(
            f"there is no mind {name!r} of tenant {tenant!r} in this store; "
            "'tacit mind list' shows those that are there, and --mind chooses one",
            mind=name,
            tenant=tenant,
        )
    return found


def list_minds(snapshot: Snapshot) -> list[MindInfo]:
    """Every mind in the store, by tenant and name."""
    return [_info(row) for row in snapshot.rows(_all)]


def open_mind(journal: Journal, entropy: Entropy, tenant: str, name: str) -> MindInfo:
    """The mind of that name, created when it does not exist yet.

    Raises:
        QuotaExceeded: the tenant may have no further one.
    """
    check_name(tenant, "tenant")
    check_name(name, "mind")
    with journal.store.snapshot() as snapshot:
        found = find_mind(snapshot, tenant, name)
    if found is not None:
        return found
    mind = new_id(storable(journal.clock.now()), entropy)
    secret = entropy.bytes(_SECRET_BYTES).hex()
    prepared = journal.preparer.prepare(MIND_CREATED, {"tenant": tenant, "name": name, "secret": secret}, secret=True)

    def create(appender: Appender) -> MindInfo:
        appender.transaction.row(schema.whole_store)  # names are given out one at a time
        # another process may have been first; the name's row decides
        if find_mind(appender.transaction, tenant, name) is None:
            journal.allowance.check_new_mind(appender.transaction, tenant)
            appender.append(mind, prepared)
        return require_mind(appender.transaction, tenant, name)

    return journal.run(create)


def _info(row: tuple[Any, ...]) -> MindInfo:
    return MindInfo(bytes(row[0]), row[1], row[2], bytes(row[3]), row[4])
