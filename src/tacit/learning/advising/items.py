"""Pieces of advice out of the book: which heuristics and pitfalls apply here, why, and on what evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tacit.learning.advising.advice import Evidence, Item
from tacit.learning.advising.situation import Situation, applies, suits
from tacit.learning.patterns.heuristics import Heuristic
from tacit.learning.patterns.pattern import Pattern

MOST_ITEMS = 10
"""Heuristics, and pitfalls, of one advice."""


def heuristic_items(found: Iterable[Heuristic], here: Situation) -> tuple[Item, ...]:
    """What to do, as far as it applies here, most important first."""
    return _items((each for each in found if each.polarity == "do"), here)


def pitfall_items(found: Iterable[Heuristic], here: Situation) -> tuple[Item, ...]:
    """What to avoid, as far as it applies here, most important first."""
    return _items((each for each in found if each.polarity == "avoid"), here)


def _items(found: Iterable[Heuristic], here: Situation) -> tuple[Item, ...]:
    chosen: list[Item] = []
    overruled: set[str] = set()
    seen: set[tuple[tuple[str, ...], str]] = set()
    for each in found:
        weight = suits(each.kinds, here.kind)
        about = (each.tools, each.key[0])
        if not weight or not applies(each.key, here) or each.id in overruled or about in seen:
            continue
        overruled.update(each.exception_to)
        seen.add(about)
        chosen.append(
            Item(id=each.id, text=each.text, score=each.priority * weight, why=why(each), evidence=cited(each.evidence))
        )
    chosen.sort(key=lambda item: (-item.score, item.id))
    return tuple(chosen[:MOST_ITEMS])


def why(each: Heuristic | Pattern) -> str:
    """The reason in words: how often it occurred, how that went, and how much that differs from elsewhere."""
    share = f"{each.successes} of the {each.support} episodes in which it occurred went well"
    if each.lift is None:
        return share
    gap = each.lift.difference * 100
    told = f"{abs(gap):.0f} points {'more' if gap >= 0 else 'less'} often than without it, kind by kind of task"
    return f"{share}, {told} ({each.lift.low * 100:+.0f} … {each.lift.high * 100:+.0f})"


def cited(episodes: Sequence[str]) -> tuple[Evidence, ...]:
    """Episodes as evidence, each with an equal part."""
    return tuple(Evidence(id, "episode", 1 / len(episodes)) for id in episodes)
