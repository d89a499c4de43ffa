"""Advice: the answer to "how should we do this?", each part with its reason and the evidence it rests on. Pure data."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tacit.experience.episode import Data
from tacit.learning.evidence import Estimate

EvidenceKind: TypeAlias = Literal["episode", "event"]


class Tool(Data, frozen=True):
    """A tool that could be used, as whoever asks describes it."""

    name: str
    description: str = ""


class Evidence(msgspec.Struct, frozen=True):
    """Something in the journal that a claim rests on, and how much of the claim rests on it (0 … 1)."""

    event_id: str
    kind: EvidenceKind
    weight: float


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of advice."""

    id: str
    """Of the heuristic, pattern or episode; exposures are counted under it."""
    text: str
    score: float
    """From 0 to 1: how much it matters here."""
    why: str
    evidence: tuple[Evidence, ...] = ()


class ToolAdvice(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that suits the task, most likely first. ``score`` is the chance that it is the right one."""

    name: str
    score: float
    why: str
    evidence: tuple[Evidence, ...] = ()


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """What usually comes next where this has gone well. ``score`` is its share among all that could come."""

    tool: str
    action: str
    """How to call the tool now: the action's text as in past episodes, done with what this run has named; parameters as
    JSON where the tool was called by parameters only. Empty unless it is likelier right than wrong, given the tool."""
    score: float
    why: str
    evidence: tuple[Evidence, ...] = ()


class PlaybookStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a playbook."""

    tool: str
    text: str
    support: int
    """Successful episodes that took it."""
    recoveries: tuple[str, ...] = ()
    """What to do when it fails, best first."""
    evidence: tuple[Evidence, ...] = ()


class Playbook(msgspec.Struct, frozen=True, kw_only=True):
    """An ordered guide for a kind of task, made of the steps that successful episodes took."""

    title: str
    score: float
    why: str
    preconditions: tuple[str, ...] = ()
    steps: tuple[PlaybookStep, ...] = ()
    pitfalls: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @property
    def text(self) -> str:
        """The playbook for a person or a prompt."""
        return "\n".join(playbook_lines(self))


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """How to do a task, from what this mind has been through."""

    success: Estimate | None
    """The chance of success; None when too little is known to say."""
    abstained: bool
    """Whether nothing here rests on enough experience to be said."""
    withheld: bool = False
    """Whether everything was held back on purpose, for control."""
    lag: int = 0
    """Events recorded that learning has not seen yet."""
    tools: tuple[ToolAdvice, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    pitfalls: tuple[Item, ...] = ()
    heuristics: tuple[Item, ...] = ()
    playbook: Playbook | None = None
    episodes: tuple[Item, ...] = ()
    """The finished episodes most like this task."""
    exposure_id: str | None = None
    """Under which this was recorded as advised; None when it was not recorded."""


def playbook_lines(playbook: Playbook) -> list[str]:
    """A playbook as lines of text: title, preconditions, numbered steps with recoveries, pitfalls."""
    lines = [playbook.title]
    lines += [f"- first make sure: {condition}" for condition in playbook.preconditions]
    for number, step in enumerate(playbook.steps, start=1):
        lines.append(f"{number}. {step.text}")
        lines += [f"   if it fails: {recovery}" for recovery in step.recoveries]
    lines += [f"- beware: {pitfall}" for pitfall in playbook.pitfalls]
    return lines
