"""How long a fresh process takes: to import Tacit, and to say its version."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median

from tacit.bench.read import timed
from tacit.bench.run import Run

_COMMANDS: dict[str, tuple[str, ...]] = {
    "python_alone": ("-c", "pass"),
    "import_tacit": ("-c", "import tacit"),
    "tacit_version": ("-m", "tacit", "--version"),
}


def measure(run: Run) -> None:
    """Durations of whole processes, taken in turn so that whatever else the machine does meets all of them alike."""
    spent: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for command in _COMMANDS.values():
        _start(command)
    for _ in range(run.size):
        for name, command in _COMMANDS.items():
            spent[name] += timed(_start, [command])
    for name, durations in spent.items():
        run.timing(name, durations)
    alone = median(spent["python_alone"])
    run.ratio("import_tacit_over_python", [median(spent["import_tacit"]) / alone], "lower")
    run.ratio("tacit_version_over_python", [median(spent["tacit_version"]) / alone], "lower")


def _start(command: tuple[str, ...]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TACIT_", "COVERAGE"))}
    subprocess.run([sys.executable, *command], check=True, capture_output=True, env=environment)
