"""Fusing what the strategies found: patterns that say the same become one (LE-06).

Two patterns are the same when they have the same signature; or when they speak of nearly the same tools (Jaccard) and
occur in the same kinds and months to the same extent, with the same success (cosine of their counts). Recoveries are
judged by another success than the episode's, so they are never the same as something else. Which patterns come first
does not matter: sameness is closed transitively, and a group is named after its strongest member.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from tacit.learning.patterns.counts import PatternCounts
from tacit.learning.patterns.pattern import Pattern

LEAST_JACCARD = 0.5
LEAST_COSINE = 0.98


def fuse(patterns: Iterable[Pattern], counts: PatternCounts) -> list[Pattern]:
    """The patterns with those that say the same merged into hybrids, strongest first."""
    distinct = sorted({each.signature: each for each in patterns}.values(), key=_strength)
    vectors = [_vector(each, counts) for each in distinct]
    group = list(range(len(distinct)))  # the smallest place that each is the same as, found so far
    by_tool: dict[str, list[int]] = {}
    for place, each in enumerate(distinct):
        near = {other for tool in each.tools for other in by_tool.get(tool, ())}
        for other in sorted(near):
            if _root(group, other) != _root(group, place) and _same(
                each, distinct[other], vectors[place], vectors[other]
            ):
                _join(group, place, other)
        for tool in each.tools:
            by_tool.setdefault(tool, []).append(place)
    members: dict[int, list[Pattern]] = {}
    for place, each in enumerate(distinct):
        members.setdefault(_root(group, place), []).append(each)
    return [_merged(same) for same in members.values()]


def _strength(pattern: Pattern) -> tuple[bool, bool, float, int, int, str]:
    surely = 0.0 if pattern.lift is None else max(pattern.lift.low, -pattern.lift.high, 0.0)
    return (not pattern.stands, pattern.closing, -surely, -pattern.support, len(pattern.condition), pattern.signature)


def _same(one: Pattern, other: Pattern, first: dict[object, float], second: dict[object, float]) -> bool:
    if (one.helpful, one.harmful) != (other.helpful, other.harmful) or "recovery" in (one.strategy, other.strategy):
        return False
    shared, union = len(set(one.tools) & set(other.tools)), len(set(one.tools) | set(other.tools))
    return bool(union) and shared / union >= LEAST_JACCARD and cosine(first, second) >= LEAST_COSINE


def _vector(pattern: Pattern, counts: PatternCounts) -> dict[object, float]:
    """How often it occurred and went well, by kind and month; and not, out of the same cases."""
    found: dict[object, float] = {"others": pattern.others, "other successes": pattern.other_successes}
    for kind, cell in counts.cells(pattern.key).items():
        for month, (count, well) in cell.items():
            found[kind, month, "well"] = well
            found[kind, month, "not"] = count - well
    return found


def cosine(first: dict[object, float], second: dict[object, float]) -> float:
    """The cosine of two sparse vectors; 0 when one of them is nothing."""
    product = sum(value * second.get(place, 0.0) for place, value in first.items())
    sizes = math.sqrt(sum(v * v for v in first.values())) * math.sqrt(sum(v * v for v in second.values()))
    return product / sizes if sizes else 0.0


def _root(group: list[int], place: int) -> int:
    while group[place] != place:
        place = group[place]
    return place


def _join(group: list[int], one: int, other: int) -> None:
    first, second = sorted((_root(group, one), _root(group, other)))
    group[second] = first


def _merged(same: Sequence[Pattern]) -> Pattern:
    """One pattern for all of these: the strongest, which knows of the others. Its counts are its own."""
    strongest, *rest = same
    if not rest:
        return strongest
    return msgspec.structs.replace(strongest, strategy="hybrid", merged=tuple(sorted(each.signature for each in rest)))
