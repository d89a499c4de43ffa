"""Requirements and tests are bound both ways: docs/requirements.md says what is in scope, markers say what is proved.

Markers are found by reading the files, not by running them, so this takes a moment only.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "requirements.md"
ROW = re.compile(r"^\| (?P<id>[A-Z]{2}-\d{2}) \| (?P<status>[^|]*) \| (?P<statement>[^|]*) \|$", re.MULTILINE)
STATUSES = {"whole", "in part", "bench"}


def rows() -> list[re.Match[str]]:
    return list(ROW.finditer(DOCUMENT.read_text(encoding="utf-8")))


def is_requirement_marker(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.requirement"


def marked() -> Iterator[tuple[str, str]]:
    """(id, where) of every marker that a test function, a test class or a test module bears."""
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if is_requirement_marker(node):
                where = f"{path.relative_to(TESTS)}:{node.lineno}"
                yield from ((ast.literal_eval(argument), where) for argument in node.args)


@pytest.mark.requirement("QU-03")
def test_every_requirement_in_scope_has_a_test() -> None:
    proved = {name for name, _ in marked()}
    missing = [row["id"] for row in rows() if row["id"] not in proved]
    assert not missing, f"no test bears the marker of {', '.join(missing)}"


@pytest.mark.requirement("QU-03")
def test_every_marker_names_a_requirement_in_scope() -> None:
    known = {row["id"] for row in rows()}
    unknown = [f"{where} names {name}" for name, where in marked() if name not in known]
    assert not unknown, "\n".join(unknown)


def test_no_requirement_is_listed_twice() -> None:
    ids = [row["id"] for row in rows()]
    assert ids == list(dict.fromkeys(ids))


def test_every_row_of_the_document_is_well_formed() -> None:
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if re.match(r"\| [A-Z]{2}-", line)]
    assert len(lines) == len(rows()) > 0
    assert {row["status"] for row in rows()} <= STATUSES
    assert all(row["statement"].strip() for row in rows())
