"""Real and made-up episodes for measuring what is learned, cut into folds so that no task is on both sides."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tacit.experience.episode import Episode, Outcome, Record, Step, Task
from tacit.experience.importers import Imported, ImportOptions, importer_for
from tacit.experience.limits import Limits

FOLDS = 5


class Case(msgspec.Struct, frozen=True):
    """A finished episode, the task that it belongs to, and the fold in which it is held out."""

    episode: Episode
    cluster: str
    fold: int


def alfworld(data: Path) -> list[Case]:
    """ALFWorld runs; folds by the task's folder."""

    def place(episode: Episode) -> tuple[str, int]:
        folder = str(episode.task.metadata["name"]).split("/")[0]
        return folder, zlib.crc32(folder.encode()) % FOLDS

    return _cases(data / "alfworld" / "alfworld_D0.jsonl", place)


def tau_airline(data: Path) -> list[Case]:
    """Runs of tau-bench airline; folds by the task's number."""

    def place(episode: Episode) -> tuple[str, int]:
        number = int(episode.task.metadata["task_id"])
        return str(number), number % FOLDS

    return _cases(data / "tau_bench" / "gpt-4o-airline.json", place)


def made_up(seed: int = 7, count: int = 300) -> list[Case]:
    """Runs in a little world of doors and keys, from a seed: what is in sight says what to do next, and a locked door
    that is not opened with its key ends in failure."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return [_in_the_little_world(chance, number) for number in range(count)]


def of_fold(cases: list[Case], fold: int) -> tuple[list[Episode], list[Case]]:
    """The episodes to learn from, and the cases that are held out."""
    return [case.episode for case in cases if case.fold != fold], [case for case in cases if case.fold == fold]


def calls(episode: Episode) -> Iterator[int]:
    """The places of the steps that call a tool."""
    return (place for place, step in enumerate(episode.steps) if step.tool)


def solved(episode: Episode) -> bool:
    """Whether an episode succeeded."""
    return episode.outcome is not None and episode.outcome.kind == "success"


def _cases(path: Path, place: Callable[[Episode], tuple[str, int]]) -> list[Case]:
    found = []
    for number, item in enumerate(importer_for("auto", path).read(path, ImportOptions(limits=Limits()))):
        if isinstance(item, Imported):
            episode = _episode(item.record, number)
            found.append(Case(episode, *place(episode)))
    return found


def _episode(record: Record, number: int) -> Episode:
    return Episode(
        id=str(number), mind="bench", task=record.task, status=record.outcome.kind if record.outcome else "open",
        started_at_micros=number, ended_at_micros=number + 1, steps=record.steps, outcome=record.outcome,
    )  # fmt: skip


def _in_the_little_world(chance: random.Random, number: int) -> Case:
    room, locked = chance.randrange(40), chance.random() < 0.5
    careful = chance.random() < 0.6
    steps = [_step("look", f"room {room}", f"a {'locked' if locked else 'closed'} door")]
    if locked and careful:
        steps += [_step("find", "key", f"key {room} on the shelf"), _step("take", f"key {room}", "you hold the key")]
    steps.append(_step("open", f"door {room}", "it opens" if careful or not locked else "it does not move"))
    well = chance.random() < (0.9 if careful or not locked else 0.1)
    steps.append(_step("enter", f"room {room}", "you are inside" if well else "nothing happens"))
    outcome = Outcome(kind="success" if well else "failure")
    task = Task(description=f"enter room {room} through the {'locked' if locked else 'closed'} door", task_type="enter")
    record = Record(task=task, steps=tuple(steps), outcome=outcome)
    return Case(_episode(record, number), str(room), room % FOLDS)


def _step(tool: str, action: str, observation: str) -> Step:
    return Step(tool=tool, action=f"{tool} {action}", observation=observation, status="success")
