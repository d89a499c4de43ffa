"""Which tool comes next: a mixture of experts, each of which looks at the run in its own way.

The experts count (see ``experts``), the mixture is learned (see ``mixture``) from moments of past runs at which every
count of the same task was taken away, so that what fits only itself is not trusted. That the run ends is one more
"tool" that may come next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tacit.experience.episode import Episode, Step, Task
from tacit.learning.fitting.arrays import Packed, pack, pack_counts, pack_floats
from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.fitting.goals import GoalWords
from tacit.learning.fitting.kept import read_kept
from tacit.learning.fitting.reading import Reading, read_episodes, read_steps, read_task
from tacit.learning.fitting.run import Run
from tacit.learning.next_step.contexts import BAGS, CONTEXTS, bags_of, contexts_of
from tacit.learning.next_step.experts import Moments, frequencies, mixed, testify
from tacit.learning.next_step.linear import Linear, learn_linear
from tacit.learning.next_step.mixture import Target, learn_mixture
from tacit.learning.next_step.moments import MomentLog, experts_of
from tacit.learning.next_step.successors import Keyed, PackedSuccessors, Successors, hash_of

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Whole = NDArray[numpy.int64]

_FORMAT = 2


class Forecast(NamedTuple):
    """What may come next: tools with their chances, most likely first, and the chance that the run ends here. They sum
    to 1, or to less when so many tools were used that some are not told apart (see ``moments.MOST_TOOLS``)."""

    tools: list[tuple[str, float]]
    end: float


class KeptLinear(msgspec.Struct, frozen=True):
    """The linear expert, as bytes; its keys are numbers of the table."""

    keys: Packed
    tools: Packed
    weights: Packed


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted model, as bytes."""

    format: int
    goals: GoalWords
    tools: tuple[str, ...]
    """The end of a run, when it is counted, stands after the last, and after the rest."""
    with_end: bool
    has_rest: bool = False
    """Whether one column stands for all tools that are not told apart."""
    solved: Packed
    others: Packed
    """How often each tool came at all, in solved runs and in others."""
    table: PackedSuccessors
    weights: Packed
    linear: KeptLinear


class NextStepModel:
    """Says which tool comes next. Immutable, and safe to use from many threads."""

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept
        self._numbers = {tool: number for number, tool in enumerate(kept.tools)}
        self._table = Keyed(kept.table)
        self._frequency = frequencies(kept.solved.array.astype(float), kept.others.array.astype(float))
        self._weights = kept.weights.array
        self._linear = Linear(kept.linear.keys.array, kept.linear.tools.array, kept.linear.weights.array)

    @classmethod
    def fit(cls, episodes: Sequence[Episode], *, target: Target = "solved", with_end: bool = True) -> NextStepModel:
        """A model of the finished ones among some episodes; the same from the same episodes in the same order.

        Args:
            episodes: oldest first.
            target: the runs that the mixture is to foretell, the solved ones or all. The counts are of all.
            with_end: whether it is also foretold that a run ends.
        """
        return cls.learn(read_episodes(episodes), target=target, with_end=with_end)

    @classmethod
    def learn(
        cls,
        readings: Sequence[Reading],
        *,
        target: Target = "solved",
        with_end: bool = True,
        check: Check = go_on,
    ) -> NextStepModel:
        """A model of episodes as they were read.

        Args:
            check: is called again and again, and raises when it is to be given up.
        """
        import numpy

        goals = GoalWords.of(reading.task for reading in readings)
        log = MomentLog(with_end)
        for reading in checked(readings, check):
            log.add(reading, Run(reading.task, goals.content(reading.task.goal)))
        columns = log.columns()
        came: Whole = numpy.repeat(columns.tool, columns.sizes)
        solved: NDArray[numpy.bool_] = numpy.repeat(columns.solved, columns.sizes)
        table = Successors.count(columns.key, came, solved, log.keys)
        totals = [columns.totals(good, log.width) for good in (True, False)]
        hashes = log.hashes()
        linear = learn_linear(columns, numpy.arange(len(columns.tool)), log.width, check).in_order_of(hashes)
        return cls(
            _Kept(
                format=_FORMAT,
                goals=goals,
                tools=log.tools,
                with_end=with_end,
                has_rest=log.has_rest,
                solved=pack_counts(totals[0]),
                others=pack_counts(totals[1]),
                table=Keyed.of(table, hashes).packed,
                weights=pack(learn_mixture(readings, columns, table, totals, target, log.keys, check)),
                linear=KeptLinear(pack_counts(linear.keys), pack_counts(linear.tools), pack_floats(linear.weights)),
            )
        )

    def predict(self, task: Task, steps: Sequence[Step]) -> list[tuple[str, float]]:
        """Tools with their chances of coming next, most likely first; empty when no run is known. The chances sum to
        1 less the chance that the run ends here, which :meth:`forecast` tells."""
        return self.forecast(task, steps).tools

    def forecast(self, task: Task, steps: Sequence[Step]) -> Forecast:
        """What comes next after some steps."""
        import numpy

        tools = self._kept.tools
        if not tools:
            return Forecast([], 1.0 if self._kept.with_end and self._kept.solved.array.any() else 0.0)
        words = read_task(task)
        run = Run(words, self._kept.goals.content(words.goal))
        for step in read_steps(steps):
            run.add(step)
        moments = self._moment(run)
        frequency = self._frequency[None, :]
        linear = self._linear.logs(moments.moment, moments.key, frequency)
        said = testify(self._table.table, moments, frequency, linear, None, moments.followed)
        scores = mixed(said, frequency, self._weights)[0]
        chances = numpy.exp(scores - scores.max())
        chances /= chances.sum()
        order = numpy.argsort(-chances[: len(tools)], kind="stable").tolist()
        end = float(chances[-1]) if self._kept.with_end else 0.0
        return Forecast([(tools[number], float(chances[number])) for number in order], end)

    def to_bytes(self) -> bytes:
        """The model, to be kept."""
        return msgspec.msgpack.encode(self._kept)

    @classmethod
    def from_bytes(cls, body: bytes) -> NextStepModel:
        """A model that was kept.

        Raises:
            InvalidInput: the bytes are not a model, or one of another version; fit it again.
        """
        return cls(read_kept(body, _Kept, _FORMAT, "next-step model"))

    def _moment(self, run: Run) -> Moments:
        """The present moment of a run, with the keys to look up."""
        import numpy

        bags = bags_of(run)
        keys = [hash_of(name, *key) for name, key in zip(CONTEXTS, contexts_of(run), strict=True)]
        for name, words in zip(BAGS, bags, strict=True):
            keys += [hash_of(name, word) for word in words]
        followed = -1 if run.followed is None else self._numbers.get(run.followed, -1)
        return Moments(
            size=1,
            moment=numpy.zeros(len(keys), dtype=numpy.int64),
            expert=experts_of(numpy.array([list(map(len, bags))])),
            key=self._table.numbers(numpy.array(keys, dtype=numpy.uint64)),
            followed=numpy.array([followed]),
        )
