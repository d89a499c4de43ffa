"""What learning sees of a finished episode: which tools in which order, how each call went, and how it all ended.

A pure function of the episode, small enough to keep for every episode.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

import msgspec

from tacit.experience.episode import Episode, Step, StepStatus, Task
from tacit.journal import canonical
from tacit.learning.assessment.contribution import outcome_value
from tacit.learning.assessment.signature import step_signature

LONGEST_TRACE = 1_000
"""Calls that are looked at; an episode may be allowed to have more, and what comes later is then left out."""
MOST_WORDS = 32
"""Different words of a description that are looked at."""
TASK_IDS = ("task_id", "instance_id", "problem_id")
"""Fields of a task's metadata that name it, whatever words it is asked in; the first that is there counts."""
_WORD = re.compile(r"[^\W\d_]{2,}", re.UNICODE)


class Call(msgspec.Struct, frozen=True, array_like=True):
    """One call of a tool."""

    tool: str
    status: StepStatus | None
    signature: str
    """Of the error, when it failed; else empty."""
    same: int
    """The number (from 0) of the first call in this episode with this tool and these very parameters; often its own."""
    found: bool
    """Whether anything came back that had not come back before in this episode."""

    @property
    def failed(self) -> bool:
        return self.status in ("error", "timeout")


class Trace(msgspec.Struct, frozen=True, array_like=True):
    """A finished episode, for learning."""

    task_type: str
    domain: str
    features: tuple[str, ...]
    """What is known about the task before it begins, each as ``name:value``; see :func:`features_of`."""
    calls: tuple[Call, ...]
    value: int
    """What the outcome is worth, in thousandths; see ``contribution.outcome_value``."""
    success: bool
    ended_at: int
    """µs since 1970 UTC."""
    task: bytes = b""
    """Equal for attempts at one and the same task, see :func:`task_of`; empty in lessons of versions that did not tell,
    and then it passes for a task that was done once."""

    @property
    def kind(self) -> tuple[str, str]:
        """The kind of task: episodes are compared within it."""
        return (self.task_type, self.domain)


def trace_of(episode: Episode) -> Trace | None:
    """The trace of an episode; None while it is open."""
    if episode.outcome is None:
        return None
    return Trace(
        task_type=episode.task.task_type,
        domain=episode.task.domain,
        features=features_of(episode.task),
        calls=calls_of(episode.steps),
        value=outcome_value(episode.outcome),
        success=episode.outcome.kind == "success",
        ended_at=episode.ended_at_micros if episode.ended_at_micros is not None else episode.started_at_micros,
        task=task_of(episode.task),
    )


def task_of(task: Task) -> bytes:
    """Equal for attempts at one and the same task of a kind: eight bytes of a digest of its id in the metadata, or else
    of its description."""
    id = id_of(task)
    told = canonical.encode([task.description] if id is None else [id, ""])
    return hashlib.blake2b(told, digest_size=8).digest()


def id_of(task: Task) -> str | int | None:
    """What names a task in its metadata, whatever words it is asked in; None when nothing does."""
    named = (task.metadata.get(name) for name in TASK_IDS)
    return next((each for each in named if isinstance(each, str | int) and each != ""), None)


def features_of(task: Task) -> tuple[str, ...]:
    """What a context pattern may rest on: tags, language, framework, and the words of the description."""
    named = [f"tag:{tag}" for tag in task.tags]
    named += [f"{name}:{value}" for name in ("language", "framework") if (value := getattr(task, name))]
    return (*named, *(f"word:{word}" for word in words_of(task.description)))


@lru_cache(maxsize=4_096)
def words_of(text: str) -> tuple[str, ...]:
    """The different words of a text, folded in case, in order; without numbers and single letters."""
    found = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return tuple(dict.fromkeys(found))[:MOST_WORDS]


def calls_of(steps: tuple[Step, ...]) -> tuple[Call, ...]:
    """The calls of tools among these steps."""
    made: dict[tuple[str, bytes], int] = {}
    seen: set[bytes] = set()
    calls: list[Call] = []
    for step in steps:
        if not step.tool:
            continue
        if len(calls) == LONGEST_TRACE:
            break
        given = (step.tool, canonical.encode([step.action, step.parameters], max_depth=_ANY_DEPTH))
        answer = canonical.encode(step.observation, max_depth=_ANY_DEPTH)
        failed = step.status in ("error", "timeout")
        calls.append(
            Call(
                step.tool,
                step.status,
                step_signature(step) if failed else "",
                made.setdefault(given, len(calls)),
                answer not in seen,
            )
        )
        seen.add(answer)
    return tuple(calls)


_ANY_DEPTH = 1_000  # what is in the journal was within the limit when it came in
