"""Heuristics: condition → action, made of the patterns that stand, with their history (LE-05).

A heuristic is adopted when a pattern's lift stands, kept while its posterior still says so, and pruned when it no
longer does: counts decay with age, so what stopped being true fades and its opposite takes over. Two heuristics
conflict when one says to do, under a condition, what another says to avoid under the same or a wider one; the
narrower one is an exception when its own evidence stands, else the stronger one is followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

from tacit.learning.assessment.evidence import Estimate, Lift
from tacit.learning.patterns.pattern import Key, Pattern, closes

Polarity: TypeAlias = Literal["do", "avoid"]
Change: TypeAlias = Literal["adopted", "strengthened", "weakened", "turned round", "pruned", "demoted"]
MOST_HISTORY = 20
"""Changes remembered of each heuristic, the newest."""
NOTABLE = 0.1
"""A change of the lift's lower end by this much is noted in the history."""


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """One change in the life of a heuristic."""

    at: int
    """µs since 1970 UTC."""
    change: Change
    surely: float
    """The lift that could be counted on then, from 0 to 1."""
    support: int


class Heuristic(msgspec.Struct, frozen=True, kw_only=True):
    """A rule: under a condition, do something or avoid it."""

    id: str
    """That of the pattern behind it."""
    signature: str
    polarity: Polarity
    text: str
    tools: tuple[str, ...]
    condition: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]
    """The kinds of task it was seen in; with more than one it is trusted in others too."""
    posterior: Estimate
    lift: Lift
    support: int
    successes: int
    at_end: int = 0
    """As of the pattern."""
    priority: float
    """From 0 to 1: the lift that can be counted on; narrower conditions come first among equals."""
    exception_to: tuple[str, ...] = ()
    """Ids of wider heuristics that say the opposite; this one goes before them where it applies."""
    sources: tuple[str, ...] = ()
    """Signatures of the patterns it rests on."""
    evidence: tuple[str, ...] = ()
    history: tuple[Turn, ...] = ()

    @property
    def closing(self) -> bool:
        """Whether it comes with the end of a success, and may be no cause of it."""
        return self.polarity == "do" and closes(self.at_end, self.successes)

    @property
    def key(self) -> Key:
        return _key_of(self.signature)


def heuristics(
    patterns: Iterable[Pattern], before: Sequence[Heuristic], now: int, demoted: frozenset[str] = frozenset()
) -> list[Heuristic]:
    """The heuristics that these patterns support, most important first.

    Args:
        before: those of the last time, whose histories go on; what no longer stands is pruned.
        now: µs since 1970 UTC.
        demoted: ids of what did harm when it was advised; it is not adopted again.
    """
    found = [made for each in patterns if (made := _of(each)) is not None and made.id not in demoted]
    settled = settle_conflicts(found)
    known = {each.id: each for each in before}
    grown = [msgspec.structs.replace(each, history=_history(each, known.get(each.id), now)) for each in settled]
    return sorted(grown, key=lambda each: (-each.priority, -len(each.condition), each.signature))


def retired(
    before: Sequence[Heuristic], after: Sequence[Heuristic], now: int, demoted: frozenset[str] = frozenset()
) -> list[Heuristic]:
    """Those that are no longer among the heuristics, with why as the last turn of their history."""
    kept = {each.id for each in after}
    gone = [(each, _gone(each, demoted)) for each in before if each.id not in kept]
    return [
        msgspec.structs.replace(each, history=_turned(each.history, Turn(now, change, each.priority, each.support)))
        for each, change in gone
    ]


def _gone(each: Heuristic, demoted: frozenset[str]) -> Change:
    return "demoted" if each.id in demoted else "pruned"


def settle_conflicts(found: Sequence[Heuristic]) -> list[Heuristic]:
    """Those that remain when whatever contradicts itself has been settled by the evidence."""
    remaining: list[Heuristic] = []
    for each in sorted(found, key=lambda one: (-one.priority, one.signature)):
        against = [other for other in found if other is not each and contradicts(each, other)]
        narrower = [other for other in against if set(other.condition) < set(each.condition)]
        equals = [other for other in against if set(other.condition) == set(each.condition)]
        if any((other.priority, other.signature) > (each.priority, each.signature) for other in equals):
            continue
        remaining.append(msgspec.structs.replace(each, exception_to=tuple(sorted(other.id for other in narrower))))
    return remaining


def contradicts(one: Heuristic, other: Heuristic) -> bool:
    """Whether one says to do what the other says to avoid, where both apply."""
    return (
        one.polarity != other.polarity
        and one.tools == other.tools
        and one.key[0] == other.key[0]
        and (set(one.condition) <= set(other.condition) or set(other.condition) <= set(one.condition))
    )


def _of(pattern: Pattern) -> Heuristic | None:
    if pattern.lift is None or not (pattern.helpful or pattern.harmful):
        return None
    polarity: Polarity = "do" if pattern.helpful else "avoid"
    surely = pattern.lift.low if pattern.helpful else -pattern.lift.high
    return Heuristic(
        id=pattern.id,
        signature=pattern.signature,
        polarity=polarity,
        text=pattern.text if pattern.helpful else f"avoid: {pattern.text}",
        tools=pattern.tools,
        condition=pattern.condition,
        kinds=pattern.kinds,
        posterior=pattern.posterior,
        lift=pattern.lift,
        support=pattern.support,
        successes=pattern.successes,
        at_end=pattern.at_end,
        priority=surely,
        sources=(pattern.signature, *pattern.merged),
        evidence=pattern.evidence,
    )


def _history(now_is: Heuristic, was: Heuristic | None, now: int) -> tuple[Turn, ...]:
    if was is None or (was.history and was.history[-1].change in ("pruned", "demoted")):
        before = () if was is None else was.history
        return _turned(before, Turn(now, "adopted", now_is.priority, now_is.support))
    if was.polarity != now_is.polarity:
        return _turned(was.history, Turn(now, "turned round", now_is.priority, now_is.support))
    last = was.history[-1].surely if was.history else was.priority
    if abs(now_is.priority - last) < NOTABLE:
        return was.history
    change: Change = "strengthened" if now_is.priority > last else "weakened"
    return _turned(was.history, Turn(now, change, now_is.priority, now_is.support))


def _turned(history: tuple[Turn, ...], turn: Turn) -> tuple[Turn, ...]:
    return (*history, turn)[-MOST_HISTORY:]


def _key_of(signature: str) -> Key:
    return tuple(msgspec.json.decode(signature, type=list[str]))
