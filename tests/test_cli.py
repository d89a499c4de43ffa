"""The command line as a whole: its options, its outputs, its page, its manners."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import tacit
from command_line import CommandLine, at_a_terminal, run_here, run_program, write_traces
from tacit.cli import manual
from tacit.cli.app import app
from tacit.cli.output import printable
from tacit.cli.session import SHARED
from trials import copy_store

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"sqlalchemy", "alembic", "pydantic", "cryptography", "rich", "sqlcipher3", "detect_secrets", "httpx", "psutil"}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with six episodes."""
    folder = tmp_path_factory.mktemp("imported")
    line = CommandLine(folder / "a.db")
    assert line("import", str(write_traces(folder / "traces.jsonl", good=6))).code == 0
    return line.store


@pytest.fixture
def cli(imported: Path, tmp_path: Path) -> CommandLine:
    copy_store(imported, tmp_path / "a.db")
    return CommandLine(tmp_path / "a.db")


def every_command() -> list[tuple[str, Any]]:
    return list(manual.commands(get_command(app)))


@pytest.mark.requirement("AP-04")
def test_the_version_is_that_of_the_package() -> None:
    assert run_here("--version").out == f"tacit {tacit.__version__}\n"


@pytest.mark.requirement("AP-04")
def test_nothing_heavy_is_imported_before_a_command_runs() -> None:
    code = "import sys, tacit.cli.app; print('\\n'.join({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(loaded.split()) == set()


@pytest.mark.requirement("AP-04")
def test_the_page_of_the_command_line_is_up_to_date() -> None:
    committed = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert committed == manual.describe(), "run: python -m tacit.cli.manual > docs/cli.md"


@pytest.mark.requirement("AP-04")
def test_every_command_and_option_says_what_it_is_for() -> None:
    silent = [path for path, command in every_command() if not command.help]
    silent += [
        f"{path} {parameter.name}"
        for path, command in every_command()
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]
    assert silent == []


@pytest.mark.requirement("AP-04")
def test_every_command_takes_the_shared_options() -> None:
    lacking = [
        (path, set(SHARED) - {parameter.name for parameter in command.params}) for path, command in every_command()
    ]
    assert [each for each in lacking if each[1]] == []


@pytest.mark.requirement("AP-04")
def test_shared_options_stand_before_or_after_the_command_and_the_later_one_wins(
    tmp_path: Path, cli: CommandLine
) -> None:
    before = run_here("--json", "--store", str(cli.store), "episode", "list")
    after = run_here("episode", "list", "--json", "--store", str(cli.store))
    both = run_here("--store", str(tmp_path / "none.db"), "episode", "list", "--json", "--store", str(cli.store))
    assert len(before.json) == 6
    assert before.json == after.json == both.json


READING = [
    ["episode", "list"],
    ["episode", "search", "item"],
    ["mind", "list"],
    ["stats"],
    ["stats", "lag"],
    ["journal", "verify"],
    ["journal", "replay"],
    ["journal", "checkpoint"],
    ["backup", "list"],
    ["config", "show"],
    ["config", "check"],
    ["config", "docs"],
    ["migrate", "--dry-run"],
    ["doctor"],
]


@pytest.mark.requirement("AP-04")
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_json_is_exactly_one_document_and_nothing_else_is_said(cli: CommandLine, arguments: list[str]) -> None:
    told = cli(*arguments, "--json")
    assert (told.code, told.err) == (0, "")
    assert told.out.count("\n") == 1
    json.loads(told.out)


@pytest.mark.requirement("AP-04")
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_plain_output_has_no_control_sequences(cli: CommandLine, arguments: list[str]) -> None:
    said = cli(*arguments)
    assert said.code == 0
    assert "\x1b" not in said.out + said.err


@pytest.mark.requirement("AP-04")
def test_columns_of_plain_output_are_aligned(cli: CommandLine) -> None:
    names, *rows = cli("episode", "list", "--quiet").out.splitlines()
    start = names.index("description")
    assert {row[start - 1] for row in rows} == {" "}
    assert {row[start:].split()[0] for row in rows} == {"Buy"}


@pytest.mark.requirement("AP-04")
def test_stored_control_sequences_never_reach_a_terminal(cli: CommandLine) -> None:
    id = cli("episode", "start", "Clear the screen \x9b2J", "--quiet").out.strip()
    for arguments in (["episode", "list"], ["episode", "show", id], ["episode", "show", "\x1b[2J"]):
        shown = cli(*arguments)
        assert {"\x1b", "\x9b"} & set(shown.out + shown.err) == set()
    assert "Clear the screen \\x9b2J" in cli("episode", "show", id).out
    assert printable("\x1b[2J\tone\ntwo\x7f\ud800") == "\\x1b[2J\tone\ntwo\\x7f\\ud800"


@pytest.mark.requirement("AP-04")
@pytest.mark.parametrize(
    "arguments",
    [["episode", "lst"], ["episode", "show"], ["--nonsense"], ["episode", "list", "--limit", "0"], ["import"]],
)
def test_a_wrong_command_line_exits_with_2_and_shows_how_it_is_used(cli: CommandLine, arguments: list[str]) -> None:
    said = run_here(*arguments)
    assert (said.code, said.out) == (2, "")
    assert "Usage: tacit" in said.err
    assert "error: " in said.err
    told = run_here(*arguments, "--json")
    assert (told.code, told.out) == (2, "")
    assert told.error["code"] == "invalid_input"


@pytest.mark.requirement("AP-04")
@pytest.mark.parametrize("arguments", [[], ["--quiet"], ["episode"], ["journal"], ["journal", "--quiet"]])
def test_a_group_without_a_command_shows_its_help(arguments: list[str]) -> None:
    said = run_here(*arguments)
    assert (said.code, said.err) == (2, "")
    assert "Commands" in said.out


@pytest.mark.requirement("AP-04", "AP-07")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["journal", "--json"], "'tacit journal' needs one of its commands: verify, replay"),
        (["--json", "journal"], "'tacit journal' needs one of its commands: verify, replay"),
        (["--json"], "'tacit' needs one of its commands: run, demo, import"),
    ],
)
def test_a_group_without_a_command_is_an_error_that_names_its_commands_where_json_is_wanted(
    arguments: list[str], told: str
) -> None:
    said = run_here(*arguments)
    assert (said.code, said.out, said.error["code"]) == (2, "", "invalid_input")
    assert said.error["message"].startswith(told)


@pytest.mark.requirement("AP-04")
def test_options_of_every_command_may_stand_behind_the_name_of_a_group(cli: CommandLine) -> None:
    inside = run_here("episode", "--store", str(cli.store), "--json", "list")
    assert inside.json == cli.json("episode", "list") != []


@pytest.mark.requirement("AP-04")
def test_notes_are_left_out_when_quiet(cli: CommandLine) -> None:
    assert "there may be more" in cli("episode", "list", "--limit", "1").err
    assert cli("episode", "list", "--limit", "1", "--quiet").err == ""


@pytest.mark.requirement("AP-04")
@pytest.mark.parametrize("arguments", [["export", "-"], ["--help"], ["journal"], ["--version"]])
def test_a_reader_that_stops_reading_ends_the_program_quietly(cli: CommandLine, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "tacit", "--store", str(cli.store), *arguments]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    finally:
        os.close(writing)
    assert (ran.returncode, ran.stderr) == (141, "")


@pytest.mark.requirement("AP-04")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_cannot_be_written_is_told_by_one_line_or_the_exit_code_alone() -> None:
    command = [sys.executable, "-m", "tacit"]
    with Path("/dev/full").open("wb") as full:
        helped = subprocess.run([*command, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        unsaid = subprocess.run([*command, "nonsense"], stdout=subprocess.PIPE, stderr=full, text=True, timeout=60)
    assert (helped.returncode, helped.stderr) == (1, "error: No space left on device\n")
    assert (unsaid.returncode, unsaid.stdout) == (2, "")


@pytest.mark.requirement("AP-04")
@pytest.mark.parametrize("loaded", ["tacit.cli", "typer", "tacit.cli.verb", "tacit.cli.traces", "tacit.cli.app"])
def test_ctrl_c_leaves_no_traceback_while_the_program_starts(cli: CommandLine, loaded: str) -> None:
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "tacit",
        "--store",
        str(cli.store),
        "journal",
        "tail",
        "--follow",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert any(line.split("|")[-1].strip() == loaded for line in running.stderr)
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
    assert "Traceback" not in said
    assert running.returncode in (130, -signal.SIGINT)  # a shell says 130 of both


def test_the_installed_program_begins_where_ctrl_c_is_seen_to() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"tacit": "tacit.__main__:main"}


@pytest.mark.requirement("AP-04")
def test_ctrl_c_is_ignored_where_the_caller_wants_it(cli: CommandLine) -> None:
    code = (
        "import signal, os, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, sys.executable, "-X", "importtime", "-m", "tacit", "--version"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert any(line.split("|")[-1].strip() == "typer" for line in running.stderr)
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=60)
    assert (running.returncode, said) == (0, f"tacit {tacit.__version__}\n")


@pytest.mark.requirement("AP-04")
def test_ctrl_c_exits_with_130_and_without_a_traceback(cli: CommandLine) -> None:
    command = [sys.executable, "-m", "tacit", "--store", str(cli.store), "journal", "tail", "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline()  # it has begun to follow
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, "")


@pytest.mark.requirement("AP-04")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_can_be_shown(shell: str) -> None:
    ran = run_program("--show-completion", shell, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert ran.returncode == 0
    assert "_TACIT_COMPLETE" in ran.stdout


@pytest.mark.requirement("AP-04")
def test_completion_offers_the_commands_of_a_group() -> None:
    asked = {"_TACIT_COMPLETE": "complete_bash", "COMP_WORDS": "tacit journal ", "COMP_CWORD": "2"}
    offered = run_program(env=asked).stdout.split()
    assert {"verify", "replay", "checkpoint", "tail", "prove"} <= set(offered)


@pytest.mark.requirement("AP-04", "EP-07")
def test_at_a_terminal_there_are_tables_and_a_progress_bar(cli: CommandLine, tmp_path: Path) -> None:
    code, sent = at_a_terminal("--store", str(cli.store), "stats")
    assert code == 0
    assert "\x1b[" in sent
    assert "──" in sent
    traces = write_traces(tmp_path / "more.jsonl", good=9)
    code, sent = at_a_terminal("--store", str(cli.store), "import", str(traces))
    assert code == 0
    assert "importing more.jsonl" in sent
    assert "9 records" in sent


@pytest.mark.requirement("AP-04")
def test_at_a_terminal_errors_are_red_unless_colours_are_not_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = ("--store", str(tmp_path / "none.db"), "episode", "list")
    assert "\x1b[31merror: " in at_a_terminal(*wrong)[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert at_a_terminal(*wrong)[1].startswith("error: ")


@pytest.mark.requirement("AP-04")
def test_a_command_is_a_thin_function_of_its_session() -> None:
    """Every command's function carries its documentation and its module, so that tracebacks and help agree."""
    for _, command in every_command():
        assert command.callback.__module__.startswith("tacit.cli.")
        assert inspect.cleandoc(command.callback.__doc__ or "").startswith(command.help.splitlines()[0])
