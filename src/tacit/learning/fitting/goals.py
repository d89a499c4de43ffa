"""Which words of a task say what it is about: those that few other tasks have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import msgspec

from tacit.learning.fitting.reading import TaskWords

MOST_GOAL_WORDS = 64
"""Different words of a description that a run is followed by."""
COMMON = 0.25
"""A word in more than this share of the tasks is filler."""
_FEW_TASKS = 8
"""With fewer tasks than this nothing is known about words, and short ones pass for filler."""
_SHORT = 2


class GoalWords(msgspec.Struct, frozen=True):
    """In how many of the past tasks each word occurs."""

    tasks: int
    frequency: dict[str, int]

    @classmethod
    def of(cls, tasks: Iterable[TaskWords]) -> GoalWords:
        """Counted from the descriptions of tasks."""
        count, frequency = 0, Counter[str]()
        for task in tasks:
            count += 1
            frequency.update(dict.fromkeys(task.goal, 1))
        return cls(count, dict(frequency))

    def content(self, words: Iterable[str]) -> dict[str, float]:
        """The words that carry content, in their order, each with how rare it is: from 0 (in every task) to 1 (new).

        The weight is the inverse document frequency, ln((n + 2) / (f + 1)) / ln(n + 2): K. Spärck Jones, "A statistical
        interpretation of term specificity", Journal of Documentation 28 (1972).
        """
        told: dict[str, float] = {}
        for word in words:
            if word not in told and not word.isdigit() and not self._is_filler(word):
                told[word] = self._rarity(word)
                if len(told) == MOST_GOAL_WORDS:
                    break
        return told

    def _is_filler(self, word: str) -> bool:
        if self.tasks < _FEW_TASKS:
            return len(word) <= _SHORT
        return self.frequency.get(word, 0) > COMMON * self.tasks + 1

    def _rarity(self, word: str) -> float:
        if not self.tasks:
            return 1.0
        seen = self.frequency.get(word, 0)
        return max(0.0, math.log((self.tasks + 2.0) / (seen + 1.0)) / math.log(self.tasks + 2.0))
