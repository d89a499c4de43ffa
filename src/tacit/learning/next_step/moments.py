"""All moments of past runs, written down for the next-step model: the keys of each, and the tool that came.

Keys get numbers as they come; a hash stands for each when the model is kept.
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


class Columns(NamedTuple):
    """All moments of all runs. ``moment``, ``expert`` and ``key`` have a row for each key, the others one for each
    moment."""

    moment: Whole
    expert: Whole
    key: Whole
    tool: Whole
    followed: Whole
    episode: Whole
    solved: NDArray[numpy.bool_]

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
        self._key, self._sizes = array("q"), array("q")
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
        return tuple(self._tools)

    @property
    def width(self) -> int:
        """Tools, and the end of the run if it is counted."""
        return len(self._tools) + self._with_end

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
        tool[tool < 0] = len(self._tools)
        sizes = numpy.array(self._sizes, dtype=numpy.int64).reshape(len(tool), len(BAGS))
        moment = numpy.repeat(numpy.arange(len(tool)), len(CONTEXTS) + sizes.sum(1))
        key = numpy.array(self._key, dtype=numpy.int64)
        return Columns(moment, experts_of(sizes), key, tool, followed, episode, solved > 0)

    def _write(self, run: Run, tool: int, solved: bool) -> None:
        self._key.extend([numbers[key] for numbers, key in zip(self._contexts, contexts_of(run), strict=True)])
        for numbers, words in zip(self._words, bags_of(run), strict=True):
            self._key.extend(map(numbers.__getitem__, words))
            self._sizes.append(len(words))
        self._tool.append(tool)
        self._followed.append(-1 if run.followed is None else self._tools[run.followed])
        self._episode.append(self._episodes)
        self._solved.append(solved)


def experts_of(sizes: Whole) -> Whole:
    """The expert that each key belongs to, when every moment has a key for each context and then so many words."""
    import numpy

    many = numpy.ones((len(sizes), len(CONTEXTS) + len(BAGS)), dtype=numpy.int64)
    many[:, len(CONTEXTS) :] = sizes
    experts = numpy.arange(FIRST_CONTEXT, FIRST_BAG + len(BAGS))
    return numpy.repeat(numpy.tile(experts, len(sizes)), many.reshape(-1))
