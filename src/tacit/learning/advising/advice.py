"""Advice: the answer to "how should we do this?", each part with its reason and the evidence it rests on. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from tacit.experience.episode import Data
from tacit.learning.advising.budget import Line, one_line, within
from tacit.learning.assessment.evidence import Estimate
from tacit.learning.assessment.statistics import Share

NOTHING_KNOWN = "Nothing is known yet that would help with this task."
_PROMPT_TOOLS, _PROMPT_STEPS = 5, 3
LEAST_TOLD = 0.05
"""The chance or the score that a next step must have to be told in a prompt, where neither is said."""
"""Tools and next steps that are told in a prompt."""
LIKELY_END = 0.5
"""With a higher chance that no call follows, that is the next step."""
_PROMPT_ITEMS = 3
"""Of what helps, and of pitfalls: those that stand before the less important parts of a prompt."""

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
    expired: bool = False
    """Whether it is kept no longer: what was learned from it holds, and it can not be read any more."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of advice."""

    id: str
    """Of the heuristic, pattern or episode; exposures are counted under it."""
    text: str
    score: float
    """From 0 to 1: how much it matters here."""
    why: str
    closing: bool = False
    """Whether it mostly came with the last call of a success, so that it may be how one ends and not what brings it."""
    evidence: tuple[Evidence, ...] = ()


class ToolAdvice(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that suits the task, most likely first. ``score`` is the chance that it is the right one."""

    name: str
    score: float
    why: str
    evidence: tuple[Evidence, ...] = ()


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """The call of a tool that usually comes next where this has gone well, best first; what is said to somebody in
    between is not counted.

    ``chance`` is that it comes next, among all that could, the end of the run included; it is no chance of success.
    ``score``, by which next steps are ranked, weighs that by how the step has turned out; the scores of all that could
    come add up to 1.
    """

    tool: str
    action: str
    """How to call the tool now: the action's text as in past episodes, done with what this run has named; parameters as
    JSON where the tool was called by parameters only. Empty unless it is likelier right than wrong, given the tool."""
    score: float
    why: str
    chance: float = 0.0
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
        return "\n".join(one_line(line.text) for line in _playbook_lines(self))

    def prompt(self, tokens: int = 400) -> str:
        """The playbook within a budget of tokens (estimated): the steps first, then pitfalls, and so on.

        Raises:
            InvalidInput: the budget is no whole number, or below 20 tokens.
        """
        return within(_playbook_lines(self), tokens)


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """How to do a task, from what this mind has been through."""

    success: Estimate | None
    """The chance of success; None when too little is known to say: nothing like the task was seen, or the interval
    would be wider than half of everything."""
    usual: Share | None = None
    """How often the finished episodes of this kind of task succeeded, the newest 500 at most: what one would expect
    without advice. None when there are fewer than ten."""
    abstained: bool
    """Whether nothing here rests on enough experience to be said, as for a task unlike all that was seen."""
    withheld: bool = False
    """Whether everything was held back on purpose, for control."""
    lag: int = 0
    """Events recorded that learning has not seen yet."""
    tools: tuple[ToolAdvice, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    end: float | None = None
    """How likely it is that no tool is called any more where this has gone well: what is left is to answer, or to
    refuse. None when nothing is known of next steps."""
    pitfalls: tuple[Item, ...] = ()
    heuristics: tuple[Item, ...] = ()
    playbook: Playbook | None = None
    episodes: tuple[Item, ...] = ()
    """The finished episodes most like this task."""
    notes: tuple[str, ...] = ()
    """What was not as usual when this was made, such as an embedder that could not be reached, or episodes that have
    not been learned from yet."""
    exposure_id: str | None = None
    """Under which this was recorded as advised; None when it was not recorded."""

    @property
    def beside_usual(self) -> Literal["harder", "easier", "alike", ""]:
        """How the task looks beside others of its kind: harder or easier where the interval of its chance says so;
        empty when either chance is not known."""
        if self.success is None or self.usual is None:
            return ""
        if self.success.high < self.usual.value:
            return "harder"
        return "easier" if self.success.low > self.usual.value else "alike"

    def prompt(self, tokens: int = 800) -> str:
        """The advice as text for a model's prompt, within a budget of tokens (estimated, rather too high).

        The chance of success goes first into it, then the next step, the playbook's steps, the strongest of what helps
        and of the pitfalls, the tools, and the rest.

        Raises:
            InvalidInput: the budget is no whole number, or below 20 tokens.
        """
        return within(_advice_lines(self), tokens)


def _advice_lines(advice: Advice) -> list[Line]:
    """Advice as lines: the chance, what comes next, the playbook, what helps, pitfalls, tools."""
    if advice.abstained:
        return [Line(0, NOTHING_KNOWN)]
    lines = []
    if advice.success is not None:
        lines.append(Line(0, _chance(advice, advice.success)))
    if advice.end is not None and advice.end > LIKELY_END:
        lines.append(Line(1, "Mostly no tool is called any more here: answer, and end."))
    worth_telling = [each for each in advice.next_steps if max(each.chance, each.score) >= LEAST_TOLD]
    following = [f"{each.tool}{f' ({each.action})' if each.action else ''}" for each in worth_telling[:_PROMPT_STEPS]]
    if following:
        lines.append(Line(1, f"Next, the best first: {', '.join(following)}."))
    if advice.playbook is not None:
        lines += _playbook_lines(advice.playbook)
    lines += _items("What helps:", [each for each in advice.heuristics if not each.closing])
    lines += _items("Pitfall:", advice.pitfalls)
    lines += _items("Mostly how a success ends:", [each for each in advice.heuristics if each.closing])
    if advice.tools:
        lines.append(
            Line(4, f"Tools used in such tasks: {', '.join(each.name for each in advice.tools[:_PROMPT_TOOLS])}.")
        )
    return lines


def _chance(advice: Advice, success: Estimate) -> str:
    """The chance of success, beside what is usual for the kind of task."""
    chance, interval = f"{success.mean * 100:.0f} %", f"({success.low * 100:.0f} … {success.high * 100:.0f})"
    if advice.usual is None:
        return f"Tasks like this succeed in {chance} of cases {interval}."
    usual = f"{advice.usual.value * 100:.0f} %"
    if advice.beside_usual == "alike":
        return f"Tasks like this succeed in {chance} of cases {interval}, about as others of this kind do ({usual})."
    return (
        f"Others of this kind succeed in {usual} of cases; this one looks {advice.beside_usual}: {chance} {interval}."
    )


def _playbook_lines(playbook: Playbook) -> list[Line]:
    """A playbook as lines. Its steps matter most, then pitfalls, preconditions, and what to do when a step fails."""
    lines = [Line(2, f"{playbook.title}:"), *(Line(7, f"- first make sure: {one}") for one in playbook.preconditions)]
    for number, step in enumerate(playbook.steps, start=1):
        lines.append(Line(2, f"{number}. {step.text}"))
        lines += [Line(8, f"   if it fails: {recovery}") for recovery in step.recoveries]
    if playbook.branches:
        lines.append(Line(5, "- besides, as the task demands:"))
    for step in playbook.branches:
        lines.append(Line(5, f"  - {step.text}"))
        lines += [Line(8, f"    if it fails: {recovery}") for recovery in step.recoveries]
    return [*lines, *(Line(5, f"- beware: {pitfall}") for pitfall in playbook.pitfalls)]


def _items(title: str, items: Sequence[Item]) -> list[Line]:
    """The strongest few matter more than the other parts of the advice; what follows them is left out first."""
    return [
        Line(3 if place < _PROMPT_ITEMS else 6, f"{title} {each.text} ({_short(each.why)})")
        for place, each in enumerate(items)
    ]


def _short(why: str) -> str:
    """The first part of a reason, which says how often; the rest compares, and is for people who want to judge it."""
    return why.partition("; ")[0]
