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

_REACH = 4
"""Times as many candidates as are wanted are looked at: who stands lower will not be reached."""


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
    items = [pool.items[place] for place in left]
    for _ in range(min(most, len(left))):
        now = numpy.where(open_, base + weight * repeated, -numpy.inf)
        chosen = int(now.argmax())  # the first of equals, which is the better one by score
        open_[chosen] = False
        yield left[chosen], float(repeated[chosen])
        repeated = numpy.maximum(repeated, repetition(items[chosen], items, recipe.alike))


def repetition(one: Candidate, others: Sequence[Candidate], alike: float) -> Real:
    """0 up to the cosine ``alike``, rising to 1 for the same; the share of common terms where a vector is missing."""
    import numpy

    found = numpy.zeros(len(others))
    vectors = {place: other.vector for place, other in enumerate(others) if other.vector is not None}
    there = list(vectors) if one.vector is not None else []
    if there and one.vector is not None:
        found[there] = numpy.stack([vectors[place] for place in there]) @ one.vector
    terms = set(one.terms)
    for place in set(range(len(others))) - set(there):
        other = set(others[place].terms)
        found[place] = len(terms & other) / len(terms | other) if terms or other else 0.0
    return numpy.clip((found - alike) / (1 - alike), 0.0, 1.0)
