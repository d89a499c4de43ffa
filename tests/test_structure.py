"""The shape of the code, read from its source: direction of imports, sizes, public names, what must not be in it."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("tacit.errors",),
    ("tacit.cache", "tacit.clock", "tacit.heap", "tacit.ids", "tacit.numerics", "tacit.retry"),
    ("tacit.stores",),
    ("tacit.journal",),
    ("tacit.experience",),
    ("tacit.recall",),
    ("tacit.learning.assessment",),
    ("tacit.learning.lessons", "tacit.learning.fitting"),
    ("tacit.learning.patterns", "tacit.learning.success", "tacit.learning.next_step", "tacit.learning.pointing"),
    ("tacit.learning.ranking",),
    ("tacit.learning.advising",),
    ("tacit.learning.trials",),
    ("tacit.learning.studying",),
    ("tacit.learning",),
    ("tacit.models",),
    ("tacit.ops",),
    ("tacit.verbs",),
    ("tacit.mind",),
    ("tacit.policies",),
    ("tacit.opening",),
    ("tacit.aio",),
    ("tacit",),
    ("tacit.cli", "tacit.bench", "tacit.__main__"),
)
"""The rooms from the bottom up. A module may import from its own floor and from those below, never from above.

A room is a module with all that is inside it; "tacit" is only the package's own file of public names.
"""

FILE_LINES = 500
FUNCTION_LINES = 50

TOO_LONG: dict[str, tuple[int, str]] = {}
"""What may be longer, as ``path`` or ``path::function``: its present length, and why. It only ever shrinks."""

STAND_INS = re.compile(
    r"(?<![A-Za-z])(?i:mock|stub|fake|dummy)(?:s|ed)?(?![a-z])|(?<=[a-z])(?:Mock|Stub|Fake|Dummy)(?![a-z])"
)
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
REGISTRY_HOSTS = re.compile(
    r"pypi[.]org|pythonhosted[.]org|npmjs[.]org|deb[.]debian[.]org|crates[.]io|golang[.]org|ghcr[.]io|docker[.]io|quay[.]io"
)
HOME_FOLDERS = re.compile(r"(?<![\w.])/(?:home|Users)/\w+/|(?<![\w.])/[r]oot/|\b[A-Z]:\\\\?Users\\")


@cache
def source_files(*folders: str) -> tuple[Path, ...]:
    return tuple(path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree_of(path)))


def nodes_in(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    for path in source_files(*folders):
        name = path.relative_to(ROOT)
        for node in nodes_of(path):
            yield f"{name}:{getattr(node, 'lineno', 1)}", node


@cache
def modules() -> dict[str, Path]:
    """The modules of the package, by dotted name."""
    named = {}
    for path in source_files("src/tacit"):
        parts = path.relative_to(SRC).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


def absolute_name(module: str, node: ast.ImportFrom) -> str:
    """The dotted name after ``from``, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    package = module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


@cache
def imported_by(module: str) -> set[str]:
    """The modules of this package that a module imports anywhere in it, also inside functions and for types only."""
    names: set[str] = set()
    for node in nodes_of(modules()[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = absolute_name(module, node)
            inside = {f"{origin}.{alias.name}" for alias in node.names}
            names |= {name if name in modules() else origin for name in inside}
    return {name for name in names if name in modules()} - {module}


def floor_of(module: str) -> int | None:
    """The floor of the nearest room around a module; None if it lies in no room."""
    rooms = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    if module in rooms:
        return rooms[module]
    around = [room for room in rooms if room != "tacit" and module.startswith(f"{room}.")]
    return rooms[max(around, key=len)] if around else None


@pytest.mark.requirement("QU-03")
def test_every_module_lives_in_a_room() -> None:
    homeless = [module for module in modules() if floor_of(module) is None]
    assert not homeless, f"give these a floor in FLOORS: {', '.join(homeless)}"


@pytest.mark.requirement("QU-03")
def test_imports_run_downwards_only() -> None:
    upwards = [
        f"{module} imports {name}, which is above it"
        for module in modules()
        for name in sorted(imported_by(module))
        if (floor_of(name) or 0) > (floor_of(module) or 0)
    ]
    assert not upwards, "\n".join(upwards)


@pytest.mark.requirement("QU-03")
def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: imported_by(module) for module in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' -> '.join(reversed(error.args[1]))}")


def lengths() -> Iterator[tuple[str, int, int]]:
    """(what, its lines, the limit) for every file and function of the project."""
    for path in source_files("src", "tests", "bench"):
        where = str(path.relative_to(ROOT))
        yield where, len(path.read_text(encoding="utf-8").splitlines()), FILE_LINES
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{where}::{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1, FUNCTION_LINES


@pytest.mark.requirement("QU-03")
def test_files_and_functions_are_short() -> None:
    long = [
        f"{what} has {lines} lines, of {TOO_LONG.get(what, (limit,))[0]}"
        for what, lines, limit in lengths()
        if lines > TOO_LONG.get(what, (limit,))[0]
    ]
    assert not long, "\n".join(long)


@pytest.mark.requirement("QU-03")
def test_exceptions_to_the_sizes_only_shrink() -> None:
    present = {what: lines for what, lines, limit in lengths() if lines > limit}
    stale = [what for what, (allowed, _) in TOO_LONG.items() if present.get(what, 0) < allowed]
    assert not stale, f"these became shorter: lower or remove their entry in TOO_LONG: {', '.join(stale)}"
    assert all(reason for _, reason in TOO_LONG.values())


@pytest.mark.requirement("QU-03", "AP-01")
def test_the_public_names_are_exactly_the_promised_ones() -> None:
    tacit = importlib.import_module("tacit")
    promised = tacit.__all__
    assert [name for name in promised if not hasattr(tacit, name)] == []
    assert len(promised) == len(set(promised))
    present = {name for name, value in vars(tacit).items() if not name.startswith("_") and not promises_nothing(value)}
    assert present - set(promised) == set()


def promises_nothing(value: object) -> bool:
    """Importing a submodule sets its name on the package, as does a ``from __future__``: neither is a promise."""
    submodule = isinstance(value, ModuleType) and value.__name__.startswith("tacit.")
    return submodule or type(value).__module__ == "__future__"


@pytest.mark.requirement("QU-03")
def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name, path in modules().items() if tree_of(path).body and not ast.get_docstring(tree_of(path))]
    assert not silent, f"a docstring is missing in {', '.join(silent)}"


def is_broad(kind: ast.expr | None) -> bool:
    """Whether an ``except`` or ``suppress`` of this kind catches nearly everything."""
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(one is None or ast.unparse(one) in {"Exception", "BaseException"} for one in kinds)


def does_nothing(statement: ast.stmt) -> bool:
    literal = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return literal or isinstance(statement, ast.Pass | ast.Continue)


def swallows(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        return is_broad(node.type) and all(does_nothing(statement) for statement in node.body)
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).endswith("suppress") and any(is_broad(argument) for argument in node.args)
    return False


@pytest.mark.requirement("QU-03")
def test_no_error_is_swallowed() -> None:
    assert [where for where, node in nodes_in("src", "tests", "bench") if swallows(node)] == []


@pytest.mark.requirement("QU-07")
def test_nothing_in_the_package_is_left_unwritten() -> None:
    unwritten = [where for where, node in nodes_in("src") if getattr(node, "id", None) == "NotImplementedError"]
    assert unwritten + found_in(source_files("src"), UNFINISHED) == []


@pytest.mark.requirement("QU-07")
def test_nothing_in_the_package_stands_in_for_something_real() -> None:
    assert found_in(source_files("src"), STAND_INS) == []
    assert [where for where, node in nodes_in("src") if "unittest.mock" in imported_names(node)] == []


def imported_names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return set()


def found_in(paths: tuple[Path, ...], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {found[0]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if (found := pattern.search(line))
    ]


def settable_fields() -> Iterator[tuple[str, str]]:
    """(class, field) of every class of the package that holds settings or limits."""
    for _, node in nodes_in("src"):
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Settings", "Limits")):
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    yield node.name, line.target.id


@pytest.mark.requirement("QU-07", "OP-01")
def test_every_setting_and_limit_is_read_somewhere() -> None:
    read = {node.attr for _, node in nodes_in("src") if isinstance(node, ast.Attribute)}
    fields = [(owner, name) for owner, name in settable_fields() if name != "model_config"]
    assert fields
    assert [f"{owner}.{name}" for owner, name in fields if name not in read] == []


@cache
def project_files() -> tuple[Path, ...]:
    """The text files that are, or are about to be, under version control."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode:  # an unpacked archive has no history
        made = re.compile(r"(?:^|/)(?:[.](?!ci/|github/)[^/]*|__pycache__|build|dist|htmlcov)(?:/|$)")
        paths = [path for path in ROOT.rglob("*") if not made.search(path.relative_to(ROOT).as_posix())]
    else:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return tuple(path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192])


def places_of_this_machine() -> re.Pattern[str]:
    """This checkout and what lies beside it; a folder that everybody has, such as /tmp, tells nothing."""
    everybodys = {Path("/"), Path(tempfile.gettempdir()).resolve()}
    beside = set() if ROOT.parent in everybodys else set(ROOT.parent.iterdir())
    return re.compile("|".join(rf"(?<![\w.]){re.escape(str(place))}\b" for place in sorted({ROOT, *beside})))


@pytest.mark.requirement("QU-03")
def test_no_file_names_a_place_on_somebodys_machine() -> None:
    assert found_in(project_files(), places_of_this_machine()) == []
    assert found_in(project_files(), HOME_FOLDERS) == []


@pytest.mark.requirement("QU-03")
def test_no_file_names_a_package_registry() -> None:
    assert found_in(project_files(), REGISTRY_HOSTS) == []


LOCKED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", re.MULTILINE)


def locked(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    pins: dict[str, str] = {canonicalize_name(pin["name"]): pin["version"] for pin in LOCKED.finditer(text)}
    assert len(pins) == len(re.findall(r"^[\w.-]+==", text, re.MULTILINE)), "a pin has no hash"
    return pins


def unlocked(wanted: list[str], pins: dict[str, str]) -> list[str]:
    requirements = [Requirement(line) for line in wanted]
    return [
        str(requirement)
        for requirement in requirements
        if pins.get(canonicalize_name(requirement.name), "none") not in requirement.specifier
    ]


@pytest.mark.requirement("QU-01")
def test_every_dependency_is_locked_with_hashes() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = declared["project"]
    extras = [line for extra in project.get("optional-dependencies", {}).values() for line in extra]
    development = [*extras, *declared["dependency-groups"]["dev"], *declared["build-system"]["requires"]]
    runtime, everything = locked("runtime.txt"), locked("dev.txt")
    assert unlocked(project["dependencies"], runtime) == [], "run `make lock`"
    assert unlocked([*project["dependencies"], *development], everything) == [], "run `make lock`"
    assert runtime.items() <= everything.items()
