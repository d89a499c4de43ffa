"""All moments of past runs, written down for the next-step model: the keys of each, and the tool that came.

Keys get numbers as they come; a hash stands for each when the model is kept. There are about a hundred keys for each
moment, so they are kept in as few bytes as hold them.
"""

from __future__ import annotations

from array import array
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from tacit.learning.fitting.reading import Reading
from tacit.learning.fitting.run import Run
from tacit.learning.next_step.contexts import BAGS, CONTEXTS, bags_of, contexts_of
from tacit.learning.next_step.experts import FIRST_BAG, FIRST_CONTEXT
from tacit.learning.next_step.successors import hash_of

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Whole = NDArray[numpy.int64]

MOST_TOOLS = 1_000
"""Tools that are told apart, those used most; among equals those that came first. All others stand together as one that
is never named: what is learned takes time and memory for every tool at every moment."""


class Columns(NamedTuple):
    """All moments of all runs. ``expert`` and ``key`` have a row for each key, those of a moment together; ``starts``
    says where the keys of each moment begin, and where the last ones end; the others have one row for each moment."""

    starts: Whole
    expert: NDArray[numpy.uint8]
    key: NDArray[numpy.int32]
    tool: Whole
    followed: Whole
    episode: Whole
    solved: NDArray[numpy.bool_]

    def rows(self, chosen: Whole) -> tuple[Whole, Whole]:
        """The rows of the keys of some moments; and for each the place of its moment among these."""
        import numpy

        many = self.starts[chosen + 1] - self.starts[chosen]
        place = numpy.repeat(numpy.arange(len(chosen)), many)
        first = self.starts[chosen] - numpy.cumsum(many) + many
        return first[place] + numpy.arange(len(place)), place

    @property
    def sizes(self) -> Whole:
        """How many keys each moment has."""
        import numpy

        return numpy.diff(self.starts)

    def totals(self, solved: bool, width: int) -> Whole:
        """How often each tool came, in solved runs or in the others."""
        import numpy

        return numpy.bincount(self.tool[self.solved == solved], minlength=width)


class Numbers(dict[Any, int]):
    """Numbers for keys, given when one is first asked for."""

    def __init__(self, fresh: count[int]) -> None:
        super().__init__()
        self._fresh = fresh

    def __missing__(self, key: Any) -> int:
        self[key] = number = next(self._fresh)
        return number


class MomentLog:
    """Writes down the keys and the tool at every moment of past runs."""

    def __init__(self, with_end: bool) -> None:
        fresh = count()
        self._contexts = [Numbers(fresh) for _ in CONTEXTS]
        self._words = [Numbers(fresh) for _ in BAGS]
        self._tools = Numbers(count())
        self._with_end = with_end
        self._key, self._sizes = array("i"), array("i")
        self._tool, self._followed, self._episode, self._solved = array("q"), array("q"), array("q"), array("q")
        self._episodes = 0

    def add(self, reading: Reading, run: Run) -> None:
        """One more run, which has not begun."""
        for step in reading.steps:
            if step.tool:
                self._write(run, self._tools[step.tool], reading.success)
            run.add(step)
        if self._with_end:
            self._write(run, -1, reading.success)
        self._episodes += 1

    @property
    def tools(self) -> tuple[str, ...]:
        """Those that are told apart, in the order of their columns."""
        names = tuple(self._tools)
        return tuple(names[number] for number in self._told_apart().tolist())

    @property
    def has_rest(self) -> bool:
        """Whether there are others, which share the column after the last."""
        return len(self._tools) > MOST_TOOLS

    @property
    def width(self) -> int:
        """Columns: tools, then all others if there are any, then the end of the run if it is counted."""
        return min(len(self._tools), MOST_TOOLS) + self.has_rest + self._with_end

    @property
    def keys(self) -> int:
        return sum(map(len, (*self._contexts, *self._words)))

    def hashes(self) -> NDArray[numpy.uint64]:
        """The hash of every key, by its number."""
        import numpy

        hashes = numpy.zeros(self.keys, dtype=numpy.uint64)
        for name, contexts in zip(CONTEXTS, self._contexts, strict=True):
            for key, number in contexts.items():
                hashes[number] = hash_of(name, *key)
        for name, words in zip(BAGS, self._words, strict=True):
            for word, number in words.items():
                hashes[number] = hash_of(name, word)
        return hashes

    def columns(self) -> Columns:
        """All that was written down."""
        import numpy

        tool, followed, episode, solved = (
            numpy.array(values, dtype=numpy.int64)
            for values in (self._tool, self._followed, self._episode, self._solved)
        )
        kept = self._told_apart()
        column = numpy.full(len(self._tools) + 1, len(kept))
        column[kept] = numpy.arange(len(kept))
        column[-1] = self.width - 1  # the number of the end is −1, the last place
        followed = numpy.where((followed >= 0) & (column[followed] < len(kept)), column[followed], -1)
        sizes = numpy.array(self._sizes, dtype=numpy.int64).reshape(len(tool), len(BAGS))
        starts = numpy.concatenate([[0], numpy.cumsum(len(CONTEXTS) + sizes.sum(1))])
        key = numpy.asarray(self._key, dtype=numpy.int32)
        return Columns(starts, experts_of(sizes), key, column[tool], followed, episode, solved > 0)

    def _told_apart(self) -> Whole:
        """The numbers of the tools that are told apart, in their order."""
        import numpy

        known = len(self._tools)
        if not self.has_rest:
            return numpy.arange(known)
        used = numpy.array(self._tool, dtype=numpy.int64)
        counts = numpy.bincount(used[used >= 0], minlength=known)
        return numpy.sort(numpy.argsort(-counts, kind="stable")[:MOST_TOOLS])

    def _write(self, run: Run, tool: int, solved: bool) -> None:
        self._key.extend([numbers[key] for numbers, key in zip(self._contexts, contexts_of(run), strict=True)])
        for numbers, words in zip(self._words, bags_of(run), strict=True):
            self._key.extend(map(numbers.__getitem__, words))
            self._sizes.append(len(words))
        self._tool.append(tool)
        self._followed.append(-1 if run.followed is None else self._tools[run.followed])
        self._episode.append(self._episodes)
        self._solved.append(solved)


def experts_of(sizes: Whole) -> NDArray[numpy.uint8]:
    """The expert that each key belongs to, when every moment has a key for each context and then so many words."""
    import numpy

    many = numpy.ones((len(sizes), len(CONTEXTS) + len(BAGS)), dtype=numpy.int64)
    many[:, len(CONTEXTS) :] = sizes
    experts = numpy.arange(FIRST_CONTEXT, FIRST_BAG + len(BAGS), dtype=numpy.uint8)
    return numpy.repeat(numpy.tile(experts, len(sizes)), many.reshape(-1))
