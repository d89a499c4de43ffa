"""What came next, counted by key: for every key the tools that followed, in solved runs and in others.

A key is a context or a word of a bag. Only what was seen is kept, so the table grows with what happened and not with
the number of tools; keys are kept as hashes.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tacit.learning.fitting.arrays import Packed, pack, pack_counts

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Whole = NDArray[numpy.int64]
    Real = NDArray[numpy.float64]

MOST_TOOLS = 64
"""Tools that are kept for a key, the most frequent ones: what so many tools follow says little of any of them."""


class Entries(NamedTuple):
    """Counts of some keys, as flat columns: the place of the key among those asked for, a tool, and how often it
    followed that key in solved runs and in others."""

    place: Whole
    tool: Whole
    solved: Whole
    others: Whole


class Successors:
    """The table. It is not changed once it is made."""

    def __init__(self, starts: Any, tools: Any, solved: Any, others: Any) -> None:
        self._starts, self._tools, self._solved, self._others = starts, tools, solved, others

    @classmethod
    def count(
        cls, keys: NDArray[numpy.int32], tools: Whole, solved: NDArray[numpy.bool_], most_keys: int
    ) -> Successors:
        """Counted from one key and tool for each time that something followed something.

        Args:
            keys: numbers from 0 up to ``most_keys``.
        """
        import numpy

        width = int(tools.max()) + 1 if len(tools) else 1
        pairs = keys.astype(numpy.int64)
        pairs *= width
        pairs += tools
        pairs, good, others = counted(pairs, solved)
        kept = _foremost(pairs // width, good + others)
        pairs, good, others = pairs[kept], good[kept], others[kept]
        starts = numpy.searchsorted(pairs // width, numpy.arange(most_keys + 1))
        return cls(starts, pairs % width, good, others)

    def entries(self, keys: Whole) -> Entries:
        """All counts of these keys; a key below 0 is one that nobody has seen."""
        import numpy

        known = numpy.flatnonzero(keys >= 0)
        first = self._starts[keys[known]].astype(numpy.int64)
        many = self._starts[keys[known] + 1].astype(numpy.int64) - first
        flat = numpy.repeat(first - numpy.cumsum(many) + many, many) + numpy.arange(int(many.sum()))
        return Entries(
            numpy.repeat(known, many),
            self._tools[flat].astype(numpy.int64),
            self._solved[flat].astype(numpy.int64),
            self._others[flat].astype(numpy.int64),
        )


def counted(cells: Whole, solved: NDArray[numpy.bool_]) -> tuple[Whole, Whole, Whole]:
    """The different cells, sorted, and how often each came in solved runs and in others.

    Args:
        cells: numbers from 0 up to 2⁶². They are used up: there are very many, and they are sorted where they lie.
    """
    import numpy

    cells <<= 1
    cells |= solved
    cells.sort()
    is_first = numpy.ones(len(cells), dtype=bool)
    numpy.not_equal(cells[1:], cells[:-1], out=is_first[1:])
    starts = numpy.flatnonzero(is_first)
    many = numpy.diff(starts, append=len(cells))
    kinds = cells[starts]
    found, place = numpy.unique(kinds >> 1, return_index=True)
    if not len(found):
        return found, found, found
    good = numpy.add.reduceat(many * (kinds & 1), place)
    return found, good, numpy.add.reduceat(many, place) - good


def _foremost(keys: Whole, counts: Whole) -> NDArray[numpy.bool_]:
    """Which counts are among the highest ``MOST_TOOLS`` of their key; keys are sorted."""
    import numpy

    order = numpy.lexsort((-counts, keys))
    rank = numpy.empty(len(keys), dtype=numpy.int64)
    rank[order] = numpy.arange(len(keys)) - numpy.searchsorted(keys, keys[order])
    return rank < MOST_TOOLS


class PackedSuccessors(msgspec.Struct, frozen=True):
    """The table with its keys, as bytes."""

    keys: Packed
    starts: Packed
    tools: Packed
    solved: Packed
    others: Packed


class Keyed:
    """The table together with its keys' hashes, in order."""

    def __init__(self, packed: PackedSuccessors) -> None:
        self.packed = packed
        self._keys = packed.keys.array
        self.table = Successors(packed.starts.array, packed.tools.array, packed.solved.array, packed.others.array)

    @classmethod
    def of(cls, table: Successors, hashes: NDArray[numpy.uint64]) -> Keyed:
        """A table whose key number i has the i-th of these hashes."""
        import numpy

        order = numpy.argsort(hashes, kind="stable")
        entries = table.entries(order)
        many = numpy.bincount(entries.place, minlength=len(order))
        return cls(
            PackedSuccessors(
                keys=pack(hashes[order]),
                starts=pack_counts(numpy.concatenate([[0], numpy.cumsum(many)])),
                tools=pack_counts(entries.tool),
                solved=pack_counts(entries.solved),
                others=pack_counts(entries.others),
            )
        )

    def numbers(self, hashes: NDArray[numpy.uint64]) -> Whole:
        """The number of each key, −1 where nobody has seen it."""
        import numpy

        if not len(self._keys):
            return numpy.full(len(hashes), -1)
        at = numpy.minimum(numpy.searchsorted(self._keys, hashes), len(self._keys) - 1)
        return numpy.where(self._keys[at] == hashes, at, -1)


@lru_cache(maxsize=4_096)
def hash_of(*key: str | int) -> int:
    """A hash of 64 bits; the same on every machine."""
    text = "\x1f".join(map(str, key))
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
