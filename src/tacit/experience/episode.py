"""The nouns of experience: an episode, its steps and its outcome. Pure data; nothing here reads or writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from tacit.clock import from_micros

Json: TypeAlias = Any
"""A JSON value: None, bool, int within ±2^53, finite float, str, list or dict with str keys."""

StepStatus: TypeAlias = Literal["success", "error", "timeout"]
OutcomeKind: TypeAlias = Literal["success", "partial", "failure", "abstained"]
EpisodeStatus: TypeAlias = Literal["open", "success", "partial", "failure", "abstained"]
RelationKind: TypeAlias = Literal["parent", "depends_on", "blocks", "follows", "duplicates", "refers"]

STEP_STATUSES: tuple[str, ...] = get_args(StepStatus)
OUTCOME_KINDS: tuple[str, ...] = get_args(OutcomeKind)
RELATION_KINDS: tuple[str, ...] = get_args(RelationKind)
ACYCLIC_RELATIONS: frozenset[str] = frozenset({"parent", "depends_on", "blocks", "follows"})
"""Relations that order work or contain it, and so may never lead back to where they began."""


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The base of what is stored: immutable, by keyword, defaults left out, unknown fields refused."""


class Step(Data, frozen=True):
    """One thing an agent did, and what came back.

    ``latency_ms`` is in milliseconds; ``occurred_at`` in µs since 1970 UTC; ``tokens`` is what the step cost.
    ``status`` None means that nobody said whether it worked. ``thought`` is what the agent wrote before acting.
    """

    tool: str = ""
    action: str = ""
    parameters: dict[str, Json] = {}
    observation: Json = None
    status: StepStatus | None = None
    error: str = ""
    thought: str = ""
    latency_ms: float | None = None
    tokens: int | None = None
    occurred_at: int | None = None
    metadata: dict[str, Json] = {}


class Artifact(Data, frozen=True):
    """Something an episode produced: its text, or where it lies."""

    name: str
    content: str = ""
    uri: str = ""
    media_type: str = "text/plain"


class Outcome(Data, frozen=True):
    """How an attempt ended.

    ``score`` is between 0 and 1. ``done`` and ``failed`` belong to a partial outcome, ``reason`` and ``details``
    to a failure, ``reason`` and ``signals`` to an abstention (why the agent chose not to act).
    """

    kind: OutcomeKind
    score: float | None = None
    verdict: str = ""
    reason: str = ""
    details: dict[str, Json] = {}
    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


class Task(Data, frozen=True):
    """What an episode is an attempt at, and in which context.

    ``complexity`` is between 0 (trivial) and 1 (as hard as it gets), or None when nobody judged it.
    """

    description: str
    task_type: str = ""
    domain: str = ""
    language: str = ""
    framework: str = ""
    complexity: float | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Json] = {}
    agent: str = ""
    source_id: str = ""
    """The id this attempt has where it was imported from."""


class Relation(Data, frozen=True):
    """A link from one episode to another: ``episode`` *kind* ``target``, both ids."""

    kind: RelationKind
    episode: str
    target: str


class Record(Data, frozen=True):
    """A whole episode as it is imported and exported: one line of Tacit's own JSONL.

    ``outcome`` None is an attempt that is still open. Times are µs since 1970 UTC. ``id`` is the episode's id, given
    when it must stay the same (an export, a hand-off); otherwise ``key`` makes a second import of the same attempt
    recognisable, and importers fill it in.
    """

    task: Task
    steps: tuple[Step, ...] = ()
    outcome: Outcome | None = None
    started_at: int | None = None
    ended_at: int | None = None
    id: str = ""
    key: str = ""
    relations: tuple[Relation, ...] = ()


class Episode(Data, frozen=True):
    """An episode as it is read back: the task, what has happened so far, and how it ended if it has."""

    id: str
    mind: str
    task: Task
    status: EpisodeStatus
    started_at_micros: int
    ended_at_micros: int | None = None
    steps: tuple[Step, ...] = ()
    outcome: Outcome | None = None
    relations: tuple[Relation, ...] = ()
    step_events: tuple[str, ...] = ()
    """For each step, the id of the journal event that recorded it (its evidence)."""

    @property
    def started_at(self) -> datetime:
        return from_micros(self.started_at_micros)

    @property
    def ended_at(self) -> datetime | None:
        return None if self.ended_at_micros is None else from_micros(self.ended_at_micros)
