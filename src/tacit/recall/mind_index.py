"""The codes of one mind's memories by one model, in memory: which memories are meant, and which of them are nearest.

Built from the database and caught up from it before it answers, whoever wrote there meanwhile. It follows what comes,
what is closed, and what is erased. Columns by memory, oldest first, so that a filter is a comparison of whole columns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from tacit.experience.memory.memory import RECALLED_KINDS
from tacit.experience.memory.views import MemoryFilter
from tacit.journal.read import head_position
from tacit.recall import hamming
from tacit.recall.code_blocks import ERASURE, Block, all_blocks, changed_blocks, count_codes, newest_revision
from tacit.recall.codes import NAMES, WORD_BYTES, codes_of, likeness, name_hash, projected, width_of
from tacit.stores import schema
from tacit.stores.port import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy
    from numpy.typing import NDArray

    from tacit.recall.codes import Records

_OPEN = 2**63 - 1
"""Until when a memory holds that was not closed."""
_ERASED = 0
"""Until when a memory held that was erased: at no position."""
_SPARE = 8
"""One part in so many is spare when room for more memories is made."""
_LEAST_ROOM = 256
_SAMPLE = 512
"""Memories from which the cosines of all are told."""
_LEAST_VARIANCE = 1e-4
"""Of cosines: of memories that all say the same, codes tell it no better."""
_WIDER = 8
"""Of so many times as many codes that differ in the fewest bits, those most like the vector are chosen."""

_memory = schema.memory
_ended = select(_memory.c.since, _memory.c.until).where(
    _memory.c.mind == bindparam("mind"), _memory.c.until.is_not(None), _memory.c.until > bindparam("after")
)
_ended_since = select(_memory.c.since, _memory.c.until).where(
    _memory.c.mind == bindparam("mind"), _memory.c.since >= bindparam("first"), _memory.c.until.is_not(None)
)


class _Columns(msgspec.Struct):
    """What is known of each memory; as many places as there is room for."""

    numbers: NDArray[numpy.int64]
    until: NDArray[numpy.int64]
    moments: NDArray[numpy.int64]
    kinds: NDArray[numpy.uint8]
    names: NDArray[numpy.uint64]
    """(names, memories)"""
    codes: NDArray[numpy.uint64]
    """(memories, words of a code)"""

    @classmethod
    def of(cls, room: int, words: int) -> _Columns:
        import numpy

        return cls(
            numbers=numpy.zeros(room, dtype=numpy.int64),
            until=numpy.zeros(room, dtype=numpy.int64),
            moments=numpy.zeros(room, dtype=numpy.int64),
            kinds=numpy.zeros(room, dtype=numpy.uint8),
            names=numpy.zeros((len(NAMES), room), dtype=numpy.uint64),
            codes=numpy.zeros((room, words), dtype=numpy.uint64),
        )

    @property
    def nbytes(self) -> int:
        return sum(int(column.nbytes) for column in msgspec.structs.astuple(self))

    def put(self, places: slice | NDArray[numpy.int64], records: Records) -> None:
        self.numbers[places] = records["number"]
        self.moments[places] = records["moment"]
        self.kinds[places] = records["kind"]
        self.names[:, places] = records["names"].T
        self.codes[places] = records["code"]


class Meant(NamedTuple):
    """Memories among which to look."""

    numbers: NDArray[numpy.int64]
    codes: NDArray[numpy.uint64]
    chosen: NDArray[numpy.bool_] | None
    """Which of them are meant; None for all."""

    def nearest(self, vector: NDArray[numpy.float32], most: int) -> NDArray[numpy.int64]:
        """The numbers of up to ``most`` memories whose codes are most like a vector."""
        import numpy

        projection = projected(vector.reshape(1, -1))
        places = hamming.nearest(self.codes, codes_of(projection)[0], self.chosen, _WIDER * most)
        if len(places) > most:
            alike = likeness(self.codes[places], projection[0])
            places = places[numpy.argpartition(-alike, most)[:most]]
        return self.numbers[places]

    def _spread(self, most: int) -> NDArray[numpy.intp]:
        import numpy

        there = None if self.chosen is None else numpy.flatnonzero(self.chosen)
        many = len(self.codes) if there is None else len(there)
        places = numpy.linspace(0, many - 1, min(many, most)).astype(numpy.intp)
        return places if there is None else there[places]

    def background(self, vector: NDArray[numpy.float32]) -> tuple[float, float] | None:
        """Mean and standard deviation of the cosine of a vector and those of all that are meant, from the codes of a
        few hundred of them; None for fewer than two.

        Vectors are spread over the planes like normal variates. So for a cosine of c, with p planes and n numbers of a
        vector, the likeness of code and projection is c p √(2 / π n) on average; divided by that it is c with a
        variance of (π / 2 - 1) / p around it, which is taken off.
        """

        places = self._spread(_SAMPLE)
        if len(places) < 2:
            return None
        projection = projected(vector.reshape(1, -1))[0]
        planes = len(projection)
        cosines = likeness(self.codes[places], projection) / (planes * math.sqrt(2 / (math.pi * len(vector))))
        spread = float(cosines.var()) - (math.pi / 2 - 1) / planes * float(vector @ vector)
        return float(cosines.mean()), math.sqrt(max(spread, _LEAST_VARIANCE))


class MindIndex:
    """The index of one mind and one model. For one thread at a time.

    Args:
        model: the fingerprint of the embedder whose vectors it holds.
        dimension: of these vectors; others by a model of the same name are left out.
    """

    def __init__(self, mind: bytes, model: str, dimension: int) -> None:
        self._mind = mind
        self._model = model
        self._width = width_of(dimension)
        self._clear()

    def _clear(self) -> None:
        self._columns = _Columns.of(0, self._width // WORD_BYTES)
        self._count = 0
        self._position = 0
        """Up to here it was followed what was closed."""
        self._revision = 0
        self._live: NDArray[numpy.bool_] | None = None
        """Which memories hold now; None until that is asked."""

    def __len__(self) -> int:
        return self._count

    @property
    def size_bytes(self) -> int:
        """The room that it takes."""
        return self._columns.nbytes

    # ── following the database ───────────────────────────────────────────────────────────────────────────────────────

    def catch_up(self, snapshot: Snapshot) -> int:
        """Bring it to a snapshot, unless it has seen a newer one. The position at which the snapshot stands."""
        head = head_position(snapshot, self._mind)
        if head < self._position:
            return head
        revision = newest_revision(snapshot, self._mind, self._model)
        if revision < self._revision:
            if head == self._position:  # a snapshot from before the last vectors came
                return head
            self._clear()  # all of it was removed, and begun anew
        if revision > self._revision:
            self._read(snapshot, revision)
        if head > self._position:
            if self._position:
                self._close(snapshot.rows(_ended, mind=self._mind, after=self._position))
            self._position = head
        return head

    def _read(self, snapshot: Snapshot, revision: int) -> None:
        """Read the blocks that were changed; all of them when there is nothing yet."""
        if self._revision:
            blocks = changed_blocks(snapshot, self._mind, self._model, self._revision)
            if self._take_in(snapshot, blocks):
                self._revision = revision
                return
        self._clear()
        self._make_room(count_codes(snapshot, self._mind, self._model, self._width))
        for block in all_blocks(snapshot, self._mind, self._model):
            if block.width == self._width:
                self._append(block.records)
        self._close(snapshot.rows(_ended, mind=self._mind, after=0))
        self._revision = revision

    def _take_in(self, snapshot: Snapshot, blocks: Iterable[Block]) -> bool:
        """Follow the blocks that were changed; False when the index has to be made anew."""
        import numpy

        before, erased = self._count, False
        for block in blocks:
            erased = erased or block.block == ERASURE
            if block.width != self._width:
                continue
            records, numbers = block.records, self._columns.numbers[: self._count]
            first, end = numpy.searchsorted(numbers, [block.block, block.last + 1])
            newest = int(numbers[-1]) if self._count else 0
            known = records[records["number"] <= newest]
            places = first + numpy.searchsorted(numbers[first:end], known["number"])
            if not numpy.array_equal(numbers[numpy.minimum(places, end - 1)] if end > first else [], known["number"]):
                return False  # one came late to its place among others
            self._columns.put(places, known)
            back = places[self._columns.until[places] == _ERASED]  # vectors were removed, and made anew
            self._columns.until[back] = _OPEN
            erased = erased or len(back) > 0
            gone = numpy.ones(end - first, dtype=bool)
            gone[places - first] = False
            self._columns.until[first:end][gone] = _ERASED
            self._columns.codes[first:end][gone] = 0
            self._columns.names[:, first:end][:, gone] = 0
            self._append(records[len(known) :])
        self._live = None
        if erased:  # what others had closed may hold again
            until = self._columns.until[: self._count]
            until[until != _ERASED] = _OPEN
            if 2 * numpy.count_nonzero(until == _ERASED) > len(until):
                return False
            self._close(snapshot.rows(_ended, mind=self._mind, after=0))
        elif self._count > before:
            first_new = int(self._columns.numbers[before])
            self._close(snapshot.rows(_ended_since, mind=self._mind, first=first_new))
        return True

    def _append(self, records: Records) -> None:
        end = self._count + len(records)
        if end > len(self._columns.numbers):
            self._make_room(end)
        places = slice(self._count, end)
        self._columns.put(places, records)
        self._columns.until[places] = _OPEN
        self._count, self._live = end, None

    def _make_room(self, many: int) -> None:
        before, columns = self._columns, _Columns.of(many + many // _SPARE + _LEAST_ROOM, self._width // WORD_BYTES)
        columns.names[:, : self._count] = before.names[:, : self._count]
        for name in ("numbers", "until", "moments", "kinds", "codes"):
            getattr(columns, name)[: self._count] = getattr(before, name)[: self._count]
        self._columns = columns

    def _close(self, rows: list[tuple[int, int]]) -> None:
        """Note until when memories held."""
        import numpy

        if not rows or not self._count:
            return
        since, until = numpy.array(rows, dtype=numpy.int64).T
        numbers = self._columns.numbers[: self._count]
        places = numpy.minimum(numpy.searchsorted(numbers, since), self._count - 1)
        here = (numbers[places] == since) & (self._columns.until[places] != _ERASED)
        self._columns.until[places[here]] = until[here]
        self._live = None

    # ── answering ────────────────────────────────────────────────────────────────────────────────────────────────────

    def meant(self, wanted: MemoryFilter, position: int) -> Meant:
        """The memories that meet a filter and hold at a position, which the index has reached. They stay as they are
        now, whatever the index follows later, so that others need not wait while they are compared."""
        import numpy

        columns = self._columns
        end = int(numpy.searchsorted(columns.numbers[: self._count], position, "right"))
        return Meant(columns.numbers[:end], columns.codes[:end], self._chosen(wanted, position, end))

    def _chosen(self, wanted: MemoryFilter, position: int, end: int) -> NDArray[numpy.bool_] | None:
        """Which of the first memories are meant; None when all of them are."""
        import numpy

        columns = self._columns
        if position >= self._position:
            if self._live is None:
                self._live = columns.until[: self._count] == _OPEN
            meant = self._live[:end]
        else:
            meant = columns.until[:end] > position
        for place, name in enumerate(NAMES):
            if value := getattr(wanted, name):
                meant = meant & (columns.names[place, :end] == name_hash(value))
        if wanted.kinds:
            allowed = [columns.kinds[:end] == RECALLED_KINDS.index(kind) for kind in wanted.kinds]
            meant = meant & numpy.logical_or.reduce(allowed)
        if wanted.occurred_after is not None:
            meant = meant & (columns.moments[:end] >= wanted.occurred_after)
        if wanted.occurred_before is not None:
            meant = meant & (columns.moments[:end] < wanted.occurred_before)
        return None if meant.all() else meant
