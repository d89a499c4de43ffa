"""Which tool's usual task is nearest: linear discriminant analysis with a shrunk covariance.

Tasks of one tool are taken to scatter normally around the tool's mean, all tools alike (T. Hastie et al., "The Elements
of Statistical Learning", 4.3). The covariance within tools is drawn towards a sphere and kept by its largest axes. The
mean of a tool with few tasks is drawn towards the mean of all, or, where the tool is described, towards where its
description lies: a description counts for a few tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]

AXES = 96
"""Axes of the covariance that are kept; along all others it is taken to be the same."""
_SHRINK = 0.7
"""How far the covariance is drawn towards a sphere."""
_LEAST_REPEATS = 5
"""With fewer tasks beyond the first of each tool there is no scatter to be measured."""
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
    def fit(cls, tasks: Real, counted: Real) -> Discriminant:
        """Learned from tasks.

        Args:
            tasks: (tasks, numbers).
            counted: (tasks, tools): what each task counts for as one of each tool; every tool has some.
        """
        import numpy

        weight, counts = counted.sum(1), counted.sum(0)
        centre: Real = weight @ tasks / weight.sum()
        tasks = tasks - centre
        means: Real = (counted.T @ tasks) / counts[:, None]
        within = (tasks * weight[:, None]).T @ tasks - (means * counts[:, None]).T @ means
        width, free = tasks.shape[1], (counted > 0).sum() - len(counts)
        within /= max(float(counts.sum()) * free / max((counted > 0).sum(), 1), 1e-6)
        whole = float(numpy.trace(within))
        if free < _LEAST_REPEATS or whole < 1e-6:
            empty = numpy.zeros((0, width), numpy.float32)
            return cls(centre, means, counts, empty, empty[:, 0], 1.0 / width)
        values, vectors = numpy.linalg.eigh(within)
        large, small = values[::-1][:AXES], values[::-1][AXES:]
        rest = float(numpy.maximum(small, 0).mean()) if len(small) else 0.0
        scale = _SHRINK * whole / width + (1 - _SHRINK) * rest
        extra = (1 - _SHRINK) * numpy.maximum(large - rest, 0)
        shares = extra / (extra + scale)
        axes = numpy.ascontiguousarray(vectors[:, ::-1][:, :AXES].T)
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
