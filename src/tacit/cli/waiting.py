"""Waiting for the consumers, so that what one command wrote is counted in what the next one shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tacit.errors import NotSettled

if TYPE_CHECKING:
    from tacit.mind import Mind

LONGEST_WAIT = 10.0
"""Seconds that a command waits for the consumers before it shows what there is."""
LONGEST_STUDY = 60.0
"""The same for what has to be learned first."""


def catch_up(mind: Mind, timeout: float = LONGEST_WAIT, *, only: str = "tally") -> dict[str, int]:
    """Let a consumer (all, if empty) reach the head, but do not wait longer than that; how far each is still behind."""
    try:
        mind.settle(timeout, only=only)
    except NotSettled as error:
        lag: dict[str, int] = error.context["lag"]
        return {name: count for name, count in lag.items() if count}
    return {}


def lag_note(lag: dict[str, int]) -> str:
    """How far the consumers are behind, in words."""
    return "not counted yet: " + ", ".join(f"{count:,} events by {name}" for name, count in lag.items())
