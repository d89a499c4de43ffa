"""Of which kind a task is that does not say so: of the kind of the episodes most like it, when these agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from tacit.experience.episode import Task
from tacit.learning.advising.nearest import Near

MOST_VOTERS = 10
"""Episodes most like the task, each with its likeness as its vote."""
LEAST_VOTES = 3
"""Fewer say nothing."""
MAJORITY = 0.5
"""The winning kind must have more of all votes."""


def with_its_kind(task: Task, near: Sequence[Near]) -> Task:
    """The task with the type and domain of the episodes most like it; as it is if it states its own, or if these do not
    agree.

    Args:
        near: episodes like the task, the most alike first.
    """
    voters = near[:MOST_VOTERS]
    if task.task_type or task.domain or len(voters) < LEAST_VOTES:
        return task
    votes: dict[tuple[str, str], float] = defaultdict(float)
    for each in voters:
        votes[each.trace.kind] += each.likeness
    (task_type, domain), most = max(votes.items(), key=lambda one: (one[1], one[0]))
    if most <= MAJORITY * sum(votes.values()):
        return task
    return msgspec.structs.replace(task, task_type=task_type, domain=domain)


def told(task: Task) -> str:
    """What is to be said of a kind that was found so."""
    kind = " in ".join(part for part in (task.task_type, task.domain) if part)
    return f"the task does not say of which type it is; it was taken for {kind}, as the episodes most like it are"
