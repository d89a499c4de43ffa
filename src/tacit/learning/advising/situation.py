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
"""What a pattern is worth in a kind of task that it was not seen in."""


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is about to be done, or is being done."""

    task: Task
    features: frozenset[str]
    calls: tuple[Call, ...]
    """Those made so far."""
    tools: frozenset[str] = frozenset()
    """Those that may be called: what is at hand, if that was told, or else what tasks like this one have called."""
    at_hand: bool = False
    """Whether it was told which tools are at hand."""

    @property
    def kind(self) -> tuple[str, str]:
        return (self.task.task_type, self.task.domain)

    @property
    def last(self) -> str:
        """The tool called last; empty at the start."""
        return self.calls[-1].tool if self.calls else ""

    @property
    def state(self) -> tuple[str, str]:
        """The tool called last and how its call went; as at a decision point."""
        if not self.calls:
            return ("", "worked")
        return (self.last, how_it_went(self.calls[-1]))


def situation(task: Task, steps: Sequence[Step]) -> Situation:
    """The situation of a task after these steps."""
    features = frozenset((*features_of(task), *kind_features(task.task_type, task.domain)))
    return Situation(task=task, features=features, calls=calls_of(tuple(steps)))


def applies(key: Key, here: Situation) -> bool:
    """Whether what a pattern speaks of could come up now."""
    match key:
        case ("choice", tool, went, _):
            return here.state == (tool, went)
        case ("remedy", signature, tool, *_):
            last = here.calls[-1] if here.calls else None
            return last is not None and last.failed and (last.signature, last.tool) == (signature, tool)
        case ("approach", feature, _):
            return not feature or feature in here.features
        case ("sequence", *tools):
            return bool(outstanding(tools, here.calls))
    return True


def suits(kinds: Sequence[tuple[str, str]], tools: Sequence[str], here: Situation) -> float:
    """How far a pattern that was seen in some kinds of task, and speaks of some tools, is to be believed here.

    1 for its own kind, 0 for not at all.

    What speaks of a tool that is not at hand is of no use. In a kind of task in which it was not seen, a pattern is
    believed only if it shares the type or the domain or was seen in several kinds, and its tools are
    called here too.
    """
    callable_here = here.tools.issuperset(tools)
    if here.kind in kinds:
        return 1.0 if callable_here or not here.at_hand else 0.0
    task_type, domain = here.kind
    near = any((domain and other[1] == domain) or (task_type and other[0] == task_type) for other in kinds)
    believed = near or len(kinds) > 1 or not (task_type or domain)
    return OTHER_KIND if believed and callable_here else 0.0


def outstanding(tools: Sequence[str], calls: Sequence[Call]) -> tuple[str, ...]:
    """What of a sequence is still to come, after those of it that were called."""
    place = 0
    for call in calls:
        if place < len(tools) and call.tool == tools[place]:
            place += 1
    return tuple(tools[place:])
