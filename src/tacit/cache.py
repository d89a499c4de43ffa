"""A cache of answers that were read: bounded in bytes and in age, and counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import msgspec
from cachetools import TTLCache

COUNTERS = "cache."
"""What the names of its counters begin with."""
_ENTRY_BYTES = 200
"""What an entry takes beside its value: its key, and its places in the cache's own tables."""


class CacheUse(msgspec.Struct, frozen=True):
    """How a cache has done: answers found in it, answers that were not, and entries that went to make room."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0


class _Entries(TTLCache[Hashable, bytes]):
    """The entries; tells how many went to make room."""

    evictions = 0

    def popitem(self) -> tuple[Hashable, bytes]:
        self.evictions += 1
        return super().popitem()


class AnswerCache:
    """Keeps encoded answers by what was asked. Safe to use from many threads.

    A key holds the position of the mind's journal at which the answer was read, so that whatever is written after that,
    an erasure above all, makes it unreachable at once, in every process. Values are bytes: nobody can change what
    others will be given.

    Args:
        most_bytes: what it may take; what was used longest ago goes first. 0 keeps nothing.
        seconds: how long an answer is kept.
    """

    def __init__(self, most_bytes: int, seconds: float, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._entries = _Entries(most_bytes, seconds, timer=timer, getsizeof=_size)
        self._lock = threading.RLock()  # guards _entries and the counts
        self._hits = self._misses = 0
        self._told = CacheUse()

    def get(self, key: Hashable) -> bytes | None:
        """The answer, unless there is none, or it is too old."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                self._misses += 1
            else:
                self._hits += 1
            return found

    def put(self, key: Hashable, value: bytes) -> None:
        """Keep an answer; one that is larger than the whole cache is not kept."""
        with self._lock:
            if _size(value) <= self._entries.maxsize:
                self._entries[key] = value

    def clear(self) -> None:
        """Forget every answer."""
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """What the answers take."""
        with self._lock:
            return int(self._entries.currsize)

    @property
    def use(self) -> CacheUse:
        """How it has done since it was made."""
        with self._lock:
            return CacheUse(self._hits, self._misses, self._entries.evictions)

    def news(self) -> dict[str, int]:
        """How it has done since this was last asked, by the names of the store's counters."""
        with self._lock:
            now, before = msgspec.structs.asdict(self.use), msgspec.structs.asdict(self._told)
            self._told = CacheUse(**now)
        return {COUNTERS + name: count - before[name] for name, count in now.items()}


def use_of(counters: Mapping[str, int]) -> CacheUse:
    """How the caches of all processes have done, from the store's counters."""
    return CacheUse(**{name: counters.get(COUNTERS + name, 0) for name in CacheUse.__struct_fields__})


def _size(value: Any) -> int:
    return len(value) + _ENTRY_BYTES
