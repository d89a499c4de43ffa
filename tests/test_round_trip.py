"""All that is said about an attempt comes back as it went in, whichever way it came: live, whole, or by import; and so
does all that is remembered."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tacit
from tacit.clock import from_micros
from tacit.experience.importers import line_of, record_of
from tacit.experience.memory.memory import MEMORY_KINDS, Said, said_of
from tacit.stores.sqlite import MEMORY
from trials import open_mind

pytestmark = pytest.mark.requirement("EP-02")

SECOND = 1_000_000
START = 1_767_225_600 * SECOND

CONTROL = "".join(chr(code) for code in range(32) if chr(code) not in "\t\n\r")
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters=CONTROL)
TEXT = st.text(CHARACTERS, max_size=20)
WORDS = TEXT.filter(str.strip)
MOMENTS = st.integers(-START, 2 * START)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
SHARES = st.none() | st.floats(0, 1)

TASKS = st.builds(
    tacit.Task,
    description=WORDS,
    task_type=TEXT,
    domain=TEXT,
    language=TEXT,
    framework=TEXT,
    complexity=SHARES,
    tags=st.lists(WORDS, max_size=3, unique=True).map(tuple),
    metadata=OBJECTS,
    agent=TEXT,
    source_id=TEXT,
)
STEPS = st.builds(
    tacit.Step,
    tool=TEXT,
    action=TEXT,
    parameters=OBJECTS,
    observation=JSON,
    status=st.sampled_from(["success", "error", "timeout", None]),
    error=TEXT,
    thought=WORDS,
    latency_ms=st.none() | st.floats(0, 1e9),
    tokens=st.none() | st.integers(0, 10**9),
    occurred_at=MOMENTS,
    metadata=OBJECTS,
)
ARTIFACTS = st.builds(tacit.Artifact, name=TEXT, content=TEXT, uri=TEXT, media_type=TEXT)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
COMMON: dict[str, Any] = {
    "score": SHARES,
    "verdict": TEXT,
    "details": OBJECTS,
    "artifacts": st.lists(ARTIFACTS, max_size=2).map(tuple),
}
OUTCOMES = st.one_of(
    st.builds(tacit.Outcome, kind=st.just("success"), **COMMON),
    st.builds(tacit.Outcome, kind=st.just("partial"), done=TEXTS, failed=TEXTS, **COMMON),
    st.builds(tacit.Outcome, kind=st.just("failure"), reason=TEXT, **COMMON),
    st.builds(tacit.Outcome, kind=st.just("abstained"), reason=TEXT, signals=TEXTS, **COMMON),
)


@st.composite
def records(draw: st.DrawFn) -> tacit.Record:
    """A whole attempt in which every field may be set."""
    outcome = draw(st.none() | OUTCOMES)
    started_at = draw(MOMENTS)
    return tacit.Record(
        task=draw(TASKS),
        steps=tuple(draw(st.lists(STEPS, max_size=4))),
        outcome=outcome,
        started_at=started_at,
        ended_at=None if outcome is None else started_at + draw(st.integers(0, 10**12)),
    )


FULL = tacit.Record(
    task=tacit.Task(
        description="Rebook flight HAT136 — “ганс”, 旅行 🛫",
        task_type="support",
        domain="airline",
        language="python",
        framework="langgraph",
        complexity=0.25,
        tags=("seat", "größe"),
        metadata={"nested": {"list": [1, 2.5, None, True, "x"]}, "": 0},
        agent="assistant-7",
        source_id="trace/17",
    ),
    steps=(
        tacit.Step(
            tool="search",
            action="find the booking",
            parameters={"q": "HAT136", "limit": 10},
            observation={"found": [{"seat": "14C"}]},
            status="success",
            thought="first look it up",
            latency_ms=40.5,
            tokens=321,
            occurred_at=START + SECOND,
            metadata={"span": "a1"},
        ),
        tacit.Step(tool="pay", status="timeout", error="no answer\tin time\n", occurred_at=START + 2 * SECOND),
        tacit.Step(thought="give up", observation=[], occurred_at=START + 3 * SECOND),
    ),
    outcome=tacit.Outcome(
        kind="partial",
        score=0.5,
        verdict="found, not rebooked",
        details={"tried": 2},
        done=("found",),
        failed=("rebook", "refund"),
        artifacts=(tacit.Artifact(name="log", content="…", uri="file:///log", media_type="text/x-log"),),
    ),
    started_at=START,
    ended_at=START + 10 * SECOND,
)
"""Every field is set to something, but for what is known only later and what excludes each other."""


def live(mind: tacit.Mind, record: tacit.Record) -> str:
    """The attempt as an agent would live through it; its id."""
    assert record.started_at is not None
    episode = mind.episode(**fields(record.task), started_at=from_micros(record.started_at))
    for step in record.steps:
        episode.step(**fields(step))
    if record.outcome is not None:
        episode.complete(**fields(record.outcome), ended_at=record.ended_at)
    return episode.id


def fields(data: msgspec.Struct | None) -> dict[str, Any]:
    assert data is not None
    return {name: getattr(data, name) for name in data.__struct_fields__}


def imported(mind: tacit.Mind, record: tacit.Record) -> str:
    """The attempt as a line of JSON; its id."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "record.jsonl"
        path.write_bytes(line_of(record))
        report = mind.ingest(path, format="jsonl", fit="refuse")
    assert (report.imported, report.rejected, report.shortened) == (1, [], 0)
    (summary,) = mind.episodes()
    return summary.id


def read_back(way: Any, record: tacit.Record) -> tacit.Record:
    """What a fresh mind says of an attempt that came to it that way, without the id that it got there."""
    with open_mind(MEMORY, masking__enabled=False, consumers__enabled=False) as mind:
        episode = mind.get(way(mind, record))
        return msgspec.structs.replace(record_of(episode), id="")


WAYS = [live, tacit.Mind.record, imported]


@pytest.mark.requirement("EP-01")
@pytest.mark.parametrize("way", WAYS, ids=["live", "record", "import"])
def test_every_field_comes_back_whichever_way_it_came(way: Any) -> None:
    parts = (FULL, FULL.task, FULL.steps[0], FULL.outcome)
    left = {name for part in parts for name, value in fields(part).items() if value in ("", (), {}, None)}
    assert left == {"id", "key", "relations", "error", "reason", "signals"}, "everything else is set to something"
    assert read_back(way, FULL) == FULL


@pytest.mark.requirement("EP-01", "QU-02")
@pytest.mark.parametrize("way", WAYS, ids=["live", "record", "import"])
@settings(max_examples=60)
@given(record=records())
def test_any_attempt_comes_back_as_it_went_in(way: Any, record: tacit.Record) -> None:
    assert read_back(way, record) == record


@settings(max_examples=25)
@given(found=st.lists(records(), max_size=3))
def test_an_export_brings_everything_into_another_store_and_twice_is_once(found: list[tacit.Record]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "export.jsonl"
        with open_mind(MEMORY, masking__enabled=False, consumers__enabled=False) as mind:
            ids = [way(mind, record) for way, record in zip([live, tacit.Mind.record] * 2, found, strict=False)]
            for id in ids[1:]:
                mind.relate(ids[0], "refers", id)
            assert mind.export(path) == len(found)
            before = {episode.id: record_of(episode) for episode in mind.all_episodes()}
        with open_mind(MEMORY, masking__enabled=False, consumers__enabled=False) as other:
            assert other.ingest(path, fit="refuse", format="jsonl").imported == len(found)
            assert {episode.id: record_of(episode) for episode in other.all_episodes()} == before
            again = other.ingest(path, fit="refuse", format="jsonl")
            assert (again.imported, again.skipped, again.rejected) == (0, len(found), [])
            assert {episode.id: record_of(episode) for episode in other.all_episodes()} == before


@st.composite
def all_said(draw: st.DrawFn) -> Said:
    """Something to be remembered in which every field may be set."""
    begins, ends = sorted((draw(MOMENTS), draw(MOMENTS) + 1))
    return Said(
        text=draw(WORDS),
        kind=draw(st.sampled_from(MEMORY_KINDS)),  # type: ignore[arg-type]
        user=draw(TEXT),
        session=draw(TEXT),
        agent=draw(TEXT),
        speaker=draw(TEXT),
        subject=draw(TEXT),
        source_id=draw(TEXT),
        occurred_at=draw(st.none() | MOMENTS),
        valid_from=draw(st.none() | st.just(begins)),
        valid_to=draw(st.none() | st.just(max(ends, begins + 1))),
        importance=draw(st.none() | st.integers(0, 1_000_000).map(lambda parts: parts / 1_000_000)),
        metadata=draw(OBJECTS),
    )


def kept(mind: tacit.Mind) -> list[tuple[str, datetime, Said]]:
    """What is remembered, with the time that counts for it, which is told from now on if it was not before."""
    return [(one.id, one.when, msgspec.structs.replace(said_of(one), occurred_at=None)) for one in mind.all_memories()]


@pytest.mark.requirement("RE-01", "EP-07", "QU-02")
@settings(max_examples=60)
@given(found=st.lists(all_said(), max_size=4), episodes=st.lists(records(), max_size=1))
def test_what_is_remembered_comes_back_from_an_export_under_its_id_and_twice_is_once(
    found: list[Said], episodes: list[tacit.Record]
) -> None:
    with TemporaryDirectory() as folder:
        path, second = Path(folder) / "export.jsonl", Path(folder) / "second.jsonl"
        with open_mind(MEMORY, masking__enabled=False, consumers__enabled=False) as mind:
            mind.remember_many(found)
            for record in episodes:
                mind.record(record)
            before = kept(mind)
            assert mind.export(path) == len(before) + len(episodes)
        with open_mind(MEMORY, masking__enabled=False, consumers__enabled=False) as other:
            report = other.ingest(path, fit="refuse", format="jsonl")
            assert (report.memories, report.imported, report.rejected) == (len(before), len(episodes), [])
            assert kept(other) == before
            again = other.ingest(path, fit="refuse", format="jsonl")
            assert (again.memories, again.imported, again.corrected, again.skipped) == (
                0,
                0,
                0,
                report.memories + len(episodes),
            )
            assert kept(other) == before
            other.export(second)
        with open_mind(MEMORY, masking__enabled=False, consumers__enabled=False) as third:
            alone = third.import_memories(second, fit="refuse", format="jsonl")
            assert (alone.imported, len(alone.rejected)) == (len(before), len(episodes))
            assert [each.id for each in third.all_memories()] == [id for id, _, _ in before]


@pytest.mark.requirement("RE-01", "JR-06")
def test_an_export_holds_what_is_remembered_now_and_an_old_one_undoes_no_correction(tmp_path: Path) -> None:
    with open_mind(MEMORY) as mind:
        wrong, gone = mind.remember("window"), mind.remember("drop")
        mind.export(tmp_path / "old.jsonl")
        mind.correct(wrong.id, "aisle")
        mind.forget(gone.id)
        assert mind.export(tmp_path / "new.jsonl") == 1
        assert "window" not in (tmp_path / "new.jsonl").read_text(encoding="utf-8")
        report = mind.ingest(tmp_path / "old.jsonl")
        assert (report.memories, report.corrected, report.skipped) == (0, 0, 2)
        assert [one.text for one in mind.all_memories()] == ["aisle"]


@pytest.mark.requirement("EP-07")
def test_an_export_of_before_there_were_memories_still_reads(tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_bytes(line_of(FULL))
    with open_mind(MEMORY) as mind:
        report = mind.ingest(path)
        assert (report.imported, report.memories, report.rejected) == (1, 0, [])


def test_a_step_without_a_time_gets_the_time_of_its_writing() -> None:
    with open_mind(MEMORY) as mind:
        episode = mind.episode("d")
        episode.step(tool="t")
        (step,) = mind.get(episode.id).steps
        assert step.occurred_at is not None
        assert mind.get(episode.id).started_at_micros <= step.occurred_at


def test_success_is_short_for_a_status() -> None:
    with open_mind(MEMORY) as mind:
        episode = mind.episode("d")
        for success in (True, False, None):
            episode.step(tool="t", success=success)
        episode.step(tool="t", status="timeout", success=False)
        assert [step.status for step in mind.get(episode.id).steps] == ["success", "error", None, "timeout"]


@pytest.mark.requirement("EP-06")
def test_a_record_brings_its_own_relations_all_or_none() -> None:
    with open_mind(MEMORY) as mind:
        target = mind.record({"task": {"description": "target"}})
        own = "0190b7c2-6e1f-7a52-9d3c-000000000001"
        relation = {"kind": "follows", "episode": own, "target": target}
        given: dict[str, Any] = {"task": {"description": "own"}, "id": own, "relations": [relation]}
        assert mind.record(given) == mind.record(given) == own
        assert mind.get(own).relations == (tacit.Relation(kind="follows", episode=own, target=target),)
        stranger = {**given, "id": "0190b7c2-6e1f-7a52-9d3c-000000000002"}
        with pytest.raises(tacit.InvalidInput, match="its own"):
            mind.record(stranger)
        lost = {**relation, "episode": stranger["id"], "target": stranger["id"][:-1] + "9"}
        with pytest.raises(tacit.NotFound):
            mind.record({**stranger, "relations": [lost]})
        assert len(mind.episodes()) == 2
