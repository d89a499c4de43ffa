"""Codes as they are kept: many memories in one row, a block, so that a million are read in a second.

A block holds the memories of a range of numbers, from ``block`` to ``last``; the ranges of a mind and a model do not
overlap. New ones become a block of their own, which takes in those before it that are not much larger, up to
``MOST``: so each memory is rewritten only some twelve times, whether it comes alone or among hundreds. Whatever changes
a block gives it the next ``revision`` of this mind and model, by which readers see what they have to read anew. One
that was emptied stays, so that they see that too. Block ``ERASURE`` holds nothing; its revision is that of the last
erasure, after which also what has no code may be other than before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from tacit.recall.codes import read_records
from tacit.stores import schema
from tacit.stores.port import Row, Snapshot, Transaction

if TYPE_CHECKING:
    from tacit.recall.codes import Records

MOST = 2_048
"""Memories of a block; one that is full takes some 230 kB."""
ERASURE = -1
_TAKEN_IN = 2
"""A block takes in the one before it that is no larger than so many times itself."""
_PAGE = 64
"""Blocks that are read at a time."""
_MANY = 64
"""Blocks that take long enough to read that it is worth while to share the work."""

_code = schema.code
_of = (_code.c.mind == bindparam("mind"), _code.c.model == bindparam("model"))
_columns = (_code.c.block, _code.c.last, _code.c.revision, _code.c.width, _code.c.size, _code.c.body)
_ends = select(_code.c.block, _code.c.last, _code.c.width, _code.c.size).where(*_of)
_last = _ends.order_by(_code.c.block.desc()).limit(1)
_around = (
    select(*_columns)
    .where(*_of, _code.c.block >= 0, _code.c.block <= bindparam("number"))
    .order_by(_code.c.block.desc())
    .limit(1)
)
_from = select(*_columns).where(*_of, _code.c.block >= bindparam("first")).order_by(_code.c.block).limit(_PAGE)
_changed = select(*_columns).where(*_of, _code.c.revision > bindparam("after")).order_by(_code.c.revision).limit(_PAGE)
_numbers = select(_code.c.block).where(*_of, _code.c.block >= 0).order_by(_code.c.block)
_body = select(_code.c.body).where(*_of, _code.c.block == bindparam("which"))
_revision = select(func.max(_code.c.revision)).where(*_of)
_count = select(func.sum(_code.c.size)).where(*_of, _code.c.width == bindparam("wide"))
_models = select(_code.c.model).where(_code.c.mind == bindparam("mind")).distinct()
_this = (_code.c.mind == bindparam("of"), _code.c.model == bindparam("by"), _code.c.block == bindparam("which"))
_drop = delete(_code).where(*_this)
_rewrite = (
    update(_code)
    .where(*_this)
    .values(last=bindparam("end"), revision=bindparam("next"), size=bindparam("many"), body=bindparam("content"))
)
_empty = (
    update(_code)
    .where(_code.c.mind == bindparam("of"), _code.c.model == bindparam("by"))
    .values(revision=_code.c.revision + bindparam("more"), size=0, body=b"")
)


class Block(msgspec.Struct, frozen=True):
    """A row of codes."""

    block: int
    last: int
    revision: int
    width: int
    size: int
    body: bytes

    @property
    def records(self) -> Records:
        return read_records(self.body, self.width)


def newest_revision(snapshot: Snapshot, mind: bytes, model: str) -> int:
    """Of the blocks of a mind and a model; 0 when there are none."""
    row = snapshot.row(_revision, mind=mind, model=model)
    return int(row[0]) if row and row[0] is not None else 0


def count_codes(snapshot: Snapshot, mind: bytes, model: str, width: int) -> int:
    """How many codes of that many bytes there are."""
    return int(snapshot.rows(_count, mind=mind, model=model, wide=width)[0][0] or 0)


def all_blocks(snapshot: Snapshot, mind: bytes, model: str) -> Iterator[Block]:
    """Every block, by number."""
    first = 0
    while rows := snapshot.rows(_from, mind=mind, model=model, first=first):
        yield from (_block(row) for row in rows)
        first = int(rows[-1][0]) + 1


def shares_of_blocks(snapshot: Snapshot, mind: bytes, model: str, count: int) -> list[list[int]]:
    """The numbers of all blocks in so many shares; none when there are few."""
    numbers = [int(number) for (number,) in snapshot.rows(_numbers, mind=mind, model=model)]
    share = -(-len(numbers) // count)
    return [numbers[first : first + share] for first in range(0, len(numbers), share)] if len(numbers) >= _MANY else []


def read_block(snapshot: Snapshot, mind: bytes, model: str, block: int) -> None:
    """Read a block for nothing but to have it in the system's memory."""
    snapshot.row(_body, mind=mind, model=model, which=block)


def changed_blocks(snapshot: Snapshot, mind: bytes, model: str, after: int) -> list[Block]:
    """The blocks that were changed after a revision, by number."""
    found: list[Block] = []
    while rows := snapshot.rows(_changed, mind=mind, model=model, after=after):
        found += [_block(row) for row in rows]
        after = found[-1].revision
    return sorted(found, key=lambda block: block.block)


def coded_models(snapshot: Snapshot, mind: bytes) -> list[str]:
    """The models of which a mind has codes."""
    return [str(row[0]) for row in snapshot.rows(_models, mind=mind)]


def put_codes(transaction: Transaction, mind: bytes, model: str, records: Records) -> None:
    """Add the records of memories, by number; one that is there already is replaced."""
    import numpy

    of = {"mind": mind, "model": model}
    row = transaction.row(_last, **of)
    fresh = records[records["number"] > row[1]] if row else records
    _replace(transaction, mind, model, records[: len(records) - len(fresh)])
    for first in range(0, len(fresh), MOST):
        part, row = fresh[first : first + MOST], transaction.row(_last, **of)
        start = int(part["number"][0])
        revision = newest_revision(transaction, mind, model) + 1  # also after those that are about to go
        while row and row[2] == part.dtype["code"].itemsize and row[3] <= min(_TAKEN_IN * len(part), MOST - len(part)):
            before = _block(transaction.rows(_around, number=row[0], **of)[0])
            part, start = numpy.concatenate([before.records, part]), before.block
            transaction.execute(_drop, of=mind, by=model, which=start)
            row = transaction.row(_last, **of)
        _insert(transaction, mind, model, start, revision, part)


def forget_codes(transaction: Transaction, mind: bytes, model: str, numbers: Sequence[int]) -> None:
    """Remove the records of memories, to the last byte."""
    import numpy

    wanted = sorted(numbers)
    while wanted and (row := transaction.row(_around, mind=mind, model=model, number=wanted[-1])):
        block = _block(row)
        here = [number for number in wanted if number >= block.block]
        kept = block.records[~numpy.isin(block.records["number"], here)]
        if len(kept) < block.size:
            _write(transaction, mind, model, block, kept, block.last)
        wanted = wanted[: len(wanted) - len(here)]
    revision = newest_revision(transaction, mind, model) + 1
    transaction.execute(_drop, of=mind, by=model, which=ERASURE)
    transaction.insert(_code, ((mind, model, ERASURE, ERASURE, revision, 0, 0, b""),))


def empty_codes(transaction: Transaction, mind: bytes, model: str) -> None:
    """Remove the records of all memories of a mind, to the last byte."""
    transaction.execute(_empty, of=mind, by=model, more=newest_revision(transaction, mind, model))


def _replace(transaction: Transaction, mind: bytes, model: str, records: Records) -> None:
    """Put records among those of older blocks: whoever embeds anew comes to what is there."""
    import numpy

    while len(records):
        row = transaction.row(_around, mind=mind, model=model, number=int(records["number"][-1]))
        if row is None:  # before the first block, whose range is not touched
            revision = newest_revision(transaction, mind, model) + 1
            _insert(transaction, mind, model, int(records["number"][0]), revision, records)
            return
        block = _block(row)
        here = records[records["number"] >= block.block]
        others = block.records[~numpy.isin(block.records["number"], here["number"])]
        if others.dtype == here.dtype:
            whole = numpy.concatenate([others, here])
            others = whole[numpy.argsort(whole["number"])]
        # else the model has another dimension than before under the same name; the old block keeps its range
        _write(transaction, mind, model, block, others, max(block.last, int(here["number"][-1])))
        records = records[: len(records) - len(here)]


def _insert(transaction: Transaction, mind: bytes, model: str, start: int, revision: int, records: Records) -> None:
    end, width = int(records["number"][-1]), records.dtype["code"].itemsize
    row = (mind, model, start, end, revision, width, len(records), records.tobytes())
    transaction.insert(_code, (row,))


def _block(row: Row) -> Block:
    block, last, revision, width, size, body = row
    return Block(block, last, revision, width, size, bytes(body))


def _write(transaction: Transaction, mind: bytes, model: str, block: Block, records: Records, end: int) -> None:
    transaction.execute(
        _rewrite,
        of=mind,
        by=model,
        which=block.block,
        end=end,
        next=newest_revision(transaction, mind, model) + 1,
        many=len(records),
        content=records.tobytes(),
    )
