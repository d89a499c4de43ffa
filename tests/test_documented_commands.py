"""Every command line that the documents show is one that the program takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from tacit.cli import manual
from tacit.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {"cli.md"}  # made from the commands themselves
IN_BLOCK = re.compile(r"^(?: {4}|\$ )?(?:\$ )?(tacit .+)$", re.MULTILINE)
INLINE = re.compile(r"`(tacit [^`\n]+)`")


def documents() -> list[Path]:
    return [
        ROOT / "README.md",
        *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name not in GENERATED),
        *(path for name in ("CHANGELOG.md", "bench/README.md") if (path := ROOT / name).exists()),
    ]


def shown() -> Iterator[tuple[str, str]]:
    """(where, command line) for each one in a block or between backticks."""
    for path in documents():
        text = path.read_text(encoding="utf-8")
        for found in (*IN_BLOCK.finditer(text), *INLINE.finditer(text)):
            line = text.count("\n", 0, found.start(1)) + 1
            yield f"{path.relative_to(ROOT)}:{line}", found[1].split("  #")[0].strip().rstrip(".,;:")


def parse(line: str) -> None:
    """Take a command line apart as the program does, without running it.

    Raises:
        typer.TyperException: the program would refuse it.
    """
    words = shlex.split(line.partition(" | ")[0].partition(" > ")[0])[1:]
    command: Any = get_command(app)
    context = command.make_context("tacit", words, resilient_parsing=False)
    rest = [*context._protected_args, *context.args] if hasattr(context, "_protected_args") else context.args
    while rest and getattr(command, "commands", None):
        name, command, rest = command.resolve_command(context, list(rest))
        context = command.make_context(name, list(rest), parent=context)
        rest = [*getattr(context, "_protected_args", []), *context.args]


def names() -> set[str]:
    """The full names of all commands and groups: what a sentence calls them, without arguments."""
    paths = [path.split() for path, _ in manual.commands(get_command(app))]
    return {" ".join(path[:length]) for path in paths for length in range(1, len(path) + 1)}


@pytest.mark.requirement("QU-03", "AP-04")
def test_every_documented_command_line_is_taken_by_the_program() -> None:
    named = names()
    found = [(where, line) for where, line in shown() if line not in named]
    refused = []
    for where, line in found:
        try:
            parse(line)
        except (typer.TyperException, typer.Exit) as error:
            refused.append(f"{where}: {line!r}: {error}")
    assert found
    assert not refused, "\n".join(refused)


@pytest.mark.requirement("QU-03")
def test_a_command_line_that_does_not_exist_is_found_out() -> None:
    for line in ("tacit episodes list", "tacit episode list --colour", "tacit restore x.backup", "tacit import"):
        with pytest.raises(typer.TyperException):
            parse(line)


@pytest.mark.requirement("QU-03")
def test_the_page_of_the_command_line_names_every_command() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert [path for path, _ in manual.commands(get_command(app)) if f"\n## {path}\n" not in page] == []
