"""Which tool comes next: a mixture of experts, each of which looks at the run in its own way.

The experts count (see ``experts``), the mixture is learned (see ``mixing``) from moments of past runs at which every
count of the same task was taken away, so that what fits only itself is not trusted. That the run ends is one more
"tool" that may come next.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias
from zlib import crc32

import msgspec

from tacit.errors import InvalidInput
from tacit.experience.episode import Episode, Step, Task
from tacit.learning.arrays import Packed, pack, pack_counts
from tacit.learning.contexts import BAGS, CONTEXTS, bags_of, contexts_of
from tacit.learning.experts import (
    COUNT,
    FIRST_BAG,
    FIRST_CONTEXT,
    Moments,
    OwnCounts,
    Testimony,
    frequencies,
    mixed,
    own_counts,
    scores_of,
    testify,
)
from tacit.learning.goals import GoalWords
from tacit.learning.mixing import Examples, flat_weights, learn_weights
from tacit.learning.reading import Reading, read_episodes, read_steps, read_task
from tacit.learning.run import Run
from tacit.learning.successors import Keyed, PackedSuccessors, Successors, hash_of

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Whole = NDArray[numpy.int64]
    Real = NDArray[numpy.float64]

Target: TypeAlias = Literal["solved", "all"]

MOST_EXAMPLES = 4_000
"""Moments from which the mixture is learned, those of the newest runs."""
MOST_CANDIDATES = 24
"""Tools that are looked at, at each of them."""
FEW_SOLVED = 5
"""With fewer solved runs, the mixture is learned from all runs."""
_BLOCK = 500
"""Moments that are looked at in one go."""
PENALTIES = (3.0, 10.0, 30.0)
_FORMAT = 1


class Forecast(NamedTuple):
    """What may come next: tools with their chances, most likely first, and the chance that the run ends here. They sum
    to 1."""

    tools: list[tuple[str, float]]
    end: float


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted model, as bytes."""

    format: int
    goals: GoalWords
    tools: tuple[str, ...]
    """The end of a run, when it is counted, stands after the last."""
    with_end: bool
    solved: Packed
    others: Packed
    """How often each tool came at all, in solved runs and in others."""
    table: PackedSuccessors
    weights: Packed


class NextStepModel:
    """Says which tool comes next. Immutable, and safe to use from many threads."""

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept
        self._numbers = {tool: number for number, tool in enumerate(kept.tools)}
        self._table = Keyed(kept.table)
        self._frequency = frequencies(kept.solved.array.astype(float), kept.others.array.astype(float))
        self._weights = kept.weights.array

    @classmethod
    def fit(cls, episodes: Sequence[Episode], *, target: Target = "solved", with_end: bool = True) -> NextStepModel:
        """A model of the finished ones among some episodes; the same from the same episodes in the same order.

        Args:
            episodes: oldest first.
            target: the runs that the mixture is to foretell, the solved ones or all. The counts are of all.
            with_end: whether it is also foretold that a run ends.
        """
        readings = read_episodes(episodes)
        goals = GoalWords.of(reading.task for reading in readings)
        log = _Log(with_end)
        for reading in readings:
            log.add(reading, Run(reading.task, goals.content(reading.task.goal)))
        columns = log.columns()
        table = Successors.count(columns.key, columns.tool[columns.moment], columns.solved[columns.moment], log.keys)
        totals = [columns.totals(good, log.width) for good in (True, False)]
        return cls(
            _Kept(
                format=_FORMAT,
                goals=goals,
                tools=log.tools,
                with_end=with_end,
                solved=pack_counts(totals[0]),
                others=pack_counts(totals[1]),
                table=Keyed.of(table, log.hashes()).packed,
                weights=pack(_learn(readings, columns, table, totals, target, log.keys)),
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
        scores = mixed(
            testify(self._table.table, moments, frequency, None, moments.followed), frequency, self._weights
        )[0]
        chances = numpy.exp(scores - scores.max())
        chances /= chances.sum()
        order = numpy.argsort(-chances[: len(tools)], kind="stable").tolist()
        end = float(chances[len(tools)]) if self._kept.with_end else 0.0
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
        try:
            kept = msgspec.msgpack.decode(body, type=_Kept)
        except msgspec.DecodeError as error:
            raise InvalidInput("these bytes are not a next-step model; fit it again") from error
        if kept.format != _FORMAT:
            raise InvalidInput(f"this next-step model has format {kept.format}, not {_FORMAT}; fit it again")
        return cls(kept)

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
            expert=_experts(numpy.array([list(map(len, bags))])),
            key=self._table.numbers(numpy.array(keys, dtype=numpy.uint64)),
            followed=numpy.array([followed]),
        )


class _Columns(NamedTuple):
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


class _Numbers(dict[Any, int]):
    """Numbers for keys, given when one is first asked for."""

    def __init__(self, fresh: count[int]) -> None:
        super().__init__()
        self._fresh = fresh

    def __missing__(self, key: Any) -> int:
        self[key] = number = next(self._fresh)
        return number


class _Log:
    """Writes down the keys and the tool at every moment of past runs."""

    def __init__(self, with_end: bool) -> None:
        fresh = count()
        self._contexts = [_Numbers(fresh) for _ in CONTEXTS]
        self._words = [_Numbers(fresh) for _ in BAGS]
        self._tools = _Numbers(count())
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

    def columns(self) -> _Columns:
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
        return _Columns(moment, _experts(sizes), key, tool, followed, episode, solved > 0)

    def _write(self, run: Run, tool: int, solved: bool) -> None:
        self._key.extend([numbers[key] for numbers, key in zip(self._contexts, contexts_of(run), strict=True)])
        for numbers, words in zip(self._words, bags_of(run), strict=True):
            self._key.extend(map(numbers.__getitem__, words))
            self._sizes.append(len(words))
        self._tool.append(tool)
        self._followed.append(-1 if run.followed is None else self._tools[run.followed])
        self._episode.append(self._episodes)
        self._solved.append(solved)


def _experts(sizes: Whole) -> Whole:
    """The expert that each key belongs to, when every moment has a key for each context and then so many words."""
    import numpy

    many = numpy.ones((len(sizes), len(CONTEXTS) + len(BAGS)), dtype=numpy.int64)
    many[:, len(CONTEXTS) :] = sizes
    experts = numpy.arange(FIRST_CONTEXT, FIRST_BAG + len(BAGS))
    return numpy.repeat(numpy.tile(experts, len(sizes)), many.reshape(-1))


def _learn(
    readings: Sequence[Reading],
    columns: _Columns,
    table: Successors,
    totals: Sequence[Whole],
    target: Target,
    keys: int,
) -> Real:
    """The weights of the mixture."""
    import numpy

    if len(readings) < 2:
        return flat_weights(COUNT)
    names = _Numbers(count())
    groups = numpy.array([names[reading.group] for reading in readings])
    chosen = _examples(readings, columns, groups, target)
    if not len(chosen):
        return flat_weights(COUNT)
    width = len(totals[0])
    of_moment = groups[columns.episode]
    own = _own_counts(columns, of_moment, chosen, keys, width)
    spent = [_per_group(columns, of_moment, good, len(names), width) for good in (True, False)]
    scores = []
    for part in numpy.array_split(chosen, len(chosen) // _BLOCK + 1):
        asked = of_moment[part]
        frequency = frequencies((totals[0] - spent[0])[asked], (totals[1] - spent[1])[asked])
        said = testify(table, _part(columns, part), frequency, own, asked)
        scores.append(_relative_scores(said, frequency, columns.tool[part]))
    halves = numpy.array([crc32(name.encode("utf-8", "surrogatepass")) % 2 for name in names])
    return learn_weights(Examples(numpy.concatenate(scores, axis=1), halves[of_moment[chosen]]), PENALTIES)


def _relative_scores(said: Testimony, frequency: Real, truth: Whole) -> Real:
    """What each weight multiplies at some moments, relative to the tool that came."""
    import numpy

    candidates = _candidates(mixed(said, frequency, flat_weights(COUNT)), truth)
    scores = scores_of(said, frequency, candidates)
    scores -= numpy.take_along_axis(scores, (candidates == truth[:, None]).argmax(1)[None, :, None], 2)
    return scores


def _examples(readings: Sequence[Reading], columns: _Columns, groups: Whole, target: Target) -> Whole:
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


def _part(columns: _Columns, chosen: Whole) -> Moments:
    """Some of the moments."""
    import numpy

    place = numpy.full(len(columns.tool), -1)
    place[chosen] = numpy.arange(len(chosen))
    moment = place[columns.moment]
    kept = moment >= 0
    return Moments(len(chosen), moment[kept], columns.expert[kept], columns.key[kept], columns.followed[chosen])


def _own_counts(columns: _Columns, of_moment: Whole, chosen: Whole, keys: int, width: int) -> OwnCounts:
    """What the groups of the chosen moments have contributed to the table."""
    import numpy

    group = of_moment[columns.moment]
    kept = numpy.isin(group, of_moment[chosen])
    moment = columns.moment[kept]
    return own_counts(group[kept], columns.key[kept], columns.tool[moment], columns.solved[moment], (keys, width))


def _per_group(columns: _Columns, of_moment: Whole, solved: bool, groups: int, width: int) -> Whole:
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
