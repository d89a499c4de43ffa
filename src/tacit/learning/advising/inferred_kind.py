"""Of which kind a task is that does not say so, or names one that nothing is known of: of the kind of the episodes most
like it, when these agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from tacit.experience.episode import Task
from tacit.learning.advising.nearest import Near, Shelf

MOST_VOTERS = 10
"""Episodes most like the task, each with its likeness as its vote."""
LEAST_VOTES = 3
"""Fewer say nothing."""
MAJORITY = 0.5
"""The winning kind must have more of all votes, unless the task would else be taken for one of no stated kind."""


def taken_for(stated: Task, near: Sequence[Near], shelf: Shelf) -> tuple[Task, tuple[str, ...]]:
    """The task, with its kind as ``with_its_kind`` finds it, and what is to be said of that."""
    kind = (stated.task_type, stated.domain)
    new = any(kind) and not shelf.knows(kind)
    task = with_its_kind(stated, near, new=new, unnamed=shelf.has(("", "")))
    return task, _told(stated, task, new=new)


def with_its_kind(task: Task, near: Sequence[Near], *, new: bool = False, unnamed: bool = False) -> Task:
    """The task with the type and domain of the episodes most like it; as it is if it states its own, or if these do not
    agree. What names a new kind is not taken for another one, but for one of those that state none: they may be of it.

    Args:
        near: episodes like the task, the most alike first.
        new: whether the task states a type or domain, and no finished episode has it.
        unnamed: whether there are episodes of no stated kind. A task that stays as it is is taken for one of them; so
            it is not left so where more of its like are of another kind.
    """
    voters = near[:MOST_VOTERS]
    stated = bool(task.task_type or task.domain)
    if (stated and not new) or len(voters) < LEAST_VOTES:
        return task
    votes: dict[tuple[str, str], float] = defaultdict(float)
    for each in voters:
        votes[each.trace.kind] += each.likeness
    (task_type, domain), most = max(votes.items(), key=lambda one: (one[1], one[0]))
    agreed = most > MAJORITY * sum(votes.values()) or (unnamed and not stated and most > votes["", ""])
    if not agreed or (stated and (task_type or domain)):
        return task
    return msgspec.structs.replace(task, task_type=task_type, domain=domain)


def _told(stated: Task, task: Task, *, new: bool) -> tuple[str, ...]:
    """What is to be said of the kind that a task was taken for, and of one that nothing is known of."""
    kind = " in ".join(part for part in (task.task_type, task.domain) if part)
    if new:
        named = " or ".join(
            f"{what} {name!r}" for what, name in (("type", stated.task_type), ("domain", stated.domain)) if name
        )
        instead = "" if kind else "; this task was taken for one of no stated kind, as the episodes most like it are"
        return (f"no finished episode has the {named}{instead}",)
    if task == stated:
        return ()
    return (f"the task states no type or domain; it was taken for {kind}, the commonest among those most like it",)
