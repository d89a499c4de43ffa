"""Make a record fit the limits: refuse it, truncate its texts with a visible mark, or split its steps.

Texts are bounded one by one. Free JSON (parameters, metadata, details) is bounded by its depth and by the size of
the event that it stands in. Sizes are bytes of UTF-8, and of compact JSON for what is not a text.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import msgspec

from tacit.errors import LimitExceeded
from tacit.experience.episode import Artifact, Outcome, Record, Step, Task
from tacit.experience.importers.port import Fit
from tacit.experience.importers.shorten import depth, flattened, shorten
from tacit.experience.limits import Limits


class Fitted(NamedTuple):
    """A record within the limits, and how many texts and values were changed for it."""

    record: Record
    shortened: int


def fit(record: Record, limits: Limits, mode: Fit) -> list[Fitted]:
    """The record within the limits: one, or with ``mode`` "split" as many as its steps need.

    Truncating keeps the first steps and says in the metadata, as ``shortened``, how many are missing. Splitting
    links the records by the metadata ``part``, ``parts`` and ``part_of`` (the key or id of the whole); only the last
    part holds the outcome, the id and the relations, so that one attempt counts once.

    Raises:
        LimitExceeded: it may not be changed, or cannot be made to fit.
    """
    fitter = _Fitter(limits, refuse=mode == "refuse")
    task = fitter.task(record.task)
    outcome = None if record.outcome is None else fitter.outcome(record.outcome)
    whole = msgspec.structs.replace(record, task=task, outcome=outcome, steps=())
    frame = fitter.count
    steps: list[tuple[Step, int]] = []
    for number, step in enumerate(record.steps, 1):
        before = fitter.count
        fitted = fitter.step(step, f"step {number}")
        steps.append((fitted, fitter.count - before))
    chunks = _chunks(whole, [step for step, _ in steps], limits)
    if len(chunks) == 1:
        return [Fitted(msgspec.structs.replace(whole, steps=tuple(chunks[0])), fitter.count)]
    if mode == "refuse":
        raise LimitExceeded(
            f"the episode has {len(steps):,} steps or is larger than may be kept: {limits.steps_per_episode:,} steps "
            f"and {limits.episode_bytes:,} bytes; import it with fit='split' or fit='truncate'",
            steps=len(steps),
        )
    counts = [count for _, count in steps]
    return _truncated(whole, chunks[0], counts, frame) if mode == "truncate" else _split(whole, chunks, counts, frame)


def fit_step(step: Step, limits: Limits) -> Step:
    """A step as it can be kept: texts over the limits shortened with a visible mark, control characters replaced."""
    from tacit.experience.importers.clean import clean

    try:
        cleaned = clean(Record(task=Task(description="a live step"), steps=(step,))).record.steps[0]
    except (UnicodeEncodeError, msgspec.MsgspecError):
        return step  # no shortening makes it text; whoever checks it says what is wrong
    return _Fitter(limits, refuse=False).step(cleaned, "the step")


def _truncated(whole: Record, kept: list[Step], counts: list[int], frame: int) -> list[Fitted]:
    mark = f"… [shortened by {len(counts) - len(kept):,} steps]"
    task = msgspec.structs.replace(whole.task, metadata={**whole.task.metadata, "shortened": mark})
    record = msgspec.structs.replace(whole, task=task, steps=tuple(kept))
    return [Fitted(record, frame + sum(counts[: len(kept)]) + 1)]


def _split(whole: Record, chunks: list[list[Step]], counts: list[int], frame: int) -> list[Fitted]:
    parts: list[Fitted] = []
    done = 0
    for number, chunk in enumerate(chunks, 1):
        last = number == len(chunks)
        linked = {**whole.task.metadata, "part": number, "parts": len(chunks), "part_of": whole.key or whole.id}
        part = msgspec.structs.replace(
            whole,
            task=msgspec.structs.replace(whole.task, metadata=linked),
            steps=tuple(chunk),
            outcome=whole.outcome if last else None,
            ended_at=whole.ended_at if last else None,
            id=whole.id if last else "",
            key=f"{whole.key or whole.id}/{number}",
            relations=whole.relations if last else (),
        )
        parts.append(Fitted(part, sum(counts[done : done + len(chunk)]) + (frame if number == 1 else 0)))
        done += len(chunk)
    return parts


_PART_BYTES = 400
"""Room for the metadata that links or marks a part."""


def _chunks(whole: Record, steps: list[Step], limits: Limits) -> list[list[Step]]:
    """The steps in runs that fit one episode each; one run when everything fits."""
    most = min(limits.episode_bytes, limits.event_bytes)  # an imported episode is one event
    frame = len(msgspec.json.encode(whole)) + len('"steps":[],')
    if frame > most:
        raise _exceeded("episode without its steps", frame, most)
    sizes = [len(msgspec.json.encode(step)) + 1 for step in steps]
    if len(steps) <= limits.steps_per_episode and frame + sum(sizes) <= most:
        return [steps]
    chunks: list[list[Step]] = [[]]
    room = most - frame - _PART_BYTES
    used = 0
    for step, size in zip(steps, sizes, strict=True):
        if size > room:
            raise _exceeded("one step with its task", frame + _PART_BYTES + size, most)
        if used + size > room or len(chunks[-1]) == limits.steps_per_episode:
            chunks.append([])
            used = 0
        chunks[-1].append(step)
        used += size
    return chunks


def _exceeded(what: str, size: int, limit: int) -> LimitExceeded:
    return LimitExceeded(f"the {what} has {size:,} bytes; at most {limit:,} may be kept", size=size, limit=limit)


_Event = TypeVar("_Event", Task, Step, Outcome)


class _Fitter:
    """Brings the parts of a record within the limits and counts what it had to change; or refuses to."""

    def __init__(self, limits: Limits, *, refuse: bool) -> None:
        self.limits = limits
        self.refuse = refuse
        self.count = 0

    def task(self, task: Task) -> Task:
        name = self.limits.name_bytes
        fitted = msgspec.structs.replace(
            task,
            description=self._text(task.description, self.limits.description_bytes, "description"),
            task_type=self._text(task.task_type, name, "task type"),
            domain=self._text(task.domain, name, "domain"),
            language=self._text(task.language, name, "language"),
            framework=self._text(task.framework, name, "framework"),
            tags=self._tags(task.tags),
            metadata=self._json(task.metadata, "metadata"),
            agent=self._text(task.agent, name, "agent"),
            source_id=self._text(task.source_id, self.limits.text_bytes, "source id"),
        )
        return self._event(fitted, "task", "metadata")

    def step(self, step: Step, where: str) -> Step:
        text = self.limits.text_bytes
        fitted = msgspec.structs.replace(
            step,
            tool=self._text(step.tool, self.limits.name_bytes, f"tool of {where}"),
            action=self._text(step.action, text, f"action of {where}"),
            error=self._text(step.error, text, f"error of {where}"),
            thought=self._text(step.thought, text, f"thought of {where}"),
            observation=self._observation(step.observation, f"observation of {where}"),
            parameters=self._json(step.parameters, f"parameters of {where}"),
            metadata=self._json(step.metadata, f"metadata of {where}"),
        )
        return self._event(self._event(fitted, where, "parameters"), where, "metadata")

    def outcome(self, outcome: Outcome) -> Outcome:
        text = self.limits.text_bytes
        fitted = msgspec.structs.replace(
            outcome,
            verdict=self._text(outcome.verdict, text, "verdict"),
            reason=self._text(outcome.reason, text, "reason"),
            details=self._json(outcome.details, "details"),
            done=tuple(self._text(item, text, "part that was done") for item in outcome.done),
            failed=tuple(self._text(item, text, "part that failed") for item in outcome.failed),
            signals=tuple(self._text(item, text, "signal") for item in outcome.signals),
            artifacts=tuple(self._artifact(artifact) for artifact in outcome.artifacts),
        )
        fitted = self._event(fitted, "outcome", "details")
        size = len(msgspec.json.encode(fitted))
        if size > self.limits.event_bytes:
            raise _exceeded("outcome with its artifacts", size, self.limits.event_bytes)
        return fitted

    def _artifact(self, artifact: Artifact) -> Artifact:
        return msgspec.structs.replace(
            artifact,
            name=self._text(artifact.name, self.limits.name_bytes, "artifact's name"),
            content=self._text(artifact.content, self.limits.artifact_bytes, "artifact"),
            uri=self._text(artifact.uri, self.limits.text_bytes, "artifact's address"),
            media_type=self._text(artifact.media_type, self.limits.name_bytes, "artifact's media type"),
        )

    def _tags(self, tags: tuple[str, ...]) -> tuple[str, ...]:
        most = self.limits.tags_per_episode
        if len(tags) > most:
            self._breach(f"the task has {len(tags):,} tags; at most {most:,} may be kept")
            mark = f"… [shortened by {len(tags) - most + 1:,} tags]"
            tags = (*tags[: most - 1], mark) if most else ()
        return tuple(self._text(tag, self.limits.name_bytes, "tag") for tag in tags)

    def _text(self, text: str, limit: int, what: str) -> str:
        size = len(text) if text.isascii() else len(text.encode())
        if size <= limit:
            return text
        self._breach(f"the {what} has {size:,} bytes; at most {limit:,} may be kept")
        return shorten(text, limit)

    def _observation(self, observation: Any, what: str) -> Any:
        if isinstance(observation, str):
            return self._text(observation, self.limits.observation_bytes, what)
        observation = self._json(observation, what)
        encoded = msgspec.json.encode(observation)
        if len(encoded) <= self.limits.observation_bytes:
            return observation
        return self._text(encoded.decode(), self.limits.observation_bytes, what)

    def _json(self, value: Any, what: str) -> Any:
        if depth(value) <= self.limits.json_depth:
            return value
        self._breach(f"the {what} is nested deeper than {self.limits.json_depth} levels")
        return flattened(value, self.limits.json_depth)

    def _event(self, data: _Event, what: str, field: str) -> _Event:
        """If the event is too large, its free JSON in ``field`` gives way to the beginning of its text."""
        size = len(msgspec.json.encode(data))
        if size <= self.limits.event_bytes:
            return data
        free = msgspec.json.encode(getattr(data, field)).decode()
        if len(free) > self.limits.text_bytes:
            self._breach(f"the {what} has {size:,} bytes; at most {self.limits.event_bytes:,} may be kept")
            return msgspec.structs.replace(data, **{field: {"_shortened": shorten(free, self.limits.text_bytes)}})
        return data

    def _breach(self, problem: str) -> None:
        if self.refuse:
            raise LimitExceeded(f"{problem}; import it with fit='truncate' to shorten it with a mark")
        self.count += 1
