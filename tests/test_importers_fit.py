"""What is over the limits is refused, truncated with a mark, or split, as told; never silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.experience.entrance import check_record
from tacit.experience.episode import Artifact, Outcome, Record, Step, Task
from tacit.experience.importers import Imported, ImportOptions, Rejected, importer_for, line_of
from tacit.experience.importers.shorten import shorten
from tacit.experience.limits import Limits

pytestmark = pytest.mark.requirement("JR-10", "EP-07")

SMALL = Limits(
    description_bytes=100,
    observation_bytes=80,
    artifact_bytes=120,
    steps_per_episode=3,
    text_bytes=60,
    name_bytes=120,
    tags_per_episode=2,
    json_depth=3,
)


def import_one(folder: Path, record: Record, **options: Any) -> list[Imported | Rejected]:
    path = folder / "records.jsonl"
    path.write_bytes(line_of(record))
    return list(importer_for("jsonl", path).read(path, ImportOptions(**options)))


def accepted(folder: Path, record: Record, **options: Any) -> Imported:
    (result,) = import_one(folder, record, **options)
    assert isinstance(result, Imported), result
    check_record(result.record, options.get("limits", SMALL))
    return result


def full(size: int, character: str = "x") -> dict[str, Record]:
    """A record for each bounded text, with that text ``size`` characters long."""
    text = character * size
    task = Task(description="d")
    return {
        "description": Record(task=Task(description=text), key="k"),
        "task_type": Record(task=Task(description="d", task_type=text), key="k"),
        "tag": Record(task=Task(description="d", tags=(text,)), key="k"),
        "tool": Record(task=task, steps=(Step(tool=text),), key="k"),
        "action": Record(task=task, steps=(Step(action=text),), key="k"),
        "thought": Record(task=task, steps=(Step(thought=text),), key="k"),
        "error": Record(task=task, steps=(Step(tool="t", error=text),), key="k"),
        "observation": Record(task=task, steps=(Step(observation=text),), key="k"),
        "reason": Record(task=task, outcome=Outcome(kind="failure", reason=text), key="k"),
        "verdict": Record(task=task, outcome=Outcome(kind="success", verdict=text), key="k"),
        "artifact": Record(
            task=task, outcome=Outcome(kind="success", artifacts=(Artifact(name="a", content=text),)), key="k"
        ),
    }


BOUNDS = {
    "description": 100,
    "task_type": 120,
    "tag": 120,
    "tool": 120,
    "action": 60,
    "thought": 60,
    "error": 60,
    "observation": 80,
    "reason": 60,
    "verdict": 60,
    "artifact": 120,
}


@pytest.mark.parametrize("field", sorted(BOUNDS))
def test_a_text_at_its_limit_passes_untouched_and_one_more_byte_is_refused_or_marked(
    tmp_path: Path, field: str
) -> None:
    at, over = full(BOUNDS[field])[field], full(BOUNDS[field] + 1)[field]
    for fit in ("refuse", "truncate", "split"):
        assert accepted(tmp_path, at, fit=fit, limits=SMALL) == Imported(at, "line 1", 0)
    (refused,) = import_one(tmp_path, over, fit="refuse", limits=SMALL)
    assert isinstance(refused, Rejected)
    assert f"{BOUNDS[field]:,}" in refused.reason
    for fit in ("truncate", "split"):
        result = accepted(tmp_path, over, fit=fit, limits=SMALL)
        assert result.shortened == 1
        assert "… [shortened by " in line_of(result.record).decode()


@pytest.mark.parametrize("field", sorted(BOUNDS))
def test_sizes_are_counted_in_bytes_and_no_character_is_cut_in_two(tmp_path: Path, field: str) -> None:
    fits = BOUNDS[field] // 4
    assert accepted(tmp_path, full(fits, "😀")[field], limits=SMALL).shortened == 0
    result = accepted(tmp_path, full(fits + 1, "😀")[field], limits=SMALL)
    assert result.shortened == 1
    assert "�" not in line_of(result.record).decode()


@given(text=st.text(max_size=300), limit=st.integers(0, 200))
def test_a_shortened_text_fits_begins_like_the_whole_and_says_how_much_is_missing(text: str, limit: int) -> None:
    short = shorten(text, limit)
    size = len(text.encode())
    assert len(short.encode()) <= limit
    if size <= limit:
        assert short == text
    elif limit >= 40:
        kept, mark = short.rsplit("… [shortened by ", 1)
        assert text.startswith(kept)
        assert int(mark.removesuffix(" bytes]").replace(",", "")) == size - len(kept.encode())


def steps(count: int) -> tuple[Step, ...]:
    return tuple(Step(tool=f"t{number}") for number in range(count))


def test_an_episode_with_the_most_steps_is_left_whole(tmp_path: Path) -> None:
    record = Record(task=Task(description="d"), steps=steps(3), key="k")
    for fit in ("refuse", "truncate", "split"):
        assert accepted(tmp_path, record, fit=fit, limits=SMALL) == Imported(record, "line 1", 0)


def test_too_many_steps_are_refused_truncated_or_split_as_told(tmp_path: Path) -> None:
    outcome = Outcome(kind="success", score=1.0)
    record = Record(task=Task(description="d"), steps=steps(7), outcome=outcome, ended_at=5, key="k")
    (refused,) = import_one(tmp_path, record, fit="refuse", limits=SMALL)
    assert isinstance(refused, Rejected)
    assert "7 steps" in refused.reason
    cut = accepted(tmp_path, record, fit="truncate", limits=SMALL)
    assert cut.record.steps == steps(7)[:3]
    assert cut.record.outcome == outcome
    assert cut.record.task.metadata == {"shortened": "… [shortened by 4 steps]"}
    assert cut.shortened == 1
    parts = [part for part in import_one(tmp_path, record, fit="split", limits=SMALL) if isinstance(part, Imported)]
    assert sum((part.record.steps for part in parts), ()) == steps(7)
    assert [part.record.task.metadata for part in parts] == [
        {"part": number, "parts": 3, "part_of": "k"} for number in (1, 2, 3)
    ]
    assert [part.record.outcome for part in parts] == [None, None, outcome]
    assert [part.record.key for part in parts] == ["k/1", "k/2", "k/3"]
    assert [part.shortened for part in parts] == [0, 0, 0]


def test_an_episode_with_too_many_bytes_is_split_or_truncated_too(tmp_path: Path) -> None:
    limits = Limits(episode_bytes=2_000)
    record = Record(task=Task(description="d"), steps=tuple(Step(action="x" * 300) for _ in range(10)), key="k")
    parts = [part for part in import_one(tmp_path, record, fit="split", limits=limits) if isinstance(part, Imported)]
    assert len(parts) > 1
    assert sum((part.record.steps for part in parts), ()) == record.steps
    assert all(len(line_of(part.record)) <= 2_000 for part in parts)
    cut = accepted(tmp_path, record, fit="truncate", limits=limits)
    assert len(line_of(cut.record)) <= 2_000
    assert cut.shortened == 1
    for fit in ("split", "truncate"):
        (refused,) = import_one(tmp_path, Record(task=Task(description="x" * 3_000), key="k"), fit=fit, limits=limits)
        assert isinstance(refused, Rejected)


def test_parameters_that_make_an_event_too_large_give_way_to_their_beginning(tmp_path: Path) -> None:
    limits = Limits(event_bytes=3_000, text_bytes=200)
    record = Record(task=Task(description="d"), steps=(Step(tool="t", parameters={"body": "x" * 4_000}),), key="k")
    result = accepted(tmp_path, record, limits=limits)
    assert result.shortened == 1
    (text,) = result.record.steps[0].parameters.values()
    assert text.startswith('{"body":"xxx')
    assert text.endswith(" bytes]")


def test_json_that_is_nested_too_deeply_keeps_its_depths_as_text(tmp_path: Path) -> None:
    at, over = {"a": {"b": {"c": 1}}}, {"a": {"b": {"c": {"d": 1}}}}
    for field in ("parameters", "observation", "metadata"):
        flat = Record(task=Task(description="d"), steps=(Step(**{"tool": "t", field: at}),), key="k")
        assert accepted(tmp_path, flat, fit="refuse", limits=SMALL).record == flat
        deep = Record(task=Task(description="d"), steps=(Step(**{"tool": "t", field: over}),), key="k")
        assert isinstance(import_one(tmp_path, deep, fit="refuse", limits=SMALL)[0], Rejected)
        result = accepted(tmp_path, deep, limits=SMALL)
        assert getattr(result.record.steps[0], field) == {"a": {"b": {"c": '{"d":1}'}}}
        assert result.shortened == 1


def test_a_structured_observation_that_is_too_large_becomes_marked_text(tmp_path: Path) -> None:
    record = Record(task=Task(description="d"), steps=(Step(observation=["word"] * 40),), key="k")
    result = accepted(tmp_path, record, limits=SMALL)
    assert result.record.steps[0].observation.startswith('["word","word"')
    assert result.record.steps[0].observation.endswith(" bytes]")
    assert result.shortened == 1


def test_too_many_tags_leave_a_mark(tmp_path: Path) -> None:
    result = accepted(tmp_path, Record(task=Task(description="d", tags=("a", "b", "c")), key="k"), limits=SMALL)
    assert result.record.task.tags == ("a", "… [shortened by 2 tags]")
    assert result.shortened == 1


def test_control_characters_and_huge_integers_are_replaced_and_counted_or_refused(tmp_path: Path) -> None:
    step = Step(tool="t", observation="a\x00b\x1bc\td\n", parameters={"n": 2**60, "k\x07": 2**53 - 1})
    record = Record(task=Task(description="d"), steps=(step,), key="k")
    result = accepted(tmp_path, record)
    assert result.record.steps[0].observation == "a�b�c\td\n"
    assert result.record.steps[0].parameters == {"n": str(2**60), "k�": 2**53 - 1}
    assert result.shortened == 3
    assert isinstance(import_one(tmp_path, record, fit="refuse")[0], Rejected)
