"""What repeated attempts add: attempts at one task end alike, so several of them say less than as many tasks.

How far they end alike is read from all episodes of a mind; what a pattern's episodes then count for, from how many of
them were attempts at the same task. Both are functions of the counts, so they are exact in whatever order these came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tacit.learning.patterns.counts import Cell, Group, Kind


def likeness_of_attempts(groups: Mapping[Group, Cell]) -> float:
    """How far attempts at one task end alike, by all episodes: from 0, as those at different ones, to 1, all the same.

    The intraclass correlation of the outcomes: 1 less their variance among attempts at one task over that among all
    episodes of its kind. 1 where nothing can be said, as no task was tried again.
    """
    kinds: dict[Kind, tuple[int, int]] = {}
    within = between = 0.0
    repeated: list[tuple[Kind, int]] = []
    for (kind, task), cell in groups.items():
        count, well = _summed(cell)
        all_so_far, well_so_far = kinds.get(kind, (0, 0))
        kinds[kind] = (all_so_far + count, well_so_far + well)
        if task and count > 1:
            within += well * (count - well) / (count - 1)
            repeated.append((kind, count))
    for kind, count in repeated:
        episodes, well = kinds[kind]
        between += count * well * (episodes - well) / (episodes * episodes)
    return min(1.0, max(0.0, 1 - within / between)) if between else 1.0


def attempts_in(groups: Mapping[Group, Cell]) -> list[int]:
    """How many of some episodes were attempts at each task."""
    sizes: list[int] = []
    for (_, task), cell in groups.items():
        count, _ = _summed(cell)
        sizes += [count] if task else [1] * count
    return sizes


def design_effect(sizes: Iterable[int], alike: float) -> float:
    """How many episodes say no more than one would, if each was of another task (L. Kish, "Survey Sampling", 1965).

    Args:
        sizes: how many episodes are attempts at each task.
        alike: how far attempts at one task end alike, from 0 to 1.
    """
    attempts = list(sizes)
    whole = sum(attempts)
    return 1 + alike * (sum(size * size for size in attempts) / whole - 1) if whole else 1.0


def _summed(cell: Cell) -> tuple[int, int]:
    return sum(count for count, _ in cell.values()), sum(well for _, well in cell.values())
