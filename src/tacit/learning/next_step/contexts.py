"""The ways in which a moment of a run is like moments of other runs: contexts, from coarse to fine, and bags of words.

Each context is one expert of the next-step model: what came next, wherever the context was the same. A context that
says much is seen seldom and knows exactly; one that says little is always at hand. The model learns whom to trust.
"""

from __future__ import annotations

from typing import TypeAlias

from tacit.learning.fitting.run import START, Run, different_words

MOST_LAST_WORDS = 200
Key: TypeAlias = tuple[str | int, ...]

CONTEXTS = (
    "kind", "one", "two", "three", "one form", "one shape", "one edges", "two edges", "one form goal", "one edges goal",
    "kind form goal", "kind done", "kind done objects", "kind done edges", "two forms", "repeated", "left", "used",
    "number",
)  # fmt: skip
"""The contexts, in the order in which :func:`contexts_of` gives them."""
BAGS = ("last", "goal", "heard")
"""The bags of words: of what was heard last, of the task, and of all that the other side said."""


def contexts_of(run: Run) -> tuple[Key, ...]:
    """The key of each context at this moment; equal keys mean that the moments are alike in this way."""
    calls, answers = run.calls, run.answers
    one, two, three = calls.last, calls.second, calls.third
    began = calls.count > 0
    stage = run.goal.stage if began else f"{START}{_goal_in_context(run)}"
    kind = f"{run.task.task_type}/{run.task.domain}"
    done = "|".join(run.goal.tools)
    messages = min(run.messages_running, 2)
    form, shape, opening, ending = answers.form, answers.shape, answers.opening, answers.ending
    return (
        (kind,),
        (one, messages),
        (one, two, messages),
        (one, two, three, messages),
        (one, form, messages),
        (one, shape),
        (one, opening, ending, messages),
        (one, two, opening, ending),
        (one, form, stage, messages),
        (one, opening, ending, stage),
        (kind, one, form, stage),
        (kind, done, one, stage),
        (kind, done, calls.objects, one),
        (kind, done, one, opening, ending, stage),
        (one, form, two, answers.form_before),
        (one, min(calls.times, 2), form, min(calls.failures_running, 3)),
        (one, min(run.goal.untouched, 2), stage if began else START, min(len(run.goal.named), 2)),
        (kind, "|".join(calls.used), one, messages),
        (min(calls.count, 12), one, min(run.messages, 6)),
    )


def bags_of(run: Run) -> list[list[str]]:
    """The different words of each bag, without those that hold a digit."""
    return [different_words(run.last_words[:MOST_LAST_WORDS]), run.told, list(run.heard)]


def _goal_in_context(run: Run) -> int:
    return sum(word in run.goal.context for word in run.goal.weights)
