"""What an attack once broke: odd values through the SDK, hostile names and odd streams at the command line."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tacit
from tacit.cli.output import Output, printable
from tacit.errors import InvalidInput, InvalidSetting, StoreError
from tacit.ops.settings import load

TACIT = (sys.executable, "-m", "tacit")


@pytest.fixture
def mind() -> Iterator[tacit.Mind]:
    with tacit.open(":memory:") as mind:
        yield mind


def _deep() -> Any:
    """A list in a list in a list …, which Python itself cannot write down."""
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    return deep


ODD: dict[str, Callable[[Any], object]] = {
    "a text as tags": lambda mind: mind.episode("x", tags="urgent"),
    "no list as tags": lambda mind: mind.episode("x", tags=5),
    "a list as metadata": lambda mind: mind.episode("x", metadata=[1]),
    "half a surrogate pair as key": lambda mind: mind.episode("x", key="\ud800"),
    "half a surrogate pair as the name of a mind": lambda _: tacit.open(":memory:", mind="\ud800"),
    "half a surrogate pair as agent": lambda mind: mind.episode("x", agent="\ud800"),
    "half a surrogate pair as complexity": lambda mind: mind.episode("x", complexity="\ud800"),
    "half a surrogate pair as the agent who resumes": lambda mind: mind.resume(mind.episode("x").id, agent="\ud800"),
    "half a surrogate pair as record": lambda mind: mind.record({"task": "\ud800"}),
    "half a surrogate pair as the agent of an import": lambda mind: mind.ingest(
        __file__, format="react", agent="\ud800"
    ),
    "half a surrogate pair as a tag of an import": lambda mind: mind.ingest(__file__, format="react", tags=["\ud800"]),
    "more tokens than a float can hold": lambda mind: mind.episode("x").step(tool="t", tokens=10**400),
    "bytes as the end": lambda mind: mind.episode("x").complete("success", ended_at=b"x"),
    "bytes as a limit": lambda mind: mind.episodes(limit=b"x"),
    "a text as parameters": lambda mind: mind.episode("x").step(tool="t", parameters="ls"),
    "a text as success": lambda mind: mind.episode("x").step(tool="t", success="no"),
    "a list as state": lambda mind: mind.episode("x").checkpoint(state=[1]),
    "a number as record": lambda mind: mind.record(5),
    "a text as tags to add": lambda mind: mind.update(mind.episode("x").id, add_tags="urgent"),
    "a text as new tags": lambda mind: mind.update(mind.episode("x").id, tags="urgent"),
    "a fit that does not exist": lambda mind: mind.ingest(__file__, fit="squeeze"),
    "a number to look for": lambda mind: mind.episodes(text=5),
    "a status that no episode has": lambda mind: mind.episodes(status="sucess"),
    "a text as limit": lambda mind: mind.episodes(limit="5"),
    "half a number as limit": lambda mind: mind.episodes(limit=2.5),
    "U+0000 to look for": lambda mind: mind.episodes(text="\0"),
    "half a surrogate pair to look for": lambda mind: mind.episodes(tag="\ud800"),
    "nothing to import": lambda mind: mind.ingest(None),
    "a path to import that is too long": lambda mind: mind.ingest("x" * 200_000),
    "U+0000 in a path to import": lambda mind: mind.ingest("a\0b"),
    "a number as progress of an import": lambda mind: mind.ingest(__file__, progress=5),
    "nothing to export to": lambda mind: mind.export(None),
    "a path to export to that is too long": lambda mind: mind.export("x" * 200_000),
    "half a surrogate pair as a path to export to": lambda mind: mind.export("\ud800"),
    "a number as progress of an export": lambda mind: mind.export("x.jsonl", progress=5),
    "a number as target of a backup": lambda mind: mind.backup(5),
    "a target of a backup that is too long": lambda mind: mind.backup("x" * 200_000),
    "a store whose path is too long": lambda _: tacit.open("x" * 200_000),
    "half a surrogate pair as a store": lambda _: tacit.open("\ud800"),
    "half a surrogate pair as key file": lambda _: tacit.open(":memory:", key_file="\ud800"),
    "a number as key file": lambda _: tacit.open(":memory:", key_file=5),
    "a deep list as an id": lambda mind: mind.get(_deep()),
    "a deep list as success": lambda mind: mind.episode("x").step(tool="t", success=_deep()),
    "a deep list as status of a step": lambda mind: mind.episode("x").step(tool="t", status=_deep()),
    "a deep list as outcome": lambda mind: mind.episode("x").complete(_deep()),
    "a deep list as score": lambda mind: mind.episode("x").complete("success", score=_deep()),
    "a deep list as end": lambda mind: mind.episode("x").complete("success", ended_at=_deep()),
    "a deep list as observation": lambda mind: mind.episode("x").step(tool="t", observation=_deep()),
    "a deep list in parameters": lambda mind: mind.episode("x").step(tool="t", parameters={"p": _deep()}),
    "a deep list as status to look for": lambda mind: mind.episodes(status=_deep()),
    "a deep list as limit": lambda mind: mind.episodes(limit=_deep()),
    "a deep list as page": lambda mind: mind.episodes(after=_deep()),
    "a deep list as relation": lambda mind: mind.episode("x").relate(_deep(), "y"),
    "a deep list as target of a relation": lambda mind: mind.episode("x").relate("parent", _deep()),
    "a deep list as description": lambda mind: mind.episode(_deep()),
    "a deep list as metadata": lambda mind: mind.episode("x", metadata={"m": _deep()}),
    "a deep list as tag": lambda mind: mind.episode("x").tag(_deep()),
    "a deep list as key": lambda mind: mind.episode("x", key=_deep()),
    "a deep list as note of a hand-off": lambda mind: mind.handoff(mind.episode("x").id, note=_deep()),
    "a deep list as record": lambda mind: mind.record(_deep()),
    "a deep list in a record": lambda mind: mind.record({"task": {"description": "x", "metadata": {"m": _deep()}}}),
    "a deep list to resume": lambda mind: mind.resume(_deep()),
    "a deep list as a change": lambda mind: mind.update(mind.episode("x").id, domain=_deep()),
    "a deep list as fit": lambda mind: mind.ingest(__file__, fit=_deep()),
    "a deep list as format": lambda mind: mind.ingest(__file__, format=_deep()),
    "a deep list as the name of a mind": lambda _: tacit.open(":memory:", mind=_deep()),
    "a deep list as tenant": lambda _: tacit.open(":memory:", tenant=_deep()),
    "a deep list as moment": lambda mind: mind.at(_deep()),
    "a deep list as store": lambda _: tacit.open(_deep()),
    "thousands of words to look for": lambda mind: mind.episodes("a " * 2_000),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_value_is_refused_in_words(mind: tacit.Mind, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ODD[name](mind)
    assert len(str(caught.value)) < 1_000
    assert len(json.dumps(caught.value.as_dict())) < 2_000


@pytest.mark.parametrize("depth", [5_000])
def test_settings_that_are_nested_too_deeply_are_refused(tmp_path: Path, depth: int) -> None:
    file = tmp_path / "deep.yaml"
    file.write_text("[" * depth, encoding="utf-8")

    with pytest.raises(InvalidSetting, match="not valid YAML"):
        load(file=file, environ={})


def test_a_settings_file_without_end_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="is larger than"):
        load(file=Path("/dev/zero"), environ={})


def test_an_anchor_that_is_a_folder_is_an_error_of_the_store(tmp_path: Path) -> None:
    settings = load({"journal.anchor": str(tmp_path)}, environ={}).settings

    with pytest.raises(StoreError, match="cannot be read"):
        tacit.open(tmp_path / "store.db", settings=settings)


# ── the command line ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_marks_that_reorder_text_are_made_visible() -> None:
    assert printable("a\u202etxt.exe\u2066") == "a\\u202etxt.exe\\u2066"


def test_json_holds_no_control_character_and_stays_the_same_value(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\x1b[31m \x9b31m \x7f \u202e é"

    Output(json=True, quiet=False).document({"text": text})

    written = capsys.readouterr().out
    assert not set("\x1b\x9b\x7f\u202e") & set(written)
    assert json.loads(written) == {"text": text}


def test_json_is_whole_where_the_output_does_not_have_every_character(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))

    Output(json=True, quiet=False).document({"text": "é😀"})

    assert json.loads(raw.getvalue()) == {"text": "é😀"}


@pytest.mark.parametrize("name", ["[bold][nope].jsonl", "esc\x1b]0;owned\x07.jsonl"])
def test_the_name_of_an_imported_file_reaches_the_terminal_as_text(tmp_path: Path, name: str) -> None:
    record = {"task": {"description": "x"}, "steps": [{"tool": "t"}]}
    (tmp_path / name).write_text(json.dumps(record), encoding="utf-8")

    shown = _at_a_terminal(tmp_path, "--store", "store.db", "import", name)

    assert name.replace("\x1b", "\\x1b").replace("\x07", "\\x07") in shown
    assert "]0;owned\x07" not in shown


def _at_a_terminal(folder: Path, *arguments: str) -> str:
    """What a command writes to standard error, which is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*TACIT, *arguments], cwd=folder, stderr=theirs, stdout=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        while part := _read(ours):
            shown += part
        assert process.wait() == 0
    os.close(ours)
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so when the last writer is gone
        return b""


def test_a_command_runs_with_its_streams_closed(tmp_path: Path) -> None:
    command = f"exec {sys.executable} -m tacit --store store.db episode start x <&- >&- 2>&-"

    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, check=False).returncode == 0

    with tacit.open(tmp_path / "store.db") as mind:
        assert [episode.description for episode in mind.episodes()] == ["x"]


def test_a_terminal_without_the_characters_gets_escapes(tmp_path: Path) -> None:
    ran = _run(tmp_path, "--store", "store.db", "episode", "start", "x", "--domain", "é", PYTHONIOENCODING="ascii")
    assert ran.returncode == 0

    listed = _run(
        tmp_path, "--store", "store.db", "episode", "show", ran.stdout.decode().strip(), PYTHONIOENCODING="ascii"
    )

    assert listed.returncode == 0
    assert b"\\xe9" in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "given", "code", "said"),
    [
        (("import", "a" * 300), b"", 2, "longer than a path may be"),
        (("backup", "verify", "a" * 300), b"", 1, "File name too long"),
        (("episode", "resume", "-"), b"\xa8\xff", 2, "cannot be read as text"),
    ],
)
def test_what_the_system_refuses_is_no_fault_of_tacit(
    tmp_path: Path, arguments: tuple[str, ...], given: bytes, code: int, said: str
) -> None:
    with tacit.open(tmp_path / "store.db"):
        pass

    ran = _run(tmp_path, "--store", "store.db", *arguments, input=given)

    assert ran.returncode == code
    assert said in ran.stderr.decode()
    assert "fault of Tacit" not in ran.stderr.decode()


def _run(folder: Path, *arguments: str, input: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [*TACIT, *arguments], cwd=folder, input=input, capture_output=True, env=environment, check=False
    )
