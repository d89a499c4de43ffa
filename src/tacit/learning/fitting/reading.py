"""What the models of runs read of an episode: its words, taken apart once, and here only.

A step with a tool is an action. One without, but with an action or an observation, is a message: what was said, and
what the other side answered. A step with neither is only a thought and is passed over. The thought of a step is never
read: it is written just before the action and all but names it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from tacit.experience.episode import Episode, Step, Task
from tacit.learning.lessons.trace import id_of

MOST_TEXT = 10_000
"""Characters of a text that are read: of an action, an observation, a description, a context."""
_LONGEST_NUMBER = 3
"""Digits; longer numbers are names, not the places of a list."""
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")


class StepWords(NamedTuple):
    """A step, as it is read. ``tool`` is empty for a message, ``answer`` is the text that came back.

    Sets of words are tuples here: there are very many, and a set takes five times as much memory.
    """

    tool: str
    action: str
    failed: bool
    own: tuple[str, ...]
    """The action's different words."""
    objects: tuple[str, ...]
    """The same in their order, without the tool and without numbers: to what it was done."""
    answer: str
    answer_words: tuple[str, ...]
    others: tuple[str, ...]
    """The answer's words that are not the action's own."""
    kinds: tuple[str, ...]
    """The different ones of these, without numbers."""
    masked: tuple[str, ...]
    """The answer's words, where @ stands for those of the action and # for numbers; repeated masks stand once."""


class TaskWords(NamedTuple):
    """A task, as it is read. Its context is what else was known when it began."""

    task_type: str
    domain: str
    goal: tuple[str, ...]
    goal_kinds: frozenset[str]
    """The different words of the goal, without those that hold a digit."""
    context: frozenset[str]
    context_kinds: frozenset[str]
    """The different words of the context, without numbers."""
    figures: tuple[float, ...]
    """See ``FIGURES``."""

    @property
    def kind(self) -> tuple[str, str]:
        return (self.task_type, self.domain)


FIGURES = ("repetition", "length", "largest number", "second word", "goal length")
"""Of the context: its words over its different words, how many they are, the largest number of a list in it, and how
often its second most frequent word occurs; of the goal, its words. All but the first are ln(1 + n)."""


class Reading(NamedTuple):
    """A finished episode, as it is read. Episodes of one group are attempts at one and the same task."""

    task: TaskWords
    steps: tuple[StepWords, ...]
    success: bool
    group: str
    wording: str
    """Equal for tasks that are asked in the same words."""

    @property
    def actions(self) -> int:
        """How many of the steps are actions."""
        return sum(1 for step in self.steps if step.tool)


def read_episodes(episodes: Iterable[Episode]) -> list[Reading]:
    """The finished ones among these episodes, in their order."""
    shared: dict[str, str] = {}
    return [
        Reading(
            read_task(episode.task),
            read_steps(episode.steps, shared),
            is_success(episode),
            group_of(episode.task),
            wording_of(episode.task),
        )
        for episode in episodes
        if episode.outcome is not None
    ]


def is_success(episode: Episode) -> bool:
    """Whether an episode ended well."""
    return episode.outcome is not None and episode.outcome.kind == "success"


def group_of(task: Task) -> str:
    """Equal for attempts at one and the same task of a kind: by its id in the metadata, whatever words it was asked in,
    or else by its description."""
    id = id_of(task)
    return "\0".join((task.description if id is None else f"\0{id!r}", task.task_type, task.domain))


def wording_of(task: Task) -> str:
    """Equal for tasks of a kind that are asked in the same words."""
    return "\0".join((task.description, task.task_type, task.domain))


def read_task(task: Task) -> TaskWords:
    """The words of a task."""
    goal, context = words_of(task.description), words_of(context_of(task))
    return TaskWords(
        task_type=task.task_type,
        domain=task.domain,
        goal=goal,
        goal_kinds=frozenset([word for word in goal if not has_digit(word)]),
        context=frozenset(context),
        context_kinds=frozenset([word for word in context if not word.isdigit()]),
        figures=_figures(goal, context),
    )


def read_steps(steps: Sequence[Step], shared: dict[str, str] | None = None) -> tuple[StepWords, ...]:
    """The words of those steps that are actions or messages.

    Args:
        shared: words that are kept once for all who say them; there are many, and few different ones.
    """
    return tuple(
        _read(step, {} if shared is None else shared) for step in steps if step.tool or step.action or step.observation
    )


def words_of(text: str) -> tuple[str, ...]:
    """The words and numbers of a text in their order, in lower case."""
    return tuple(_WORD.findall(text[:MOST_TEXT].lower()))


def has_digit(word: str) -> bool:
    """Whether a word is a number or an identifier with one in it: it names one thing, and no kind of things."""
    return not word.isalpha() and _DIGIT.search(word) is not None


def context_of(task: Task) -> str:
    """The texts that came with a task. A string without a blank is a name or an id and says nothing of the task."""
    texts = [value for _, value in sorted(task.metadata.items()) if isinstance(value, str) and " " in value.strip()]
    return "\n".join(texts)[:MOST_TEXT]


def failed(step: Step) -> bool:
    """Whether a step is known to have failed."""
    return step.status in ("error", "timeout")


def _read(step: Step, shared: dict[str, str]) -> StepWords:
    answer = plain_text(step.observation)[:MOST_TEXT].strip()
    answer_words = tuple([shared.setdefault(word, word) for word in words_of(answer)])
    if not step.tool:
        return StepWords("", step.action[:MOST_TEXT], False, (), (), answer, answer_words, (), (), ())
    action, tool = _action_text(step), step.tool.lower()
    action_words = tuple([shared.setdefault(word, word) for word in words_of(action)])
    own = dict.fromkeys(action_words)
    others = answer_words if own.keys().isdisjoint(answer_words) else _without(answer_words, own)
    return StepWords(
        tool=step.tool,
        action=action,
        failed=failed(step),
        own=tuple(own),
        objects=tuple([word for word in action_words if word != tool and not word.isdigit()]),
        answer=answer,
        answer_words=answer_words,
        others=others,
        kinds=tuple([word for word in dict.fromkeys(others) if not word.isdigit()]),
        masked=_masked(answer_words, own),
    )


def _without(words: Sequence[str], own: Collection[str]) -> tuple[str, ...]:
    return tuple([word for word in words if word not in own])


def _masked(words: Sequence[str], own: Collection[str]) -> tuple[str, ...]:
    masks = {word: "#" if word.isdigit() else "@" if word in own else word for word in frozenset(words)}
    masked: list[str] = []
    last = ""
    for word in words:
        mask = masks[word]
        if mask != last and (mask != "#" or last != "@"):
            last = mask
            masked.append(mask)
    return tuple(masked)


def _figures(goal: Sequence[str], context: Sequence[str]) -> tuple[float, ...]:
    counts = Counter(context)
    frequent = sorted((many for word, many in counts.items() if not word.isdigit()), reverse=True)
    numbers = [int(word) for word in counts if word.isdecimal() and len(word) <= _LONGEST_NUMBER]
    return (
        len(context) / max(1, len(counts)),
        math.log1p(len(context)),
        math.log1p(max(numbers, default=0)),
        math.log1p(frequent[1]) if len(frequent) > 1 else 0.0,
        math.log1p(len(goal)),
    )


def _action_text(step: Step) -> str:
    """What was done: the tool's name and the action's text, or else its parameters."""
    text = step.action or (plain_text(step.parameters) if step.parameters else "")
    whole = text if text.lower().startswith(step.tool.lower()) else f"{step.tool} {text}"
    return whole[:MOST_TEXT]


def plain_text(value: Any) -> str:
    """A text as it is, and any other value as JSON; nothing for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
