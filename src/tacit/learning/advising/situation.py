"""The situation in which advice is asked for, and which patterns apply to it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tacit.experience.episode import Step, Task
from tacit.learning.lessons.trace import Call, calls_of, features_of
from tacit.learning.patterns.contexts import kind_features
from tacit.learning.patterns.decisions import how_it_went
from tacit.learning.patterns.pattern import Key

OTHER_KIND = 0.5
"""What a pattern is worth in a kind of task that it was not seen in, when it was seen in several others."""


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is about to be done, or is being done."""

    task: Task
    features: frozenset[str]
    calls: tuple[Call, ...]
    """Those made so far."""

    @property
    def kind(self) -> tuple[str, str]:
        return (self.task.task_type, self.task.domain)

    @property
    def state(self) -> tuple[str, str]:
        """The tool called last and how its call went; as at a decision point."""
        if not self.calls:
            return ("", "worked")
        return (self.calls[-1].tool, how_it_went(self.calls[-1]))


def situation(task: Task, steps: Sequence[Step]) -> Situation:
    """The situation of a task after these steps."""
    features = frozenset((*features_of(task), *kind_features(task.task_type, task.domain)))
    return Situation(task=task, features=features, calls=calls_of(tuple(steps)))


def applies(key: Key, here: Situation) -> bool:
    """Whether what a pattern speaks of could come up now."""
    match key:
        case ("choice", tool, went, _):
            return here.state == (tool, went)
        case ("remedy", signature, tool, _):
            last = here.calls[-1] if here.calls else None
            return last is not None and last.failed and (last.signature, last.tool) == (signature, tool)
        case ("approach", feature, _):
            return not feature or feature in here.features
        case ("sequence", *tools):
            return _is_ahead(tools, here.calls)
    return True


def suits(kinds: Sequence[tuple[str, str]], kind: tuple[str, str]) -> float:
    """How far a pattern seen in some kinds of task is to be believed in another: 1 for its own, 0 for not at all."""
    if kind in kinds:
        return 1.0
    task_type, domain = kind
    if not task_type and not domain:
        return OTHER_KIND
    near = any((domain and other[1] == domain) or (task_type and other[0] == task_type) for other in kinds)
    return OTHER_KIND if near or len(kinds) > 1 else 0.0


def _is_ahead(tools: Sequence[str], calls: Sequence[Call]) -> bool:
    """Whether the sequence is not over yet: its last tool is still to come after those of it that were called."""
    place = 0
    for call in calls:
        if place < len(tools) and call.tool == tools[place]:
            place += 1
    return place < len(tools)
