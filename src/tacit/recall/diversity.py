"""What repeats something that already stands above counts for less (J. Carbonell, J. Goldstein, "MMR", SIGIR 1998).

Only near repetitions do: two turns on one subject are two answers, and are not set against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tacit.recall.pool import Candidate, Pool
from tacit.recall.recipe import Recipe

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

SAME = 0.95
"""From which cosine on two memories say nearly the same."""
_REACH = 4
"""Times as many candidates as are wanted are looked at: who stands lower will not be reached."""
_AT_ONCE = 64
"""So many answers are compared with all candidates in one pass."""


def in_order(best: Sequence[int], scores: Real, pool: Pool, recipe: Recipe, most: int) -> Iterator[tuple[int, float]]:
    """Places in the pool, the best next one each time, with how far each repeats one that came before; 0 … 1.

    Args:
        best: places by falling score.
        scores: of all places, without repetition.
        pool: the candidates.
        recipe: the weight of repetition, which is not positive, and from which cosine on there is one.
        most: how many are wanted.
    """
    import numpy

    weight = min(0.0, recipe.weights.get("repetition", 0.0))
    if not weight:
        yield from ((place, 0.0) for place in best[:most])
        return
    left = list(best[: _REACH * most])
    repeated = numpy.zeros(len(left))
    open_ = numpy.ones(len(left), dtype=numpy.bool_)
    base = scores[left]
    vectors, embedded = pool.vectors[left], pool.embedded[left]
    for _ in range(min(most, len(left))):
        now = numpy.where(open_, base + weight * repeated, -numpy.inf)
        chosen = int(now.argmax())  # the first of equals, which is the better one by score
        open_[chosen] = False
        yield left[chosen], float(repeated[chosen])
        alike = (vectors @ vectors[chosen]).astype(numpy.float64)
        for other in numpy.flatnonzero(open_ & ~(embedded & embedded[chosen])).tolist():
            alike[other] = _common(pool.items[left[chosen]], pool.items[left[other]])
        repeated = numpy.maximum(repeated, numpy.clip((alike - recipe.alike) / (1 - recipe.alike), 0.0, 1.0))


def repeating(chosen: Sequence[Candidate], pool: Pool) -> list[list[int]]:
    """For each of those chosen, the numbers of other answers that say nearly the same: whose cosine is at least
    ``SAME``, or whose terms are the same where a vector is missing."""
    by_terms: dict[frozenset[str], list[int]] = {}
    for place, item in enumerate(pool.items):
        if not pool.embedded[place]:
            by_terms.setdefault(frozenset(item.reading.counts), []).append(item.number)
    answers = {item.number for item in pool.items if item.ranked}
    by_vector = _alike([place for one in chosen if pool.embedded[place := pool.place[one.id]]], pool)
    found = []
    for one in chosen:
        same = by_vector.get(pool.place[one.id])
        if same is None:
            same = set(by_terms.get(frozenset(one.reading.counts), ()))
        found.append(sorted(same & answers - {one.number}))
    return found


def _alike(places: Sequence[int], pool: Pool) -> dict[int, set[int]]:
    """For each of those places, the numbers of the answers whose vectors say nearly the same.

    Some at once: each pass over the vectors of thousands of candidates takes milliseconds, however many are compared.
    """
    import numpy

    ranked = numpy.flatnonzero(pool.embedded & numpy.array([item.ranked for item in pool.items], dtype=numpy.bool_))
    numbers = [pool.items[place].number for place in ranked.tolist()]
    vectors = pool.vectors[ranked]
    found: dict[int, set[int]] = {}
    for first in range(0, len(places), _AT_ONCE):
        some = places[first : first + _AT_ONCE]
        near = vectors @ pool.vectors[list(some)].T >= SAME
        for column, place in enumerate(some):
            found[place] = {numbers[row] for row in numpy.flatnonzero(near[:, column]).tolist()}
    return found


def _common(one: Candidate, other: Candidate) -> float:
    """The share of terms that two texts have in common, where a vector is missing."""
    ours, theirs = one.reading.counts.keys(), other.reading.counts.keys()
    return len(ours & theirs) / len(ours | theirs) if ours or theirs else 0.0
