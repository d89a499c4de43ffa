"""A text is embedded once: vectors by the digest of their text, the most recently used ones in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tacit.errors import InvalidInput
from tacit.models.embedding import Embedder, checked_texts
from tacit.stores.forking import GATE, FreshLock

if TYPE_CHECKING:
    from tacit.models.embedding import Vectors

_Key = tuple[str, bytes]
"""The fingerprint of the model and the SHA-256 of the text, so that no vector outlives a change of the model."""


class EmbeddingCache:
    """At most ``capacity`` vectors; the one that was not used for longest goes first. May serve several embedders.

    A vector of 384 numbers takes about 2 kB.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise InvalidInput("an embedding cache holds at least 1 vector", field="capacity")
        self._capacity = capacity
        self._vectors: OrderedDict[_Key, Vectors] = OrderedDict()
        self._lock = FreshLock()  # the order of the dictionary changes on every read

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, key: _Key) -> Vectors | None:
        with self._lock:
            if key in self._vectors:
                self._vectors.move_to_end(key)
            return self._vectors.get(key)

    def put(self, key: _Key, vector: Vectors) -> None:
        with self._lock:
            self._vectors[key] = vector
            self._vectors.move_to_end(key)
            while len(self._vectors) > self._capacity:
                self._vectors.popitem(last=False)

    def clear(self) -> None:
        """Let go of all of them."""
        with self._lock:
            self._vectors.clear()


class CachedEmbedder:
    """An embedder that asks the one behind it only for texts that are not in the cache, and for each of them once."""

    def __init__(self, embedder: Embedder, cache: EmbeddingCache | None = None) -> None:
        self._embedder = embedder
        self._cache = EmbeddingCache() if cache is None else cache

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    @property
    def remote(self) -> bool:
        """Whether the embedder behind it is asked over a network."""
        return getattr(self._embedder, "remote", False)

    def familiarity(self, text: str) -> float:
        """How well the model behind knows the language of a text, 0 … 1; 1 for one that does not tell."""
        tell = getattr(self._embedder, "familiarity", None)
        return 1.0 if tell is None else float(tell(text))

    def forget(self) -> None:
        """Let go of what was embedded: something was erased, and nobody knows which of it was its."""
        self._cache.clear()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of unit length for each text, in their order; errors are those of the embedder behind it."""
        with GATE.entered():  # a child would wait for ever for an import that has only begun
            import numpy

        wanted = checked_texts(texts)
        keys = [(self.fingerprint, sha256(text.encode()).digest()) for text in wanted]
        found: dict[_Key, Any] = {key: self._cache.get(key) for key in keys}
        missing = {key: text for key, text in zip(keys, wanted, strict=True) if found[key] is None}
        if missing:
            for key, vector in zip(missing, self._embedder.embed(list(missing.values())), strict=True):
                found[key] = vector.copy()  # a view would keep its whole batch in memory
                self._cache.put(key, found[key])
        vectors = numpy.empty((len(keys), self.dimension), dtype=numpy.float32)
        for row, key in enumerate(keys):
            vectors[row] = found[key]
        return vectors
