"""Turn a dialogue between people, an agent and its tools into steps, in the order in which it happened.

A tool call is a step, paired with its result. What the agent wrote before a call is that step's thought. What the
agent wrote without a call is a step without a tool: it answered, and what the person said next is what it observed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tacit.experience.entrance import LONGEST_MS
from tacit.experience.episode import Step, StepStatus
from tacit.experience.importers.evidence import error_in


@dataclass(slots=True)
class _Turn:
    """A step in the making. ``called`` tells a tool call from an answer."""

    tool: str = ""
    action: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    observation: Any = None
    thought: str = ""
    called: bool = False
    answered: bool = False
    failed: bool | None = None
    call_id: str = ""
    message: str = ""
    at: int | None = None
    latency_ms: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def step(self, tokens: int | None) -> Step:
        error = self._error()
        return Step(
            tool=self.tool,
            action=self.action,
            parameters=self.parameters,
            observation=self.observation,
            status=self._status(error),
            error=error,
            thought=self.thought,
            latency_ms=self.latency_ms,
            tokens=tokens,
            occurred_at=self.at,
            metadata=self.metadata,
        )

    def _error(self) -> str:
        if not self.called or self.failed is False:
            return ""
        found = error_in(self.observation)
        if found or not self.failed:
            return found
        return self.observation if isinstance(self.observation, str) else "the tool reported an error"

    def _status(self, error: str) -> StepStatus | None:
        if not self.called or not self.answered:
            return None
        return "error" if error or self.failed else "success"


class Dialogue:
    """Collects a dialogue, message by message; ``steps()`` is what it amounts to.

    Times are µs since 1970 UTC, or None. ``begin`` names the model message that the next parts belong to, so that
    its ``tokens`` are counted once, on the first step that came of it.
    """

    def __init__(self) -> None:
        self.opening: list[str] = []
        self.tokens: dict[str, int] = {}
        self._turns: list[_Turn] = []
        self._message = ""
        self._written: list[str] = []
        self._thinking: list[str] = []
        self._written_at: int | None = None
        self._written_in = ""

    def begin(self, message: str) -> None:
        self._message = message

    def user(self, text: str) -> None:
        """What a person said: the task when nothing was done yet, later the answer to the agent's answer."""
        self.close()
        if not text.strip():
            return
        if not self._turns:
            self.opening.append(text)
            return
        last = self._turns[-1]
        if last.called:
            last.metadata["user"] = _joined(last.metadata.get("user"), text)
            return
        last.observation = _joined(last.observation, text)
        last.answered = True

    def think(self, text: str) -> None:
        """What the agent thought but showed to nobody."""
        if text.strip():
            self._thinking.append(text)

    def write(self, text: str, at: int | None = None) -> None:
        """What the agent wrote: the thought of the call that follows, or else an answer."""
        if not text.strip():
            return
        if not self._written:
            self._written_at = at
            self._written_in = self._message
        self._written.append(text)

    def call(
        self, tool: str, parameters: dict[str, Any], *, call_id: str = "", action: str = "", at: int | None = None
    ) -> None:
        self._turns.append(
            _Turn(
                tool=tool or "unnamed",
                action=action,
                parameters=parameters,
                thought="\n\n".join((*self._thinking, *self._written)),
                called=True,
                call_id=call_id,
                message=self._message,
                at=at,
            )
        )
        self._thinking, self._written = [], []

    def result(
        self,
        observation: Any,
        *,
        call_id: str = "",
        tool: str = "",
        failed: bool | None = None,
        at: int | None = None,
        latency_ms: float | None = None,
    ) -> None:
        """What a tool gave back; ``failed`` when the source says so, None when it says nothing about it.

        A result without its call is kept: it belongs to what the agent just wrote, or is a step of its own.
        """
        self._close_unless_called()
        turn = self._waiting(call_id, tool) or self._orphan(tool)
        turn.called = turn.answered = True
        turn.tool = turn.tool or tool
        turn.observation = observation
        turn.failed = failed
        taken = latency_ms if latency_ms is not None else _elapsed_ms(turn.at, at)
        turn.latency_ms = taken if taken is not None and 0 <= taken <= LONGEST_MS else None  # a clock was wrong

    def close(self) -> None:
        """What was written since the last call was an answer."""
        if self._written or self._thinking:
            self._turns.append(
                _Turn(
                    action="\n\n".join(self._written),
                    thought="\n\n".join(self._thinking),
                    message=self._written_in or self._message,
                    at=self._written_at,
                )
            )
        self._written, self._thinking, self._written_in, self._written_at = [], [], "", None

    def steps(self) -> tuple[Step, ...]:
        self.close()
        left = dict(self.tokens)
        return tuple(turn.step(left.pop(turn.message, None)) for turn in self._turns)

    @property
    def task(self) -> str:
        """What the person asked for before anything was done."""
        return "\n\n".join(self.opening).strip()

    def _close_unless_called(self) -> None:
        if not any(turn.called and not turn.answered for turn in self._turns):
            self.close()

    def _waiting(self, call_id: str, tool: str) -> _Turn | None:
        """The call that waits for this result: the one with its id; without ids the first, of that tool if named."""
        waiting = [turn for turn in self._turns if turn.called and not turn.answered]
        if call_id and any(turn.call_id for turn in waiting):
            return next((turn for turn in waiting if turn.call_id == call_id), None)
        named = (turn for turn in waiting if tool and turn.tool == tool)
        return next(named, waiting[0] if waiting else None)

    def _orphan(self, tool: str) -> _Turn:
        last = self._turns[-1] if self._turns else None
        if last is None or last.called or last.answered:
            last = _Turn(tool=tool, message=self._message)
            self._turns.append(last)
        return last


def _joined(before: Any, text: str) -> str:
    return f"{before}\n\n{text}" if before else text


def _elapsed_ms(start: int | None, end: int | None) -> float | None:
    return (end - start) / 1000 if start is not None and end is not None else None
