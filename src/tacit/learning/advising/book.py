"""The book: what has been learned as of one position of the journal. A pure function of the lessons up to there."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, delete, select

from tacit.learning.advising.advice import Playbook
from tacit.learning.patterns.heuristics import Heuristic
from tacit.learning.patterns.pattern import Pattern
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

VERSION = 3
"""Of the form of a book and of what goes into it; an older book is not read, and soon replaced."""
GROWTH = 1.1
"""Older books are kept for reading the past, each with a tenth more episodes than the one before."""

_book = schema.book
_newest = (
    select(_book.c.body)
    .where(_book.c.mind == bindparam("mind"), _book.c.position <= bindparam("position"))
    .order_by(_book.c.position.desc())
    .limit(1)
)
_head = _newest.with_only_columns(_book.c.position, _book.c.at)
_kept = (
    select(_book.c.position, _book.c.episodes)
    .where(_book.c.mind == bindparam("mind"))
    .order_by(_book.c.position.desc())
    .limit(2)
)
_drop = delete(_book).where(_book.c.mind == bindparam("of"), _book.c.position == bindparam("which"))
_drop_from = delete(_book).where(_book.c.mind == bindparam("of"), _book.c.position >= bindparam("first"))


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned, and from how much."""

    version: int = VERSION
    position: int = 0
    """The last event that it knows of."""
    at: int = 0
    """When it was written, in µs since 1970 UTC."""
    episodes: int = 0
    """Finished episodes that were studied."""
    success_rate: float = 0.5
    """The share of successes among them."""
    known: int = 0
    """Finished episodes that there were, also those too old to be studied."""
    patterns: tuple[Pattern, ...] = ()
    """Found by the six strategies, merged, strongest first."""
    heuristics: tuple[Heuristic, ...] = ()
    """Most important first."""
    playbooks: tuple[tuple[tuple[str, str], Playbook], ...] = ()
    """By kind of task, the most frequent kinds first."""
    retired: tuple[Heuristic, ...] = ()
    """Heuristics that were pruned or demoted, newest first; they are kept for their history."""


EMPTY = Book()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Book).decode


def book_head(snapshot: Snapshot, mind: bytes, position: int) -> tuple[int, int]:
    """The position of the newest book that knows of nothing after a position, and when it was written; zeros without
    one."""
    row = snapshot.row(_head, mind=mind, position=position)
    return (int(row[0]), int(row[1])) if row else (0, 0)


def read_book(snapshot: Snapshot, mind: bytes, position: int) -> Book:
    """The newest book that knows of nothing after a position; an empty one when there is none."""
    row = snapshot.row(_newest, mind=mind, position=position)
    if row is None:
        return EMPTY
    body = bytes(row[0])
    try:
        found = _decode(body)
    except msgspec.ValidationError:
        return EMPTY
    return found if found.version == VERSION else EMPTY


def write_book(transaction: Transaction, mind: bytes, book: Book) -> None:
    """Keep a book, and let go of the one before unless it is a milestone."""
    kept = transaction.rows(_kept, mind=mind)
    if kept and kept[0][0] == book.position:
        transaction.execute(_drop, of=mind, which=book.position)
        kept = kept[1:]
    if len(kept) == 2 and kept[0][1] < GROWTH * kept[1][1]:
        transaction.execute(_drop, of=mind, which=kept[0][0])
    transaction.insert(_book, ((mind, book.position, book.at, book.episodes, _encode(book)),))


def forget_books(transaction: Transaction, mind: bytes, first: int) -> int:
    """Remove every book that may know of the event at ``first``; they are written anew. Erasing calls this."""
    return transaction.execute(_drop_from, of=mind, first=first)
