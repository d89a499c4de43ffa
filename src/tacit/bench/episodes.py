"""Generated experience of a realistic shape, from a seed: the same seed gives the same episodes on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tacit.experience.episode import Outcome, OutcomeKind, Record, Step, Task
from tacit.experience.importers import line_of

STEPS = 10
OBSERVATION_CHARACTERS = 300
_SECOND = 1_000_000
_START = 1_767_225_600 * _SECOND  # 2026-01-01
_DOMAINS = ("airline", "retail", "banking", "travel", "support")
_TASK_TYPES = ("change", "cancel", "book", "refund", "explain", "compare")
_TOOLS = tuple(
    f"{verb}_{noun}"
    for verb in ("get", "find", "update", "cancel")
    for noun in ("user", "order", "flight", "payment", "policy")
)
_VOCABULARY = (
    "the reservation for passenger was found and holds two segments departing morning arriving evening with economy "
    "fare baggage allowance included payment by card ending refund allowed within hours status confirmed seat window "
    "aisle requested change fee waived member gold since account balance updated order shipped address verified item"
)
_WORDS = _VOCABULARY.split()
_OUTCOMES: tuple[OutcomeKind, ...] = ("success", "success", "success", "partial", "failure")


def records(count: int, *, seed: int = 7, steps: int = STEPS) -> Iterator[Record]:
    """Finished episodes, each with its own key, so that importing them twice gives nothing new."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    for number in range(count):
        started = _START + number * 60 * _SECOND
        yield Record(
            task=Task(
                description=f"{chance.choice(_TASK_TYPES).capitalize()} {text(chance, 60)} {number}",
                task_type=chance.choice(_TASK_TYPES),
                domain=chance.choice(_DOMAINS),
                tags=(f"team-{number % 20}", chance.choice(_WORDS)),
                agent=f"agent-{number % 8}",
            ),
            steps=tuple(step(chance, started + at * _SECOND) for at in range(steps)),
            outcome=_outcome(chance),
            started_at=started,
            ended_at=started + steps * _SECOND,
            key=f"seed-{seed}-{number}",
        )


def step(chance: random.Random, occurred_at: int | None = None) -> Step:
    """A tool call with three parameters and an observation of about 300 characters."""
    return msgspec.convert(step_fields(chance) | {"occurred_at": occurred_at}, Step)


def step_fields(chance: random.Random) -> dict[str, Any]:
    """A step as keywords of the SDK."""
    failed = chance.random() < 0.1
    return {
        "tool": chance.choice(_TOOLS),
        "action": text(chance, 40),
        "parameters": {
            "user": f"user-{chance.randrange(5_000)}",
            "query": text(chance, 30),
            "limit": chance.randrange(1, 100),
        },
        "observation": text(chance, OBSERVATION_CHARACTERS),
        "status": "error" if failed else "success",
        "error": f"no {chance.choice(_WORDS)} with number {chance.randrange(1_000)}" if failed else "",
        "latency_ms": round(chance.lognormvariate(4.0, 1.0), 3),
    }


def _outcome(chance: random.Random) -> Outcome:
    kind = chance.choice(_OUTCOMES)
    score = {"success": 1.0, "partial": 0.5}.get(kind, 0.0)
    return Outcome(kind=kind, score=score)


def text(chance: random.Random, characters: int) -> str:
    """Words up to about that many characters."""
    return " ".join(chance.choices(_WORDS, k=max(1, characters // 7)))


def write_jsonl(path: Path, count: int, *, seed: int = 7) -> None:
    """Generated episodes as Tacit's own JSONL."""
    with path.open("wb") as file:
        file.writelines(line_of(record) for record in records(count, seed=seed))


def write_messages(path: Path, size_bytes: int, *, seed: int = 7) -> int:
    """Generated conversations as OpenAI chat messages, a JSON list of about that size; how many there are."""
    chance, size = random.Random(seed), 0  # noqa: S311 - repeatable on purpose
    conversations: list[dict[str, Any]] = []
    while size < size_bytes:
        conversations.append(_conversation(chance, len(conversations)))
        size += len(msgspec.json.encode(conversations[-1]))
    path.write_bytes(msgspec.json.encode(conversations))
    return len(conversations)


def _conversation(chance: random.Random, number: int) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": text(chance, 2_000)},
        {"role": "user", "content": f"{text(chance, 120)} {number}"},
    ]
    for at in range(STEPS):
        fields, call = step_fields(chance), f"call-{number}-{at}"
        arguments = msgspec.json.encode(fields["parameters"]).decode()
        function = {"name": fields["tool"], "arguments": arguments}
        calls = [{"id": call, "type": "function", "function": function}]
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages.append({"role": "tool", "tool_call_id": call, "content": fields["observation"]})
    messages.append({"role": "assistant", "content": text(chance, 150)})
    return {"id": f"conversation-{number}", "messages": messages, "reward": float(chance.random() < 0.6)}
