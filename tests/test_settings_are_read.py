"""Every setting is read by the program: delete the read of one, and the test of its name fails.

A read is ``settings.journal.group_events`` (also behind ``self.settings`` or ``loaded.settings``), or
``journal.group_events`` where ``journal`` was annotated with the class of the group or assigned from
``settings.journal``. Any other attribute that happens to have the same name does not count.
"""

from __future__ import annotations

import ast
import textwrap
from functools import cache
from pathlib import Path

import pytest

from tacit.ops.setting_definitions import group_names, group_of
from tacit.ops.settings import definitions

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "tacit"

READ_BY_A_METHOD = {f"limits.{name}": "limits.to_limits" for name in getattr(group_of("limits"), "model_fields", {})}
"""Settings that a method of their group hands on; what is looked for is a use of the method."""

READ_ON_LOADING = {"encryption.key_file": "encryption.passphrase"}
"""Settings that only fill another one when settings are loaded; what is looked for is a read of that one."""


def chain(node: ast.expr) -> list[str]:
    """``a.b().c`` is ["a", "b", "c"]; what is not a name stands as "?"."""
    if isinstance(node, ast.Attribute):
        return [*chain(node.value), node.attr]
    if isinstance(node, ast.Name):
        return [node.id]
    return chain(node.func) if isinstance(node, ast.Call) else ["?"]


def after_settings(node: ast.expr) -> list[str]:
    """The part of a chain after ``settings``: ``self.settings.journal.anchor`` is ["journal", "anchor"]."""
    names = chain(node)
    return names[names.index("settings") + 1 :] if "settings" in names else []


@cache
def classes() -> dict[str, str]:
    """The group of each class, by the name of the class: LogSettings is "log"."""
    return {getattr(group_of(name), "__name__", ""): name for name in group_names()}


def groups_by_variable(tree: ast.AST) -> dict[str, str]:
    """Variables that hold a group: annotated with its class, or assigned from ``settings.<group>``."""
    held: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            name = ast.unparse(node.annotation).strip("'\"").rpartition(".")[2]
            held |= {node.arg: classes()[name]} if name in classes() else {}
        if isinstance(node, ast.Assign) and len(found := after_settings(node.value)) == 1 and found[0] in group_names():
            held |= {target.id: found[0] for target in node.targets if isinstance(target, ast.Name)}
    return held


def reads(source: str) -> set[str]:
    """The dotted keys that a module reads."""
    tree = ast.parse(source)
    held = groups_by_variable(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        names = chain(node)
        found.add(".".join(after_settings(node)))
        if names[0] in held and len(names) > 1:
            found.add(f"{held[names[0]]}.{names[1]}")
    return found


@cache
def read_by_the_program() -> frozenset[str]:
    files = [path for path in PACKAGE.rglob("*.py") if not path.name.startswith("setting")]
    return frozenset(key for path in files for key in reads(path.read_text(encoding="utf-8")))


@pytest.mark.requirement("QU-07", "OP-01")
@pytest.mark.parametrize("key", list(definitions()))
def test_the_setting_is_read(key: str) -> None:
    looked_for = READ_BY_A_METHOD.get(key) or READ_ON_LOADING.get(key) or key
    assert looked_for in read_by_the_program(), f"nothing in src/tacit reads settings.{looked_for}"


@pytest.mark.requirement("QU-07")
@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("open(settings.store)", True),
        ("open(self.settings.store)", True),
        ("open(load(flags).settings.store)", True),
        ("settings.store = 1", False),
        ("open(self.store)", False),
        ("open('settings.store')", False),
    ],
)
def test_a_read_of_a_plain_setting_is_recognised(source: str, found: bool) -> None:
    assert ("store" in reads(source)) is found


@pytest.mark.requirement("QU-07")
@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("use(settings.log.level)", True),
        ("def configure(log: LogSettings): use(log.level)", True),
        ("def configure(log: 'settings.LogSettings'): use(log.level.lower())", True),
        ("log = settings.log\nuse(log.level)", True),
        ("use(settings.log)", False),
        ("def configure(log: LogSettings): use(log.file)", False),
        ("log = getLogger()\nuse(log.level)", False),
        ("use(settings.level)", False),
    ],
)
def test_a_read_of_a_setting_in_a_group_is_recognised(source: str, found: bool) -> None:
    assert ("log.level" in reads(textwrap.dedent(source))) is found
