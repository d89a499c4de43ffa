"""Pieces of advice out of the book: which heuristics and pitfalls apply here, why, and on what evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tacit.learning.advising.advice import Evidence, Item
from tacit.learning.advising.situation import Situation, applies, suits
from tacit.learning.patterns.heuristics import Heuristic, Polarity
from tacit.learning.patterns.pattern import Key, Pattern
from tacit.learning.patterns.recoveries import how_it_ended, is_remedy

MOST_ITEMS = 10
"""Heuristics, and pitfalls, of one advice."""


class Rule(NamedTuple):
    """A heuristic that applies here, and how much it matters here, from 0 to 1."""

    heuristic: Heuristic
    score: float


def rules(found: Iterable[Heuristic], here: Situation) -> list[Rule]:
    """What to do and what to avoid, as far as it applies here, the strongest first; of what is said about the same
    tools in the same respect, the most important."""
    applying = [
        Rule(each, each.priority * weight)
        for each in found
        if applies(each.key, here) and (weight := suits(each.kinds, each.tools, here))
    ]
    overruled = {id for each, _ in applying for id in each.exception_to}
    chosen: dict[tuple[tuple[str, ...], str, Polarity], Rule] = {}
    for rule in applying:
        each = rule.heuristic
        if each.id not in overruled:
            chosen.setdefault((each.tools, each.key[0], each.polarity), rule)
    return sorted(chosen.values(), key=lambda rule: (-rule.score, rule.heuristic.id))


def items(found: Iterable[Rule], polarity: Polarity) -> tuple[Item, ...]:
    """The rules to do something, or those to avoid it, as pieces of advice; last what may only come with the end of a
    success."""
    told = [
        Item(
            id=each.id,
            text=each.text,
            score=score,
            why=why(each),
            closing=each.closing,
            evidence=cited(each.evidence),
        )
        for each, score in sorted(found, key=lambda rule: rule.heuristic.closing)
        if each.polarity == polarity
    ]
    return tuple(told[:MOST_ITEMS])


def why(each: Heuristic | Pattern) -> str:
    """The reason in words: how often it occurred and how that went; then, of those episodes only that others are like,
    how it went with it and without it, and how much that differs."""
    if is_remedy(each.key):
        share = f"in {each.successes} of {each.support} episodes with it, {how_it_ended(each.key)}"
    else:
        share = f"{each.successes} of {each.support} episodes with it went well"
    if each.closing:
        share += f", {each.at_end} of them by the last call"
    lift = each.lift
    if lift is None:
        return share
    gap, more = abs(lift.difference) * 100, "more" if lift.difference >= 0 else "less"
    return (
        f"{share}; like with like, {lift.with_rate * 100:.0f} % of {lift.with_episodes} and "
        f"{lift.without_rate * 100:.0f} % of {lift.without_episodes} {_others(each.key)}: "
        f"{gap:.0f} points {more} ({lift.low * 100:+.0f} … {lift.high * 100:+.0f})"
    )


def _others(key: Key) -> str:
    """What a pattern is compared with."""
    match key[0]:
        case "choice":
            return "that called another tool then"
        case "remedy":
            return "that went on otherwise"
    return "without it"


def cited(episodes: Sequence[str]) -> tuple[Evidence, ...]:
    """Episodes as evidence, each with an equal part."""
    return tuple(Evidence(id, "episode", 1 / len(episodes)) for id in episodes)
