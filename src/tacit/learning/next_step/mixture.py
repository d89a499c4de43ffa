"""How far each expert of the next-step model is to be trusted, learned from moments of past runs.

What the experts say at a moment is said without the counts of its own task, or (the linear one) learned from other
tasks, so that what fits only itself is not trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Literal, TypeAlias
from zlib import crc32

from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.fitting.reading import Reading
from tacit.learning.next_step.experts import (
    COUNT,
    Moments,
    OwnCounts,
    Testimony,
    frequencies,
    mixed,
    own_counts,
    scores_of,
    testify,
)
from tacit.learning.next_step.linear import PARTS, learn_linear
from tacit.learning.next_step.mixing import flat_weights, learn_weights
from tacit.learning.next_step.moments import Columns, Numbers
from tacit.learning.next_step.successors import Successors

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Whole = NDArray[numpy.int64]
    Real = NDArray[numpy.float64]
    Single = NDArray[numpy.float32]

Target: TypeAlias = Literal["solved", "all"]

MOST_EXAMPLES = 4_000
"""Moments from which the mixture is learned, those of the newest runs."""
MOST_CANDIDATES = 24
"""Tools that are looked at, at each of them."""
FEW_SOLVED = 5
"""With fewer solved runs, the mixture is learned from all runs."""
_BLOCK = 100
"""Moments that are looked at in one go."""
_MOST_CELLS = 100_000
"""Tools times moments that are looked at in one go."""
PENALTIES = (3.0, 10.0, 30.0)


def learn_mixture(
    readings: Sequence[Reading],
    columns: Columns,
    table: Successors,
    totals: Sequence[Whole],
    target: Target,
    keys: int,
    check: Check = go_on,
) -> Real:
    """The weights of the mixture.

    Args:
        check: is called again and again, and raises when it is to be given up.
    """
    import numpy

    if len(readings) < 2:
        return flat_weights(COUNT)
    names = Numbers(count())
    groups = numpy.array([names[reading.group] for reading in readings])
    chosen = _examples(readings, columns, groups, target)
    if not len(chosen):
        return flat_weights(COUNT)
    width = len(totals[0])
    of_moment = groups[columns.episode]
    own = _own_counts(columns, of_moment, chosen, keys, width)
    spent = [_per_group(columns, of_moment, good, len(names), width) for good in (True, False)]
    lots = numpy.array([crc32(name.encode("utf-8", "surrogatepass")) for name in names])[of_moment]
    halves: tuple[list[Single], list[Single]] = ([], [])
    for part in range(PARTS):
        linear = learn_linear(columns, numpy.flatnonzero(lots // 2 % PARTS != part), width, check)
        for half, scores in enumerate(halves):
            told = chosen[(lots[chosen] % 2 == half) & (lots[chosen] // 2 % PARTS == part)]
            for block in checked(_blocks(told, width), check):
                asked = of_moment[block]
                frequency = frequencies(totals[0] - spent[0][asked], totals[1] - spent[1][asked])
                moments = _part(columns, block)
                logs = linear.logs(moments.moment, moments.key, frequency)
                said = testify(table, moments, frequency, logs, own, asked)
                scores.append(_relative_scores(said, frequency, columns.tool[block]))
    return learn_weights(halves, PENALTIES, check)


def _blocks(chosen: Whole, width: int) -> Iterator[Whole]:
    """Some moments, as many at a time as may be looked at in one go."""
    size = min(_BLOCK, max(1, _MOST_CELLS // width))
    return (chosen[first : first + size] for first in range(0, len(chosen), size))


def _relative_scores(said: Testimony, frequency: Real, truth: Whole) -> Single:
    """What each weight multiplies at some moments, relative to the tool that came."""
    import numpy

    candidates = _candidates(mixed(said, frequency, flat_weights(COUNT)), truth)
    scores = scores_of(said, frequency, candidates)
    scores -= numpy.take_along_axis(scores, (candidates == truth[:, None]).argmax(1)[None, :, None], 2)
    return scores.astype(numpy.float32)  # there are very many, and they are known no better than that


def _examples(readings: Sequence[Reading], columns: Columns, groups: Whole, target: Target) -> Whole:
    """The moments that the mixture is learned from: those of the newest runs that are to be foretold, whole tasks."""
    import numpy

    wanted = [number for number, reading in enumerate(readings) if reading.success or target == "all"]
    if len(wanted) < FEW_SOLVED:
        wanted = list(range(len(readings)))
    lengths = numpy.bincount(columns.episode, minlength=len(readings))
    members: dict[int, list[int]] = {}
    for episode in reversed(wanted):
        members.setdefault(int(groups[episode]), []).append(episode)
    chosen: list[int] = []
    total = 0
    for episodes in members.values():
        chosen += episodes
        total += int(lengths[episodes].sum())
        if total >= MOST_EXAMPLES:
            break
    return numpy.flatnonzero(numpy.isin(columns.episode, chosen))


def _part(columns: Columns, chosen: Whole) -> Moments:
    """Some of the moments."""
    import numpy

    rows, moment = columns.rows(chosen)
    key = columns.key[rows].astype(numpy.int64)
    return Moments(len(chosen), moment, columns.expert[rows], key, columns.followed[chosen])


def _own_counts(columns: Columns, of_moment: Whole, chosen: Whole, keys: int, width: int) -> OwnCounts:
    """What the groups of the chosen moments have contributed to the table."""
    import numpy

    kept = numpy.flatnonzero(numpy.isin(of_moment, of_moment[chosen]))
    rows, place = columns.rows(kept)
    moment = kept[place]
    return own_counts(of_moment[moment], columns.key[rows], columns.tool[moment], columns.solved[moment], (keys, width))


def _per_group(columns: Columns, of_moment: Whole, solved: bool, groups: int, width: int) -> Whole:
    """How often each tool came in each group: (groups, tools)."""
    import numpy

    kept = columns.solved == solved
    cells = of_moment[kept] * width + columns.tool[kept]
    return numpy.bincount(cells, minlength=groups * width).reshape(groups, width)


def _candidates(scores: Real, truth: Whole) -> Whole:
    """The most likely tools at each moment, and the one that it was."""
    import numpy

    moments, tools = scores.shape
    if tools <= MOST_CANDIDATES:
        return numpy.tile(numpy.arange(tools), (moments, 1))
    scores = scores.copy()
    scores[numpy.arange(moments), truth] = numpy.inf
    return numpy.argpartition(-scores, MOST_CANDIDATES, axis=1)[:, :MOST_CANDIDATES]
