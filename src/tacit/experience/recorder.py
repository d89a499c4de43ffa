"""Writes experience to the journal.

Every method checks what it was given, queues one job and returns its future, so the synchronous and the asynchronous
surface share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from tacit.errors import AlreadyCompleted, Conflict, InvalidInput, shown
from tacit.experience import entrance, kinds
from tacit.experience.episode import RELATION_KINDS, Outcome, Record, Relation, Step, Task
from tacit.experience.fold import current_row
from tacit.experience.limits import Limits
from tacit.experience.views import load_episode
from tacit.ids import format_id, keyed_id, parse_id
from tacit.journal.append import Appended, Appender, Prepared
from tacit.journal.journal import Journal
from tacit.journal.minds import MindInfo
from tacit.journal.read import event_by_id

T = TypeVar("T")
LiveFit: TypeAlias = Literal["refuse", "truncate"]
"""What to do with a step over the limits, or with control characters in it: refuse it, or shorten and clean it."""
_NOT_JSON = (bytes, bytearray, memoryview, datetime, date, time, timedelta, UUID, Decimal)
"""Types that msgspec would write as text, which would not come back as what they were."""


class Recorder:
    """What happened to one mind goes through here into the journal.

    Args:
        keeper: what closes the store once nobody refers to it; whoever can still use the store refers to a recorder.
    """

    def __init__(self, journal: Journal, mind: MindInfo, limits: Limits, keeper: object = None) -> None:
        self.journal = journal
        self.mind = mind
        self.limits = limits
        self._keeper = keeper

    def admit(self, events: int = 1) -> None:
        """Count events that are about to be written for this mind; raises RateLimitExceeded when they come too fast."""
        self.journal.allowance.admit(self.mind.id, self.mind.tenant, events)

    def pace(self) -> None:
        """Wait until one more event may come."""
        self.journal.allowance.pace(self.mind.id, self.mind.tenant)

    # ── whole episodes ───────────────────────────────────────────────────────────────────────────────────────────────

    def start(
        self, task: Task, *, key: str | None = None, started_at: int | None = None, exposure: str | None = None
    ) -> Future[Appended]:
        """Open an episode; its id is the event's id. The same ``key`` finds the same episode again.

        ``exposure`` is the id of the advice that the agent was given for it.
        """
        entrance.check_task(task, self.limits)
        entrance.check_moment(started_at, "started_at")
        id = self.keyed("episode", key, "an episode") if key is not None else None
        payload: dict[str, Any] = {"task": plain(task)}
        if exposure is not None:
            payload["exposure"] = format_id(parse_id(exposure))
        return self._append(
            self.prepare(kinds.EPISODE_STARTED, payload, id=id, occurred_at=started_at, agent=task.agent)
        )

    def record(self, record: Record) -> Future[Appended]:
        """Write a whole attempt as one event, with its relations; once, if it has an ``id`` or ``key``."""
        prepared = self.prepare_record(record)
        relations = [self._prepare_relation(prepared.id, relation) for relation in record.relations]
        mind = self.mind.id

        def job(appender: Appender) -> Appended:
            appended = appender.append(mind, prepared)
            for relation in relations if appended.new else ():
                appender.append(mind, relation)
            return appended

        return self.submit(job, 1 + len(relations))

    def _prepare_relation(self, episode: bytes, relation: Relation) -> Prepared:
        if parse_id(relation.episode) != episode:
            raise InvalidInput(
                "the relations of a record must be its own: 'episode' is the record's id", field="relations"
            )
        payload = {"kind": relation.kind, "target": format_id(parse_id(relation.target))}
        return self.prepare(kinds.EPISODE_RELATED, payload, causation=episode)

    def prepare_record(self, record: Record, *, checked: bool = False) -> Prepared:
        """The event of a whole attempt; checked against every bound, unless an importer has just done that."""
        if not checked:
            entrance.check_record(record, self.limits)
        payload: dict[str, Any] = {"task": plain(record.task), "steps": [plain(step) for step in record.steps]}
        if record.outcome is not None:
            payload["outcome"] = plain(record.outcome)
            if record.ended_at is not None:
                payload["ended_at"] = record.ended_at
        id: bytes | None = None
        if record.id:
            id = parse_id(record.id)
        elif record.key:
            id = self.keyed("record", record.key, "a record")
        return self.prepare(
            kinds.EPISODE_RECORDED, payload, id=id, occurred_at=record.started_at, agent=record.task.agent
        )

    # ── live steps ───────────────────────────────────────────────────────────────────────────────────────────────────

    def prepare_step(self, episode: bytes, step: Step, *, key: str | None = None, fit: LiveFit = "refuse") -> Prepared:
        """The event of one step, checked; for callers that gather several before they write."""
        if fit == "truncate":
            from tacit.experience.importers.fit import fit_step

            step = fit_step(step, self.limits)
        entrance.check_step(step, self.limits)
        id = self.keyed("step", key, "a step", format_id(episode)) if key is not None else None
        return self.prepare(
            kinds.STEP_LOGGED, {"step": plain(step)}, id=id, occurred_at=step.occurred_at, causation=episode
        )

    def step(self, episode: bytes, step: Step, *, key: str | None = None, fit: LiveFit = "refuse") -> Future[Appended]:
        """Log one step."""
        return self._append(self.prepare_step(episode, step, key=key, fit=fit))

    def steps(self, prepared: Sequence[Prepared]) -> Future[list[Appended]]:
        """Write several prepared steps, all or none."""
        return write_steps(self.journal, self.mind.id, prepared)

    def complete(self, episode: bytes, outcome: Outcome, *, ended_at: int | None = None) -> Future[None]:
        """End an episode. The same outcome again is nothing; another one raises AlreadyCompleted."""
        entrance.check_outcome(outcome, self.limits)
        entrance.check_moment(ended_at, "ended_at")
        prepared = self.prepare(
            kinds.EPISODE_COMPLETED,
            {"outcome": plain(outcome)},
            id=keyed_id(self.mind.secret, "completion", format_id(episode)),
            occurred_at=ended_at,
            causation=episode,
        )
        return self.submit(lambda appender: self._complete(appender, episode, outcome, prepared))

    def _complete(self, appender: Appender, episode: bytes, outcome: Outcome, prepared: Prepared) -> None:
        row = current_row(appender.transaction, self.mind.id, episode)
        if row is None or row.status == "open":
            if row is not None and prepared.occurred_at is not None and prepared.occurred_at < row.started_at:
                raise InvalidInput(
                    "the episode ends before it starts", started_at=row.started_at, ended_at=prepared.occurred_at
                )
            appender.append(self.mind.id, prepared)
            return
        known = load_episode(appender.transaction, self.mind.id, episode).outcome
        if known != msgspec.convert(prepared.payload["outcome"], Outcome):
            raise AlreadyCompleted(
                f"episode {format_id(episode)} is already completed as {row.status}, not with these details",
                episode=format_id(episode),
                outcome=outcome.kind,
            )

    # ── what is known about an episode ───────────────────────────────────────────────────────────────────────────────

    def update(
        self, episode: bytes, changes: dict[str, Any], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Future[None]:
        """Change fields of the task, and add or remove tags. Nothing is written when nothing changes."""

        def job(appender: Appender) -> None:
            before = load_episode(appender.transaction, self.mind.id, episode).task
            tags = [tag for tag in changes.get("tags", before.tags) if tag not in set(remove)]
            tags += [tag for tag in dict.fromkeys(add) if tag not in tags]
            after = entrance.build(Task, {**msgspec.structs.asdict(before), **changes, "tags": tags}, "episode")
            entrance.check_task(after, self.limits)
            if after != before:
                appender.append(
                    self.mind.id, self.prepare(kinds.EPISODE_UPDATED, {"task": plain(after)}, causation=episode)
                )

        return self.submit(job)

    def relate(self, episode: bytes, kind: str, target: str, *, holds: bool = True) -> Future[Appended]:
        """Say that a relation to another episode holds, or holds no longer."""
        if kind not in RELATION_KINDS:
            known = ", ".join(RELATION_KINDS)
            raise InvalidInput(f"{shown(kind)} is not a relation; use one of {known}", kind=shown(kind))
        event = kinds.EPISODE_RELATED if holds else kinds.EPISODE_UNRELATED
        payload = {"kind": kind, "target": format_id(parse_id(target))}
        return self._append(self.prepare(event, payload, causation=episode))

    def checkpoint(self, episode: bytes, *, note: str, state: dict[str, Any]) -> Future[Appended]:
        """Mark where the agent stands, with what whoever takes over needs to know."""
        id = self.journal.preparer.new_id()

        def job(appender: Appender) -> Appended:
            earlier = event_by_id(appender.transaction, self.mind.id, id)
            if earlier is not None:  # the first attempt got through, and steps may have followed since
                return Appended(earlier.event, new=False)
            number = len(load_episode(appender.transaction, self.mind.id, episode).steps)
            payload = {"note": note, "state": state, "number": number}
            prepared = self.prepare(kinds.EPISODE_CHECKPOINTED, payload, id=id, causation=episode)
            return appender.append(self.mind.id, prepared)

        return self.submit(job)

    def take_over(self, record: Record) -> Future[None]:
        """Bring in an open episode from a pack that was made elsewhere, or the steps of it that are not here yet."""
        whole = msgspec.structs.replace(record, relations=())  # what it is related to stays behind
        opening, episode, mind = self.prepare_record(whole), parse_id(record.id), self.mind.id

        def job(appender: Appender) -> None:
            if current_row(appender.transaction, mind, episode) is None:
                appender.append(mind, opening)
                return
            known = load_episode(appender.transaction, mind, episode).steps
            shared = min(len(known), len(record.steps))
            if known[:shared] != record.steps[:shared]:
                raise Conflict(
                    f"episode {record.id} went on differently here than in this pack; "
                    "start a new episode that follows it",
                    episode=record.id,
                )
            for number, step in enumerate(record.steps[shared:], start=shared + 1):
                appender.append(mind, self.prepare_step(episode, step, key=f"taken over: {number}"))

        return self.submit(job)

    def resume(self, episode: bytes, *, agent: str = "", checkpoint: str = "") -> Future[Appended]:
        """Say that somebody goes on with an open episode."""
        payload = {"agent": agent, "checkpoint": checkpoint}
        return self._append(self.prepare(kinds.EPISODE_RESUMED, payload, causation=episode, agent=agent))

    def reflection(self, episode: bytes, payload: dict[str, Any]) -> Future[Appended]:
        """Keep a reflection that a language model wrote; ``payload["sources"]`` are the ids it rests on."""
        return self._append(self.prepare(kinds.REFLECTION_RECORDED, payload, causation=episode))

    # ── preparing ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _append(self, prepared: Prepared) -> Future[Appended]:
        mind = self.mind.id
        return self.submit(lambda appender: appender.append(mind, prepared))

    def submit(self, job: Callable[[Appender], T], events: int = 1) -> Future[T]:
        self.admit(events)
        return self.journal.submit(job)

    def prepare(
        self,
        kind: str,
        payload: dict[str, Any],
        *,
        id: bytes | None = None,
        occurred_at: int | None = None,
        causation: bytes | None = None,
        agent: str = "",
    ) -> Prepared:
        return self.journal.preparer.prepare(
            kind,
            payload,
            id=id,
            occurred_at=occurred_at,
            causation=causation,
            actor=self.actor(agent) if agent else "",
        )

    def actor(self, name: str) -> str:
        """The opaque id that stands for an agent's name in event headers."""
        entrance.check_whole(name, "agent")
        return keyed_id(self.mind.secret, "actor", name).hex()

    def keyed(self, what: str, key: str, spoken: str, *scope: str) -> bytes:
        if not isinstance(key, str) or not key.strip():
            raise InvalidInput(f"the key of {spoken} must be a non-empty text", field="key")
        entrance.check_key(key, self.limits)
        return keyed_id(self.mind.secret, what, *scope, key)


def write_steps(journal: Journal, mind: bytes, prepared: Sequence[Prepared]) -> Future[list[Appended]]:
    """Write several prepared steps, all or none; for callers that must not keep a store open by a recorder."""
    return journal.submit(lambda appender: [appender.append(mind, one) for one in prepared])


def plain(data: msgspec.Struct) -> dict[str, Any]:
    """A noun as plain data, defaults left out. What is not JSON stays as it is, to be refused when it is encoded."""
    result: dict[str, Any] = msgspec.to_builtins(data, builtin_types=_NOT_JSON, enc_hook=_not_json)
    return result


def _not_json(value: Any) -> Any:
    raise InvalidInput(
        f"a value of type {type(value).__name__} cannot be stored as JSON; convert it to text or numbers",
        type=type(value).__name__,
    )
