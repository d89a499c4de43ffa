"""Memories by the command line alone: told, listed, read, corrected, forgotten, brought in and taken out."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import tacit
from command_line import CommandLine, at_a_terminal, write_traces
from tacit.clock import parse_time
from tacit.mind import as_data

pytestmark = pytest.mark.requirement("RE-01", "AP-04")


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "a.db")


def lines(path: Path, *values: Any) -> str:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return str(path)


def test_what_is_told_by_options_is_what_the_library_reads(cli: CommandLine) -> None:
    given = {
        "kind": "preference", "user": "alice", "session": "s1", "agent": "desk", "speaker": "Alice",
        "subject": "alice.seat", "source-id": "crm/7", "importance": "0.5", "metadata": '{"a": [1]}',
        "at": "2026-05-01T12:00:00+02:00", "valid-from": "2026-05-01T00:00:00Z", "valid-to": "2026-06-01T00:00:00Z",
    }  # fmt: skip
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    ran = cli("remember", "Fensterplatz, bitte – 窓側", *options)
    assert (ran.code, ran.err) == (0, "")
    with tacit.open(cli.store) as mind:
        memory = mind.memory(ran.out.strip())
    assert (memory.text, memory.kind, memory.user, memory.session) == (
        "Fensterplatz, bitte – 窓側", "preference", "alice", "s1",
    )  # fmt: skip
    assert (memory.agent, memory.speaker, memory.subject, memory.source_id) == ("desk", "Alice", "alice.seat", "crm/7")
    assert (memory.importance, memory.metadata) == (0.5, {"a": [1]})
    times = [parse_time(given[name]) for name in ("at", "valid-from", "valid-to")]
    assert [memory.occurred_at_micros, memory.valid_from_micros, memory.valid_to_micros] == times
    assert cli.json("memory", "show", memory.id) == as_data(memory)


def test_a_text_may_come_in_on_standard_input_and_a_key_makes_a_retry_safe(cli: CommandLine) -> None:
    first = cli("remember", "-", "--key", "k", stdin="from a pipe\nof two lines\n")
    again = cli("remember", "-", "--key", "k", stdin="from a pipe\nof two lines\n")
    assert (first.code, first.out) == (0, again.out)
    assert [one["text"] for one in cli.json("memory", "list")] == ["from a pipe\nof two lines"]
    assert cli("remember", "else", "--key", "k").code == 4


def test_memories_are_listed_as_asked_page_by_page_and_as_of_a_time(cli: CommandLine) -> None:
    for number in range(3):
        cli("remember", f"fact {number}", "--kind", "fact", "--user", "alice", "--at", f"2026-05-0{number + 1}T00:00Z")
    with tacit.open(cli.store) as mind:
        moment = mind.remember("note", user="bob").when.isoformat()
    cli("remember", "too late", "--user", "bob")
    page = cli.json("memory", "list", "--limit", "2")
    rest = cli.json("memory", "list", "--after", page[-1]["id"][:23])
    assert [one["text"] for one in [*page, *rest]] == ["too late", "note", "fact 2", "fact 1", "fact 0"]
    assert [one["text"] for one in cli.json("memory", "list", "--user", "bob", "--as-of", moment)] == ["note"]
    after = cli.json("memory", "list", "--kind", "fact", "--occurred-after", "2026-05-02T00:00:00Z")
    assert [one["text"] for one in after] == ["fact 2", "fact 1"]
    shown = cli("memory", "list", "--limit", "1")
    assert "too late" in shown.out
    assert "there may be more: --after " in shown.err
    assert "no memory matches" in cli("memory", "list", "--speaker", "nobody").err


def test_a_memory_is_corrected_and_forgotten_by_the_beginning_of_its_id_and_its_history_stays(cli: CommandLine) -> None:
    id = cli("remember", "window", "--user", "alice").out.strip()
    short = id[:13]
    assert cli.json("memory", "correct", short, "aisle", "--importance", "1")["id"] == id
    assert cli.json("memory", "correct", short, "--subject", "seat")["text"] == "aisle"
    assert cli.json("memory", "forget", short) == {"forgotten": 1, "ids": [id]}
    assert cli.json("memory", "forget", short)["forgotten"] == 0
    assert cli.json("memory", "list") == []
    history = cli.json("memory", "history", short)
    assert [(one["text"], one.get("ending")) for one in history] == [
        ("window", "corrected"), ("aisle", "corrected"), ("aisle", "forgotten"),
    ]  # fmt: skip
    gone = cli("memory", "show", short)
    assert (gone.code, f"the memory {id} is no longer remembered; its history tells how it ended" in gone.err) == (
        3,
        True,
    )
    shown = cli("memory", "history", short).out.splitlines()
    assert [line.split()[2] for line in shown[1:]] == ["corrected", "corrected", "forgotten"]


def test_each_class_of_error_has_its_exit_code(cli: CommandLine, tmp_path: Path) -> None:
    missing = "0190b7c2-6e1f-7a52-9d3c-000000000001"
    assert cli("memory", "list").code == 3  # no store is made by looking
    assert not cli.store.exists()
    id = cli("remember", "a").out.strip()
    wrong = {
        ("remember", ""): 2,
        ("remember", "a", "--kind", "rumour"): 2,
        ("remember", "a", "--at", "yesterday"): 2,
        ("remember", "a", "--metadata", "{"): 2,
        ("remember", "a", "--importance", "2"): 2,
        ("memory", "show", missing): 3,
        ("memory", "show", "ffffffff"): 3,
        ("memory", "show", "ffff"): 2,
        ("memory", "history", missing): 3,
        ("memory", "correct", missing, "b"): 3,
        ("memory", "correct", id): 2,
        ("memory", "forget", id, missing): 3,
        ("memory", "list", "--kind", "rumour"): 2,
        ("memory", "import", str(tmp_path / "missing")): 3,
    }
    for command, code in wrong.items():
        ran = cli(*command, "--json")
        assert (command, ran.code, ran.out) == (command, code, "")
        assert ran.error["message"]
    assert [one["id"] for one in cli.json("memory", "list")] == [id]


@pytest.mark.requirement("EP-07")
def test_a_chat_log_is_imported_once_from_a_file_or_a_pipe(cli: CommandLine, tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Grüezi"}, {"role": "assistant", "content": "您好"}]
    path = lines(tmp_path / "chat.jsonl", {"session_id": "s", "messages": chat}, {"messages": [{"role": "ghost"}]})
    first = cli.json("memory", "import", path, "--user", "alice")
    assert (first["imported"], len(first["rejected"])) == (2, 1)
    again = cli("memory", "import", "-", "--user", "alice", stdin=Path(path).read_text(encoding="utf-8"))
    assert again.out.splitlines() == [
        "0 memories imported, 0 corrected, 2 skipped because they were there already, 1 rejected.",
        "rejected  line 2 message 1: has the role 'ghost'; roles are user, assistant, tool, system",
    ]
    assert [one["text"] for one in cli.json("memory", "list", "--user", "alice")] == ["您好", "Grüezi"]


def test_an_import_of_traces_says_where_memories_belong(cli: CommandLine, tmp_path: Path) -> None:
    ran = cli("import", lines(tmp_path / "lines.jsonl", {"text": "a", "user": "alice"}))
    assert (ran.code, "'tacit memory import' takes it" in ran.err, cli.store.exists()) == (2, True, False)


def test_no_store_is_made_for_a_source_in_which_nothing_can_be_read(cli: CommandLine, tmp_path: Path) -> None:
    ran = cli("memory", "import", lines(tmp_path / "bad.jsonl", {"text": ""}), "--format", "jsonl")
    assert (ran.code, "no store was made" in ran.err) == (2, True)
    locomo = {"sample_id": "c1", "conversation": {"session_1": [{"speaker": "A", "dia_id": "D1:1", "text": "a"}]}}
    ran = cli("memory", "import", lines(tmp_path / "locomo.jsonl", locomo), "--conversation", "c2")
    assert (ran.code, "there are: c1" in ran.err) == (3, True)
    assert not cli.store.exists()


@pytest.mark.requirement("EP-07")
def test_what_is_exported_comes_back_with_its_ids_episodes_and_memories_alike(cli: CommandLine, tmp_path: Path) -> None:
    cli("import", str(write_traces(tmp_path / "traces.jsonl")))
    for text in ("one", "two", "三"):
        cli("remember", text, "--user", "alice", "--at", "2026-05-01T00:00:00Z")
    path = str(tmp_path / "export.jsonl")
    assert cli.json("export", path) == {"episodes": 3, "memories": 3, "path": path}
    assert cli("export", "-").out == Path(path).read_text(encoding="utf-8")
    assert cli("export", path, "--overwrite").out == f"3 episodes and 3 memories written to {path}\n"
    other = CommandLine(tmp_path / "b.db")
    report = other.json("import", path)
    assert (report["imported"], report["memories"], report["rejected"]) == (3, 3, [])
    again = other.json("import", path)
    assert (again["imported"], again["memories"], again["skipped"]) == (0, 0, 6)
    told = [[(one["id"], one["text"]) for one in each.json("memory", "list")] for each in (cli, other)]
    assert told[0] == told[1]
    assert other.json("stats")["memories"] == 3
    assert "3 memories." in other("stats").out.splitlines()


def test_the_commands_of_the_readme_do_what_it_says(cli: CommandLine, tmp_path: Path) -> None:
    section = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8").partition("\n## Memories\n")[2]
    commands = re.findall(r"^    tacit (.+)$", section.partition("\n## ")[0], re.MULTILINE)
    chats = lines(tmp_path / "chats.jsonl", [{"role": "user", "content": "Hello"}])
    files = {"chats.jsonl": chats, "everything.jsonl": str(tmp_path / "everything.jsonl")}
    id = ""
    assert len(commands) == 10
    for command in commands:
        words = [files.get(word, id if word == "MEMORY_ID" else word) for word in shlex.split(command)]
        ran = cli(*words)
        assert (command, ran.code) == (command, 0)
        id = id or ran.out.strip()  # the first one remembers
    assert json.loads(Path(files["everything.jsonl"]).read_text(encoding="utf-8"))["memory"]["text"] == "Hello"
    assert [one["text"] for one in cli.json("memory", "history", id)][-1] == "Mia prefers the aisle"


def test_a_terminal_does_not_obey_what_is_remembered(cli: CommandLine, tmp_path: Path) -> None:
    with tacit.open(cli.store) as mind:
        mind.remember("turned \u202e around \x9b31m")
    code, sent = at_a_terminal("--store", str(cli.store), "memory", "list")
    assert (code, "\u202e" in sent, "\x9b" in sent) == (0, False, False)
    assert "turned" in sent


@pytest.mark.skipif("TACIT_BENCH_DATA" not in os.environ, reason="TACIT_BENCH_DATA names no folder with real chats")
def test_one_conversation_of_real_chats_is_picked(cli: CommandLine) -> None:
    (path,) = sorted(Path(os.environ["TACIT_BENCH_DATA"], "locomo").glob("*.json"))[:1]
    samples = json.loads(path.read_text(encoding="utf-8"))
    name, sessions = samples[0]["sample_id"], samples[0]["conversation"]
    count = sum(len(turns) for turns in sessions.values() if isinstance(turns, list))
    assert cli.json("memory", "import", str(path), "--conversation", name)["imported"] == count
    (first,) = cli.json("memory", "list", "--source-id", "D1:1")
    assert first["text"].startswith(sessions["session_1"][0]["text"])


@pytest.mark.requirement("RE-02", "RE-06")
def test_what_one_command_remembers_the_next_one_finds_by_its_meaning(cli: CommandLine) -> None:
    cli("remember", "The dentist moved the appointment to Friday")
    cli("remember", "Bread is cheaper at the market")
    at_once = cli("recall", "loaf of rye", "--wait", "0", "--why")
    assert (at_once.code, "meaning" in at_once.out) == (0, False)
    assert "vectors are 3 events behind" in at_once.err
    waited = cli("recall", "loaf of rye", "--why", "--wait", "60")
    assert "making vectors" in waited.err
    assert "behind" not in waited.err
    assert waited.out.startswith("1. Bread is cheaper at the market")
    assert "  meaning (" in waited.out
    assert cli("recall", "loaf of rye").err == ""  # there is nothing left to wait for


@pytest.mark.requirement("RE-02")
@pytest.mark.parametrize("command", [("memory", "import"), ("import",)])
def test_imported_memories_have_vectors_when_the_import_is_done(
    cli: CommandLine, tmp_path: Path, command: tuple[str, ...]
) -> None:
    path = lines(tmp_path / "notes.jsonl", {"text": "Bread is cheaper at the market"}, {"text": "Ana likes chess"})
    if command == ("import",):
        source = CommandLine(tmp_path / "source.db")
        source("memory", "import", path, "--wait", "0")
        path = str(tmp_path / "export.jsonl")
        source("export", path)
    ran = cli(*command, path)
    assert (ran.code, "making vectors" in ran.err) == (0, True)
    assert {each["consumer"]: each["behind"] for each in cli.json("stats", "lag")}["memory-vectors"] == 0


@pytest.mark.requirement("AP-04")
def test_a_time_without_a_zone_is_refused_in_words_that_fit_the_command_line(cli: CommandLine) -> None:
    ran = cli("remember", "Mia moved", "--at", "2020-01-01")
    assert (ran.code, "datetime" in ran.err) == (2, False)
    assert "'2020-01-01': a time must have a zone; write it like 2026-01-31T12:00:00Z" in ran.err


@pytest.mark.requirement("AP-04")
def test_an_export_over_a_file_says_which_option_allows_it(cli: CommandLine, tmp_path: Path) -> None:
    cli("remember", "Mia moved")
    path = lines(tmp_path / "there.jsonl")
    ran = cli("export", path)
    assert (ran.code, "--overwrite" in ran.err) == (4, True)
    assert cli("export", path, "--overwrite").code == 0


@pytest.mark.requirement("AP-04")
def test_a_memory_is_erased_by_the_beginning_of_its_id_also_when_it_was_forgotten(cli: CommandLine) -> None:
    id = cli("remember", "window", "--user", "alice").out.strip()
    cli("memory", "forget", id)
    ran = cli("erase", "memory", id[:13], "--yes")
    assert (ran.code, ran.out.splitlines()[0].startswith("erased: 0 episodes, 1 memory, ")) == (0, True)
    assert cli("memory", "history", id).code == 3
    assert cli("erase", "memory", "0190b7c2", "--yes").code == 3  # none begins so


@pytest.mark.requirement("JR-06")
def test_erasing_again_says_that_nothing_was_left_and_when_it_was_erased(cli: CommandLine) -> None:
    cli("remember", "window", "--user", "alice")
    assert cli("erase", "user", "alice", "--yes").out.startswith("erased: 0 episodes, 1 memory")
    ran = cli("erase", "user", "alice", "--yes")
    first, second = ran.out.splitlines()[:2]
    assert first.startswith("nothing was left to erase; it was erased on 20")
    assert second.startswith("erased then: 0 episodes, 1 memory")
    assert cli.json("erase", "user", "alice", "--yes")["repeated"] is True
