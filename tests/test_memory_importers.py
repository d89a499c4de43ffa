"""Chat logs, conversations of many sessions and lines of JSON become memories: each once, whole, and under its name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tacit
from tacit.clock import parse_time
from tacit.errors import InvalidInput, NotFound
from tacit.experience.importers import ImportedMemory
from tacit.experience.importers.fit_memory import fit_memory
from tacit.experience.limits import DEFAULT_LIMITS, Limits
from tacit.experience.memory.memory import Said
from tacit.stores.sqlite import MEMORY
from trials import open_mind

pytestmark = pytest.mark.requirement("RE-01")

LOCOMO: dict[str, Any] = {
    "qa": [{"question": "Where does Ana live?", "answer": "Oslo", "evidence": ["D1:2"], "category": 4}],
    "conversation": {
        "speaker_a": "Ana",
        "speaker_b": "Bo",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Bo", "dia_id": "D1:1", "text": "Where do you live?"},
            {"speaker": "Ana", "dia_id": "D1:2", "text": "In Oslo.", "blip_caption": "a photo of a fjord"},
        ],
        "session_2_date_time": "12:09 am on 13 September, 2023",
        "session_2": [{"speaker": "Ana", "dia_id": "D2:1", "text": "私は奥斯陸に住んでいます 🏔"}],
        "session_3_date_time": "3:00 pm on 14 September, 2023",
    },
    "sample_id": "conv-1",
}
CHAT: dict[str, Any] = {
    "conversation_id": "thread_a",
    "user": "alice",
    "created_at": "2026-05-01T10:00:00Z",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "name": "Alice", "content": "Ein Fensterplatz, bitte."},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "seat", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "14A"},
        {"role": "assistant", "content": [{"type": "text", "text": "14A is yours."}, {"type": "tool_use", "id": "2"}]},
        {"role": "user", "content": "Danke", "id": "msg_9", "timestamp": 1_777_629_700},
    ],
}


@pytest.fixture
def mind() -> Iterator[tacit.Mind]:
    with open_mind(MEMORY) as mind:
        yield mind


def write(path: Path, *values: Any) -> Path:
    """A file of lines, or of one document where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values[0]) if path.suffix == ".json" else "".join(json.dumps(value) + "\n" for value in values)
    path.write_text(text, encoding="utf-8")
    return path


def remembered(mind: tacit.Mind, **wanted: Any) -> list[tacit.Memory]:
    """What is remembered, in the order in which it came in."""
    return mind.memories(limit=1_000, **wanted)[::-1]


def texts(mind: tacit.Mind, **wanted: Any) -> list[str]:
    return [memory.text for memory in remembered(mind, **wanted)]


def counts(report: tacit.MemoryImportReport) -> tuple[int, int, int, int]:
    return report.imported, report.corrected, report.skipped, len(report.rejected)


def test_the_turns_of_a_chat_are_remembered_without_system_messages_and_tool_traffic(
    mind: tacit.Mind, tmp_path: Path
) -> None:
    assert counts(mind.import_memories(write(tmp_path / "chat.json", CHAT))) == (3, 0, 0, 0)
    found = remembered(mind)
    assert [(one.speaker, one.text) for one in found] == [
        ("Alice", "Ein Fensterplatz, bitte."), ("assistant", "14A is yours."), ("user", "Danke"),
    ]  # fmt: skip
    assert {(one.kind, one.user, one.session) for one in found} == {("turn", "alice", "thread_a")}
    told = parse_time("2026-05-01T10:00:00Z")
    assert [one.occurred_at_micros for one in found] == [told, told, 1_777_629_700_000_000]
    assert found[2].source_id == "thread_a:msg_9"


def test_a_chat_that_has_grown_brings_in_only_what_is_new(mind: tacit.Mind, tmp_path: Path) -> None:
    grown = {**CHAT, "messages": [*CHAT["messages"], {"role": "assistant", "content": "Guten Flug!"}]}
    mind.import_memories(write(tmp_path / "chat.jsonl", CHAT))
    assert counts(mind.import_memories(write(tmp_path / "chat.jsonl", CHAT, grown))) == (1, 0, 6, 0)
    assert texts(mind)[3:] == ["Guten Flug!"]


def test_chats_without_an_id_of_their_own_are_kept_apart_by_their_content(mind: tacit.Mind, tmp_path: Path) -> None:
    chats = [
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": answer}] for answer in ("Yes?", "Hello!")
    ]
    numbered = [{"id": 1, "messages": chats[0]}, {"id": 1, "messages": chats[1]}]
    path = write(tmp_path / "chats.jsonl", *chats, *numbered)
    assert counts(mind.import_memories(path)) == (4, 0, 4, 0)
    assert texts(mind) == ["Hi", "Yes?", "Hi", "Hello!"]
    assert len({one.session for one in remembered(mind)}) == 2


def test_messages_that_stand_alone_belong_together_by_the_conversation_that_they_name(
    mind: tacit.Mind, tmp_path: Path
) -> None:
    lines = [
        {"role": "user", "content": "one", "session_id": "a"},
        {"role": "user", "content": "two", "session_id": "b"},
        {"role": "assistant", "content": "three", "session_id": "a"},
        {"role": "user", "content": "ok", "session_id": "a"},
        {"role": "user", "content": "ok", "session_id": "a"},
    ]
    assert counts(mind.import_memories(write(tmp_path / "log.jsonl", *lines))) == (5, 0, 0, 0)
    assert texts(mind, session="a") == ["one", "three", "ok", "ok"]
    assert texts(mind, session="b") == ["two"]
    assert counts(mind.import_memories(tmp_path / "log.jsonl")) == (0, 0, 5, 0)


def test_a_conversation_of_many_sessions_keeps_names_times_and_captions(mind: tacit.Mind, tmp_path: Path) -> None:
    assert counts(mind.import_memories(write(tmp_path / "locomo.json", [LOCOMO]))) == (3, 0, 0, 0)
    found = remembered(mind)
    assert [(one.speaker, one.source_id, one.session, one.text) for one in found] == [
        ("Bo", "D1:1", "conv-1/D1", "Where do you live?"),
        ("Ana", "D1:2", "conv-1/D1", "In Oslo. [image: a photo of a fjord]"),
        ("Ana", "D2:1", "conv-1/D2", "私は奥斯陸に住んでいます 🏔"),
    ]
    assert [one.when.isoformat() for one in found[1:]] == ["2023-05-08T13:56:00+00:00", "2023-09-13T00:09:00+00:00"]


def test_conversations_of_one_file_never_mix_and_one_can_be_picked(mind: tacit.Mind, tmp_path: Path) -> None:
    other = {**LOCOMO, "sample_id": "conv-2"}
    path = write(tmp_path / "locomo.json", [LOCOMO, other])
    assert counts(mind.import_memories(path, conversation="conv-2")) == (3, 0, 0, 0)
    assert {(one.user, one.session[:6]) for one in remembered(mind)} == {("conv-2", "conv-2")}
    assert counts(mind.import_memories(path)) == (3, 0, 3, 0)
    assert len(remembered(mind, source_id="D1:1")) == 2
    assert counts(mind.import_memories(path, user="ana")) == (6, 0, 0, 0)
    assert [one.source_id for one in remembered(mind, user="ana")][::3] == ["conv-1/D1:1", "conv-2/D1:1"]
    with pytest.raises(NotFound, match="no conversation 'conv-9'; there are: conv-1, conv-2"):
        mind.import_memories(path, conversation="conv-9")


@pytest.mark.requirement("EP-07")
def test_broken_turns_and_times_are_listed_and_stop_nothing(mind: tacit.Mind, tmp_path: Path) -> None:
    sessions = {
        "session_1_date_time": "sometime in May",
        "session_1": [
            {"speaker": "Ana", "dia_id": "D1:1", "text": "kept"},
            {"speaker": "Ana", "dia_id": "D1:2", "text": ""},
            {"speaker": 7, "dia_id": "D1:3", "text": "lost"},
            "no turn",
            {"speaker": "Bo", "dia_id": "D1:1", "text": "the same id again"},
        ],
        "session_2": "nothing",
    }
    report = mind.import_memories(write(tmp_path / "locomo.json", {"sample_id": "c", "conversation": sessions}))
    assert texts(mind) == ["kept", "the same id again"]
    assert [one.source_id for one in remembered(mind)] == ["D1:1", "D1:1#2"]
    assert [(one.location, one.reason.split(":")[0]) for one in report.rejected] == [
        ("item 1 session_1", "its time 'sometime in May' is not like '1"),
        ("item 1 session_1 turn 2", "a memory needs a text"),
        ("item 1 session_1 turn 3", "speaker should be a text, and is int"),
        ("item 1 session_1 turn 4", "a turn should be a JSON object, and is str"),
        ("item 1 session_2", "a session should be a JSON list, and is str"),
    ]


def test_lines_hold_the_keywords_of_remember_with_times_as_text_or_number(mind: tacit.Mind, tmp_path: Path) -> None:
    full = {
        "text": "מושב חלון", "kind": "preference", "user": "alice", "session": "s", "agent": "desk", "speaker": "Alice",
        "subject": "seat", "source_id": "crm/7", "importance": 0.5, "metadata": {"a": [1, None]},
    }  # fmt: skip
    times = {"occurred_at": "2026-05-01T12:00:00+02:00", "valid_from": 1_777_629_600_000_000}
    report = mind.import_memories(write(tmp_path / "lines.jsonl", {**full, **times}, {"text": "bare"}))
    assert counts(report) == (2, 0, 0, 0)
    first, second = remembered(mind)
    assert {name: getattr(first, name) for name in full} == full
    assert first.occurred_at_micros == first.valid_from_micros == 1_777_629_600_000_000
    assert (second.text, second.kind, second.occurred_at) == ("bare", "note", None)


@pytest.mark.requirement("EP-07", "JR-10")
def test_broken_lines_are_listed_with_their_reasons_and_the_others_remembered(mind: tacit.Mind, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    bad = [
        ('{"text": "cut o', "is not valid JSON"),
        ('{"text": "a", "colour": "red"}', "colour"),
        ('{"text": "a", "occurred_at": "2026-05-01T12:00:00"}', "must have a zone"),
        ('{"text": "a", "occurred_at": "yesterday"}', "is not a time"),
        ('{"text": "a", "occurred_at": 1.5}', "whole microseconds"),
        ('{"text": "a", "kind": "rumour"}', "no kind of memory"),
        ('{"text": "a", "importance": 7}', "not between 0 and 1"),
        ('{"text": ""}', "needs a text"),
        ('{"text": "a", "user": "' + "u" * 300 + '"}', "limits.name_bytes"),
        ("[1]", "should be a JSON object"),
        ('{"memory": {"text": "a"}}', "has an id"),
        ('{"task": {"description": "d"}}', "is an episode"),
        (b'{"text": "\xff"}', "is not valid UTF-8"),
    ]
    lines = [line if isinstance(line, bytes) else line.encode() for line, _ in bad]
    path.write_bytes(b"\n".join([b'{"text": "first"}', *lines, b"", b'{"text": "last"}']))
    report = mind.import_memories(path)
    assert texts(mind) == ["first", "last"]
    assert [one.location for one in report.rejected] == [f"line {number}" for number in range(2, len(bad) + 2)]
    assert [said for one, (_, said) in zip(report.rejected, bad, strict=True) if said not in one.reason] == []


@pytest.mark.requirement("EP-07")
@pytest.mark.parametrize(
    "values",
    [[CHAT], [LOCOMO], [{"text": "a"}, {"text": "a"}, {"text": "a", "source_id": "1"}]],
    ids=["openai-messages", "locomo", "jsonl"],
)
def test_importing_twice_adds_nothing_in_any_format(mind: tacit.Mind, tmp_path: Path, values: list[Any]) -> None:
    path = write(tmp_path / "first.jsonl", *values)
    first = mind.import_memories(path)
    before = remembered(mind)
    assert (len(before), first.rejected) == (first.imported, [])
    again = mind.import_memories(path.rename(tmp_path / "renamed.jsonl"))
    assert counts(again) == (0, 0, first.imported, 0)
    assert remembered(mind) == before


@pytest.mark.requirement("JR-06")
def test_what_was_corrected_or_forgotten_since_stays_so_when_it_is_imported_again(
    mind: tacit.Mind, tmp_path: Path
) -> None:
    lines = [{"text": text, "user": "alice", "source_id": text} for text in ("window", "vegan")]
    path = write(tmp_path / "lines.jsonl", *lines, {"text": "likes jazz"})
    mind.import_memories(path)
    window, vegan, jazz = remembered(mind)
    mind.correct(window.id, "aisle")
    mind.forget(vegan.id, jazz.id)
    assert counts(mind.import_memories(path)) == (0, 0, 3, 0)
    assert texts(mind) == ["aisle"]


def test_a_source_that_says_something_else_corrects_its_memory(mind: tacit.Mind, tmp_path: Path) -> None:
    mind.import_memories(write(tmp_path / "a.jsonl", {"text": "window", "source_id": "crm/7"}))
    (before,) = remembered(mind)
    report = mind.import_memories(write(tmp_path / "a.jsonl", {"text": "aisle", "source_id": "crm/7"}))
    assert counts(report) == (0, 1, 0, 0)
    assert mind.memory(before.id).text == "aisle"
    assert [one.text for one in mind.memory_history(before.id)] == ["window", "aisle"]


@pytest.mark.requirement("EP-07")
def test_a_folder_may_mix_the_formats(mind: tacit.Mind, tmp_path: Path) -> None:
    write(tmp_path / "in" / "chat.json", CHAT)
    write(tmp_path / "in" / "deep" / "locomo.json", [LOCOMO])
    write(tmp_path / "in" / "lines.jsonl", {"text": "a line"})
    write(tmp_path / "in" / "else.json", {"colour": "red"})
    (tmp_path / "in" / "empty.jsonl").touch()
    (tmp_path / "in" / "notes.txt").write_text("not read")
    report = mind.import_memories(tmp_path / "in")
    assert counts(report) == (7, 0, 0, 1)
    assert report.rejected[0].location == "else.json"
    assert counts(mind.import_memories(tmp_path / "in")) == (0, 0, 7, 1)


def test_an_empty_file_a_missing_one_and_an_unknown_format_are_told(mind: tacit.Mind, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InvalidInput, match="is empty"):
        mind.import_memories(tmp_path / "empty.jsonl")
    assert counts(mind.import_memories(tmp_path / "empty.jsonl", format="jsonl")) == (0, 0, 0, 0)
    with pytest.raises(NotFound):
        mind.import_memories(tmp_path / "missing.jsonl")
    with pytest.raises(InvalidInput, match=r"name its format: jsonl .*locomo .*openai-messages"):
        mind.import_memories(write(tmp_path / "else.json", {"colour": "red"}))
    path = write(tmp_path / "a.jsonl", {"text": "a"})
    for wrong, said in (
        ({"format": "csv"}, "no format"),
        ({"fit": "bend"}, "fit is"),
        ({"kind": "rumour"}, "no kind of memory"),
        ({"user": 5}, "must be a text"),
        ({"user": "u" * 300}, "limits.name_bytes"),
        ({"progress": 5}, "must be a function"),
    ):
        with pytest.raises(InvalidInput, match=said):
            mind.import_memories(path, **wrong)  # type: ignore[arg-type]
    assert remembered(mind) == []


@pytest.mark.requirement("JR-10", "EP-07")
@pytest.mark.parametrize("text", ["word " * 5_000, "語" * 9_000, "x" * 30_000, "line\n" * 6_000])
def test_a_huge_text_is_truncated_with_a_mark_split_or_refused_as_told(
    mind: tacit.Mind, tmp_path: Path, text: str
) -> None:
    path = write(tmp_path / "long.jsonl", {"text": text, "source_id": "long", "subject": "s"})
    report = mind.import_memories(path, fit="refuse")
    assert counts(report) == (0, 0, 0, 1)
    assert "fit='truncate'" in report.rejected[0].reason
    assert mind.import_memories(path, user="cut").shortened == 1
    (cut,) = remembered(mind, user="cut")
    assert len(cut.text.encode()) <= DEFAULT_LIMITS.memory_bytes
    assert "… [shortened by " in cut.text
    report = mind.import_memories(path, user="split", fit="split")
    parts = remembered(mind, user="split")
    assert (report.imported, report.shortened, len(parts) > 1) == (len(parts), 1, True)
    assert "".join("".join(part.text.split()) for part in parts) == "".join(text.split())
    assert [part.source_id for part in parts] == [f"long/{number}" for number in range(1, len(parts) + 1)]
    assert [part.metadata for part in parts] == [
        {"part": number, "parts": len(parts)} for number in range(1, len(parts) + 1)
    ]
    assert counts(mind.import_memories(path, user="split", fit="split")) == (0, 0, len(parts), 0)


@pytest.mark.requirement("JR-10", "QU-02")
@given(
    text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300).filter(str.strip),
    spaces=st.lists(st.integers(0, 300), max_size=20),
    limit=st.integers(4, 120),
)
def test_a_text_that_is_split_loses_nothing_but_space_and_no_part_is_over_the_limit(
    text: str, spaces: list[int], limit: int
) -> None:
    for place in spaces:
        text = f"{text[:place]} {text[place:]}"
    limits = Limits(memory_bytes=limit)
    whole = ImportedMemory(Said(text=text, source_id="s"), "line 1", key="k")
    parts = list(fit_memory(whole, limits, "split"))
    assert all(len(part.said.text.encode()) <= limit for part in parts)
    assert "".join("".join(part.said.text.split()) for part in parts) == "".join(text.split())
    assert len({(part.key, part.said.source_id) for part in parts}) == len(parts)
    (cut,) = fit_memory(whole, limits, "truncate")
    assert len(cut.said.text.encode()) <= limit


@pytest.mark.requirement("JR-10")
def test_control_characters_and_deep_metadata_are_replaced_or_refused_as_told(mind: tacit.Mind, tmp_path: Path) -> None:
    deep: Any = "core"
    for _ in range(40):
        deep = [deep]
    path = write(tmp_path / "a.jsonl", {"text": "\x1b[31mred\x00"}, {"text": "deep", "metadata": {"deep": deep}})
    assert [one.location for one in mind.import_memories(path, fit="refuse").rejected] == ["line 1", "line 2"]
    assert mind.import_memories(path).shortened == 2
    assert texts(mind) == ["�[31mred�", "deep"]
    assert "core" in str(remembered(mind)[1].metadata)


def test_names_that_are_too_long_are_refused_and_never_shortened_into_each_other(
    mind: tacit.Mind, tmp_path: Path
) -> None:
    long = ["a" * 300 + ending for ending in "xy"]
    report = mind.import_memories(write(tmp_path / "a.jsonl", *({"text": "secret", "user": user} for user in long)))
    assert counts(report) == (0, 0, 0, 2)
    chats = [{"session_id": name, "messages": [{"role": "user", "content": "hello"}]} for name in long]
    assert counts(mind.import_memories(write(tmp_path / "b.jsonl", *chats))) == (2, 0, 0, 0)
    assert len({one.session for one in remembered(mind)}) == 2


def test_what_is_given_holds_for_every_memory_and_progress_is_told(mind: tacit.Mind, tmp_path: Path) -> None:
    told: list[int] = []
    mind.import_memories(
        write(tmp_path / "chat.json", CHAT), user="bob", session="s", agent="desk", kind="note", progress=told.append
    )
    assert {(one.user, one.session, one.agent, one.kind) for one in remembered(mind)} == {("bob", "s", "desk", "note")}
    assert told == [1, 2, 3]


@pytest.mark.requirement("JR-18")
def test_a_secret_in_a_chat_is_masked_and_counted(mind: tacit.Mind, tmp_path: Path) -> None:
    key = "sk-proj-" + "Ab3dEf6hIj9lMn2pQr5tUv8xYz1bCd4fGh7jKl0nOp3r"
    path = write(tmp_path / "chat.json", [{"role": "user", "content": f"my key is {key}"}])
    assert mind.import_memories(path).masked == 1
    assert key not in texts(mind)[0]
    assert counts(mind.import_memories(path)) == (0, 0, 1, 0)


@pytest.mark.requirement("EP-07", "JR-07")
@pytest.mark.parametrize("place", ["file", "postgres"])
def test_two_imports_at_once_from_two_openings_of_a_store_remember_each_thing_once(
    request: pytest.FixtureRequest, tmp_path: Path, place: str
) -> None:
    location = tmp_path / "store.db" if place == "file" else request.getfixturevalue("postgres_url")
    sources = [{"text": f"fact {number}", "source_id": f"s{number}"} for number in range(300)]
    files = [  # the second tells half of it otherwise, and names nothing in the other half
        write(tmp_path / "a.jsonl", *sources, *({"text": f"note {number}"} for number in range(300))),
        write(
            tmp_path / "b.jsonl",
            *({**each, "text": each["text"].upper()} for each in sources[::-1]),
            *({"text": f"note {number}"} for number in range(300)),
        ),
    ]
    with open_mind(location) as one, open_mind(location) as two, ThreadPoolExecutor(2) as threads:
        calls = [
            threads.submit(mind.import_memories, path, format="jsonl")
            for mind, path in zip((one, two), files, strict=True)
        ]
        reports = [call.result(timeout=60) for call in calls]
        found = remembered(one)
    assert [report.rejected for report in reports] == [[], []]
    assert sorted(memory.source_id for memory in found if memory.source_id) == sorted(
        str(each["source_id"]) for each in sources
    )
    assert len(found) == 600
    assert sum(report.imported for report in reports) == 600


BENCH = os.environ.get("TACIT_BENCH_DATA")


@pytest.mark.requirement("EP-07")
@pytest.mark.skipif(BENCH is None, reason="TACIT_BENCH_DATA does not name the folder with the benchmark data")
def test_every_turn_of_locomo_is_remembered_once_and_can_be_cited(mind: tacit.Mind) -> None:
    (path,) = sorted(Path(BENCH or "", "locomo").glob("*.json"))[:1]
    samples = json.loads(path.read_text(encoding="utf-8"))
    first = mind.import_memories(path)
    assert first.rejected == []
    found = {(one.user, one.source_id): one for one in mind.all_memories()}
    turns = [
        (sample["sample_id"], turn)
        for sample in samples
        for name, turns in sample["conversation"].items()
        if isinstance(turns, list)
        for turn in turns
    ]
    assert len(found) == len(turns) == first.imported
    for conversation, turn in turns:
        memory = found[conversation, turn["dia_id"]]
        assert memory.text.startswith(turn["text"].strip())
        assert turn.get("blip_caption", "") in memory.text
        assert memory.speaker == turn["speaker"]
        assert memory.occurred_at is not None
    assert counts(mind.import_memories(path)) == (0, 0, len(turns), 0)


@pytest.mark.requirement("EP-07")
@pytest.mark.skipif(BENCH is None, reason="TACIT_BENCH_DATA does not name the folder with the benchmark data")
def test_real_chats_with_tools_become_what_was_said_and_nothing_else(mind: tacit.Mind) -> None:
    first = mind.import_memories(Path(BENCH or "", "tau_bench"))
    assert (first.imported > 1_000, first.corrected, first.rejected) == (True, 0, [])
    found = list(mind.all_memories())
    assert {(one.kind, one.speaker) for one in found} == {("turn", "user"), ("turn", "assistant")}
    again = mind.import_memories(Path(BENCH or "", "tau_bench"))
    assert counts(again) == (0, 0, first.imported + first.skipped, 0)
    assert len(list(mind.all_memories())) == first.imported
