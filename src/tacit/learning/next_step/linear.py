"""One expert of the next-step model: a linear one, which weighs all that it knows of a moment together.

The others count what followed one thing at a time, and cannot say that a word matters only for lack of a better one.
This is a multinomial logistic regression (C. Bishop, "Pattern Recognition and Machine Learning", 4.3.4) with a ridge,
on the last tools, the kind of task and the words heard last, each there or not. It is judged on tasks it has not seen:
for the moments of each third of the tasks it is fitted to the other two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tacit.learning.fitting.giving_up import Check, go_on
from tacit.learning.next_step.contexts import BAGS, CONTEXTS
from tacit.learning.next_step.experts import FIRST_BAG, FIRST_CONTEXT, OTHERS_WEIGHT
from tacit.learning.next_step.moments import Columns

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Whole = NDArray[numpy.int64]
    Real = NDArray[numpy.float64]

LOOKED_AT = (
    *(FIRST_CONTEXT + CONTEXTS.index(name) for name in ("kind", "one", "two", "three")),
    FIRST_BAG + BAGS.index("last"),
)
"""The experts whose keys are the features."""
MOST_MOMENTS = 4_000
"""Moments that are learned from, the newest."""
MOST_FEATURES = 2_000
"""The most frequent ones."""
LEAST_MOMENTS = 2
"""A feature of fewer moments says nothing of others."""
MOST_TOOLS = 64
"""Tools that are told apart, the most frequent."""
MOST_ITERATIONS = 60
PARTS = 3
"""Of the tasks; each is told by what was learned from the others."""
PENALTY = 1.0
"""How strongly each weight is drawn towards 0."""
INTERCEPT_PENALTY = 0.01
"""The same, for how frequent a tool is: it is nearly free."""
_UNSEEN = 1e-3
"""The share of the chances that goes by frequency alone, whatever the features say."""
_LEAST = 1e-12


class Linear(NamedTuple):
    """What was learned."""

    keys: Whole
    """Those that are features, sorted."""
    tools: Whole
    """Those that are told apart; all others stand together."""
    weights: Real
    """(features + 1, tools + 1): the last row for all moments, the last column for the other tools."""

    def logs(self, moment: Whole, key: Whole, frequency: Real) -> Real:
        """ln(the chance of each tool) at some moments, from their keys.

        Args:
            frequency: (moments, tools) how frequent each tool is; the other tools are told apart by that alone.
        """
        import numpy

        scores = self._scores(moment, key, len(frequency))
        scores -= scores.max(1, keepdims=True)
        likely = numpy.exp(scores)
        likely /= likely.sum(1, keepdims=True)
        chances = frequency.copy()
        chances[:, self.tools] = 0
        chances *= likely[:, -1:] / numpy.maximum(chances.sum(1, keepdims=True), _LEAST)
        chances[:, self.tools] = likely[:, :-1]
        logs: Real = numpy.log(chances * (1 - _UNSEEN) + _UNSEEN * frequency)
        return logs

    def _scores(self, moment: Whole, key: Whole, moments: int) -> Real:
        """The sum of the weights of the features of each moment. One moment is summed as it is: who asks for advice
        once would wait longer for the library of sparse tables than for the answer."""
        scores: Real
        if moments > 1:
            scores = _table(self.keys, moment, key, moments) @ self.weights
        else:
            _, at = _features(self.keys, moment, key)
            scores = self.weights[at].sum(0, keepdims=True) + self.weights[-1:]
        return scores

    def in_order_of(self, hashes: NDArray[numpy.uint64]) -> Linear:
        """The same with keys numbered as in a ``Keyed`` table of these hashes."""
        import numpy

        places = numpy.argsort(numpy.argsort(hashes, kind="stable"), kind="stable")[self.keys]
        order = numpy.argsort(places)
        return self._replace(keys=places[order], weights=self.weights[numpy.append(order, len(order))])


def learn_linear(columns: Columns, chosen: Whole, width: int, check: Check = go_on) -> Linear:
    """Learned from some moments.

    Args:
        chosen: their numbers, sorted.
        width: how many tools there are.
        check: is called again and again, and raises when it is to be given up.
    """
    import numpy

    chosen = chosen[-MOST_MOMENTS:]
    rows, moment = columns.rows(chosen)
    looked = numpy.isin(columns.expert[rows], LOOKED_AT)
    moment, key = moment[looked], columns.key[rows[looked]].astype(numpy.int64)
    keys, counts = numpy.unique(key, return_counts=True)
    often = numpy.argsort(-counts, kind="stable")[:MOST_FEATURES]
    keys = numpy.sort(keys[often[counts[often] >= LEAST_MOMENTS]])
    known = numpy.bincount(columns.tool[chosen], minlength=width)
    tools = numpy.sort(numpy.argsort(-known, kind="stable")[: min(MOST_TOOLS, int((known > 0).sum()))])
    classes = numpy.full(width, len(tools))
    classes[tools] = numpy.arange(len(tools))
    table = _table(keys, moment, key, len(chosen))
    counted = numpy.where(columns.solved[chosen], 1.0, OTHERS_WEIGHT)
    return Linear(keys, tools, _regression(table, classes[columns.tool[chosen]], counted, len(tools) + 1, check))


def _regression(table: Any, truth: Whole, counted: Real, classes: int, check: Check) -> Real:
    """The weights of each feature for each class, by L-BFGS.

    Args:
        counted: what each row counts for.
    """
    import numpy
    from scipy.optimize import minimize

    rows, shape = numpy.arange(len(truth)), (table.shape[1], classes)

    def loss(flat: Real) -> tuple[float, Real]:
        check()
        weights = flat.reshape(shape)
        scores = table @ weights
        scores -= scores.max(1, keepdims=True)
        likely = numpy.exp(scores)
        whole = likely.sum(1)
        value = float((counted * (numpy.log(whole) - scores[rows, truth])).sum())
        likely /= whole[:, None]
        likely[rows, truth] -= 1
        drawn = weights * PENALTY
        drawn[-1] *= INTERCEPT_PENALTY
        gradient = table.T @ (likely * counted[:, None]) + drawn
        return value + float((weights * drawn).sum()) / 2, gradient.ravel()

    found = minimize(
        loss, numpy.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": MOST_ITERATIONS}
    )
    weights: Real = found.x.reshape(shape)
    return weights


def _table(keys: Whole, moment: Whole, key: Whole, moments: int) -> Any:
    """Which features each moment has, and a 1 for the intercept: a sparse (moments, features + 1) matrix."""
    import numpy
    from scipy.sparse import csr_matrix

    having, at = _features(keys, moment, key)
    row = numpy.concatenate([having, numpy.arange(moments)])
    column = numpy.concatenate([at, numpy.full(moments, len(keys))])
    return csr_matrix((numpy.ones(len(row)), (row, column)), shape=(moments, len(keys) + 1))


def _features(keys: Whole, moment: Whole, key: Whole) -> tuple[Whole, Whole]:
    """The moments whose key is a feature, and the number of that feature."""
    import numpy

    at = numpy.minimum(numpy.searchsorted(keys, key), max(len(keys) - 1, 0))
    there = keys[at] == key if len(keys) else numpy.zeros(len(key), dtype=bool)
    return moment[there], at[there]
