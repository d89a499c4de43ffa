"""Runs of agents in small worlds whose rules are known, for tests of what is learned from runs."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from tacit.experience.episode import Episode, Outcome, Step, Task


def episode(task: Task, steps: Sequence[Step], success: bool) -> Episode:
    kind: Any = "success" if success else "failure"
    return Episode(
        id="e", mind="m", task=task, status=kind, started_at_micros=0, steps=tuple(steps), outcome=Outcome(kind=kind)
    )


def errand(rng: random.Random) -> Episode:
    """Look into boxes until the thing is there, then take it and bring it home.

    A closed box has to be opened before it shows what is in it. Half of the runs give up: they sleep instead of taking.
    """
    thing = rng.choice(["cup", "key", "coin", "shoe", "ball", "book"])
    solved = rng.random() < 0.5
    steps = []
    for number in range(rng.randint(1, 4)):
        closed = rng.random() < 0.5
        steps.append(call("go", f"box {number}", "the box is closed" if closed else "in it there is nothing"))
        if closed:
            steps.append(call("open", f"box {number}", "in it there is nothing"))
    steps.append(call("go", "box 9", f"in it there is a {thing}"))
    steps += (
        [call("take", thing, f"you have the {thing}"), call("bring", thing, "thank you")]
        if solved
        else [call("sleep", "", "you slept"), call("sleep", "", "you slept")]
    )
    return episode(Task(description=f"bring me the {thing} number {rng.randrange(1_000)}"), steps, solved)


def call(tool: str, what: str, answer: str, failed: bool = False) -> Step:
    return Step(tool=tool, action=f"{tool} {what}", observation=answer, status="error" if failed else "success")


def renamed(episodes: Sequence[Episode], seed: int) -> tuple[list[Episode], dict[str, str]]:
    """The same runs, with every word and tool replaced by another; and which by which."""
    text = msgspec.json.encode([(each.task, each.steps) for each in episodes]).decode()
    values = re.findall(r'"(?:description|task_type|tool|action|observation)":"([^"]*)"', text)
    words = sorted({word for value in values for word in re.findall(r"[a-z]+", value)})
    others = [f"{word[::-1]}q" for word in words]
    random.Random(seed).shuffle(others)
    names = dict(zip(words, others, strict=True))

    def rename(text: str) -> str:
        return re.sub(r"[a-z]+", lambda match: names[match[0]], text)

    def step(given: Step) -> Step:
        return msgspec.structs.replace(
            given, tool=rename(given.tool), action=rename(given.action), observation=rename(given.observation)
        )

    def task(given: Task) -> Task:
        return msgspec.structs.replace(given, description=rename(given.description), task_type=rename(given.task_type))

    return [
        msgspec.structs.replace(each, task=task(each.task), steps=tuple(map(step, each.steps))) for each in episodes
    ], names
