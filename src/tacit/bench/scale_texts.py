"""Memories without end, in bounded memory: words as frequent as in language, vectors in clusters as those of a model.

A text is about a topic. Its words follow Zipf's law (G. K. Zipf, "Human Behavior and the Principle of Least Effort",
1949), some are its topic's own. Its vector is its topic's direction with noise that the text alone decides, so that
nothing but the text needs to be known: the embedder here is a function, not a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]

DIMENSION = 384
CHUNK = 10_000
"""So many memories are made at once."""
USERS = 100
"""Each has every hundredth memory."""
_COMMON = 20_000
_EXPONENT = 1.07
_TOPICS = 1_000
_WORDS_OF_A_TOPIC = 40
_SHORTEST, _LONGEST = 6, 18
_OWN = 3
"""Words of its topic in a text."""
_NOISE = 0.8
"""Its length, beside 1 for the direction of the topic."""
_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"


class Made(msgspec.Struct, frozen=True):
    """A memory to be: its text, and whose it is."""

    text: str
    user: str


class ScaleTexts:
    """Texts, questions and vectors, the same for the same calls."""

    fingerprint = "scale:1"
    dimension = DIMENSION

    def memories(self, first: int, count: int) -> Iterator[list[Made]]:
        """Those of the numbers from ``first`` on, in chunks."""
        for start in range(first, first + count, CHUNK):
            size = min(CHUNK, first + count - start)
            texts = self._texts("memory", start, size, _SHORTEST, _LONGEST)
            yield [Made(text, f"u{(start + place) % USERS}") for place, text in enumerate(texts)]

    def questions(self, first: int, count: int) -> list[str]:
        """The questions of the numbers from ``first`` on; no two are alike."""
        return self._texts("question", first, count, 2, 4)

    def embed(self, texts: Sequence[str]) -> Real:
        """Vectors of unit length, float32 (texts, 384)."""
        import numpy

        vectors = numpy.empty((len(texts), DIMENSION), dtype=numpy.float32)
        for row, text in enumerate(texts):
            seed = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
            noise = numpy.random.default_rng(seed).standard_normal(DIMENSION, dtype=numpy.float32)
            vectors[row] = self._directions[self._topic(text)] + noise * (_NOISE / numpy.linalg.norm(noise))
        unit: Real = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def _topic(self, text: str) -> int:
        """That of the first word which belongs to one; the first topic for a text without any."""
        for word in text.split():
            place = self._places.get(word, 0)
            if place >= _COMMON:
                return (place - _COMMON) // _WORDS_OF_A_TOPIC
        return 0

    def _texts(self, what: str, first: int, count: int, shortest: int, longest: int) -> list[str]:
        import numpy

        seed = int.from_bytes(blake2b(f"{what} {first}".encode(), digest_size=8).digest())
        chance = numpy.random.default_rng(seed)
        topics = chance.integers(0, _TOPICS, count)
        lengths = chance.integers(shortest, longest + 1, count)
        common = numpy.searchsorted(self._shares, chance.random(int(lengths.sum())))
        own = _COMMON + topics[:, None] * _WORDS_OF_A_TOPIC + chance.integers(0, _WORDS_OF_A_TOPIC, (count, _OWN))
        words, texts, start = self._words, [], 0
        for row in range(count):
            end = start + int(lengths[row])
            chosen = [*own[row].tolist(), *common[start:end].tolist()]
            texts.append(" ".join(words[place] for place in chosen))
            start = end
        return texts

    @cached_property
    def _words(self) -> list[str]:
        syllables = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
        each = len(syllables)
        total = _COMMON + _TOPICS * _WORDS_OF_A_TOPIC
        return [
            syllables[place % each] + syllables[place // each % each] + syllables[place // each**2 % each]
            for place in range(total)
        ]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self._words)}

    @cached_property
    def _shares(self) -> NDArray[numpy.float64]:
        """For each common word, how often it or a more frequent one comes."""
        import numpy

        weights = numpy.arange(1, _COMMON + 1, dtype=numpy.float64) ** -_EXPONENT
        shares: NDArray[numpy.float64] = numpy.cumsum(weights) / weights.sum()
        return shares

    @cached_property
    def _directions(self) -> Real:
        import numpy

        drawn = numpy.random.default_rng(7).standard_normal((_TOPICS, DIMENSION), dtype=numpy.float32)
        directions: Real = drawn / numpy.linalg.norm(drawn, axis=1, keepdims=True)
        return directions
