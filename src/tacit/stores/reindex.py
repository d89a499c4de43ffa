"""Makes the index of words anew from the view of memories, while others read and write.

It goes mind by mind, and in each by the numbers of its memories, a batch in a transaction. How far it has come lies in
the store, so whoever is killed leaves something from which the same call goes on. Until all is done SQLite searches
the old index; PostgreSQL searches the one index that it has, in which what was made anew has replaced what was there.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from sqlalchemy import bindparam, func, select

from tacit.stores import schema
from tacit.stores.analyser import ANALYSER, tell_analyser
from tacit.stores.port import Row, Store, TextEntry, Transaction
from tacit.stores.terms import LABELLED, terms_of_memory

BATCH = 500
"""So many memories are indexed in one transaction, for which others wait some 50 ms."""

_memory = schema.memory
_names = ("text", *LABELLED)
_next = (
    select(_memory.c.since, *[_memory.c[name] for name in _names])
    .where(_memory.c.mind == bindparam("mind"), _memory.c.since > bindparam("after"))
    .order_by(_memory.c.since)
    .limit(bindparam("most"))
)
_minds = select(schema.head.c.mind).order_by(schema.head.c.mind)
_alone = select(schema.head.c.position).where(schema.head.c.mind == bindparam("mind")).with_for_update()
_all = select(func.count()).select_from(_memory)


class Reindexed(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: so many ``documents`` were indexed now, and ``resumed`` had been by a call that did not end."""

    documents: int
    resumed: int
    minds: int
    analyser: int


def reindex(store: Store, progress: Callable[[int], object] = lambda done: None) -> Reindexed:
    """Make the index of words of all minds anew, by the analyser of this version.

    Args:
        progress: is told how many wordings of memories are done.
    """
    with store.transaction() as transaction:
        transaction.row(schema.whole_store)
        resumed = transaction.begin_rebuild(ANALYSER)
    done = 0
    with store.snapshot() as snapshot:
        minds = [bytes(row[0]) for row in snapshot.rows(_minds)]
    for mind in minds:
        while True:
            with store.transaction() as transaction:
                more = _batch(transaction, mind)
            done += more
            progress(resumed + done)
            if more < BATCH:
                break
    with store.transaction() as transaction:
        minds = [bytes(row[0]) for row in transaction.rows(_minds)]
        for mind in minds:  # what came in since; in one order, as whoever locks several minds does
            while more := _batch(transaction, mind):
                done += more
        if transaction.is_rebuilding():  # else another call has ended it
            transaction.end_rebuild()
            tell_analyser(transaction)
    return Reindexed(documents=done, resumed=resumed, minds=len(minds), analyser=ANALYSER)


def memories_of(store: Store) -> int:
    """How many wordings of memories there are to index."""
    with store.snapshot() as snapshot:
        row = snapshot.row(_all)
    return int(row[0]) if row else 0


def _batch(transaction: Transaction, mind: bytes) -> int:
    transaction.row(_alone, mind=mind)  # nobody adds to a mind, or erases from it, meanwhile
    if not transaction.is_rebuilding():
        return 0
    rows = transaction.rows(_next, mind=mind, after=transaction.rebuilt(mind), most=BATCH)
    if rows:
        transaction.rebuild_terms(mind, rows[-1][0], [_entry(row) for row in rows])
    return len(rows)


def _entry(row: Row) -> TextEntry:
    return row[0], terms_of_memory(dict(zip(_names, row[1:], strict=True)))
