"""What the models of runs read of an episode: its words, taken apart once, and here only.

A step with a tool is an action. One without, but with an action or an observation, is a message: what was said, and
what the other side answered. A step with neither is only a thought and is passed over. The thought of a step is never
read: it is written just before the action and all but names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from tacit.experience.episode import Episode, Step, Task

MOST_TEXT = 10_000
"""Characters of a text that are read: of an action, an observation, a description, a context."""
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")


class StepWords(NamedTuple):
    """A step, as it is read. ``tool`` is empty for a message, ``answer`` is the text that came back."""

    tool: str
    action: str
    action_words: tuple[str, ...]
    answer: str
    answer_words: tuple[str, ...]
    failed: bool


class TaskWords(NamedTuple):
    """A task, as it is read. ``context`` is what else was known when it began."""

    task_type: str
    domain: str
    goal: tuple[str, ...]
    context: tuple[str, ...]

    @property
    def kind(self) -> tuple[str, str]:
        return (self.task_type, self.domain)


class Reading(NamedTuple):
    """A finished episode, as it is read. Episodes of one group are attempts at one and the same task."""

    task: TaskWords
    steps: tuple[StepWords, ...]
    success: bool
    group: str

    @property
    def actions(self) -> int:
        """How many of the steps are actions."""
        return sum(1 for step in self.steps if step.tool)


def read_episodes(episodes: Sequence[Episode]) -> list[Reading]:
    """The finished ones among these episodes, in their order."""
    return [
        Reading(
            read_task(episode.task),
            read_steps(episode.steps),
            episode.outcome.kind == "success",
            "\0".join((episode.task.description, episode.task.task_type, episode.task.domain)),
        )
        for episode in episodes
        if episode.outcome is not None
    ]


def read_task(task: Task) -> TaskWords:
    """The words of a task."""
    return TaskWords(task.task_type, task.domain, words_of(task.description), words_of(context_of(task)))


def read_steps(steps: Sequence[Step]) -> tuple[StepWords, ...]:
    """The words of those steps that are actions or messages."""
    return tuple(_read(step) for step in steps if step.tool or step.action or step.observation)


def words_of(text: str) -> tuple[str, ...]:
    """The words and numbers of a text in their order, in lower case."""
    return tuple(_WORD.findall(text[:MOST_TEXT].lower()))


def has_digit(word: str) -> bool:
    """Whether a word is a number or an identifier with one in it: it names one thing, and no kind of things."""
    return _DIGIT.search(word) is not None


def context_of(task: Task) -> str:
    """The texts that came with a task. A string without a blank is a name or an id and says nothing of the task."""
    texts = [value for _, value in sorted(task.metadata.items()) if isinstance(value, str) and " " in value.strip()]
    return "\n".join(texts)[:MOST_TEXT]


def _read(step: Step) -> StepWords:
    action = _action_text(step) if step.tool else step.action[:MOST_TEXT]
    answer = _plain_text(step.observation)[:MOST_TEXT].strip()
    failed = step.status in ("error", "timeout")
    return StepWords(step.tool, action, words_of(action), answer, words_of(answer), failed)


def _action_text(step: Step) -> str:
    """What was done: the tool's name and the action's text, or else its parameters."""
    text = step.action or (_plain_text(step.parameters) if step.parameters else "")
    whole = text if text.lower().startswith(step.tool.lower()) else f"{step.tool} {text}"
    return whole[:MOST_TEXT]


def _plain_text(value: Any) -> str:
    """A text as it is, and any other value as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
