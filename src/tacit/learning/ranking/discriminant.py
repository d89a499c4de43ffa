"""Which tool's usual task is nearest: linear discriminant analysis with a shrunk covariance.

Tasks of one tool are taken to scatter normally around the tool's mean, all tools alike (T. Hastie et al., "The Elements
of Statistical Learning", 4.3). The covariance within tools is drawn towards a sphere and kept by its largest axes. The
mean of a tool with few tasks is drawn towards the mean of all, or, where the tool is described, towards where its
description lies: a description counts for a few tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]
    Rows = NDArray[numpy.int64]

AXES = 96
"""Axes of the covariance that are kept; along all others it is taken to be the same."""
_SHRINK = 0.7
"""How far the covariance is drawn towards a sphere."""
_LEAST_REPEATS = 5
"""With fewer tasks beyond the first of each tool there is no scatter to be measured."""
_BLOCK = 1_000
"""Tasks that are looked at in one go."""
_NOTHING_WORTH = 1.0
"""Tasks at the centre of all that a tool without a description is given before its own."""
_DESCRIPTION_WORTH = 4.0
"""How many tasks a description is worth."""
_DESCRIPTION_REACH = 0.5
"""How far from the centre tasks lie in the direction of their tool's description, as a share of where that lies."""


class Discriminant(NamedTuple):
    """What was learned of the tools that were used."""

    centre: Real
    """The mean of all tasks."""
    means: Real
    """(tools, numbers): of each tool, less the centre."""
    counts: Real
    """(tools): tasks of each, by weight."""
    axes: Real
    """(axes, numbers), each of unit length."""
    shares: Real
    """(axes): how much less than a sphere's precision there is along each axis, from 0 to 1."""
    scale: float
    """The sphere's variance in one direction."""

    @classmethod
    def fit(cls, tasks: Real, counted: Real, rows: Rows | None = None) -> Discriminant:
        """Learned from tasks.

        Args:
            tasks: (tasks, numbers).
            counted: (tasks, tools): what each task counts for as one of each tool; every tool has some.
            rows: of the tasks that are looked at; all of them when None.
        """
        import numpy
        from scipy.linalg import eigh

        rows = numpy.arange(len(tasks)) if rows is None else rows
        counts = counted[rows].sum(0)
        centre: Real = sum(counted[at].sum(1) @ tasks[at] for at in _blocks(rows)) / counts.sum()
        width = tasks.shape[1]
        means = numpy.zeros((len(counts), width), numpy.float32)
        within = numpy.zeros((width, width), numpy.float32)
        for at in _blocks(rows):
            away = tasks[at] - centre
            means += counted[at].T @ away
            within += (away * counted[at].sum(1)[:, None]).T @ away
        means /= counts[:, None]
        within -= (means * counts[:, None]).T @ means
        told = int((counted[rows] > 0).sum())
        free = told - len(counts)
        within /= max(float(counts.sum()) * free / max(told, 1), 1e-6)
        whole = float(numpy.trace(within))
        if free < _LEAST_REPEATS or whole < 1e-6:
            empty = numpy.zeros((0, width), numpy.float32)
            return cls(centre, means, counts, empty, empty[:, 0], 1.0 / width)
        kept = min(AXES, width)
        large, vectors = eigh(within, subset_by_index=(width - kept, width - 1), overwrite_a=True, check_finite=False)
        large = large[::-1]
        rest = max(whole - float(large.sum()), 0.0) / max(width - kept, 1)
        scale = _SHRINK * whole / width + (1 - _SHRINK) * rest
        extra = (1 - _SHRINK) * numpy.maximum(large - rest, 0)
        shares = extra / (extra + scale)
        axes = numpy.ascontiguousarray(vectors[:, ::-1].T)
        return cls(centre, means, counts, axes, shares, scale)

    def precise(self, away: Real) -> Real:
        """Rows times the inverse of the covariance."""
        import numpy

        along = numpy.multiply(away @ self.axes.T, self.shares) @ self.axes
        found: Real = numpy.subtract(away, along) * numpy.float32(1 / self.scale)
        return found

    def judge(self, described: Real | None = None) -> Judge:
        """What tells tools apart.

        Args:
            described: (tools, numbers): where descriptions lie; first those of the known tools in their order, then
                those of tools that were never used. Not a number for a tool without one.
        """
        import numpy

        tools = len(self.counts) if described is None else len(described)
        counts = numpy.zeros(tools, numpy.float32)
        counts[: len(self.counts)] = self.counts
        prior = numpy.zeros((tools, len(self.centre)), numpy.float32)
        worth = numpy.full((tools, 1), _NOTHING_WORTH, numpy.float32)
        if described is not None:
            has = numpy.isfinite(described[:, 0])
            middle = described[has].mean(0) if has.sum() > 1 else self.centre
            prior[has], worth[has] = _DESCRIPTION_REACH * (described[has] - middle), _DESCRIPTION_WORTH
        means = worth * prior
        means[: len(self.counts)] += self.counts[:, None] * self.means
        means /= counts[:, None] + worth
        sharp = self.precise(means)
        return Judge(self.centre, sharp, numpy.einsum("ij,ij->i", sharp, means) * numpy.float32(0.5))


def _blocks(rows: Rows) -> Iterator[Rows]:
    """Rows, as many at a time as are looked at in one go."""
    return (rows[first : first + _BLOCK] for first in range(0, len(rows), _BLOCK))


class Judge(NamedTuple):
    """Linear scores of tools."""

    centre: Real
    sharp: Real
    offset: Real

    def scores(self, tasks: Real) -> Real:
        """(tasks, tools): ln of how well each tool's mean explains the task, up to a constant."""
        import numpy

        found: Real = numpy.subtract(tasks, self.centre) @ self.sharp.T
        found -= self.offset
        return found
