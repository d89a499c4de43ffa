"""An embedder without a model: texts are alike that share words and parts of words. For tests and small machines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from tacit.errors import InvalidInput
from tacit.models.embedding import checked_texts, unit_vectors

if TYPE_CHECKING:
    from tacit.models.embedding import Vectors

_WORD = re.compile(r"\w+")
_PART_WEIGHT = 0.5
"""Of a part of a word, beside 1 for the word: a typing error must not make two texts strangers."""


class HashingEmbedder:
    """Counts words and their parts of three letters in hashed places (Weinberger et al., 2009; here without signs, so
    that no text can cancel itself to zero). The same on every machine, in every process, and fast.

    Args:
        dimension: places, 1 to 65,536. Fewer mean more unrelated words in the same place.
    """

    def __init__(self, dimension: int = 512) -> None:
        if not 1 <= dimension <= 65_536:
            raise InvalidInput("the dimension of a hashing embedder is 1 to 65,536", field="dimension")
        self.dimension = dimension
        self.fingerprint = f"hashing:1:{dimension}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of unit length for each text, in their order.

        Raises:
            InvalidInput: something that is not text was given.
        """
        import numpy

        wanted = checked_texts(texts)
        counts = numpy.zeros((len(wanted), self.dimension))
        for row, text in enumerate(wanted):
            for feature, weight in _features(text):
                counts[row, self._place(feature)] += weight
        return unit_vectors(counts, len(wanted), self.dimension, self.fingerprint)

    def _place(self, feature: str) -> int:
        return int.from_bytes(blake2b(feature.encode(), digest_size=8).digest()) % self.dimension


def _features(text: str) -> list[tuple[str, float]]:
    """Words and parts of words; a text without words is its own only feature."""
    words = _WORD.findall(text.casefold())
    parts = [f"^{word}$"[start : start + 3] for word in words for start in range(len(word))]
    return [(word, 1.0) for word in words] + [(part, _PART_WEIGHT) for part in parts] or [(text, 1.0)]
