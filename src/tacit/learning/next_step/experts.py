"""What each expert of the next-step model says at a moment: which tools it has seen follow, and how sure it is.

Every expert starts from how frequent a tool is at all, p₀. One for a context says p(t) = (c_t + κ p₀(t)) / (n + κ),
where c_t counts how often t followed this context, and n is their sum. One for a bag of words is a damped naive Bayes:
ln p(t) = ln p₀(t) + Σ_words ln(p(t | word) / p₀(t)) / √(m + 1), for m known words. What followed in runs that were not
solved counts for less. One expert more is linear in all that it knows (see ``linear``), and one says what came next
earlier in this very run.

All that does not depend on the tool cancels in the mixture and is left out, so only counts that are not 0 are touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tacit.learning.next_step.contexts import BAGS, CONTEXTS
from tacit.learning.next_step.successors import Entries, Successors, counted

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Whole = NDArray[numpy.int64]
    Real = NDArray[numpy.float64]

EXPERTS = ("frequency", *CONTEXTS, *(f"words {bag}" for bag in BAGS), "linear", "this run")
COUNT = len(EXPERTS)
FIRST_CONTEXT = 1
FIRST_BAG = FIRST_CONTEXT + len(CONTEXTS)
LINEAR = COUNT - 2
THIS_RUN = COUNT - 1

OTHERS_WEIGHT = 0.3
"""What a step of a run that was not solved counts for, next to 1 for one of a run that was."""
CONTEXT_PRIOR = 1.0
WORD_PRIOR = 2.0
"""κ: imagined observations that went as tools go at all."""
HALF_SURE = 4.0
"""Observations (or known words) with which an expert is sure by half."""


class Moments(NamedTuple):
    """Moments of runs, and the keys that each expert looks up at them; flat columns, one row for each key."""

    size: int
    moment: Whole
    expert: NDArray[numpy.uint8]
    key: Whole
    """Numbers of the table; −1 for what nobody has seen."""
    followed: Whole
    """For each moment the tool that came next earlier in the same run; −1 for none."""


class Testimony(NamedTuple):
    """What is said at some moments: logarithms of how much likelier a tool is than by its frequency alone."""

    moment: Whole
    expert: Whole
    tool: Whole
    value: Real
    sure: Real
    """(moments, experts), from 0 to 1."""
    linear: Real
    """(moments, tools): the same, of the linear expert, which has a say on every tool."""


class OwnCounts(NamedTuple):
    """The counts that come from each group of episodes itself."""

    keys: int
    tools: int
    cells: Whole
    """(group, key, tool) as one number, sorted."""
    solved: Whole
    others: Whole

    def without(self, entries: Entries, group: Whole, key: Whole) -> tuple[Whole, Whole]:
        """The counts of some entries without those that come from the group that asks."""
        import numpy

        cells = (group * self.keys + key) * self.tools + entries.tool
        at = numpy.minimum(numpy.searchsorted(self.cells, cells), len(self.cells) - 1)
        own = self.cells[at] == cells
        return entries.solved - self.solved[at] * own, entries.others - self.others[at] * own


def frequencies(solved: Whole, others: Whole) -> Real:
    """How frequent each tool is, p₀; along the last axis. Half an observation of each is imagined (H. Jeffreys)."""
    counts = solved + OTHERS_WEIGHT * others
    chances: Real = (counts + 0.5) / (counts.sum(-1, keepdims=True) + 0.5 * counts.shape[-1])
    return chances


def testify(
    table: Successors, moments: Moments, frequency: Real, linear: Real, own: OwnCounts | None, asking: Whole
) -> Testimony:
    """What the experts say.

    Args:
        frequency: (moments, tools) p₀ at each moment.
        linear: (moments, tools) ln(the chance of each tool), of the linear expert.
        own: is taken away, so that the experts can be judged; None for a task that they have not seen.
        asking: the group of each moment.
    """
    import numpy

    entries = table.entries(moments.key)
    moment, expert = moments.moment[entries.place], moments.expert[entries.place]
    solved, others = entries.solved, entries.others
    if own is not None:
        solved, others = own.without(entries, asking[moment], moments.key[entries.place])
    seen = solved + OTHERS_WEIGHT * others
    prior = numpy.where(expert >= FIRST_BAG, WORD_PRIOR, CONTEXT_PRIOR)
    value = numpy.log1p(seen / (prior * frequency[moment, entries.tool]))
    total = numpy.bincount(entries.place, seen, minlength=len(moments.key))
    cell = moments.moment * COUNT + moments.expert
    cells = moments.size * COUNT
    words = numpy.bincount(cell, total > 0, minlength=cells)
    observed = numpy.bincount(cell, total, minlength=cells)
    is_bag = numpy.arange(cells) % COUNT >= FIRST_BAG
    amount = numpy.where(is_bag, words, observed)
    damping = numpy.where(is_bag, numpy.sqrt(words + 1.0), 1.0)
    sure = (amount / (amount + HALF_SURE)).reshape(moments.size, COUNT)
    again = numpy.flatnonzero(moments.followed >= 0)
    sure[again, THIS_RUN] = 1.0
    sure[:, LINEAR] = 1.0
    return Testimony(
        moment=numpy.concatenate([moment, again]),
        expert=numpy.concatenate([expert, numpy.full(len(again), THIS_RUN)]),
        tool=numpy.concatenate([entries.tool, moments.followed[again]]),
        value=numpy.concatenate([value / damping[cell[entries.place]], numpy.ones(len(again))]),
        sure=sure,
        linear=linear - numpy.log(frequency),
    )


def mixed(said: Testimony, frequency: Real, weights: Real) -> Real:
    """The score of every tool at every moment, up to a constant for each moment.

    Args:
        weights: for each expert what it always counts, and then what it counts when it is sure.
    """
    import numpy

    trust = weights[:COUNT] + weights[COUNT:] * said.sure
    spoken = numpy.bincount(
        said.moment * frequency.shape[1] + said.tool,
        trust[said.moment, said.expert] * said.value,
        minlength=frequency.size,
    )
    common = trust[:, :THIS_RUN].sum(1, keepdims=True)
    scores: Real = common * numpy.log(frequency) + trust[:, LINEAR, None] * said.linear
    scores += spoken.reshape(frequency.shape)
    return scores


def scores_of(said: Testimony, frequency: Real, candidates: Whole) -> Real:
    """What each weight multiplies: (2 × experts, moments, candidates).

    Args:
        candidates: (moments, candidates) the tools that are looked at.
    """
    import numpy

    moments, many = candidates.shape
    slots = numpy.full(frequency.shape, -1)
    slots[numpy.arange(moments)[:, None], candidates] = numpy.arange(many)
    slot = slots[said.moment, said.tool]
    kept = slot >= 0
    cell = (said.expert[kept] * moments + said.moment[kept]) * many + slot[kept]
    spoken = numpy.bincount(cell, said.value[kept], minlength=COUNT * moments * many).reshape(COUNT, moments, many)
    spoken[LINEAR] += numpy.take_along_axis(said.linear, candidates, 1)
    spoken[:THIS_RUN] += numpy.take_along_axis(numpy.log(frequency), candidates, 1)
    return numpy.concatenate([spoken, spoken * said.sure.T[:, :, None]])


def own_counts(
    groups: Whole, keys: NDArray[numpy.int32], tools: Whole, solved: NDArray[numpy.bool_], sizes: tuple[int, int]
) -> OwnCounts:
    """What each group has contributed to the table.

    Args:
        groups, keys, tools, solved: for each contribution.
        sizes: how many keys and tools there are.
    """
    return OwnCounts(*sizes, *counted((groups * sizes[0] + keys) * sizes[1] + tools, solved))
