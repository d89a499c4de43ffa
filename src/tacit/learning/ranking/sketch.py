"""A text as a short vector of its words and parts of words, which says what an embedder may miss: rare and odd words.

Each n-gram is hashed into a bucket. A bucket counts for more the fewer tools it was seen with; all buckets of a text
are then summed into a few columns with random signs (K. Weinberger et al., "Feature hashing", 2009). Words and parts of
words are two halves of equal length. Nothing depends on the process: hashes are fixed functions of the characters.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]
    Whole = NDArray[numpy.int64]
    Hashes = NDArray[numpy.uint32]
    Spread = NDArray[numpy.uint8]
    Pairs = NDArray[numpy.int32]

COLUMNS = 512
"""Numbers in a sketch."""
BUCKETS = 1 << 16
"""Different n-grams that are told apart, of each half."""
LONGEST_TEXT = 1_000
"""Characters of a text that are looked at."""
_HALVES = 2
_BATCH = 256
"""Texts whose n-grams are in memory at once."""
_JOINED = 16
"""Batches whose pairs of bucket and label are kept before those that they share are let go of."""
_PARTS = (3, 4, 5)
"""Characters in a part of a word."""
_UNSPACED = 0x2E80
"""From here on scripts are written without spaces, and two characters already are a word."""
_PRIME = 16_777_619
_WORD = re.compile(r"\w+")


def spread_of(texts: Sequence[str], labels: Sequence[Sequence[int]]) -> Spread:
    """With how many different labels (numbers below 2¹⁵) each bucket was seen, up to 255: (2, buckets)."""
    import numpy

    found = numpy.zeros((_HALVES, BUCKETS), dtype=numpy.uint8)
    pairs: list[list[Pairs]] = [[] for _ in range(_HALVES)]
    width = 1 + max((label for of in labels for label in of), default=0)
    for first, half, row, bucket, _ in _batches(texts):
        own = [numpy.array(of, dtype=numpy.int64) for of in labels[first : first + _BATCH]]
        many = numpy.array([len(of) for of in own])[row]
        starts = numpy.cumsum([0, *map(len, own)])[row]
        place = numpy.repeat(starts - numpy.cumsum(many) + many, many) + numpy.arange(many.sum())
        label = numpy.concatenate(own)[place] if len(place) else place
        pair = (numpy.repeat(bucket, many) * width + label).astype(numpy.int32)
        pairs[half].append(_different(pair))
        if len(pairs[half]) == _JOINED:
            pairs[half] = [_different(numpy.concatenate(pairs[half]))]
    for half, seen in enumerate(pairs):
        if seen:
            counts = numpy.bincount(_different(numpy.concatenate(seen)) // width, minlength=BUCKETS)
            found[half] = numpy.minimum(counts, 255)
    return found


def _different(pairs: Pairs) -> Pairs:
    """Each pair once, in order; they are sorted where they lie (which takes a tenth of the time of ``unique``)."""
    import numpy

    pairs.sort()
    is_first = numpy.ones(len(pairs), dtype=bool)
    numpy.not_equal(pairs[1:], pairs[:-1], out=is_first[1:])
    return pairs[is_first]


def bucket_weights(spread: Spread, labels: int) -> Real:
    """What each bucket counts for: (2, buckets).

    Args:
        spread: how many labels each bucket was seen with.
        labels: how many there are.
    """
    import numpy

    weights: Real = 1 + numpy.log((1 + min(labels, 255)) / (1 + spread.astype(numpy.float32)))
    weights[spread == 0] = 0
    return weights


def sketches(texts: Sequence[str], weights: Real) -> Real:
    """The sketch of each text, of unit length (zeros for a text of which no n-gram was seen): (texts, columns).

    Args:
        weights: what each bucket counts for.
    """
    import numpy

    found = numpy.zeros((len(texts), COLUMNS), dtype=numpy.float32)
    for first, half, row, bucket, count in _batches(texts):
        value = (1 + numpy.log(count)) * weights[half][bucket]
        rows = min(_BATCH, len(texts) - first)
        length = numpy.sqrt(numpy.bincount(row, value**2, rows))
        value /= numpy.maximum(length, 1e-9)[row]
        mixed = _mix(bucket.astype(numpy.uint32) + numpy.uint32(BUCKETS * (half + 1)))
        signed = numpy.where(mixed >> 31, value, -value)
        at = row * COLUMNS + (mixed % COLUMNS).astype(numpy.int64)
        found[first : first + rows] += numpy.bincount(at, signed, rows * COLUMNS).reshape(rows, COLUMNS)
    found /= numpy.maximum(numpy.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    return found


def _batches(texts: Sequence[str]) -> Iterator[tuple[int, int, Whole, Whole, Whole]]:
    """For each batch of texts and each half: its first text, the half, and rows, buckets and counts of n-grams."""
    import numpy

    for first in range(0, len(texts), _BATCH):
        batch = [_words(text) for text in texts[first : first + _BATCH]]
        for half, (row, hashed) in enumerate((_of_words(batch), _of_parts(batch))):
            key = row * BUCKETS + (_mix(hashed) % BUCKETS).astype(numpy.int64)
            key, count = numpy.unique(key, return_counts=True)
            yield first, half, key // BUCKETS, key % BUCKETS, count


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text[:LONGEST_TEXT]).casefold())


def _of_words(batch: Sequence[list[str]]) -> tuple[Whole, Hashes]:
    """Words, and pairs of neighbours."""
    import numpy

    row = numpy.repeat(numpy.arange(len(batch)), [len(words) for words in batch])
    one = numpy.array([zlib.crc32(word.encode()) for words in batch for word in words], dtype=numpy.uint32)
    beside = row[1:] == row[:-1]
    pairs = (one[:-1] * numpy.uint32(_PRIME) ^ _mix(one[1:]))[beside]
    return numpy.concatenate([row, row[:-1][beside]]), numpy.concatenate([one, pairs])


def _of_parts(batch: Sequence[list[str]]) -> tuple[Whole, Hashes]:
    """Parts of words, of three to five characters; the space before and after a word is one."""
    import numpy

    spaced = [f" {' '.join(words)} " for words in batch]
    row = numpy.repeat(numpy.arange(len(batch)), list(map(len, spaced)))
    code = numpy.frombuffer("".join(spaced).encode("utf-32-le", "replace"), dtype="<u4").astype(numpy.uint32)
    space, unspaced = code == ord(" "), code >= _UNSPACED
    pairs = unspaced[:-1] & unspaced[1:]
    rows, hashes = [row[:-1][pairs]], [(code[:-1] * numpy.uint32(_PRIME) ^ code[1:])[pairs]]
    for length in _PARTS:
        many = max(0, len(code) - length + 1)
        hashed, whole = numpy.full(many, length, dtype=numpy.uint32), numpy.ones(many, dtype=bool)
        for place in range(length):
            hashed = hashed * numpy.uint32(_PRIME) ^ code[place : place + many]
            if 0 < place < length - 1:
                whole &= ~space[place : place + many]
        rows.append(row[:many][whole])
        hashes.append(hashed[whole])
    return numpy.concatenate(rows), numpy.concatenate(hashes)


def _mix(hashed: Hashes) -> Hashes:
    """Spreads the bits of hashes (the finalizer of MurmurHash3)."""
    import numpy

    mixed = hashed ^ (hashed >> numpy.uint32(16))
    mixed = mixed * numpy.uint32(0x85EBCA6B)
    mixed ^= mixed >> numpy.uint32(13)
    mixed = mixed * numpy.uint32(0xC2B2AE35)
    mixed ^= mixed >> numpy.uint32(16)
    return mixed
