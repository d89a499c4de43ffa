"""Codes of the minds that were asked about lately, by which the memories nearest to a vector are found."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from tacit.errors import StoreError
from tacit.experience.memory.views import MemoryFilter
from tacit.experience.views import NOW
from tacit.recall.mind_index import Meant, MindIndex
from tacit.recall.read_ahead import read_ahead
from tacit.stores.port import Snapshot, Store

MOST_BYTES = 512_000_000
"""What indexes may take in memory. One of a million memories with vectors of 384 numbers takes some 140 MB."""
_Key: TypeAlias = tuple[bytes, str, int]
"""A mind, a model's fingerprint, and the dimension of its vectors."""
_NO_FILTER = MemoryFilter()


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
        nearest to a vector, to read and compare these together with others, and how near a memory is on average.

        Of memories that the model has not embedded yet, or refused, it knows nothing.

        Args:
            model: the fingerprint of the embedder whose vectors are meant, and ``dimension`` the length of these.
            wanted: checked already; see ``check_memory_filter``.
        """
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
