"""Every limit: what just fits is stored, one more is refused by name, and nothing of a refused call is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tacit
from tacit.experience.entrance import LONGEST_MS, MOST_TOKENS
from tacit.experience.limits import DEFAULT_LIMITS, Limits
from tacit.stores.sqlite import MEMORY
from trials import kinds_of, open_mind

pytestmark = pytest.mark.requirement("JR-10")

SMALL = Limits(
    description_bytes=40,
    observation_bytes=50,
    artifact_bytes=60,
    steps_per_episode=4,
    event_bytes=3_000,
    episode_bytes=2_500,
    text_bytes=30,
    name_bytes=20,
    tags_per_episode=3,
    json_depth=5,
)
"""Different for each limit, so that no test can pass by another one's."""


def of_size(count: int, character: str = "x") -> str:
    """A text of that many bytes of UTF-8."""
    whole, rest = divmod(count, len(character.encode()))
    return character * whole + "x" * rest


def nested(depth: int) -> dict[str, Any]:
    """JSON of that many levels."""
    value: dict[str, Any] = {"end": 1}
    for _ in range(depth - 1):
        value = {"in": value}
    return value


def record_with(part: str, value: Any) -> dict[str, Any]:
    """A whole attempt in which one field (``task.domain``, ``step.tool``, ``outcome.verdict`` …) has that value."""
    record: dict[str, Any] = {
        "task": {"description": "d"},
        "step": {"tool": "t"},
        "outcome": {"kind": "success"},
    }
    group, _, field = part.partition(".")
    record[group][field] = value
    if field in ("reason", "details"):
        record["outcome"]["kind"] = "failure"
    if field in ("done", "failed"):
        record["outcome"]["kind"] = "partial"
    if field == "signals":
        record["outcome"]["kind"] = "abstained"
    return {"task": record["task"], "steps": [record["step"]], "outcome": record["outcome"]}


def text(limit: int) -> tuple[Any, Any]:
    return of_size(limit), of_size(limit + 1)


def multibyte(limit: int) -> tuple[Any, Any]:
    return of_size(limit, "é"), of_size(limit + 1, "中")


def artifact(field: str, limit: int) -> tuple[Any, Any]:
    fits, too_long = multibyte(limit)
    return [{"name": "n", field: fits}], [{"name": "n", field: too_long}]


def depth(limit: int) -> tuple[Any, Any]:
    return nested(limit), nested(limit + 1)


# the field, what just fits, and what is one too much
FIELDS: list[tuple[str, tuple[Any, Any]]] = [
    ("task.description", text(SMALL.description_bytes)),
    ("task.description", multibyte(SMALL.description_bytes)),
    *[(f"task.{name}", multibyte(SMALL.name_bytes)) for name in ("task_type", "domain", "language", "framework")],
    ("task.agent", text(SMALL.name_bytes)),
    ("task.source_id", multibyte(SMALL.text_bytes)),
    ("task.tags", ([of_size(SMALL.name_bytes, "é")], [of_size(SMALL.name_bytes + 1, "é")])),
    ("task.tags", (["a", "b", "c"], ["a", "b", "c", "d"])),
    ("task.metadata", depth(SMALL.json_depth)),
    ("task.complexity", (1.0, 1.0000001)),
    ("task.complexity", (0.0, -0.0000001)),
    ("step.tool", multibyte(SMALL.name_bytes)),
    *[(f"step.{name}", multibyte(SMALL.text_bytes)) for name in ("action", "thought", "error")],
    ("step.observation", text(SMALL.observation_bytes)),
    ("step.observation", multibyte(SMALL.observation_bytes)),
    ("step.observation", ({"k": of_size(SMALL.observation_bytes - 8)}, {"k": of_size(SMALL.observation_bytes - 7)})),
    ("step.observation", depth(SMALL.json_depth)),
    ("step.parameters", depth(SMALL.json_depth)),
    ("step.metadata", depth(SMALL.json_depth)),
    ("step.latency_ms", (0.0, -0.001)),
    ("step.tokens", (0, -1)),
    ("step.tokens", (MOST_TOKENS, MOST_TOKENS + 1)),
    ("step.latency_ms", (float(LONGEST_MS), LONGEST_MS + 1.0)),
    *[(f"outcome.{name}", multibyte(SMALL.text_bytes)) for name in ("verdict", "reason")],
    *[
        (f"outcome.{name}", ([of_size(SMALL.text_bytes)], [of_size(SMALL.text_bytes + 1)]))
        for name in ("done", "failed", "signals")
    ],
    ("outcome.details", depth(SMALL.json_depth)),
    ("outcome.score", (1.0, 1.0000001)),
    ("outcome.score", (0.0, -0.0000001)),
    ("outcome.artifacts", artifact("content", SMALL.artifact_bytes)),
    ("outcome.artifacts", artifact("name", SMALL.name_bytes)),
    ("outcome.artifacts", artifact("uri", SMALL.text_bytes)),
    ("outcome.artifacts", artifact("media_type", SMALL.name_bytes)),
]

NAN, INFINITY = float("nan"), float("inf")
TEXTS = ("task.description", "task.domain", "step.tool", "step.action", "step.observation", "outcome.verdict")
NOT_TEXT = [*(chr(code) for code in range(32) if chr(code) not in "\t\n\r"), "\ud800", "\udfff", "a\ud83d"]
BAD: list[tuple[str, Any]] = [
    *[(field, f"before{bad}after") for field in TEXTS for bad in ("\x00", "\x1b", "\ud800")],
    *[("step.observation", bad) for bad in NOT_TEXT],
    *[("step.parameters", {"k": bad}) for bad in (NAN, INFINITY, -INFINITY, 2**53, {1}, b"bytes", object(), "\x00")],
    *[("step.parameters", {bad: 1}) for bad in ("\x00", "\ud800", 1, None)],
    *[("task.metadata", {"deep": [{"k": bad}]}) for bad in (NAN, "\x07", "\udc00")],
    *[("outcome.details", {"k": bad}) for bad in (NAN, "\x00")],
    *[("step.latency_ms", bad) for bad in (NAN, INFINITY, "fast", True)],
    *[("task.complexity", bad) for bad in (NAN, "hard")],
    *[("outcome.score", bad) for bad in (NAN, INFINITY, "good")],
    ("task.description", ""),
    ("task.description", " \n"),
    ("task.tags", ["a", "a"]),
    ("task.tags", [""]),
    ("step.status", "great"),
    ("outcome.kind", "won"),
    ("step.unknown", 1),
    ("task.unknown", 1),
    ("outcome.artifacts", [{"name": "n", "content": "a\x00b"}]),
]


def settable(limits: Limits) -> dict[str, int]:
    return {f"limits__{field}": getattr(limits, field) for field in limits.__struct_fields__}


@pytest.fixture
def mind() -> Iterator[tacit.Mind]:
    with open_mind(MEMORY, consumers__enabled=False, **settable(SMALL)) as mind:
        yield mind


def live(mind: tacit.Mind, record: dict[str, Any]) -> None:
    """The same attempt, logged as it happens."""
    episode = mind.episode(**record["task"])
    for step in record["steps"]:
        episode.step(**step)
    outcome = dict(record["outcome"])
    episode.complete(outcome.pop("kind"), **outcome)


def buffered(mind: tacit.Mind, record: dict[str, Any]) -> None:
    episode = mind.episode(**record["task"], buffered=True)
    for step in record["steps"]:
        episode.step(**step)
    outcome = dict(record["outcome"])
    episode.complete(outcome.pop("kind"), **outcome)


WAYS: list[Callable[[tacit.Mind, dict[str, Any]], object]] = [live, buffered, tacit.Mind.record]


@pytest.mark.parametrize("way", WAYS, ids=["live", "buffered", "record"])
@pytest.mark.parametrize(("field", "values"), FIELDS, ids=[f"{at}-{field}" for at, (field, _) in enumerate(FIELDS)])
def test_what_just_fits_is_stored_and_one_more_is_refused(
    mind: tacit.Mind, way: Callable[..., object], field: str, values: tuple[Any, Any]
) -> None:
    fits, too_much = values
    way(mind, record_with(field, fits))
    (summary,) = mind.episodes()
    assert summary.status != "open"
    refuse(mind, way, record_with(field, too_much), field.partition(".")[0])


def refuse(mind: tacit.Mind, way: Callable[..., object], record: dict[str, Any], group: str) -> None:
    """The way refuses the attempt, and stores none of the part that is at fault."""
    before = kinds_of(mind)
    with pytest.raises(tacit.InvalidInput):
        way(mind, record)
    new = kinds_of(mind)[len(before) :]
    allowed = {"task": 0, "step": 1, "outcome": 2}[group] if way is not tacit.Mind.record else 0
    assert new == ["episode.started", "step.logged"][:allowed] or (way is buffered and new == ["episode.started"])


@pytest.mark.parametrize("way", WAYS, ids=["live", "buffered", "record"])
@pytest.mark.parametrize(("field", "value"), BAD, ids=[f"{at}-{field}" for at, (field, _) in enumerate(BAD)])
def test_what_is_not_text_or_json_or_breaks_a_rule_is_refused(
    mind: tacit.Mind, way: Callable[..., object], field: str, value: Any
) -> None:
    record = record_with(field, value)
    if field == "step.unknown" and way is not tacit.Mind.record:
        with pytest.raises(TypeError):  # Python itself refuses an unknown keyword
            way(mind, record)
        return
    if field == "task.unknown" and way is not tacit.Mind.record:
        with pytest.raises(TypeError):
            way(mind, record)
        return
    refuse(mind, way, record, field.partition(".")[0])


def test_a_refusal_names_the_field_the_size_the_limit_and_its_setting(mind: tacit.Mind) -> None:
    with pytest.raises(tacit.LimitExceeded, match=r"51 bytes.*50 of limits\.observation_bytes") as caught:
        mind.episode("d").step(observation="x" * 51)
    assert caught.value.context == {"field": "observation", "limit": 50, "size": 51}
    with pytest.raises(tacit.LimitExceeded, match=r"step 2: the tool"):
        mind.record({"task": {"description": "d"}, "steps": [{"tool": "t"}, {"tool": "t" * 21}]})


def test_the_number_of_steps_is_limited_live_and_in_a_record(mind: tacit.Mind) -> None:
    steps = [{"tool": "t"}] * SMALL.steps_per_episode
    episode = mind.episode("live")
    for step in steps:
        episode.step(**step)
    before = kinds_of(mind)
    with pytest.raises(tacit.LimitExceeded, match="steps_per_episode"):
        episode.step(tool="one more")
    mind.record({"task": {"description": "whole"}, "steps": steps})
    with pytest.raises(tacit.LimitExceeded, match="steps_per_episode"):
        mind.record({"task": {"description": "whole"}, "steps": [*steps, {"tool": "one more"}]})
    assert kinds_of(mind) == [*before, "episode.recorded"]
    episode.complete("success")
    assert len(mind.get(episode.id).steps) == SMALL.steps_per_episode


def test_of_a_batch_of_buffered_steps_that_does_not_fit_as_many_are_written_as_do_and_the_rest_is_told_once() -> None:
    mind = open_mind(MEMORY, consumers__enabled=False, **settable(SMALL))
    episode = mind.episode("buffered", buffered=True)
    for _ in range(SMALL.steps_per_episode + 1):
        episode.step(tool="t")
    with pytest.raises(tacit.LimitExceeded):
        episode.flush()
    assert kinds_of(mind).count("step.logged") == SMALL.steps_per_episode
    episode.flush()
    mind.close()


def test_the_size_of_an_event_counts_its_canonical_bytes(mind: tacit.Mind) -> None:
    def outcome(size: int) -> dict[str, Any]:
        return {"outcome": {"details": {"k": of_size(size)}, "kind": "failure"}}

    room = SMALL.event_bytes - len(json.dumps(outcome(0), separators=(",", ":")))
    mind.episode("fits").complete("failure", details=outcome(room)["outcome"]["details"])
    before, episode = kinds_of(mind), mind.episode("does not fit")
    with pytest.raises(tacit.LimitExceeded, match=r"limits\.event_bytes"):
        episode.complete("failure", details=outcome(room + 1)["outcome"]["details"])
    assert kinds_of(mind) == [*before, "episode.started"]


@pytest.mark.parametrize("kind", ["live", "record"])
def test_the_steps_of_an_episode_are_limited_in_all(kind: str) -> None:
    """The bytes of steps add up; one step alone stays below every other limit."""
    limits = Limits(episode_bytes=10_000, observation_bytes=4_000, event_bytes=1_000_000)
    step = {"tool": "t", "observation": of_size(3_900, "é")}
    with open_mind(MEMORY, consumers__enabled=False, **settable(limits)) as mind:
        if kind == "record":
            mind.record({"task": {"description": "two fit"}, "steps": [step] * 2})
            with pytest.raises(tacit.LimitExceeded, match="episode_bytes"):
                mind.record({"task": {"description": "three do not"}, "steps": [step] * 3})
            assert kinds_of(mind) == ["mind.created", "episode.recorded"]
            return
        episode = mind.episode("two fit")
        episode.step(**step)
        episode.step(**step)
        with pytest.raises(tacit.LimitExceeded, match="episode_bytes"):
            episode.step(**step)
        episode.step(tool="small")
        assert len(mind.get(episode.id).steps) == 3


def test_keys_are_limited(mind: tacit.Mind) -> None:
    mind.episode("fits", key=of_size(SMALL.name_bytes, "é"))
    for key in (of_size(SMALL.name_bytes + 1), "", " "):
        with pytest.raises(tacit.InvalidInput, match="key"):
            mind.episode("does not", key=key)
    assert kinds_of(mind) == ["mind.created", "episode.started"]


def test_updates_tags_and_checkpoints_keep_the_same_limits(mind: tacit.Mind) -> None:
    episode = mind.episode("d", tags=["a", "b"])
    calls: list[Callable[[], object]] = [
        lambda: mind.update(episode.id, description=of_size(SMALL.description_bytes + 1)),
        lambda: mind.update(episode.id, domain=of_size(SMALL.name_bytes + 1)),
        lambda: mind.update(episode.id, add_tags=["c", "d"]),
        lambda: mind.update(episode.id, metadata={"k": NAN}),
        lambda: mind.update(episode.id, unknown=1),
        lambda: episode.tag(of_size(SMALL.name_bytes + 1)),
        lambda: episode.checkpoint("a\x00b"),
        lambda: episode.checkpoint(state=nested(40)),
        lambda: episode.checkpoint(state={"k": of_size(SMALL.event_bytes)}),
    ]
    before = kinds_of(mind)
    for number, call in enumerate(calls):
        with pytest.raises(tacit.InvalidInput):
            raise AssertionError(f"call {number} returned {call()!r}")
    assert kinds_of(mind) == before


UNFIT = [
    ("task.description", "x" * 41),
    ("step.observation", "é" * 26),
    ("step.observation", "a\x00b"),
    ("step.tokens", -1),
]


@pytest.mark.parametrize(("field", "value"), UNFIT)
def test_an_import_that_may_not_shorten_lists_what_does_not_fit_and_stores_the_rest(
    tmp_path: Path, field: str, value: Any
) -> None:
    lines = [record_with("task.domain", "good"), record_with(field, value), record_with("task.domain", "fine")]
    path = tmp_path / "traces.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    limits = settable(msgspec.structs.replace(SMALL, name_bytes=DEFAULT_LIMITS.name_bytes))  # an import makes long keys
    with open_mind(MEMORY, consumers__enabled=False, **limits) as mind:
        report = mind.ingest(path, format="jsonl", fit="refuse")
        assert (report.imported, report.skipped, len(report.rejected)) == (2, 0, 1)
        assert report.rejected[0].location == "line 2"
        assert sorted(summary.domain for summary in mind.episodes()) == ["fine", "good"]
        assert kinds_of(mind) == ["mind.created", "episode.recorded", "episode.recorded"]


def test_the_defaults_are_those_that_the_requirements_state() -> None:
    defaults = DEFAULT_LIMITS
    assert (defaults.description_bytes, defaults.observation_bytes) == (10_000, 10_000)
    assert (defaults.steps_per_episode, defaults.artifact_bytes) == (1_000, 1_000_000)
    assert (defaults.event_bytes, defaults.episode_bytes) == (10_000_000, 10_000_000)


def test_the_default_limits_hold_at_their_full_size() -> None:
    with open_mind(MEMORY, consumers__enabled=False) as mind:
        episode = mind.episode(of_size(10_000, "é"))
        for _ in range(999):
            episode.step(tool="t")
        episode.step(observation=of_size(10_000, "中"))
        with pytest.raises(tacit.LimitExceeded):
            episode.step(tool="one more")
        episode.complete("success", artifacts=[{"name": "large", "content": of_size(1_000_000)}])
        with pytest.raises(tacit.LimitExceeded):
            mind.episode(of_size(10_001))
        with pytest.raises(tacit.LimitExceeded):
            mind.episode("d").complete("success", artifacts=[{"name": "n", "content": of_size(1_000_001)}])
        assert len(mind.get(episode.id).steps) == 1_000
