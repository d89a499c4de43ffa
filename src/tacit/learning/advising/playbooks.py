"""Playbooks: for each kind of task, the way that successful episodes took, step by step (LE-09).

The skeleton is the successful way that is most like all the others (the medoid under the longest common subsequence),
among those that go through the fewest pitfalls; what it goes through all the same is not told to be a pitfall. Of its
steps those are told that most of the successes took; what fewer took are branches, as a task may demand them. Each says
how many successes took it, and what helped where its tool failed, once for each tool.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeAlias

import msgspec

from tacit.learning.advising.advice import Evidence, Playbook, PlaybookStep
from tacit.learning.advising.coherence import goes_through
from tacit.learning.lessons.trace import Trace
from tacit.learning.patterns.contexts import is_of_kind
from tacit.learning.patterns.pattern import Key, Pattern
from tacit.learning.patterns.recoveries import failed_tool, how_it_ended, is_action

LEAST_SUCCESSES = 3
MOST_WAYS = 20
"""Newest successes of a kind that are compared with each other."""
LONGEST_WAY = 30
"""Steps of a playbook; longer ways are not told."""
MOST_PLAYBOOKS = 100
MOST_RECOVERIES = 2
MOST_PITFALLS = 5
LEAST_RECOVERY = 0.5
"""A recovery is told when it works at least this often."""
COMMON = 0.5
"""A step is one of the kind's if this share of its successes took it."""
LEAST_BRANCH = 0.1
"""A branch is told if this share of the successes took it, and at least three of them."""
MOST_BRANCHES = 8
MOST_EVIDENCE = 5

_Way: TypeAlias = tuple[str, tuple[str, ...]]
"""A successful episode, and the tools that it called; repeats of one tool count as one."""


def playbooks(traces: Iterable[tuple[str, Trace]], patterns: Sequence[Pattern]) -> dict[tuple[str, str], Playbook]:
    """The playbook of each kind of task that has been done at least three times, the most frequent kinds first."""
    ways: dict[tuple[str, str], list[_Way]] = defaultdict(list)
    episodes: Counter[tuple[str, str]] = Counter()
    successes: Counter[tuple[str, str]] = Counter()
    for id, trace in traces:
        episodes[trace.kind] += 1
        successes[trace.kind] += trace.success
        way = tuple(tool for tool, _ in groupby(call.tool for call in trace.calls))
        if trace.success and way and len(way) <= LONGEST_WAY:
            ways[trace.kind].append((id, way))
    found: dict[tuple[str, str], Playbook] = {}
    for kind in sorted(ways, key=lambda kind: -len(ways[kind])):
        if len(ways[kind]) >= LEAST_SUCCESSES and len(found) < MOST_PLAYBOOKS:
            made = _playbook(kind, ways[kind], patterns)
            if made.steps:  # else the successes have nothing in common
                why = f"{successes[kind]} of {episodes[kind]} episodes of this kind succeeded; {made.why}"
                found[kind] = msgspec.structs.replace(made, score=successes[kind] / episodes[kind], why=why)
    return found


def _playbook(kind: tuple[str, str], ways: Sequence[_Way], patterns: Sequence[Pattern]) -> Playbook:
    pitfalls = [each for each in patterns if each.harmful and kind in each.kinds and is_of_kind(each.key)]
    skeleton = _skeleton(ways, [each.key for each in pitfalls])
    evidence = [id for id, way in reversed(ways) if _common(way, skeleton) * 2 > len(skeleton)][:MOST_EVIDENCE]
    name = " in ".join(part for part in kind if part) or "a task of no stated type or domain"
    avoided = [each for each in pitfalls if not goes_through(skeleton, each.key)]
    beware = [each.text for each in avoided if not each.condition]
    remedies = _remedies(kind, patterns)
    tools = tuple(dict.fromkeys(skeleton))
    first = {skeleton.index(tool) for tool in tools}
    others = Counter(tool for _, way in ways for tool in set(way) - set(tools))
    least = max(LEAST_SUCCESSES, LEAST_BRANCH * len(ways))
    branches = [tool for tool, count in sorted(others.items(), key=lambda one: (-one[1], one[0])) if count >= least]
    branches = [tool for tool in branches if not any(goes_through((tool,), each.key) for each in avoided)]
    return Playbook(
        title=f"How to do {name}",
        score=0.0,
        why=f"most of the {len(ways)} that called tools took these steps",
        preconditions=(f"these tools are at hand: {', '.join(tools)}",),
        steps=tuple(
            _step(tool, ways, remedies.get(tool, ()) if place in first else ()) for place, tool in enumerate(skeleton)
        ),
        branches=tuple(_step(tool, ways, remedies.get(tool, ())) for tool in branches[:MOST_BRANCHES]),
        pitfalls=tuple(beware[:MOST_PITFALLS]),
        evidence=tuple(Evidence(id, "episode", 1 / len(evidence)) for id in evidence),
    )


def _skeleton(ways: Sequence[_Way], pitfalls: Sequence[Key]) -> tuple[str, ...]:
    """The way most like all of these, among those that go through the fewest pitfalls, as far as most of those do."""
    met = [sum(goes_through(way, pitfall) for pitfall in pitfalls) for _, way in ways]
    careful = [way for (_, way), many in zip(ways, met, strict=True) if many == min(met)]
    newest = careful[-MOST_WAYS:]
    whole = max(newest, key=lambda way: (_likeness(way, newest), way))
    taken = Counter(tool for way in careful for tool in set(way))
    return tuple(tool for tool, _ in groupby(tool for tool in whole if taken[tool] >= COMMON * len(careful)))


def _remedies(kind: tuple[str, str], patterns: Sequence[Pattern]) -> dict[str, list[str]]:
    """For each tool, what was done after its errors in this kind of task and mostly helped, the surest first."""
    found = [
        each
        for each in patterns
        if is_action(each.key)
        and kind in each.kinds
        and not each.harmful
        and each.successes >= LEAST_RECOVERY * each.support
    ]
    told: dict[str, list[str]] = defaultdict(list)
    for each in sorted(found, key=lambda each: (-each.posterior.low, each.signature)):
        ended = f"{how_it_ended(each.key)} in {each.successes} of {each.support}"
        told[failed_tool(each.key)].append(f"{each.text} ({ended})")
    return told


def _step(tool: str, ways: Sequence[_Way], recoveries: Sequence[str]) -> PlaybookStep:
    having = [id for id, way in ways if tool in way]
    newest = having[: -MOST_EVIDENCE - 1 : -1]
    return PlaybookStep(
        tool=tool,
        text=f"{tool} ({len(having)} of {len(ways)} successes)",
        support=len(having),
        recoveries=tuple(recoveries[:MOST_RECOVERIES]),
        evidence=tuple(Evidence(id, "episode", 1 / len(newest)) for id in newest),
    )


def _likeness(way: Sequence[str], others: Sequence[Sequence[str]]) -> float:
    return sum(2 * _common(way, other) / (len(way) + len(other)) for other in others)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for tool in one:
        before = 0
        for place, wanted in enumerate(other, start=1):
            before, row[place] = row[place], before + 1 if tool == wanted else max(row[place], row[place - 1])
    return row[-1]
