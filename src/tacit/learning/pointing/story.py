"""Stories: runs as they are read for pointing, each step taken apart once, and no more of them than is bounded here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tacit.experience.episode import Step, Task
from tacit.learning.fitting.goals import GoalWords
from tacit.learning.fitting.reading import context_of, failed, plain_text, words_of
from tacit.learning.pointing.forms import MOST_TEXT, Act, Forms

MOST_STEPS = 100
"""Steps of a run that are looked at, the last ones."""
MOST_GOAL_WORDS = 16
"""Words of the goal that are looked at, the rarest."""


class Told(NamedTuple):
    """A step. ``act`` is None for a message; ``answer`` is what came back."""

    act: Act | None
    answer: str
    failed: bool


class Story(NamedTuple):
    """A run: its goal's words and its texts, and what was done."""

    goal: tuple[str, ...]
    description: str
    context: str
    steps: tuple[Told, ...]

    @property
    def acts(self) -> Iterator[Act]:
        """The actions in their order."""
        return (told.act for told in self.steps if told.act is not None)


def read_story(goals: GoalWords, forms: Forms, task: Task, steps: Sequence[Step]) -> Story:
    """A run, read."""
    description = task.description[:MOST_TEXT]
    goal = goals.content(words_of(description))
    return Story(
        tuple(sorted(goal, key=goal.__getitem__, reverse=True)[:MOST_GOAL_WORDS]),
        description,
        context_of(task)[:MOST_TEXT],
        tuple(_told(forms, step) for step in steps[-MOST_STEPS:]),
    )


def _told(forms: Forms, step: Step) -> Told:
    act = forms.act(step) if step.tool else None
    return Told(act, plain_text(step.observation)[:MOST_TEXT], failed(step))
