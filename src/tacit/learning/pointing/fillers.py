"""Fillers: what has filled the slots of solved runs' actions, by slot and by the words of the goal.

What is filled in where the run has not named it was usual in several tasks; what fewer have filled in is one customer's
number or name, and is never told to another.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from tacit.learning.pointing.forms import LEAST_TASKS
from tacit.learning.pointing.spans import LONGEST, Span, head_of, shape_of, writing_of

Slot: TypeAlias = tuple[str, str]
"""A tool, and what the slot is called."""
T = TypeVar("T")

MOST_USUAL = 5
"""Fillers of a slot that are thought of even where the run has not shown them."""
USUAL_SHARE = 0.2
"""Of the tasks that filled a slot, this share must have filled it with a thing for that to be common."""
MOST_PAIRS = 20_000
"""Counts by goal words that are kept, the highest."""
_RARE = 0.2
_KINDS = 10.0
"""Imagined: a fifth of an observation for each kind of thing, of which there are about so many."""


class KeptFillers(msgspec.Struct, frozen=True):
    """The counts, as bytes."""

    values: list[tuple[Slot, list[tuple[Span, int, int]]]]
    """How often each span filled the slot, and in how many tasks."""
    tasks: list[tuple[Slot, int]]
    writings: list[tuple[Slot, dict[str, int]]]
    texts: list[tuple[Span, str]]
    by_goal: list[tuple[str, str, str, Span, int]]


class Fillers:
    """Counts of what filled which slot."""

    def __init__(self) -> None:
        self._values = defaultdict[Slot, Counter[Span]](Counter)
        self._tasks = defaultdict[Slot, Counter[Span]](Counter)
        self._slot_tasks = Counter[Slot]()
        self._heads = defaultdict[Slot, Counter[Span]](Counter)
        self._shapes = defaultdict[Slot, Counter[str]](Counter)
        self._writings = defaultdict[Slot, Counter[str]](Counter)
        self._by_goal = defaultdict[tuple[Slot, str], Counter[Span]](Counter)
        self.texts: dict[Span, str] = {}
        """How each span was written last."""

    def count(self, slot: Slot, span: Span, text: str, goal: Sequence[str], times: int = 1) -> None:
        """Something, written so, filled a slot in a run with these words in its goal; with −1 it is taken away again.

        What the goal names itself says nothing of what else the goal's words call for. What is longer than a span can
        be is no thing and is not counted.
        """
        if not 0 < len(span) <= LONGEST:
            return
        head = head_of(span)
        self._values[slot][span] += times
        self._heads[slot][head] += times
        self._shapes[slot][shape_of(span)] += times
        self._writings[slot][writing_of(text)] += times
        if times > 0:
            self.texts.setdefault(span, text)
        if not any(word in head for word in goal):
            for word in goal:
                self._by_goal[(slot, word)][head] += times

    def count_task(self, filled: Iterable[tuple[Slot, Span]], times: int = 1) -> None:
        """One more task, of which runs filled these slots with these spans; with −1 it is taken away again."""
        different = set(filled)
        for slot, span in different:
            if 0 < len(span) <= LONGEST:
                self._tasks[slot][span] += times
        for slot in {slot for slot, _ in different}:
            self._slot_tasks[slot] += times

    def usual(self, slot: Slot) -> list[Span]:
        """What filled a slot most often, and more than once; it may be somebody's own, see :meth:`is_common`."""
        return [span for span, many in _of(self._values, slot).most_common(MOST_USUAL) if many > 1]

    def is_common(self, slot: Slot, span: Span) -> bool:
        """Whether so many tasks filled a slot with a thing that it is nobody's own."""
        least = max(LEAST_TASKS, USUAL_SHARE * self._slot_tasks.get(slot, 0))
        return _of(self._tasks, slot)[span] >= least

    def ratios(self, slot: Slot, heads: Sequence[Span], goal: Iterable[str]) -> dict[Span, tuple[float, float]]:
        """For each kind of thing ln(its rate in the slot), and ln(how much likelier the goal's words make it)."""
        counts = _of(self._heads, slot)
        whole = counts.total() + _KINDS
        called = [found for word in goal if (found := self._by_goal.get((slot, word))) and found.total() > 0]
        never = sum(math.log(2 / (found.total() + 2)) for found in called)
        ratios = {}
        for head in dict.fromkeys(heads):
            rate = (counts[head] + 0.5) / whole
            by_goal = sum(math.log1p(found[head] / (2 * rate)) for found in called if head in found)
            ratios[head] = (math.log((counts[head] + _RARE) / whole), never + by_goal)
        return ratios

    def rates(self, slot: Slot, spans: Sequence[Span], texts: Sequence[str]) -> list[tuple[float, float, float]]:
        """ln(the rate) at which each of some spans, one of its shape, and one that is written like it filled a slot."""
        counts, shapes, writings = (_of(of, slot) for of in (self._values, self._shapes, self._writings))
        whole = math.log(counts.total() + _KINDS)
        return [
            (
                math.log(counts[span] + _RARE) - whole,
                math.log(shapes[shape_of(span)] + _RARE) - whole,
                math.log(writings[writing_of(text)] + _RARE) - whole,
            )
            for span, text in zip(spans, texts, strict=True)
        ]

    def likely_sort(self, slot: Slot, text: str) -> float:
        """1 for what is written as something that filled a slot before; else the chance that the next filler would be
        the first of its sort, as if one more had been so."""
        writings = _of(self._writings, slot)
        return 1.0 if writings[writing_of(text)] > 0 else 1 / (1 + writings.total())

    def spans(self) -> Mapping[Span, int]:
        """How often each span filled any slot."""
        whole = Counter[Span]()
        for counts in self._values.values():
            whole.update(counts)
        return whole

    @property
    def kept(self) -> KeptFillers:
        """The counts, to be kept."""
        pairs = [
            (*slot, word, head, many)
            for (slot, word), counts in self._by_goal.items()
            for head, many in counts.items()
            if many > 0
        ]
        pairs.sort(key=lambda pair: -pair[-1])
        values = [
            (slot, [(span, many, self._tasks[slot][span]) for span, many in counts.items() if many > 0])
            for slot, counts in self._values.items()
        ]
        writings = [
            (slot, {writing: many for writing, many in sorted(counts.items()) if many > 0})
            for slot, counts in self._writings.items()
        ]
        return KeptFillers(
            values, sorted(self._slot_tasks.items()), writings, list(self.texts.items()), pairs[:MOST_PAIRS]
        )

    @classmethod
    def of(cls, kept: KeptFillers) -> Fillers:
        """The counts that were kept."""
        found = cls()
        found.texts = dict(kept.texts)
        for slot, values in kept.values:
            for span, many, tasks in values:
                found._values[slot][span] = many
                found._tasks[slot][span] = tasks
                found._heads[slot][head_of(span)] += many
                found._shapes[slot][shape_of(span)] += many
        found._slot_tasks.update(dict(kept.tasks))
        for slot, writings in kept.writings:
            found._writings[slot].update(writings)
        for tool, label, word, head, many in kept.by_goal:
            found._by_goal[((tool, label), word)][head] = many
        return found


def _of(counts: Mapping[Slot, Counter[T]], slot: Slot) -> Counter[T]:
    """The counts of a slot; reading does not change them, so that many threads may."""
    return counts.get(slot) or Counter()
