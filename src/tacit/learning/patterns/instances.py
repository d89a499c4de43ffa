"""Episodes with a pattern beside episodes without it, for whoever wants to look at them."""

from __future__ import annotations

import msgspec

from tacit.learning.lessons.lessons import lessons_between, newest_heads
from tacit.learning.patterns.catalogue import FINDERS
from tacit.learning.patterns.counts import occurrences
from tacit.learning.patterns.pattern import Pattern
from tacit.stores.port import Snapshot

_MOST_LOOKED_AT = 2_000
"""The newest finished episodes; what is older is not shown."""
_MOST_SHOWN = 5
"""Of either kind."""


class Instance(msgspec.Struct, frozen=True):
    """An episode, and whether it went well, as the pattern is judged."""

    episode: str
    well: bool


class Instances(msgspec.Struct, frozen=True):
    """Some of the episodes that a pattern's counts are made of."""

    with_it: tuple[Instance, ...] = ()
    """The newest in which it occurred."""
    without_it: tuple[Instance, ...] = ()
    """The newest in which it could have occurred and did not; attempts at the same tasks before all others."""


def read_instances(snapshot: Snapshot, mind: bytes, position: int, pattern: Pattern) -> Instances:
    """Episodes with a pattern and without it, as of a position, among the newest that there are."""
    heads = newest_heads(snapshot, mind, position, _MOST_LOOKED_AT)
    if not heads:
        return Instances()
    key = pattern.key
    case = next(finder for finder in FINDERS if finder.owns(key)).case_of(key)
    with_it: list[tuple[Instance, bytes]] = []
    without_it: list[tuple[Instance, bytes]] = []
    for lesson in lessons_between(snapshot, mind, heads[0][1] - 1, position):
        trace = lesson.trace
        found = occurrences(trace) if trace.kind in pattern.kinds else {}
        if key in found:
            with_it.append((Instance(lesson.episode, found[key]), trace.task))
        elif case in found:
            without_it.append((Instance(lesson.episode, found[case]), trace.task))
    newest = with_it[: -_MOST_SHOWN - 1 : -1]
    tasks = {task for _, task in newest} - {b""}
    without_it.reverse()
    without_it.sort(key=lambda one: one[1] not in tasks)
    return Instances(
        tuple(instance for instance, _ in newest), tuple(instance for instance, _ in without_it[:_MOST_SHOWN])
    )
