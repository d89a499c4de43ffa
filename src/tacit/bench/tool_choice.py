"""Which tool suits a task, measured on tasks that were held out: beside plain baselines, and how sure it may be."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tacit.bench.intervals import bootstrap
from tacit.bench.run import Run
from tacit.learning.ranking.ranker import Described, Example, ToolRanker
from tacit.models.embedders import open_embedder
from tacit.models.embedding import Embedder

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]

_METATOOL = Path("metatool") / "dev_10614.csv"
_DESCRIPTIONS = ("plugin_des.json", "big_tool_des.json")
"""Where tools are described; the later file is believed."""
_HELD_OUT = 2_000
_SIZES = (250, 1_000, 4_000, 8_614)
_DESCRIBED_SIZE = 250
_SEED = 0
_COVERAGE = (10, 30, 50, 70, 90, 100)
"""Percent of the questions, the surest first."""
_NEIGHBOURS = 15
_FEW = 5
_MADE_UP_TOOLS, _MADE_UP_WORDS, _MADE_UP_HELD_OUT = 20, 12, 200
_MADE_UP_SIZES = (60, 300)
_EMBEDDED_AT_ONCE = 64


class _World(NamedTuple):
    """Tasks in order, each with its tool; the last ones are held out."""

    name: str
    tasks: list[tuple[str, str]]
    held_out: int
    sizes: tuple[int, ...]
    described: dict[str, str]
    described_size: int


class _Told(NamedTuple):
    """Who was right on each held-out task: with the first tool, with one of the first five; and how sure it was."""

    first: Real
    few: Real
    sure: Real


def measure_tool_choice(run: Run) -> None:
    """On MetaTool where it lies among the data, else on a little world made from a seed."""
    world = _metatool(run.data) if run.data is not None and (run.data / _METATOOL).is_file() else _made_up()
    embedder = open_embedder("minilm")
    assert embedder is not None
    texts = [text for text, _ in world.tasks]
    vectors = _embedded(embedder, texts)
    held = slice(len(texts) - world.held_out, None)
    for size in world.sizes:
        label = f"{world.name}_tool_{size}"
        ranker = _fit(world.tasks[:size], vectors[:size])
        ours = _ask(ranker, world.tasks[held], vectors[held], None)
        _tell(run, label, ours)
        for name, first in _baselines(world.tasks, vectors, size, held).items():
            _note(run, f"{label}_{name}", first)
            _note(run, f"{label}_gain_over_{name}", ours.first - first)
    if world.described:
        size = world.described_size
        tools = list(world.described)
        own = embedder.embed([world.described[tool] for tool in tools])
        told = [Described(tool, world.described[tool], vector) for tool, vector in zip(tools, own, strict=True)]
        ranker = _fit(world.tasks[:size], vectors[:size])
        _tell(run, f"{world.name}_tool_described_{size}", _ask(ranker, world.tasks[held], vectors[held], told))


def _embedded(embedder: Embedder, texts: Sequence[str]) -> Real:
    """Vectors of many texts; those of a length together, which is quicker."""
    import numpy

    vectors = numpy.empty((len(texts), embedder.dimension), dtype=numpy.float32)
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    for first in range(0, len(order), _EMBEDDED_AT_ONCE):
        places = order[first : first + _EMBEDDED_AT_ONCE]
        vectors[places] = embedder.embed([texts[place] for place in places])
    return vectors


def _metatool(data: Path) -> _World:
    folder = data / _METATOOL.parent
    with (data / _METATOOL).open(encoding="utf-8", newline="") as file:
        tasks = [(row["Query"], row["Tool"]) for row in csv.DictReader(file)]
    random.Random(_SEED).shuffle(tasks)  # noqa: S311 - repeatable on purpose
    described: dict[str, str] = {}
    for name in _DESCRIPTIONS:
        described |= json.loads((folder / name).read_text(encoding="utf-8"))
    used = {tool for _, tool in tasks}
    kept = {tool: text for tool, text in described.items() if tool in used}
    return _World("metatool", tasks, _HELD_OUT, _SIZES, kept, _DESCRIBED_SIZE)


def _made_up() -> _World:
    """Each tool has words of its own, and shares some with the next one."""
    chance = random.Random(_SEED)  # noqa: S311 - repeatable on purpose
    syllables = [one + two for one in "bdfgklmnprstvz" for two in "aeiou"]
    words = ["".join(chance.choices(syllables, k=3)) for _ in range(_MADE_UP_TOOLS * _MADE_UP_WORDS)]
    tasks = []
    for _ in range(_MADE_UP_SIZES[-1] + _MADE_UP_HELD_OUT):
        tool = chance.randrange(_MADE_UP_TOOLS)
        start = tool * _MADE_UP_WORDS
        own = [words[(start + chance.randrange(_MADE_UP_WORDS * 3 // 2)) % len(words)] for _ in range(4)]
        tasks.append((f"please {' '.join(own)}", f"tool {tool}"))
    return _World("made_up", tasks, _MADE_UP_HELD_OUT, _MADE_UP_SIZES, {}, 0)


def _fit(tasks: Sequence[tuple[str, str]], vectors: Real) -> ToolRanker:
    examples = [Example(text, (tool,), True, vector) for (text, tool), vector in zip(tasks, vectors, strict=True)]
    return ToolRanker.fit(examples, "minilm")


def _ask(
    ranker: ToolRanker, tasks: Sequence[tuple[str, str]], vectors: Real, tools: Sequence[Described] | None
) -> _Told:
    import numpy

    rows = []
    for (text, tool), vector in zip(tasks, vectors, strict=True):
        ranked = ranker.rank(text, vector, tools)
        names = [name for name, _ in ranked[:_FEW]]
        rows.append((names[0] == tool, tool in names, ranked[0][1]))
    first, few, sure = numpy.array(rows, dtype=numpy.float32).T
    return _Told(first, few, sure)


def _baselines(tasks: Sequence[tuple[str, str]], vectors: Real, size: int, held: slice) -> dict[str, Real]:
    """Who is right by the nearest mean of a tool's tasks, by the vote of the nearest tasks, and by the sum of both."""
    import numpy

    tools = sorted({tool for _, tool in tasks[:size]})
    numbers = {tool: number for number, tool in enumerate(tools)}
    labels = numpy.array([numbers[tool] for _, tool in tasks[:size]])
    truth = numpy.array([numbers.get(tool, -1) for _, tool in tasks[held]])
    ones = numpy.eye(len(tools), dtype=numpy.float32)[labels]
    means = ones.T @ vectors[:size]
    means /= numpy.linalg.norm(means, axis=1, keepdims=True)
    centroid = vectors[held] @ means.T
    likeness = vectors[held] @ vectors[:size].T
    near = numpy.argpartition(-likeness, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    votes = numpy.einsum("ij,ijk->ik", numpy.take_along_axis(likeness, near, 1), ones[near])
    scores = {"centroid": centroid, "nearest": votes, "sum": centroid + votes / votes.sum(1, keepdims=True)}
    return {name: (of.argmax(1) == truth).astype(numpy.float32) for name, of in scores.items()}


def _tell(run: Run, label: str, told: _Told) -> None:
    import numpy

    _note(run, f"{label}_first", told.first)
    _note(run, f"{label}_among_five", told.few)
    run.figure(f"{label}_mean_chance", float(told.sure.mean()), "")
    order = numpy.argsort(-told.sure, kind="stable")
    for percent in _COVERAGE:
        surest = order[: max(1, len(order) * percent // 100)]
        run.figure(f"{label}_right_of_surest_{percent}", float(told.first[surest].mean()), "")


def _note(run: Run, name: str, values: Real) -> None:
    found = bootstrap(lambda at: float(values[at].mean()), list(map(str, range(len(values)))))
    run.interval(name, found)
