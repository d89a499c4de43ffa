"""Vectors of embedders that are set no more: what there is of them, and their removal once they serve nobody.

They serve until the embedder that is set now has seen as many events. Another process may still be set to one of them:
as long as it has the lease on its vectors, they stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Column, Table, bindparam, delete, func, select

from tacit.journal.append import Appender
from tacit.journal.journal import Journal
from tacit.recall.code_blocks import empty_codes
from tacit.recall.memory_vectors import NAME
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

AT_ONCE = 10_000
"""Vectors that one transaction removes: whoever writes meanwhile waits for no more than these."""

_row = schema.consumer
_states = select(_row.c.name, _row.c.position, _row.c.holder, _row.c.expires_at).where(_row.c.mind == bindparam("mind"))
_stop = delete(_row).where(_row.c.mind == bindparam("of"), _row.c.name == bindparam("which"))


class Kind(NamedTuple):
    """A kind of vectors: the table that holds them, what each belongs to, and the consumer that makes them."""

    table: Table
    owner: Column[object]
    consumer: str
    begin: Callable[[Transaction, bytes, str], object] = lambda transaction, mind, model: None
    """Called with the mind and the model before the first of its vectors goes."""


MEMORIES = Kind(schema.memory_vector, schema.memory_vector.c.number, NAME, empty_codes)


class Former(NamedTuple):
    """An embedder that is set no more, and how many vectors it has left behind."""

    kind: Kind
    model: str
    vectors: int


def former_vectors(snapshot: Snapshot, mind: bytes, kind: Kind, wanted: str, now: int) -> list[Former]:
    """What other embedders than the wanted one have left behind, where it serves nobody any more.

    Args:
        wanted: the fingerprint of the embedder that is set.
        now: µs since 1970 UTC; leases that end later are respected.
    """
    found = (
        Former(kind, model, _count(snapshot, mind, kind, model)) for model in _unused(snapshot, mind, kind, wanted, now)
    )
    return [former for former in found if former.vectors]


def drop(journal: Journal, mind: bytes, former: Former, wanted: str) -> int:
    """Remove the vectors of an embedder that is set no more; how many. It stops where that is in use again."""
    removed = 0
    while more := journal.run(lambda appender: _drop_some(appender, mind, former, wanted, journal.clock.now())):
        removed += more
    return removed


def _drop_some(appender: Appender, mind: bytes, former: Former, wanted: str, now: int) -> int:
    appender.hold(mind)
    transaction, kind, model = appender.transaction, former.kind, former.model
    if model not in _unused(transaction, mind, kind, wanted, now):
        return 0
    # the offset first: should this be interrupted, the model begins anew instead of missing what is gone
    transaction.execute(_stop, of=mind, which=f"{kind.consumer} {model}")
    kind.begin(transaction, mind, model)
    table, owner = kind.table, kind.owner
    of = (table.c.mind == bindparam("of"), table.c.model == bindparam("by"))
    last = transaction.row(select(owner).where(*of).order_by(owner).offset(AT_ONCE - 1).limit(1), of=mind, by=model)
    if last is None:
        return transaction.execute(delete(table).where(*of), of=mind, by=model)
    return transaction.execute(delete(table).where(*of, owner <= bindparam("last")), of=mind, by=model, last=last[0])


def _unused(snapshot: Snapshot, mind: bytes, kind: Kind, wanted: str, now: int) -> list[str]:
    """Models that the wanted one has caught up with, and that no process embeds with."""
    begins = f"{kind.consumer} "
    states = {
        str(name)[len(begins) :]: (int(position), bool(holder) and int(expires_at) > now)
        for name, position, holder, expires_at in snapshot.rows(_states, mind=mind)
        if name.startswith(begins)
    }
    reached, _ = states.get(wanted, (0, False))
    models = {*states, *_models(snapshot, mind, kind)} - {wanted}
    return sorted(
        model for model in models if (state := states.get(model, (0, False)))[0] <= reached and not state[1] and reached
    )


def _models(snapshot: Snapshot, mind: bytes, kind: Kind) -> list[str]:
    """The models that made vectors of this kind; one look into the index for each."""
    model = kind.table.c.model
    following = select(func.min(model)).where(kind.table.c.mind == bindparam("mind"), model > bindparam("after"))
    found: list[str] = []
    while (row := snapshot.row(following, mind=mind, after=found[-1] if found else "")) and row[0] is not None:
        found.append(str(row[0]))
    return found


def _count(snapshot: Snapshot, mind: bytes, kind: Kind, model: str) -> int:
    table = kind.table
    counted = (
        select(func.count())
        .select_from(table)
        .where(table.c.mind == bindparam("mind"), table.c.model == bindparam("by"))
    )
    row = snapshot.row(counted, mind=mind, by=model)
    return int(row[0]) if row else 0
