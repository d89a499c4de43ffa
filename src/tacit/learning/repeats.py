"""Asking again under a key: it is the same exposure, so it must be the same question."""

from __future__ import annotations

from collections.abc import Mapping

from tacit.errors import Conflict, shown
from tacit.experience.recorder import plain
from tacit.ids import format_id, keyed_id
from tacit.journal import canonical
from tacit.learning.advising.advisor import Question

_ANY_DEPTH = 1_000
"""The parts of a question were checked when it was asked."""
_TOLD = {"task": "another context of the task", "tools": "other tools at hand", "steps": "other steps so far"}


def fingerprints(question: Question, secret: bytes) -> dict[str, str]:
    """Of the task, the tools at hand and the steps so far, in any order of the tools. They are keyed, so that nobody
    can guess from them what was asked."""
    tools = sorted((tool.name, tool.description) for tool in question.tools)
    parts = {"task": plain(question.task), "tools": tools, "steps": [plain(step) for step in question.steps]}
    return {
        name: format_id(keyed_id(secret, "asked", name, canonical.encode(part, max_depth=_ANY_DEPTH).decode()))
        for name, part in parts.items()
    }


def check_same(before: Mapping[str, str], now: Mapping[str, str], key: str, exposure: str) -> None:
    """Refuse a question that is not the one that was asked under this key before, by the fingerprints of both.

    Raises:
        Conflict: it differs; the message says in what.
    """
    other = [told for name, told in _TOLD.items() if before.get(name) != now.get(name)]
    if other:
        raise Conflict(
            f"the key {shown(key)} was used before for advice on this task ({exposure}), with {', '.join(other)}; "
            "ask just the same again, or use another key",
            exposure=exposure,
            key=key,
        )
