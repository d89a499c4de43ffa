"""What is named on the command line to be read or written, and is cut off, empty, no file, or something to be kept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import CommandLine, run_here, write_traces
from tacit.cli import source
from tacit.cli.output import Output


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "a.db")


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    return write_traces(tmp_path / "traces.jsonl", good=3)


@pytest.fixture
def filled(cli: CommandLine, traces: Path) -> CommandLine:
    assert cli("import", str(traces)).code == 0
    return cli


@pytest.mark.requirement("EP-07", "AP-04")
@pytest.mark.parametrize("from_file", [True, False])
def test_a_last_line_that_is_cut_off_is_told_and_the_others_are_kept(
    cli: CommandLine, traces: Path, tmp_path: Path, from_file: bool
) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(traces.read_bytes()[:-40])
    path, stdin = (str(cut), "") if from_file else ("-", cut.read_text(encoding="utf-8"))
    ran = cli("import", path, "--json", stdin=stdin)
    assert (ran.code, ran.json["imported"]) == (0, 2)
    assert [each["location"] for each in ran.json["rejected"]] == ["line 3"]
    assert "truncated" in ran.json["rejected"][0]["reason"]


@pytest.mark.requirement("EP-07")
def test_nothing_of_standard_input_stays_when_the_program_is_killed(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    command = [sys.executable, "-m", "tacit", "--store", str(cli.store), "import", "-"]
    environ = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environ) as running:
        assert running.stdin is not None
        for _ in range(20):  # more than a pipe holds, so it has begun to keep what came in
            running.stdin.write(b"x" * 65_536)
        running.kill()
    assert list(folder.iterdir()) == []


@pytest.mark.requirement("EP-07")
def test_standard_input_is_kept_in_a_private_folder_where_a_file_needs_a_name(
    traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "OPEN_FILES", tmp_path / "not Linux")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted(tmp_path.iterdir())
    with traces.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with source.source_of(Output(json=False, quiet=True), "-") as received:
            assert received.read_bytes() == traces.read_bytes()
            assert received.parent.stat().st_mode & 0o077 == 0
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.requirement("EP-07", "AP-04")
def test_what_cannot_be_imported_is_refused_in_words_that_help(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "nothing").touch()
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        ("", "the path is empty"),
        (str(tmp_path / "nothing"), "nothing is empty; there is nothing to import"),
        (str(tmp_path / "pipe"), "'tacit import -' takes what a pipe gives"),
    ):
        refused = cli("import", path, "--json")
        assert (refused.code, refused.error["code"]) == (2, "invalid_input")
        assert words in refused.error["message"]
    assert not cli.store.exists()


@pytest.mark.requirement("EP-07")
def test_a_folder_that_cannot_be_read_is_told_and_not_passed_over(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "runs" / "locked"
    inner.mkdir(parents=True)
    write_traces(inner.parent / "a.jsonl", good=2)
    look = os.scandir

    def without_permission(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path) == str(inner):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", without_permission)  # root may read every folder
    told = cli.json("import", str(inner.parent))
    assert told["imported"] == 2
    assert told["rejected"] == [{"location": "locked", "reason": "cannot be read: Permission denied"}]
    refused = cli("import", str(inner), "--json")
    assert (refused.code, refused.error["code"]) == (5, "permission_denied")


@pytest.mark.requirement("EP-07", "AP-04")
@pytest.mark.parametrize("target", ["a.db", "a.db-wal", "a.db.anchor", "link", "folder", "pipe"])
def test_an_export_takes_the_place_of_files_and_never_of_its_own_store(
    filled: CommandLine, tmp_path: Path, target: str
) -> None:
    (tmp_path / "link").symlink_to(filled.store)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = filled.store.read_bytes()
    refused = filled("export", str(tmp_path / target), "--overwrite", "--json")
    assert (refused.code, refused.error["code"]) == (4, "conflict")
    assert filled.store.read_bytes() == before
    assert filled("journal", "verify").code == 0


@pytest.mark.requirement("OP-07", "AP-04")
def test_a_restore_replaces_neither_its_backup_nor_what_is_no_file(filled: CommandLine, tmp_path: Path) -> None:
    backup = tmp_path / "b.backup"
    assert filled("backup", "create", str(backup)).code == 0
    for place in (backup, tmp_path):
        refused = run_here("restore", str(backup), "--to", str(place), "--force", "--json")
        assert (refused.code, refused.error["code"]) == (4, "conflict")
    assert run_here("backup", "verify", str(backup)).code == 0


@pytest.mark.requirement("OP-07", "AP-04")
def test_backups_are_listed_of_a_folder_that_is_there(tmp_path: Path) -> None:
    refused = run_here("backup", "list", str(tmp_path / "nowhere"), "--json")
    assert (refused.code, refused.error["code"]) == (3, "not_found")
