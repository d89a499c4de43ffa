"""Traces in and out, what they say, and the first minute: import, export, stats, run, demo."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from command_line import CommandLine, run_here, write_traces
from tacit.cli.output import Output
from tacit.cli.session import Options, Session
from tacit.cli.source import source_of
from trials import open_mind

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "a.db")


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    return write_traces(tmp_path / "traces.jsonl", good=9)


@pytest.mark.requirement("EP-07", "AP-04")
def test_importing_twice_adds_nothing(cli: CommandLine, traces: Path) -> None:
    first, second = (cli.json("import", str(traces)) for _ in range(2))
    assert (first["imported"], first["skipped"], first["steps"]) == (9, 0, 18)
    assert (second["imported"], second["skipped"], second["steps"]) == (0, 9, 0)
    assert cli("import", str(traces)).out.startswith("0 episodes imported (0 steps), 9 skipped")


@pytest.mark.requirement("EP-07")
def test_rejected_records_are_named_with_their_place_and_reason(cli: CommandLine, tmp_path: Path) -> None:
    mixed = write_traces(tmp_path / "mixed.jsonl", good=2, bad=25)
    said = cli("import", str(mixed), "--format", "jsonl")
    lines = said.out.splitlines()
    assert said.code == 0
    assert lines[0].endswith("25 rejected.")
    assert lines[1].startswith("rejected  line 3: ")
    assert len([line for line in lines if line.startswith("rejected  ")]) == 20
    assert lines[-1].startswith("… and 5 more")
    told = cli.json("import", str(mixed), "--format", "jsonl")
    assert (told["skipped"], len(told["rejected"])) == (2, 25)
    assert told["rejected"][24]["location"] == "line 27"


@pytest.mark.requirement("EP-07", "AP-04")
def test_a_file_in_which_nothing_can_be_read_exits_with_2(cli: CommandLine, tmp_path: Path) -> None:
    bad = write_traces(tmp_path / "bad.jsonl", good=0, bad=3)
    told = cli("import", str(bad), "--format", "jsonl", "--json")
    assert (told.code, len(told.json["rejected"])) == (2, 3)


@pytest.mark.requirement("EP-07")
@pytest.mark.parametrize("option", [["--fit", "squeeze"], ["--format", "morse"]])
def test_a_way_to_import_that_does_not_exist_is_refused_by_name(
    cli: CommandLine, traces: Path, option: list[str]
) -> None:
    refused = cli("import", str(traces), *option, "--json")
    assert (refused.code, refused.error["code"]) == (2, "invalid_input")
    assert option[1] in refused.error["message"]


@pytest.mark.requirement("EP-07")
@pytest.mark.parametrize("command", [["import"], ["run", "--traces"]])
def test_a_path_that_cannot_be_imported_leaves_no_store_behind(
    cli: CommandLine, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "notes.txt").write_text("nothing that an agent did\n", encoding="utf-8")
    assert cli(*command, str(tmp_path / "missing")).code == 3
    assert cli(*command, str(tmp_path / "notes.txt")).code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.requirement("EP-07", "JR-12")
@pytest.mark.parametrize("command", [["import"], ["run", "--traces"]])
@pytest.mark.parametrize("bad", [0, 3])
def test_a_source_of_which_nothing_can_be_kept_leaves_no_store_behind(
    cli: CommandLine, tmp_path: Path, command: list[str], bad: int
) -> None:
    source = write_traces(tmp_path / "bad.jsonl", good=0, bad=bad)
    said = cli(*command, str(source), "--format", "jsonl")
    assert said.code == (2 if bad else 0)
    assert f"{bad} rejected." in said.out
    assert "no store was made" in said.err
    assert "kept in" not in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]


@pytest.mark.requirement("EP-07")
def test_a_store_that_is_there_takes_no_harm_from_a_source_of_which_nothing_can_be_kept(
    cli: CommandLine, traces: Path, tmp_path: Path
) -> None:
    cli("import", str(traces))
    said = cli("run", "--traces", str(write_traces(tmp_path / "bad.jsonl", good=0, bad=3)), "--format", "jsonl")
    assert said.code == 2
    assert "kept in" not in said.err
    assert len(cli.json("episode", "list")) == 9


@pytest.mark.requirement("EP-07", "AP-04")
def test_other_context_for_what_is_there_already_is_told_not_to_hold_for_it(
    cli: CommandLine, traces: Path, tmp_path: Path
) -> None:
    cli("import", str(traces))
    write_traces(traces, good=11)
    context = ["--domain", "airline", "--task-type", "support", "--tag", "new"]
    told = cli.json("import", str(traces), *context)
    assert (told["imported"], told["skipped"]) == (2, 9)
    assert told["kept"] == {"domain": 9, "task_type": 9, "tags": 9}
    assert len(cli.json("episode", "list", "--domain", "shop")) == 9
    said = cli("import", str(traces), "--domain", "airline").out
    assert "11 skipped" in said
    assert "Kept under another domain than given: 9 episodes. 'tacit episode update ID --domain NAME' changes" in said


@pytest.mark.requirement("EP-07")
def test_nothing_is_told_of_context_that_was_changed_as_the_import_says_or_that_it_does_not_give(
    cli: CommandLine, tmp_path: Path
) -> None:
    one = str(write_traces(tmp_path / "one.jsonl", good=1))
    cli("import", one)
    id = cli.json("episode", "list")[0]["id"]
    cli("episode", "update", id, "--domain", "airline")
    for context in (["--domain", "airline"], []):
        assert cli.json("import", one, *context)["kept"] == {}
    assert cli.json("import", one, "--domain", "shop", "--agent", "me")["kept"] == {"domain": 1, "agent": 1}


@pytest.mark.requirement("EP-07", "AP-04")
@pytest.mark.parametrize("command", [["import", "-"], ["run", "--traces", "-"]])
def test_traces_come_in_on_standard_input_as_from_a_file(
    cli: CommandLine, traces: Path, tmp_path: Path, command: list[str]
) -> None:
    text = traces.read_text(encoding="utf-8")
    told = cli(*command, "--json", stdin=text).json
    assert told.get("import", told)["imported"] == 9
    assert cli.json("import", str(traces))["skipped"] == 9  # the same attempts, however they came in
    some = cli("import", "-", "--format", "jsonl", stdin=text + "{}\n").out
    assert "9 skipped" in some
    assert "rejected  line 10: " in some


@pytest.mark.requirement("EP-07", "AP-04")
@pytest.mark.parametrize(("stdin", "words"), [("Dear diary\n", "name its format: jsonl"), ("", "nothing came in")])
def test_standard_input_that_cannot_be_told_is_refused_by_that_name(
    cli: CommandLine, tmp_path: Path, stdin: str, words: str
) -> None:
    refused = cli("import", "-", "--json", stdin=stdin)
    assert (refused.code, refused.error["code"]) == (2, "invalid_input")
    assert "standard input" in refused.error["message"]
    assert words in refused.error["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.requirement("EP-07")
def test_standard_input_is_taken_in_pieces_and_leaves_nothing_behind(
    cli: CommandLine, traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pieces(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert 0 < size <= 1 << 20
            return super().read(size)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stream = io.TextIOWrapper(Pieces(traces.read_bytes()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stream)
    before = {path.name for path in tmp_path.iterdir()}
    with source_of(Output(json=False, quiet=True), "-") as source:
        assert source.read_bytes() == source.read_bytes() == traces.read_bytes()
        assert source.stat().st_mode & 0o077 == 0
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.requirement("EP-07")
def test_where_there_is_no_room_for_standard_input_is_told(tmp_path: Path) -> None:
    program = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); "
    program += "from tacit.__main__ import main; main()"
    command = [sys.executable, "-c", program, "--store", str(tmp_path / "a.db"), "import", "-"]
    done = subprocess.run(command, input=b"x" * 200_000, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert tempfile.gettempdir() in done.stderr.decode()


@pytest.mark.requirement("EP-07", "JR-10")
def test_what_is_too_long_is_shortened_split_or_refused_as_told(cli: CommandLine, tmp_path: Path) -> None:
    long = tmp_path / "long.jsonl"
    step = {"tool": "read", "observation": "long " * 5_000}
    long.write_text(json.dumps({"task": {"description": "Read"}, "steps": [step], "key": "r"}) + "\n", encoding="utf-8")
    assert cli("import", str(long), "--fit", "refuse").code == 2
    assert cli.json("import", str(long), "--fit", "truncate")["shortened"] == 1


@pytest.mark.requirement("EP-07", "JR-18")
def test_context_is_added_and_secrets_are_masked_and_counted(cli: CommandLine, tmp_path: Path) -> None:
    secret = "AKIA" + "QYLPMN5HHHFPZAM2"
    line = {"task": {"description": f"Log in with {secret}"}, "key": "s"}
    (tmp_path / "s.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    context = ["--task-type", "login", "--domain", "site", "--tag", "a", "--tag", "b", "--agent", "me"]
    assert cli.json("import", str(tmp_path / "s.jsonl"), *context)["masked"] == 1
    task = cli.json("episode", "show", cli.json("episode", "list")[0]["id"])["episode"]["task"]
    assert secret not in task.pop("description")
    assert task == {"task_type": "login", "domain": "site", "tags": ["a", "b"], "agent": "me"}


@pytest.mark.requirement("EP-07", "AP-04")
def test_an_export_can_be_read_back_without_loss(cli: CommandLine, traces: Path, tmp_path: Path) -> None:
    cli("import", str(traces))
    path, other = tmp_path / "out.jsonl", CommandLine(tmp_path / "b.db")
    assert cli.json("export", str(path)) == {"episodes": 9, "memories": 0, "path": str(path)}
    assert cli("export", str(path)).code == 4
    assert cli("export", str(path), "--overwrite").code == 0
    assert cli("export", "-").out == path.read_text(encoding="utf-8")
    assert other.json("import", str(path))["imported"] == 9
    assert other("export", "-").out == path.read_text(encoding="utf-8")


@pytest.mark.requirement("AP-04")
def test_statistics_count_all_that_was_imported(cli: CommandLine, traces: Path) -> None:
    cli("import", str(traces))
    told = cli.json("stats")
    totals = told["statistics"]["totals"]
    assert told["lag"] == {}
    assert (totals["episodes"], totals["outcomes"]) == (9, {"failure": 3, "success": 6})
    said = cli("stats").out
    assert "9 finished episodes, 67 % (35 … 88) successful; 18 steps, 18 calls of 2 tools, 3 failed steps." in said
    assert "out of stock" in said
    assert [line.split()[:4] for line in said.splitlines() if line.startswith("buy ")] == [["buy", "9", "3", "0"]]


@pytest.mark.requirement("AP-04")
def test_statistics_of_nothing_say_so(cli: CommandLine) -> None:
    cli("episode", "start", "Buy a cup")
    assert cli("stats").out.startswith("No finished episodes yet. What is learned comes from episodes whose outcome")


@pytest.mark.requirement("AP-04")
def test_the_lag_of_consumers_is_shown_without_making_them_run(
    cli: CommandLine, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_CONSUMERS__ENABLED", "false")
    cli("import", str(traces))
    for _ in range(2):
        assert [(each["consumer"], each["behind"], each["events"]) for each in cli.json("stats", "lag")] == [
            ("tally", 10, 10),
            ("lessons", 10, 10),
            ("study", 10, 10),
        ]
    monkeypatch.setenv("TACIT_CONSUMERS__ENABLED", "true")
    cli("stats")
    assert {each["consumer"]: each["behind"] for each in cli.json("stats", "lag")}["tally"] == 0
    cli("pattern", "list", "--wait", "60")
    # what patterns need not have, they do not wait for
    behind = {each["behind"] for each in cli.json("stats", "lag") if each["consumer"] != "memory-vectors"}
    assert behind == {0}


@pytest.mark.requirement("AP-04")
def test_a_consumer_is_called_by_its_plain_name_and_its_model_stands_apart(
    cli: CommandLine, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_LEARNING__EMBEDDER", "hashing")
    cli("import", str(traces))
    told = {each["consumer"]: each["model"] for each in cli.json("stats", "lag")}
    model = "hashing:1:512"
    assert told == {"tally": "", "lessons": "", "study": "", "memory-vectors": model, "vectors": model}
    head, *rows = cli("stats", "lag").out.splitlines()
    assert head.split()[-1] == "model"
    assert [row.split()[2] for row in rows] == ["tally", "lessons", "study", "memory-vectors", "vectors"]


@pytest.mark.requirement("AP-04", "LE-05")
def test_heuristics_are_listed_and_whatever_is_listed_has_the_id_by_which_it_is_shown(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_LEARNING__EMBEDDER", "none")
    with open_mind(cli.store, learning__embedder="none") as mind:
        for number in range(40):
            with mind.episode(f"Buy cup {number}") as episode:
                episode.step(tool="ask" if number % 2 else "guess", observation=number, success=True)
                episode.step(tool="buy", observation=f"cup {number}", success=True)
                episode.complete("success" if number % 2 else "failure")
    rules, patterns = (cli.json("pattern", "list", *more, "--wait", "60") for more in (["--strategy", "heuristic"], []))
    assert {rule["polarity"] for rule in rules} == {"do", "avoid"}
    assert rules[0]["text"] in cli("pattern", "list", "--strategy", "heuristic").out
    for id in (rules[0]["id"], patterns[0]["id"]):
        assert cli.json("pattern", "show", id)["id"] == cli.json("pattern", "show", id[:10])["id"] == id
    assert "there is no pattern" in cli("pattern", "show", "").err
    every = [each["id"] for each in cli.json("pattern", "list", "--all", "--limit", "1000")]
    first, many = Counter(id[0] for id in every).most_common(1)[0]
    assert f"{many} patterns begin with {first}" in cli("pattern", "why", first).err


@pytest.mark.requirement("AP-04", "LE-05")
def test_why_a_pattern_is_believed_is_told_by_episodes_with_it_beside_episodes_without_it(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_LEARNING__EMBEDDER", "none")
    asked = []
    with open_mind(cli.store, learning__embedder="none") as mind:
        for number in range(40):
            asks = number % 4 == 0
            with mind.episode(f"Buy cup {number}") as episode:
                episode.step(tool="ask" if asks else "guess", observation=number, success=True)
                episode.step(tool="buy", observation=f"cup {number}", success=True)
                episode.complete("success" if asks or number < 4 else "failure")
            asked += [episode.id] if asks else []
    rules = cli.json("pattern", "list", "--strategy", "heuristic", "--wait", "60")
    id = next(rule["id"] for rule in rules if rule["polarity"] == "do")
    told = cli.json("pattern", "why", id)
    assert [each["episode"] for each in told["with_it"]] == asked[:-6:-1]
    assert {each["well"] for each in told["with_it"]} == {True}
    newest = told["without_it"][0]
    assert (newest["well"], newest["status"], newest["task"]) == (False, "failure", "Buy cup 39")
    shown = cli("pattern", "why", id).out
    assert "in 10 of the 40 episodes in which it could have occurred" in shown
    assert re.search(r"with it +10 +10 +100 %", shown)
    assert re.search(r"without it +30 +3 +10 %", shown)
    assert f"{asked[-1]}  yes        success  Buy cup 36" in shown
    assert re.search(r"lift   −1 [·│]+├[─●]+┤·* \+1", shown)


@pytest.mark.requirement("AP-04", "LE-01")
def test_only_patterns_that_stand_are_listed_unless_all_are_asked_for(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_LEARNING__EMBEDDER", "none")
    with open_mind(cli.store, learning__embedder="none") as mind:
        for number in range(40):
            with mind.episode(f"Buy cup {number}") as episode:
                episode.step(tool="ask" if number % 2 else "guess", observation=number, success=True)
                episode.step(tool="wait" if number % 3 else "pay", observation=f"{number} !", success=True)
                episode.complete("success" if number % 2 else "failure")
    standing = cli.json("pattern", "list", "--wait", "60")
    every = cli.json("pattern", "list", "--all", "--limit", "1000")
    assert all(each["stands"] is True for each in standing)
    assert [each for each in every if each["stands"]] == standing
    more = len(every) - len(standing)
    assert more > 1
    ran = cli("pattern", "list")
    assert f"{more} more patterns do not stand" in ran.err
    assert "  no" not in ran.out
    assert "  no" in cli("pattern", "list", "--all").out
    for kind in ([], ["--strategy", "heuristic"]):
        assert "more were left out" in cli("pattern", "list", *kind, "--limit", "1").err
    strongest = standing[0]["lift"]
    assert f"{strongest['with_rate'] * 100:.0f} % of {strongest['with_episodes']}" in ran.out


# ── the first minute ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("AP-04", "EP-07")
def test_run_imports_traces_and_says_what_they_show(cli: CommandLine, traces: Path) -> None:
    said = cli("run", "--traces", str(traces))
    assert said.code == 0
    assert "9 episodes imported" in said.out
    assert "9 finished episodes, 67 %" in said.out
    assert f"kept in {cli.store}" in said.err
    assert cli.json("run", "--traces", str(traces))["import"]["skipped"] == 9
    assert len(cli.json("episode", "list")) == 9


@pytest.mark.requirement("AP-04", "EP-07")
def test_run_says_of_traces_what_is_given(cli: CommandLine, traces: Path) -> None:
    cli("run", "--traces", str(traces), "--task-type", "errand", "--domain", "mall")
    assert {(each["task_type"], each["domain"]) for each in cli.json("episode", "list")} == {("errand", "mall")}
    for said in (("--domain", "mall"), ("--task-type", "errand"), ("--format", "react")):
        refused = cli("run", *said, "--json")
        assert refused.code == 2
        assert "'--traces PATH', or 'make run TRACES=PATH'" in refused.error["message"]


@pytest.mark.requirement("AP-04", "EP-07")
@pytest.mark.parametrize("traces", [["TRACES=a b.json"], []])
def test_make_run_hands_on_what_is_said_of_traces_even_without_them(traces: list[str]) -> None:
    command = ["make", "--dry-run", "--silent", "run", *traces, "DOMAIN=air line", "TASK_TYPE=support", "STORE=x.db"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=ROOT).stdout
    assert shlex.split(said.replace("\\\n", "").splitlines()[-1])[1:] == [
        *("run", *(["--traces", "a b.json"] if traces else []), "--domain", "air line"),
        *("--task-type", "support", "--store", "x.db"),
    ]


@pytest.mark.requirement("AP-04")
def test_the_commands_that_run_suggests_can_be_copied(tmp_path: Path, traces: Path) -> None:
    other = CommandLine(tmp_path / "it's here.db")
    said = other("run", "--traces", str(traces), "--mind", "my mind", "--tenant", "acme").err
    suggested = [line.strip() for line in said.splitlines() if line.startswith("  tacit ")]
    assert len(suggested) == 6
    for line in suggested:
        assert shlex.split(line)[-6:] == ["--store", str(other.store), "--mind", "my mind", "--tenant", "acme"]
    assert len(run_here(*shlex.split(suggested[0])[1:], "--json").json) == 9


@pytest.mark.requirement("AP-04")
def test_a_suggested_command_has_no_more_options_than_were_given(
    traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "  tacit episode list\n" in run_here("run", "--traces", str(traces)).err
    made = Session(Options(store="postgresql://me:secret@host/db", config=Path("c.yaml"), ask_passphrase=True))
    again = made.again("stats", "postgresql://me@host/db")
    assert again == "tacit stats --store postgresql://me@host/db --config c.yaml --ask-passphrase"


@pytest.mark.requirement("AP-04")
def test_a_suggested_command_is_one_that_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``make run`` no PATH has the program."""
    monkeypatch.setattr("sys.argv", [".venv/bin/tacit", "run"])
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert Session(Options()).again("stats", "tacit.db") == ".venv/bin/tacit stats"
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert Session(Options()).again("stats", "tacit.db") == "tacit stats"


@pytest.mark.requirement("AP-04")
def test_run_without_traces_says_how_to_give_them_and_shows_the_example(cli: CommandLine) -> None:
    said = cli("run")
    first, second, *_ = said.out.splitlines()
    assert said.code == 0
    assert "TRACES=" in first
    assert "live example" in second
    assert "A scripted agent" in said.out
    assert "What Tacit learned" in said.out


@pytest.mark.requirement("AP-04", "EP-01")
def test_the_demonstration_really_happens_in_the_store_that_is_named(cli: CommandLine) -> None:
    told = cli.json("demo", "--tasks", "12")
    episodes = {each["id"]: each["status"] for each in cli.json("episode", "list", "--mind", "demo", "--limit", "100")}
    assert told["scripted"] is True
    assert episodes == {each["id"]: each["status"] for each in told["episodes"]}
    assert told["statistics"]["totals"]["episodes"] == 12
    assert cli.json("journal", "verify")["ok"] is True
    steps = cli.json("episode", "show", told["episodes"][0]["id"], "--mind", "demo")["episode"]["steps"]
    assert all(step["latency_ms"] > 0 for step in steps)


@pytest.mark.requirement("AP-04")
def test_the_demonstration_is_the_same_for_the_same_seed_and_another_for_another(cli: CommandLine) -> None:
    def outcomes(seed: str) -> list[tuple[str, str]]:
        told = run_here("demo", "--tasks", "9", "--seed", seed, "--json").json
        return [(each["task"], each["status"]) for each in told["episodes"]]

    assert outcomes("1") == outcomes("1") != outcomes("2")


@pytest.mark.requirement("AP-04")
def test_the_scripted_agent_succeeds_and_fails_for_reasons_in_its_steps() -> None:
    told = run_here("demo", "--json").json
    statuses = [each["status"] for each in told["episodes"]]
    assert set(statuses) == {"success", "failure"}
    signatures = {error["signature"] for error in told["statistics"]["errors"]}
    assert {"the chest is locked.", "it is too dark to see anything."} <= signatures


@pytest.mark.requirement("EP-07")
@pytest.mark.skipif("TACIT_BENCH_DATA" not in os.environ, reason="TACIT_BENCH_DATA names no folder with real traces")
@pytest.mark.parametrize(
    ("name", "count"), [("tau_bench/gpt-4o-airline.json", 200), ("alfworld/alfworld_D0.jsonl", 510)]
)
def test_real_traces_are_imported_whole(cli: CommandLine, name: str, count: int) -> None:
    path = str(Path(os.environ["TACIT_BENCH_DATA"]) / name)
    assert cli.json("import", path)["imported"] == count
    assert cli.json("import", path)["imported"] == 0
    assert cli.json("stats")["statistics"]["totals"]["episodes"] == count
