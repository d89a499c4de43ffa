"""A cache of what was read and answered: bounded in bytes and in age, and counted by kind."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from cachetools import TTLCache

EPISODE, RECALL = "episode", "recall"
KINDS = (EPISODE, RECALL)
"""What is kept: episodes with their steps, and answers of recall."""
COUNTERS = "cache."
"""What the names of its counters begin with."""
ALWAYS = (0, 2**63 - 1)
"""Of an answer that time alone does not change."""
_ENTRY_BYTES = 200
"""What an entry takes beside its value: its key, and its places in the cache's own tables."""

Key: TypeAlias = tuple[Any, ...]
"""What was asked, hashable: its kind comes first."""


class CacheUse(msgspec.Struct, frozen=True):
    """How a cache has done: answers found in it, answers that were not, and entries that went to make room."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0


class _Entry(msgspec.Struct, frozen=True):
    value: bytes
    good: tuple[int, int]


class _Entries(TTLCache[Key, _Entry]):
    """The entries; tells of which kinds those were that went to make room."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.evictions = Counter[str]()

    def popitem(self) -> tuple[Key, _Entry]:
        key, entry = super().popitem()
        self.evictions[key[0]] += 1
        return key, entry


class AnswerCache:
    """Keeps encoded answers by what was asked. Safe to use from many threads.

    A key holds where the mind's journal stood when the answer was read, so that whatever is written after that, an
    erasure above all, makes it unreachable at once, in every process. Values are bytes: nobody can change what others
    will be given.

    Args:
        most_bytes: what it may take; what was used longest ago goes first. 0 keeps nothing.
        seconds: how long an answer is kept.
    """

    def __init__(self, most_bytes: int, seconds: float, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._entries = _Entries(most_bytes, seconds, timer=timer, getsizeof=_size)
        self._lock = threading.RLock()  # guards all that follows
        self._hits, self._misses = Counter[str](), Counter[str]()
        self._told: dict[str, int] = {}
        self._erasures: dict[bytes, int] = {}

    def get(self, key: Key, now: int = 0) -> bytes | None:
        """The answer, unless there is none, or it is too old, or holds no longer at that time."""
        with self._lock:
            entry = self._entries.get(key)
            found = entry is not None and entry.good[0] <= now < entry.good[1]
            (self._hits if found else self._misses)[key[0]] += 1
            return entry.value if found and entry is not None else None

    def put(self, key: Key, value: bytes, good: tuple[int, int] = ALWAYS) -> None:
        """Keep an answer; one that is larger than the whole cache is not kept.

        Args:
            good: from when until when it holds, by the same clock as ``now`` of :meth:`get`.
        """
        entry = _Entry(value, good)
        with self._lock:
            if _size(entry) <= self._entries.maxsize:
                self._entries[key] = entry

    def fill(self, key: Key, read: Callable[[], bytes]) -> bool:
        """Keep an answer that nobody asked for yet, unless another one would have to go for it; whether it is kept."""
        with self._lock:
            if key in self._entries:
                return True
        entry = _Entry(read(), ALWAYS)
        with self._lock:
            if self._entries.currsize + _size(entry) > self._entries.maxsize:
                return False
            self._entries[key] = entry
            return True

    def note_erasure(self, mind: bytes, position: int) -> None:
        """The newest erasure of a mind is at that position: when that is news, nothing read before is held any more."""
        with self._lock:
            if self._erasures.setdefault(mind, position) != position:
                self._erasures[mind] = position
                self._entries.clear()

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
    def use(self) -> dict[str, CacheUse]:
        """How it has done since it was made, by kind."""
        with self._lock:
            return {
                kind: CacheUse(self._hits[kind], self._misses[kind], self._entries.evictions[kind]) for kind in KINDS
            }

    def news(self) -> dict[str, int]:
        """How it has done since this was last asked, by the names of the store's counters."""
        with self._lock:
            now = {
                f"{COUNTERS}{kind}.{name}": count
                for kind, use in self.use.items()
                for name, count in msgspec.structs.asdict(use).items()
            }
            before, self._told = self._told, now
        return {name: count - before.get(name, 0) for name, count in now.items()}


def use_of(counters: Mapping[str, int]) -> dict[str, CacheUse]:
    """How the caches of all processes have done, by kind, from the store's counters."""
    names = CacheUse.__struct_fields__
    return {kind: CacheUse(*(counters.get(f"{COUNTERS}{kind}.{name}", 0) for name in names)) for kind in KINDS}


def _size(entry: _Entry) -> int:
    return len(entry.value) + _ENTRY_BYTES
