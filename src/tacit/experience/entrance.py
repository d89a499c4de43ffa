"""What may come in: every bound on experience, checked before anything is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tacit.errors import InvalidInput, LimitExceeded, shown
from tacit.experience.episode import OUTCOME_KINDS, STEP_STATUSES, Outcome, Record, Step, Task
from tacit.experience.limits import Limits
from tacit.journal import canonical

EARLIEST, LATEST = -canonical.LARGEST_INTEGER, canonical.LARGEST_INTEGER
"""Times that JSON holds to the microsecond: from July 1684 to June 2255."""
LONGEST_MS = 1_000_000_000_000
"""Some thirty years: no step takes longer."""
MOST_TOKENS = 1_000_000_000_000
LONGEST_WAIT_SECONDS = 1_000_000_000

_WRONG_TYPE = re.compile(r"Expected `([^`]+)`, got `([^`]+)`(?: - at `\$([^`]*)`)?")
_WRONG_KEY = re.compile(r"Expected `str`(?:, got `[^`]+`)? - at `key` in `\$([^`]*)`")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`")
_TYPE_NAMES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "array": "a list",
    "object": "an object",
    "bytes": "bytes",
}
"""What the types are called in messages for people."""


def check_task(task: Task, limits: Limits) -> None:
    """Refuse a task that breaks a bound.

    Raises:
        LimitExceeded: a text is too long, or there are too many tags.
        InvalidInput: an empty description, or a complexity outside 0 … 1.
    """
    if not task.description.strip():
        raise InvalidInput("an episode needs a description: what is the agent trying to do?", field="description")
    check_text(task.description, limits.description_bytes, "description", "limits.description_bytes")
    for field in ("task_type", "domain", "language", "framework", "agent"):
        check_text(getattr(task, field), limits.name_bytes, field, "limits.name_bytes")
    check_text(task.source_id, limits.text_bytes, "source_id", "limits.text_bytes")
    if task.complexity is not None:
        _within_one(task.complexity, "complexity")
    canonical.check_depth(task.metadata, limits.json_depth, "metadata")
    check_tags(task.tags, limits)


def check_tags(tags: tuple[str, ...], limits: Limits) -> None:
    """Refuse empty, repeated, too long or too many tags."""
    if len(tags) > limits.tags_per_episode:
        raise LimitExceeded(
            f"{len(tags)} tags are more than the {limits.tags_per_episode} of limits.tags_per_episode",
            limit=limits.tags_per_episode,
            size=len(tags),
        )
    for tag in tags:
        if not tag.strip():
            raise InvalidInput("a tag must not be empty", field="tags")
        check_text(tag, limits.name_bytes, "tag", "limits.name_bytes")
    if len(set(tags)) != len(tags):
        raise InvalidInput("a tag is given twice", field="tags", tags=list(tags))


def check_step(step: Step, limits: Limits) -> None:
    """Refuse a step that breaks a bound, or that says nothing at all."""
    if not (step.tool or step.action or step.observation is not None or step.thought):
        raise InvalidInput("a step needs at least a tool, an action, a thought or an observation", field="step")
    check_text(step.tool, limits.name_bytes, "tool", "limits.name_bytes")
    for field in ("action", "thought", "error"):
        if text := getattr(step, field):
            check_text(text, limits.text_bytes, field, "limits.text_bytes")
    for field in ("parameters", "metadata"):
        if value := getattr(step, field):
            canonical.check_depth(value, limits.json_depth, field)
    observation = step.observation
    if type(observation) is str:
        check_text(observation, limits.observation_bytes, "observation", "limits.observation_bytes")
    elif observation is not None:
        size = len(canonical.encode(observation, max_depth=limits.json_depth))
        check_size(size, limits.observation_bytes, "observation", "limits.observation_bytes")
    check_status(step.status)
    _counts(step.latency_ms, "latency_ms", LONGEST_MS)
    _counts(step.tokens, "tokens", MOST_TOKENS)
    check_moment(step.occurred_at, "occurred_at")


def check_status(status: str | None) -> None:
    """Refuse a step status that does not exist; None says nothing and is allowed."""
    if status is not None and status not in STEP_STATUSES:
        known = ", ".join(STEP_STATUSES)
        raise InvalidInput(f"{shown(status)} is not a step status; use one of {known}", field="status")


def check_outcome_kind(kind: str) -> None:
    """Refuse a kind of outcome that does not exist."""
    if kind not in OUTCOME_KINDS:
        raise InvalidInput(f"{shown(kind)} is not an outcome; use one of {', '.join(OUTCOME_KINDS)}", field="kind")


def check_outcome(outcome: Outcome, limits: Limits) -> None:
    """Refuse an outcome that breaks a bound, or that mixes the fields of several kinds."""
    check_outcome_kind(outcome.kind)
    if outcome.score is not None:
        _within_one(outcome.score, "score")
    if outcome.kind != "partial" and (outcome.done or outcome.failed):
        raise InvalidInput("done and failed belong to a partial outcome", field="done", kind=outcome.kind)
    if outcome.kind != "abstained" and outcome.signals:
        raise InvalidInput("signals belong to an abstained outcome", field="signals", kind=outcome.kind)
    if outcome.kind in ("success", "partial") and outcome.reason:
        raise InvalidInput(
            "a reason belongs to a failure or an abstention; use verdict here", field="reason", kind=outcome.kind
        )
    check_text(outcome.verdict, limits.text_bytes, "verdict", "limits.text_bytes")
    check_text(outcome.reason, limits.text_bytes, "reason", "limits.text_bytes")
    for field in ("done", "failed", "signals"):
        for item in getattr(outcome, field):
            check_text(item, limits.text_bytes, field, "limits.text_bytes")
    canonical.check_depth(outcome.details, limits.json_depth, "details")
    for artifact in outcome.artifacts:
        check_text(artifact.content, limits.artifact_bytes, f"artifact {artifact.name!r}", "limits.artifact_bytes")
        check_text(artifact.name, limits.name_bytes, "artifact name", "limits.name_bytes")
        check_text(artifact.uri, limits.text_bytes, "artifact uri", "limits.text_bytes")
        check_text(artifact.media_type, limits.name_bytes, "artifact media_type", "limits.name_bytes")


def check_key(key: str, limits: Limits) -> None:
    """Refuse an idempotency key that is too long, or no whole text."""
    check_whole(key, "key")
    check_text(key, limits.name_bytes, "key", "limits.name_bytes")


def check_whole(text: str, field: str) -> None:
    """Refuse what is no text, or holds half of a surrogate pair, where it is encoded before it is looked at."""
    if not isinstance(text, str):
        raise InvalidInput(f"the {field} must be a text, not {type(text).__name__}", field=field)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput(f"the {field} holds half of a surrogate pair, which is no text", field=field)


def check_flag(value: object, field: str) -> None:
    """Refuse what is neither True nor False: the text "no" would pass for a yes."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{field} must be True or False, not {shown(value)}", field=field)


def check_seconds(value: object, field: str) -> None:
    """Refuse what is no time to wait: a number of seconds from 0 to a thousand million, some thirty years."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_WAIT_SECONDS:
        raise InvalidInput(
            f"{field} must be a number of seconds from 0 to {LONGEST_WAIT_SECONDS:,}, not {shown(value)}", field=field
        )


def check_progress(progress: object) -> None:
    """Refuse what cannot be called with a number of records."""
    if not callable(progress):
        raise InvalidInput(
            f"progress must be a function that takes a number, not {type(progress).__name__}", field="progress"
        )


def check_step_count(steps: int, limits: Limits) -> None:
    """Refuse more steps than an episode may have."""
    if steps > limits.steps_per_episode:
        raise LimitExceeded(
            f"{steps:,} steps are more than the {limits.steps_per_episode:,} of limits.steps_per_episode",
            limit=limits.steps_per_episode,
            size=steps,
        )


def check_record(record: Record, limits: Limits) -> None:
    """Refuse a whole episode in which anything breaks a bound; the message says which step."""
    check_task(record.task, limits)
    check_step_count(len(record.steps), limits)
    for number, step in enumerate(record.steps, start=1):
        try:
            check_step(step, limits)
        except InvalidInput as error:
            raise type(error)(f"step {number}: {error.message}", **error.context, step=number) from error
    if record.outcome is not None:
        check_outcome(record.outcome, limits)
    check_moment(record.started_at, "started_at")
    check_moment(record.ended_at, "ended_at")
    if record.started_at is not None and record.ended_at is not None and record.ended_at < record.started_at:
        raise InvalidInput("the episode ends before it starts", started_at=record.started_at, ended_at=record.ended_at)


def object_of(value: Any, field: str) -> dict[str, Any]:
    """A JSON object as a caller gave it, as a dictionary of its own; empty for None.

    Raises:
        InvalidInput: it is something else.
    """
    if value is None:
        return {}
    try:
        return dict(value)
    except (TypeError, ValueError) as error:
        message = f"{field} must be an object (names and values), not {type(value).__name__}"
        raise InvalidInput(message, field=field) from error


def tags_of(value: Any) -> tuple[str, ...]:
    """Tags as a caller gave them. A single text is refused: it would become one tag a letter.

    Raises:
        InvalidInput: they are no list of texts.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InvalidInput("tags must be a list of texts, such as ['urgent']", field="tags")
    tags = tuple(value)
    if not all(isinstance(tag, str) for tag in tags):
        raise InvalidInput("tags must be a list of texts, such as ['urgent']", field="tags")
    return tags


def build(kind: type[Any], fields: dict[str, Any], what: str) -> Any:
    """A noun from keyword arguments, with its types checked.

    Raises:
        InvalidInput: an unknown or missing field, or one of the wrong type; the message names it.
    """
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, TypeError, UnicodeError) as error:
        said, context = _in_words(error, kind)
        raise InvalidInput(f"this {what} cannot be stored: {said}", what=what, **context) from error


def _in_words(error: Exception, kind: type[Any]) -> tuple[str, dict[str, str]]:
    """What the library that checks types has found, as a sentence, and the field that it is about."""
    if isinstance(error, UnicodeError):
        return "it holds one half of a pair of surrogates, which is no text; remove it", {}
    told = str(error)
    if found := _WRONG_KEY.fullmatch(told):
        field = found[1][1:]
        return f"the names in {field or 'it'} must be texts", {"field": field}
    if found := _WRONG_TYPE.fullmatch(told):
        wanted, got, field = found.groups(default="")
        names = " or ".join(_type_name(name) for name in wanted.split(" | "))
        return f"{field.removeprefix('.') or 'it'} must be {names}, not {_type_name(got)}", {"field": field[1:]}
    if found := _MISSING.fullmatch(told):
        return f"it needs the field {found[1]!r}", {"field": found[1]}
    if found := _UNKNOWN.fullmatch(told):
        known = ", ".join(kind.__struct_fields__)
        return f"it has no field {found[1]!r}; its fields are {known}", {"field": found[1]}
    return told, {}


def _type_name(name: str) -> str:
    return _TYPE_NAMES.get(name, name)


def check_text(text: str, limit: int, field: str, setting: str) -> None:
    """Refuse a text of more than ``limit`` bytes of UTF-8, in a message that names its field and the setting."""
    if len(text) * 4 <= limit:  # no character takes more than four bytes
        return
    check_size(len(text.encode(errors="surrogatepass")), limit, field, setting)


def check_size(size: int, limit: int, field: str, setting: str) -> None:
    """Refuse a size above a limit, in bytes, in a message that names the field and the setting."""
    if size > limit:
        raise LimitExceeded(
            f"the {field} is {size:,} bytes, more than the {limit:,} of {setting}; shorten it, or raise the limit",
            field=field,
            limit=limit,
            size=size,
        )


def _within_one(value: float, field: str) -> None:
    if not 0.0 <= value <= 1.0:
        raise InvalidInput(f"the {field} {value} is not between 0 and 1", field=field, value=value)


def check_moment(micros: int | None, field: str) -> None:
    """Refuse a time (µs since 1970 UTC) before 1684 or after 2255: see ``EARLIEST``."""
    if micros is not None and not isinstance(micros, int):
        raise InvalidInput(
            f"{field} must be a whole number of microseconds since 1970-01-01 UTC, not {type(micros).__name__}",
            field=field,
        )
    if micros is not None and not EARLIEST <= micros <= LATEST:
        raise InvalidInput(
            f"{field} is {micros} microseconds since 1970-01-01 UTC; "
            "only times between July 1684 and June 2255 can be kept",
            field=field,
            value=str(micros),
        )


def _counts(value: float | None, field: str, most: int) -> None:
    if value is not None and not 0 <= value <= most:
        raise InvalidInput(f"{field} {value} is not a number between 0 and {most:,}", field=field, value=str(value))
