"""BM25 of candidates (S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

SATURATION = 1.2
"""k₁: how soon further mentions of a term count for less."""
LENGTH_SHARE = 0.75
"""b: how far a long text has to mention a term more often; 0 not at all, 1 in proportion."""


def rarity(terms: Sequence[str], frequencies: Mapping[str, int], documents: int) -> Real:
    """The weight of each term in nats, never negative: what its presence says for a document about which nothing else
    is known (section 3.3, with the 1 added that keeps very common terms from counting against)."""
    import numpy

    seen = numpy.array([min(frequencies.get(term, 0), documents) for term in terms], dtype=numpy.float64)
    return numpy.log1p((documents - seen + 0.5) / (seen + 0.5))


def counts(terms: Sequence[str], texts: Sequence[Mapping[str, int]]) -> Real:
    """How often each term stands in each text, of which all terms are counted: a row for each text."""
    import numpy

    found = [[text.get(term, 0) for term in terms] for text in texts]
    return numpy.array(found, dtype=numpy.float64).reshape(len(texts), len(terms))


def bm25(found: Real, lengths: Real, weights: Real, mean_length: float) -> Real:
    """The score of each text in nats.

    Args:
        found: how often each term stands in each text.
        lengths: terms of each text.
        weights: of each term (``rarity``).
        mean_length: terms of a text of the whole collection, on average.
    """
    if not found.size:
        none: Real = found.sum(axis=1)
        return none
    relative = lengths / mean_length if mean_length > 0 else lengths * 0 + 1
    damping = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * relative)
    score: Real = (found * (SATURATION + 1) / (found + damping[:, None])) @ weights
    return score
