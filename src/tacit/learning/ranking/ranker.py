"""Which tools suit a task? Learned from the tasks of finished episodes and the tools that these used.

A task is seen as its vector, where there is one, beside a sketch of its words. Two judges look at it: a discriminant,
which is good with little experience and can place a tool that is only described, and a small network, which gains with
much. How much each counts is fitted to tasks that were held out, so that the chances mean what they say. Names of tools
are never looked at.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tacit.errors import InvalidInput
from tacit.learning.fitting.arrays import Packed, pack
from tacit.learning.fitting.giving_up import Check, go_on
from tacit.learning.fitting.kept import read_kept
from tacit.learning.ranking.blend import USUAL, fit_blend
from tacit.learning.ranking.discriminant import Discriminant, Judge
from tacit.learning.ranking.network import Network, log_softmax
from tacit.learning.ranking.sketch import BUCKETS, COLUMNS, LONGEST_TEXT, bucket_weights, sketches, spread_of

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]
    Vector = Real | NDArray[numpy.float16]
    Rows = NDArray[numpy.int64]

MOST_EXAMPLES = 9_000
"""Examples that are learned from, the newest."""
MOST_TOOLS = 500
"""Tools that are known, those used most."""
MOST_USED = 32
"""Tools of one example that are looked at, the first: what used more of them does not say which one suits."""
LEAST_NETWORK = 100
"""With fewer examples there is no network."""
LEAST_BLEND = 20
"""With fewer examples the usual weights are taken."""
OTHERS_WEIGHT = 0.3
"""What an episode counts that did not succeed."""
_PARTS = 5
_ENOUGH_JUDGED = 300
"""Parts are held out, one after the other, until so many examples have been; or all parts, where there are fewer."""
_VECTORS_SHARE = 0.5
"""With vectors of fewer examples, none are looked at."""
_SKETCH_SHARE = 0.55
"""The length of the sketch beside that of a vector."""
_MOST_JUDGES = 8
"""Sets of descriptions whose judge is kept."""
_FORMAT = 1


class Example(NamedTuple):
    """The task of a finished episode, and what it used."""

    text: str
    tools: tuple[str, ...]
    """Each different tool once; an example without any says nothing."""
    success: bool
    vector: Vector | None = None
    """Of unit length; None where nothing has embedded the text."""


class Described(NamedTuple):
    """A tool that can be used."""

    name: str
    text: str = ""
    """What it does; may be empty."""
    vector: Real | None = None
    """Of the text."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A ranker, as bytes: half-precision floats, but for counts."""

    format: int
    tools: tuple[str, ...]
    model: str
    """Of the vectors; empty where there were none."""
    dimension: int
    """Numbers in a vector; 0 where there were none."""
    weights: tuple[float, float, float]
    spread: bytes
    """Compressed."""
    discriminant: tuple[Packed, ...]
    scale: float
    network: tuple[Packed, ...]
    """Empty without one."""


class ToolRanker:
    """Says how likely each tool is the right one. Safe to use from many threads; nothing that is learned changes."""

    def __init__(self, kept: _Kept) -> None:
        import numpy

        self._kept = kept
        self._judges: OrderedDict[tuple[tuple[str, str, bool], ...], Judge] = OrderedDict()
        self._numbers = {tool: number for number, tool in enumerate(kept.tools)}
        if not kept.tools:
            return
        spread = numpy.frombuffer(zlib.decompress(kept.spread), dtype=numpy.uint8).reshape(2, BUCKETS)
        self._weights = bucket_weights(spread, len(kept.tools))
        centre, means, counts, axes, shares = (each.array.astype(numpy.float32) for each in kept.discriminant)
        self._discriminant = Discriminant(centre, means, counts, axes, shares, kept.scale)
        network = [each.array.astype(numpy.float32) for each in kept.network]
        self._network = Network(*network) if network else None
        self._judge = self._discriminant.judge()

    @classmethod
    def fit(cls, examples: Sequence[Example], model: str = "", check: Check = go_on) -> ToolRanker:
        """A ranker of some examples, oldest first; the same from the same examples in the same order.

        Args:
            model: the fingerprint of the embedder that made the vectors.
            check: is called again and again, and raises when it is to be given up.
        """
        import numpy

        examples = [each._replace(tools=each.tools[:MOST_USED]) for each in examples if each.tools][-MOST_EXAMPLES:]
        tools = _tools_of(examples)
        kept = set(tools)
        examples = [each for each in examples if kept.intersection(each.tools)]
        if not examples:
            return cls(_nothing())
        vectors = [each.vector for each in examples if each.vector is not None]
        dimension = len(vectors[0]) if len(vectors) >= _VECTORS_SHARE * len(examples) else 0
        usual = numpy.zeros(dimension, dtype=numpy.float32)
        for vector in vectors if dimension else ():
            usual += vector
        usual /= max(len(vectors), 1)
        counted = _counted(examples, tools)
        texts = [each.text for each in examples]
        spread = spread_of(texts, [numpy.flatnonzero(row).tolist() for row in counted])
        tasks = _features(texts, [each.vector for each in examples], usual, bucket_weights(spread, len(tools)))
        weights = _blend(tasks, counted, texts, check)
        found = Discriminant.fit(tasks, counted)
        is_heard = len(tasks) >= LEAST_NETWORK and len(tools) > 1 and weights[1] > 0
        network = Network.fit(tasks, counted, check=check) if is_heard else ()
        half = numpy.float16
        return cls(
            _Kept(
                format=_FORMAT,
                tools=tools,
                model=model if dimension else "",
                dimension=dimension,
                weights=weights,
                spread=zlib.compress(spread.tobytes()),
                discriminant=(
                    *(pack(each.astype(half)) for each in (found.centre, found.means)),
                    pack(found.counts.astype(numpy.float32)),
                    *(pack(each.astype(half)) for each in (found.axes, found.shares)),
                ),
                scale=found.scale,
                network=tuple(pack(each.astype(half)) for each in network),
            )
        )

    @property
    def model(self) -> str:
        """The fingerprint of the embedder whose vectors are of use; empty for none."""
        return self._kept.model

    @property
    def tools(self) -> tuple[str, ...]:
        """The tools that were used, those used most first."""
        return self._kept.tools

    def rank(
        self, text: str, vector: Real | None = None, tools: Sequence[Described] | None = None
    ) -> list[tuple[str, float]]:
        """Tools with the chance that each is the right one, most likely first.

        Args:
            text: the task's description.
            vector: of the text, by the embedder whose vectors were learned from.
            tools: those at hand: only they are ranked, with chances that sum to 1; those that neither were used nor
                are described are left out. When None, all that were ever used are ranked, and their chances sum to 1
                less the chance that the right tool was never used (as many as came once: I. J. Good, 1953).
        """
        import numpy

        if not self._kept.tools:
            return []
        task = self._features([text], [vector])
        known = len(self._kept.tools)
        if tools is None:
            judge, names, chosen = self._judge, list(self._kept.tools), list(range(known))
        else:
            judge, names, chosen = self._described(tools)
        if not names:
            return []
        lead, other, usual = self._kept.weights
        counts = self._discriminant.counts
        scores = lead * judge.scores(task)[0]
        missing = max(float((counts <= 1).sum()), 1.0) / max(len(scores) - known, 1)
        frequency = numpy.concatenate([counts, numpy.full(len(scores) - known, min(missing, 1.0), numpy.float32)])
        scores += usual * numpy.log(frequency)
        if self._network is not None:
            scores[:known] += other * self._told_apart(task, scores[:known])
        chances = numpy.exp(log_softmax(scores[None, chosen])[0])
        if tools is None:
            chances *= 1 - float((counts <= 1).sum()) / (float(counts.sum()) + 1)
        order = sorted(range(len(names)), key=lambda place: (-chances[place], chosen[place]))
        return [(names[place], float(chances[place])) for place in order]

    def to_bytes(self) -> bytes:
        """The ranker, to be kept: about 1 MB with 200 tools."""
        return msgspec.msgpack.encode(self._kept)

    @classmethod
    def from_bytes(cls, body: bytes) -> ToolRanker:
        """A ranker that was kept.

        Raises:
            InvalidInput: the bytes are not a ranker, or one of another version; fit it again.
        """
        kept = read_kept(body, _Kept, _FORMAT, "ranker of tools")
        try:
            return cls(kept)
        except (ValueError, zlib.error) as error:  # its arrays are not what the format says
            raise InvalidInput("these bytes are not a whole ranker of tools; fit it again") from error

    def _features(self, texts: Sequence[str], vectors: Sequence[Real | None]) -> Real:
        usual = self._discriminant.centre[: self._kept.dimension]
        return _features(texts, vectors, usual, self._weights)

    def _told_apart(self, task: Real, scores: Real) -> Real:
        """What the network says of the known tools, levelled so that tools it does not know lose and gain nothing."""
        import numpy

        assert self._network is not None
        logs = self._network.logs(task)[0]
        usual = numpy.exp(log_softmax(scores[None])[0])
        level: Real = logs - float((usual * logs).sum())
        return level

    def _described(self, tools: Sequence[Described]) -> tuple[Judge, list[str], list[int]]:
        """The judge of these tools, their names, and their places in what it says."""
        at_hand = {tool.name: tool for tool in tools}
        fresh = [tool for tool in at_hand.values() if tool.name not in self._numbers and tool.text.strip()]
        places = self._numbers | {tool.name: len(self._numbers) + more for more, tool in enumerate(fresh)}
        names = [name for name in at_hand if name in places]
        return self._judge_of(at_hand, fresh), names, [places[name] for name in names]

    def _judge_of(self, at_hand: dict[str, Described], fresh: Sequence[Described]) -> Judge:
        import numpy

        key = tuple((tool.name, tool.text, tool.vector is not None) for tool in at_hand.values())
        found = self._judges.get(key)
        if found is not None:
            return found
        known = [at_hand.get(name, Described(name)) for name in self._kept.tools]
        all_tools = [*known, *fresh]
        has = [place for place, tool in enumerate(all_tools) if tool.text.strip()]
        if has:
            described = numpy.full((len(all_tools), len(self._discriminant.centre)), numpy.nan, numpy.float32)
            told = [all_tools[place] for place in has]
            described[has] = self._features([tool.text for tool in told], [tool.vector for tool in told])
            found = self._discriminant.judge(described)
        else:
            found = self._judge
        self._judges[key] = found
        while len(self._judges) > _MOST_JUDGES:
            self._judges.popitem(last=False)
        return found


def _nothing() -> _Kept:
    return _Kept(
        format=_FORMAT,
        tools=(),
        model="",
        dimension=0,
        weights=USUAL,
        spread=b"",
        discriminant=(),
        scale=1.0,
        network=(),
    )


def _tools_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """The tools used most; among equals in the order in which they came."""
    counts: dict[str, float] = {}
    for each in examples:
        for tool in each.tools:
            counts[tool] = counts.get(tool, 0.0) + (1.0 if each.success else OTHERS_WEIGHT)
    return tuple(sorted(counts, key=lambda tool: -counts[tool])[:MOST_TOOLS])


def _counted(examples: Sequence[Example], tools: Sequence[str]) -> Real:
    """What each example counts for as one of each tool: (examples, tools)."""
    import numpy

    numbers = {tool: number for number, tool in enumerate(tools)}
    counted = numpy.zeros((len(examples), len(tools)), dtype=numpy.float32)
    for row, each in enumerate(examples):
        used = [numbers[tool] for tool in each.tools if tool in numbers]
        counted[row, used] = 1.0 if each.success else OTHERS_WEIGHT
    return counted


def _features(texts: Sequence[str], vectors: Sequence[Vector | None], usual: Real, weights: Real) -> Real:
    """Vector and sketch side by side: (texts, dimension + columns). The usual vector stands for one that is missing."""
    import numpy

    dimension = len(usual)

    found = numpy.zeros((len(texts), dimension + COLUMNS), dtype=numpy.float32)
    for row, vector in enumerate(vectors):
        found[row, :dimension] = usual if vector is None or len(vector) != dimension else vector
    found[:, dimension:] = _SKETCH_SHARE * sketches(texts, weights)
    return found


def _blend(tasks: Real, counted: Real, texts: Sequence[str], check: Check) -> tuple[float, float, float]:
    """The weights of the judges, from tasks that they have not seen. The same text is never on both sides."""
    import numpy

    if len(tasks) < LEAST_BLEND or counted.shape[1] < 2:  # one tool is no choice
        return USUAL
    part = numpy.array([zlib.crc32(text[:LONGEST_TEXT].encode("utf-8", "replace")) % _PARTS for text in texts])
    cases = []
    judged = 0
    for held in range(_PARTS):
        if judged >= _ENOUGH_JUDGED:
            break
        there, away = part != held, part == held
        judged += int(away.sum())
        tools = numpy.flatnonzero(counted[there].sum(0) > 0)
        truth = counted[away][:, tools]
        if truth.any() and len(tools) > 1:
            known = counted if len(tools) == counted.shape[1] else counted[:, tools]
            cases.append((_opinions(tasks, known, numpy.flatnonzero(there), tasks[away], check), truth))
    if not cases:
        return USUAL
    lead, other, usual = fit_blend(cases)
    return lead, other, usual


def _opinions(tasks: Real, counted: Real, known: Rows, asked: Real, check: Check) -> Real:
    """What the judges say of some tasks, having learned from other ones: (judges, tasks, tools)."""
    import numpy

    found = Discriminant.fit(tasks, counted, known)
    scores = found.judge().scores(asked)
    network = Network.fit(tasks, counted, known, check=check).logs(asked) if len(tasks) >= LEAST_NETWORK else None
    told = numpy.zeros_like(scores) if network is None else network
    return numpy.stack([scores, told, numpy.repeat(numpy.log(found.counts)[None], len(asked), 0)])
