"""Which rows have which words: how much of what a task says others have said too.

Each row is the words of one episode's task, as numbers in a table, so that all rows are compared in one go.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]

MOST_WORDS = 128
"""Words of a row that are looked at."""
_NO_WORD = 0
_FIRST_ROWS, _FIRST_WORDS = 64, 16


class WordIndex:
    """Rows of words, by number. A number may be used again after its row was cleared."""

    def __init__(self) -> None:
        import numpy

        self._rows: dict[int, tuple[str, ...]] = {}
        self._numbers: dict[str, int] = {}
        self._uses: dict[str, int] = {}
        self._free: list[int] = []
        self._table = numpy.zeros((_FIRST_ROWS, _FIRST_WORDS), dtype=numpy.int32)

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: int, words: Collection[str]) -> None:
        """Fill a row that is empty."""
        kept = tuple(dict.fromkeys(words))[:MOST_WORDS]
        self._rows[row] = kept
        self._make_room(row, len(kept))
        for word in kept:
            self._uses[word] = self._uses.get(word, 0) + 1
            if word not in self._numbers:
                self._numbers[word] = self._free.pop() if self._free else len(self._numbers) + 1
        self._table[row, : len(kept)] = [self._numbers[word] for word in kept]

    def clear(self, row: int) -> None:
        """Empty a row."""
        for word in self._rows.pop(row):
            self._uses[word] -= 1
            if not self._uses[word]:
                del self._uses[word]
                self._free.append(self._numbers.pop(word))
        self._table[row] = _NO_WORD

    def likeness(self, words: Collection[str]) -> Real:
        """For each row the share of these words that it has too, from 0 to 1, each word weighed by how rare it is.

        The weight of a word is ln((n + 1) / (k + ½)), for k of n rows that have it.
        """
        import numpy

        weights = numpy.zeros(len(self._numbers) + len(self._free) + 1, dtype=numpy.float32)
        whole = 0.0
        for word in set(words):
            weight = math.log((len(self) + 1) / (self._uses.get(word, 0) + 0.5))
            whole += weight
            weights[self._numbers.get(word, _NO_WORD)] = weight
        weights[_NO_WORD] = 0.0
        found: Real = weights[self._table].sum(axis=1)
        return found / whole if whole > 0 else numpy.zeros_like(found)

    def _make_room(self, row: int, words: int) -> None:
        import numpy

        rows, width = self._table.shape
        if row < rows and words <= width:
            return
        larger = numpy.zeros((_doubled(rows, row + 1), _doubled(width, words)), dtype=numpy.int32)
        larger[:rows, :width] = self._table
        self._table = larger


def _doubled(size: int, needed: int) -> int:
    while size < needed:
        size *= 2
    return size
