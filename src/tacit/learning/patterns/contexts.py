"""Context patterns: which tools suit which context (LE-04).

A context is a feature of the task: its type, its domain, a tag, the language, the framework, a word of the description,
or none; the approach is a tool that was used. So what suits all tasks is told once, and what suits one kind of task, or
is wrong there, is told of that kind.
"""

from __future__ import annotations

from collections.abc import Iterator

from tacit.learning.lessons.trace import Trace
from tacit.learning.patterns.claim import ANY, Claim, Words
from tacit.learning.patterns.pattern import Key, Strategy

_FEATURE, _APPROACH = "feature", "approach"
_NO_FEATURE = ""
_OF_KIND = ("type", "domain")
MOST_TOOLS = 20
"""Different tools of an episode that are looked at, in order of first use."""


class Contexts:
    strategy: Strategy = "context"

    def claims(self, trace: Trace) -> Iterator[Claim]:
        tools = list(dict.fromkeys(call.tool for call in trace.calls))[:MOST_TOOLS]
        for feature in (_NO_FEATURE, *kind_features(trace.task_type, trace.domain), *trace.features):
            case = _case(feature)
            yield Claim(case, case)
            yield from (Claim(case, (_APPROACH, feature, tool)) for tool in tools)

    def owns(self, key: Key) -> bool:
        return key[0] == _APPROACH

    def case_of(self, key: Key) -> Key:
        return _case(key[1])

    def wider(self, key: Key) -> Key | None:
        return None if key[1] == _NO_FEATURE else (_APPROACH, _NO_FEATURE, key[2])

    def words(self, key: Key) -> Words:
        _, feature, tool = key
        if feature == _NO_FEATURE:
            return Words(f"use {tool}", (tool,))
        name, _, value = feature.partition(":")
        condition = f"the task mentions “{value}”" if name == "word" else f"{name} is {value}"
        return Words(f"when {condition}: use {tool}", (tool,), (feature,))


def kind_features(task_type: str, domain: str) -> tuple[str, ...]:
    """The kind of a task, as features of it."""
    return tuple(f"{name}:{value}" for name, value in zip(_OF_KIND, (task_type, domain), strict=True) if value)


def is_of_kind(key: Key) -> bool:
    """Whether a pattern speaks of all tasks of a kind, and not only of those that have some other feature."""
    return key[0] != _APPROACH or key[1].partition(":")[0] in (_NO_FEATURE, *_OF_KIND)


def _case(feature: str) -> Key:
    return ANY if feature == _NO_FEATURE else (_FEATURE, feature)
