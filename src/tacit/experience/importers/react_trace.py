"""Take the text of a ReAct trace apart, line by line, into moments: a thought, an action, what came back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["preamble", "thought", "action", "labelled action", "input", "observation", "remark"]

_TASK = re.compile(r"(?:your task is to|question|task)\s*:\s*(.+)", re.IGNORECASE)
_LABELLED = re.compile(
    r"(thought|think|action input|action|act|observation|obs|final answer)(?: ?\d+)?:\s*(.*)", re.IGNORECASE
)
_PROMPTED = re.compile(r">\s*(.*)")
_REMARK = re.compile(r"(\w+):\s*(.*)")
_ACKNOWLEDGED = "ok."
"""What some worlds answer to a thought; it says nothing."""


@dataclass(slots=True)
class Moment:
    """One action with the thought before it and the observation after it. ``input`` is a separate action input."""

    thought: str = ""
    action: str = ""
    input: str | None = None
    observation: str = ""


@dataclass(slots=True)
class Trace:
    """The whole text: what stands before the first thought or action, the task named there, and the moments."""

    preamble: str = ""
    task: str = ""
    moments: list[Moment] = field(default_factory=list)


def trace_of(text: str) -> Trace:
    """The trace that the text tells. A question that follows a finished action begins a new one: what stood before
    it were examples."""
    reader = _Reader()
    for line in text.splitlines():
        reader.line(line)
    return reader.trace()


class _Reader:
    def __init__(self) -> None:
        self._part: Part = "preamble"
        self._preamble: list[str] = []
        self._task = ""
        self._moments: list[Moment] = []
        self._thoughts: list[str] = []
        self._remark = ""

    def line(self, line: str) -> None:
        stripped = line.strip()
        if prompted := _PROMPTED.match(line):
            self._prompted(prompted[1].strip())
        elif labelled := _LABELLED.match(stripped):
            self._labelled(labelled[1].lower(), labelled[2].strip())
        elif self._part in ("preamble", "labelled action") and (task := _TASK.match(stripped)):
            self._begin_task(task[1].strip())
        else:
            self._continue(line)

    def trace(self) -> Trace:
        self._keep_remark()
        if self._thoughts:
            self._moments.append(Moment(thought=self._thought()))
        for moment in self._moments:
            moment.observation = moment.observation.strip()
        return Trace("\n".join(self._preamble).strip(), self._task, self._moments)

    def _begin_task(self, task: str) -> None:
        if self._part == "labelled action":
            self._moments.clear()
            self._preamble.clear()
            self._part = "preamble"
        self._task = task

    def _prompted(self, said: str) -> None:
        self._keep_remark()
        match = _REMARK.match(said)
        if match and match[1].lower() in ("think", "thought"):
            self._think(match[2])
        elif match:
            # "> Plan: …" is a note to oneself, unless something answers it: then it was an action.
            self._remark = said
            self._part = "remark"
        elif said:
            self._act(said)

    def _labelled(self, label: str, said: str) -> None:
        self._keep_remark()
        if label in ("thought", "think"):
            self._think(said)
        elif label in ("action", "act"):
            self._act(said)
            self._part = "labelled action"
        elif label == "action input" and self._moments:
            self._moments[-1].input = said
            self._part = "input"
        elif label in ("observation", "obs") and self._moments:
            self._moments[-1].observation = said
            self._part = "observation"
        elif label == "final answer":
            self._act(f"Final Answer: {said}")
            self._part = "labelled action"
        else:
            self._continue(said)

    def _think(self, thought: str) -> None:
        self._thoughts.append(thought)
        self._part = "thought"

    def _act(self, action: str) -> None:
        self._moments.append(Moment(thought=self._thought(), action=action))
        self._part = "action"

    def _thought(self) -> str:
        thought = "\n".join(self._thoughts).strip()
        self._thoughts = []
        return thought

    def _keep_remark(self) -> None:
        if self._remark:
            self._thoughts.append(self._remark)
            self._remark = ""

    def _continue(self, line: str) -> None:
        match self._part:
            case "preamble":
                self._preamble.append(line)
            case "thought":
                if line.strip() and line.strip().lower() != _ACKNOWLEDGED:
                    self._thoughts[-1] += f"\n{line}"
            case "remark":
                self._answer_remark(line)
            case "input":
                moment = self._moments[-1]
                moment.input = f"{moment.input}\n{line}".strip()
            case "action" | "labelled action" | "observation":
                self._observe(line)

    def _answer_remark(self, line: str) -> None:
        if not line.strip():
            return
        remark, self._remark = self._remark, ""
        self._act(remark)
        self._observe(line)

    def _observe(self, line: str) -> None:
        moment = self._moments[-1]
        moment.observation = f"{moment.observation}\n{line}" if moment.observation else line
        self._part = "observation" if moment.observation.strip() else self._part
