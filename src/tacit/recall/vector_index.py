"""Finds the memories whose vectors are nearest to a given one: by codes first, then exactly."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tacit.errors import StoreError
from tacit.experience.memory.views import MemoryFilter
from tacit.experience.views import NOW
from tacit.recall.memory_vectors import read_vectors
from tacit.recall.mind_index import Meant, MindIndex
from tacit.recall.read_ahead import read_ahead
from tacit.stores.port import Snapshot, Store

if TYPE_CHECKING:
    from tacit.recall.embedder import Vector

MOST_BYTES = 512_000_000
"""What indexes may take in memory. One of a million memories with vectors of 384 numbers takes some 140 MB."""
RESCORED = 256
"""Memories of the nearest codes that are compared exactly, at least; where there are no more, all of them."""
_MORE = 4
"""So many times as many as are asked for are compared exactly, if that is more."""

_Key: TypeAlias = tuple[bytes, str, int]
"""A mind, a model's fingerprint, and the dimension of its vectors."""
_NO_FILTER = MemoryFilter()


class Nearest(NamedTuple):
    """A memory's number, and the cosine of its vector and the one that was asked about."""

    number: int
    cosine: float


class VectorIndex:
    """The vectors of the minds that were asked about lately. Safe to use from many threads.

    Args:
        most_bytes: what it may take; the mind that was not asked about for longest goes first.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._places: OrderedDict[_Key, _Place] = OrderedDict()
        self._lock = threading.RLock()  # guards _places

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        with self._lock:
            return sum(place.size_bytes for place in self._places.values())

    def search(
        self,
        snapshot: Snapshot,
        mind: bytes,
        model: str,
        vector: Vector,
        *,
        most: int,
        wanted: MemoryFilter = _NO_FILTER,
        position: int = NOW,
    ) -> list[Nearest]:
        """Up to ``most`` memories that meet a filter and hold at a position, those with the highest cosine first.

        Of memories that the model has not embedded yet, or refused, it knows nothing.

        Args:
            model: the fingerprint of the embedder that made ``vector``, which has unit length.
            wanted: checked already; see ``check_memory_filter``.
        """
        meant = self.among(snapshot, mind, model, len(vector), wanted=wanted, position=position)
        numbers = meant.nearest(vector, max(RESCORED, _MORE * most))
        return _rescored(snapshot, mind, model, vector, numbers.tolist(), most)

    def among(
        self,
        snapshot: Snapshot,
        mind: bytes,
        model: str,
        dimension: int,
        *,
        wanted: MemoryFilter = _NO_FILTER,
        position: int = NOW,
    ) -> Meant:
        """The memories that meet a filter and hold at a position: for whoever wants to know which of them are roughly
        nearest to a vector, to read and compare these together with others, and how near a memory is on average."""
        with self._place((mind, model, dimension)).alone() as index:
            meant = index.meant(wanted, min(position, index.catch_up(snapshot)))
        self._make_room()
        return meant

    def prepare(self, store: Store, mind: bytes, model: str, dimension: int) -> None:
        """Have a mind that nobody asked about lately read ahead; for whoever is about to call ``among``."""
        if not self._place((mind, model, dimension)).size_bytes:
            read_ahead(store, mind, model)

    def _place(self, key: _Key) -> _Place:
        with self._lock:
            place = self._places.get(key)
            if place is None:
                place = self._places[key] = _Place(key)
            self._places.move_to_end(key)
            return place

    def _make_room(self) -> None:
        with self._lock:
            while len(self._places) > 1 and self.size_bytes > self._most_bytes:
                self._places.popitem(last=False)


class _Place:
    """The index of one mind, for one thread; for what interrupts that thread (a signal handler), another one.

    Take a snapshot first: in memory whoever has one may search while the others wait for theirs.
    """

    def __init__(self, key: _Key) -> None:
        self._key = key
        self._lock = threading.RLock()  # the index is brought up to date and read by one thread at a time
        self._in_use = False
        self._index = MindIndex(*key)

    @property
    def size_bytes(self) -> int:
        return self._index.size_bytes

    @contextmanager
    def alone(self) -> Iterator[MindIndex]:
        with self._lock:
            if self._in_use:
                yield MindIndex(*self._key)
                return
            self._in_use = True
            try:
                yield self._index
            except StoreError:  # between two steps, which are done again
                raise
            except BaseException:  # a fault, or Ctrl-C, leaves it half-way: nothing of it is kept
                self._index = MindIndex(*self._key)
                raise
            finally:
                self._in_use = False


def _rescored(
    snapshot: Snapshot, mind: bytes, model: str, vector: Vector, numbers: list[int], most: int
) -> list[Nearest]:
    """The memories of those numbers with the highest cosine; of equal ones the newest. What was erased has none."""
    import numpy

    there, vectors = read_vectors(snapshot, mind, model, numbers, len(vector))
    # not "@", which would wait for a second processor: where others are at work that takes ten times as long
    cosines = numpy.einsum("ij,j->i", vectors.astype(numpy.float32), vector)
    order = numpy.lexsort((-there, -cosines))[:most]
    return [Nearest(int(there[place]), float(cosines[place])) for place in order]
