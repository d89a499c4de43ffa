"""Does advice make an agent better? SIMULATED: a made-up agent in a made-up world, on a real store, from seeds.

A task has a kind and three choices, each among four tools; for each kind and choice one tool is right, and each wrong
one makes success less likely. The agent follows the next step that it is advised, and sometimes tries another. What it
does goes into its memory, in six ways: as it was; not at all; from another world; with outcomes shuffled; from a world
that has changed since; with three outcomes in ten told wrongly. Measured is its success in the last tasks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import msgspec

from tacit.bench.demotion import measure_demotion
from tacit.bench.intervals import Interval, bootstrap
from tacit.bench.run import Run
from tacit.clock import SystemClock
from tacit.experience.episode import Outcome, Record, Step, Task
from tacit.ids import SystemEntropy
from tacit.mind import Mind
from tacit.opening import OpenStore
from tacit.ops.setting_groups import ConsumerSettings, LearningSettings, Settings
from tacit.stores.sqlite import MEMORY, SqliteStore

KINDS, CHOICES, TOOLS = 4, 3, 4
LEARNING_TASKS, MEASURED_TASKS, BETWEEN_STUDIES = 160, 40, 20
_WELL, _SPOILT = 0.9, 0.45
"""The chance of success when every choice is right, and what each wrong one multiplies it by."""
_CURIOSITY = 0.15
_LIES = 0.3
_SETTLE_SECONDS = 120.0

Told = Callable[[bool, random.Random], bool]
"""The outcome that the memory is told, for the one that there was."""


class _Attempt(msgspec.Struct):
    kind: int
    tools: list[str]
    well: bool


class _World:
    """Which tool is right for each kind of task and choice."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.right = [[chance.randrange(TOOLS) for _ in range(CHOICES)] for _ in range(KINDS)]

    def changed(self, share: float, chance: random.Random) -> _World:
        """A world in which that share of the right tools are others."""
        other = _World(0)
        other.right = [
            [(tool + chance.randrange(1, TOOLS)) % TOOLS if chance.random() < share else tool for tool in of_kind]
            for of_kind in self.right
        ]
        return other

    def is_right(self, kind: int, choice: int, tool: str) -> bool:
        return tool == name_of(choice, self.right[kind][choice])

    def chance(self, kind: int, tools: list[str]) -> float:
        wrong = sum(not self.is_right(kind, choice, tool) for choice, tool in enumerate(tools))
        return float(_WELL * _SPOILT**wrong)


def name_of(choice: int, tool: int) -> str:
    """The name of a tool."""
    return f"tool_{choice}_{tool}"


def measure(run: Run) -> None:
    """Success with memory of each sort, and what memory is worth beside none; ``size`` seeds."""
    found: dict[str, list[float]] = {name: [] for name in ("off", *_SORTS)}
    for seed in range(run.size):
        found["off"].append(_live(seed, None))
        for name, sort in _SORTS.items():
            found[name].append(_live(seed, sort))
    for name, rates in found.items():
        _note(run, f"simulated_success_memory_{name}", rates)
        if name != "off":
            _note(run, f"simulated_gain_memory_{name}", [on - off for on, off in zip(rates, found["off"], strict=True)])
    measure_demotion(run)
    on, off = sum(found["on"]), sum(found["off"])
    if off:  # of very few seeds it may be none
        run.ratio("simulated_success_on_over_off", [on / off])


def _true(well: bool, _chance: random.Random) -> bool:
    return well


def _shuffled(_well: bool, chance: random.Random) -> bool:
    return chance.random() < 0.5


def _lying(well: bool, chance: random.Random) -> bool:
    return well != (chance.random() < _LIES)


class _Sort(msgspec.Struct, frozen=True):
    """A sort of memory: what it is told of outcomes, and how many of the right tools were others when it learned."""

    told: Told
    changed: float = 0.0


_SORTS = {
    "on": _Sort(_true),
    "random": _Sort(_true, changed=1.0),
    "shuffled": _Sort(_shuffled),
    "stale": _Sort(_true, changed=0.5),
    "poisoned": _Sort(_lying),
}


def _live(seed: int, sort: _Sort | None) -> float:
    """The share of the measured tasks in which the agent succeeded."""
    world, chance = _World(seed), random.Random(1_000 + seed)  # noqa: S311 - repeatable on purpose
    taught = world if sort is None else world.changed(sort.changed, chance)
    settings = Settings(consumers=ConsumerSettings(enabled=False), learning=LearningSettings(embedder="none"))
    with OpenStore(SqliteStore(MEMORY), settings, clock=SystemClock(), entropy=SystemEntropy()) as store:
        mind = store.mind()
        for number in range(LEARNING_TASKS):
            attempt = _do(taught, None if sort is None else mind, chance)
            if sort is not None:
                _remember(mind, attempt, sort.told(attempt.well, chance))
                if number % BETWEEN_STUDIES == BETWEEN_STUDIES - 1:
                    mind.settle(_SETTLE_SECONDS)
        done = [_do(world, None if sort is None else mind, chance) for _ in range(MEASURED_TASKS)]
    return sum(attempt.well for attempt in done) / len(done)


def _do(world: _World, mind: Mind | None, chance: random.Random) -> _Attempt:
    kind = chance.randrange(KINDS)
    tools: list[str] = []
    for choice in range(CHOICES):
        at_hand = [name_of(choice, tool) for tool in range(TOOLS)]
        advised = None if mind is None else _advised(mind, kind, tools, at_hand)
        curious = advised is None or chance.random() < _CURIOSITY
        tools.append(chance.choice(at_hand) if curious else str(advised))
    return _Attempt(kind, tools, chance.random() < world.chance(kind, tools))


def _advised(mind: Mind, kind: int, tools: list[str], at_hand: list[str]) -> str | None:
    steps = [Step(tool=tool, observation="done", status="success") for tool in tools]
    found = mind.advise(f"a task of kind {kind}", task_type=f"kind_{kind}", steps=steps, tools=at_hand, record=False)
    return found.next_steps[0].tool if found.next_steps else None


def _remember(mind: Mind, attempt: _Attempt, well: bool) -> None:
    task = Task(description=f"a task of kind {attempt.kind}", task_type=f"kind_{attempt.kind}")
    steps = tuple(Step(tool=tool, observation="done", status="success") for tool in attempt.tools)
    mind.record(Record(task=task, steps=steps, outcome=Outcome(kind="success" if well else "failure")))


def _note(run: Run, name: str, values: list[float]) -> None:
    import numpy

    there = numpy.array(values)
    found: Interval = bootstrap(partial(_mean_at, there), [str(number) for number in range(len(values))])
    run.interval(name, found)


def _mean_at(values: object, places: object) -> float:
    return float(values[places].mean())  # type: ignore[index]
