"""An export that is killed leaves nothing that lasts, and one that is under way is left alone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tacit
from trials import open_mind

pytestmark = pytest.mark.requirement("EP-07")

EXPORT = """
    import sys
    import tacit
    with tacit.open(sys.argv[1]) as mind:
        mind.export(sys.argv[2], progress=lambda done: (print(done, flush=True), sys.stdin.readline()))
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "agent.db"
    with open_mind(path) as mind:
        for number in range(3):
            with mind.episode(f"number {number}") as episode:
                episode.complete("success")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@contextmanager
def half_done(store: Path, target: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of an export; it goes on when its standard input is closed."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", textwrap.dedent(EXPORT), str(store), str(target)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        yield process
        process.communicate(timeout=60)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_export_left_is_removed_by_the_next_one_to_that_folder(store: Path, folder: Path) -> None:
    with half_done(store, folder / "first.jsonl") as process:
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(names(folder)) == 1
    assert names(folder)[0].startswith(".")
    with open_mind(store) as mind:
        assert mind.export(folder / "second.jsonl") == 3
    assert names(folder) == ["second.jsonl"]


def test_an_export_that_is_under_way_in_another_process_is_left_alone(store: Path, folder: Path) -> None:
    with half_done(store, folder / "first.jsonl") as process, open_mind(store) as mind:
        assert mind.export(folder / "second.jsonl") == 3
    assert process.returncode == 0
    assert names(folder) == ["first.jsonl", "second.jsonl"]
    assert (folder / "first.jsonl").read_bytes() == (folder / "second.jsonl").read_bytes()


def test_an_export_that_is_under_way_in_this_process_is_left_alone(store: Path, folder: Path) -> None:
    def another(done: int) -> None:
        assert mind.export(folder / f"{done}.jsonl") == 3

    with open_mind(store) as mind:
        assert mind.export(folder / "outer.jsonl", progress=another) == 3
    assert names(folder) == ["1.jsonl", "2.jsonl", "3.jsonl", "outer.jsonl"]


@pytest.mark.parametrize("links", [True, False])
def test_of_two_exports_to_one_new_file_the_second_is_a_conflict(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    target = folder / "same.jsonl"

    def no_links(_draft: Path, _path: Path) -> None:  # as on FAT
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def first(done: int) -> None:
        if done == 1:
            assert mind.export(target) == 3
            target.write_bytes(target.read_bytes() + b"first")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with open_mind(store) as mind:
        with pytest.raises(tacit.Conflict, match="exists already"):
            mind.export(target, progress=first)
        assert target.read_bytes().endswith(b"first")
        assert mind.export(target, overwrite=True) == 3
        assert not target.read_bytes().endswith(b"first")
    assert names(folder) == ["same.jsonl"]


def test_an_export_that_fails_leaves_nothing_and_keeps_the_file_that_was_there(store: Path, folder: Path) -> None:
    target = folder / "kept.jsonl"
    target.write_text("mine")

    def interrupted(done: int) -> None:
        raise KeyboardInterrupt

    with open_mind(store) as mind, pytest.raises(KeyboardInterrupt):
        mind.export(target, overwrite=True, progress=interrupted)
    assert names(folder) == ["kept.jsonl"]
    assert target.read_text() == "mine"


def test_a_file_of_the_same_kind_of_name_that_cannot_be_removed_stops_nobody(store: Path, folder: Path) -> None:
    (folder / ".tacit-draft-folder").mkdir()
    (folder / ".tacit-draft-link").symlink_to(store)
    with tacit.open(store) as mind:
        assert mind.export(folder / "a.jsonl") == 3
    assert store.exists()
    assert "a.jsonl" in names(folder)
