"""Advice: the answer to "how should we do this?", each part with its reason and the evidence it rests on. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from tacit.experience.episode import Data
from tacit.learning.advising.budget import Line, within
from tacit.learning.assessment.evidence import Estimate

NOTHING_KNOWN = "Nothing is known yet that would help with this task."
_PROMPT_TOOLS, _PROMPT_STEPS = 5, 3
"""Tools and next steps that are told in a prompt."""

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
    branches: tuple[PlaybookStep, ...] = ()
    """What only some of the successes did besides, as their task demanded it, the most frequent first."""
    pitfalls: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @property
    def text(self) -> str:
        """The playbook for a person or a prompt."""
        return "\n".join(line.text for line in _playbook_lines(self))

    def prompt(self, tokens: int = 400) -> str:
        """The playbook within a budget of tokens (estimated): the steps first, then pitfalls, and so on.

        Raises:
            InvalidInput: the budget is below 20 tokens.
        """
        return within(_playbook_lines(self), tokens)


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

    def prompt(self, tokens: int = 800) -> str:
        """The advice as text for a model's prompt, within a budget of tokens (estimated, rather too high).

        Raises:
            InvalidInput: the budget is below 20 tokens.
        """
        return within(_advice_lines(self), tokens)


def _advice_lines(advice: Advice) -> list[Line]:
    """Advice as lines: the chance, what helps, pitfalls, what comes next, tools, the playbook."""
    if advice.abstained:
        return [Line(0, NOTHING_KNOWN)]
    lines = []
    if advice.success is not None:
        low, high = advice.success.low * 100, advice.success.high * 100
        lines.append(
            Line(0, f"Tasks like this succeed in {advice.success.mean * 100:.0f} % of cases ({low:.0f} … {high:.0f}).")
        )
    lines += _items("What helps:", advice.heuristics)
    lines += _items("Pitfall:", advice.pitfalls)
    following = [
        f"{each.tool}{f' ({each.action})' if each.action else ''}" for each in advice.next_steps[:_PROMPT_STEPS]
    ]
    if following:
        lines.append(Line(1, f"Next, most promising first: {', '.join(following)}."))
    if advice.tools:
        lines.append(
            Line(2, f"Tools used in such tasks: {', '.join(each.name for each in advice.tools[:_PROMPT_TOOLS])}.")
        )
    return lines if advice.playbook is None else [*lines, *_playbook_lines(advice.playbook)]


def _playbook_lines(playbook: Playbook) -> list[Line]:
    """A playbook as lines. Its steps matter most, then pitfalls, preconditions, and what to do when a step fails."""
    lines = [Line(3, f"{playbook.title}:"), *(Line(5, f"- first make sure: {one}") for one in playbook.preconditions)]
    for number, step in enumerate(playbook.steps, start=1):
        lines.append(Line(3, f"{number}. {step.text}"))
        lines += [Line(6, f"   if it fails: {recovery}") for recovery in step.recoveries]
    if playbook.branches:
        lines.append(Line(5, "- besides, as the task demands:"))
    for step in playbook.branches:
        lines.append(Line(5, f"  - {step.text}"))
        lines += [Line(6, f"    if it fails: {recovery}") for recovery in step.recoveries]
    return [*lines, *(Line(4, f"- beware: {pitfall}") for pitfall in playbook.pitfalls)]


def _items(title: str, items: Sequence[Item]) -> list[Line]:
    return [Line(1, f"{title} {each.text} ({each.why})") for each in items]
