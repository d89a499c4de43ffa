"""What every bench prints: the machine, the versions, how often it measured, percentiles, and ratios; as text and JSON.

Absolute times depend on the machine and are for orientation. *Ratios* compare two things measured in the same run, so
they carry over from one machine to another; only they are held against the baseline (see ``gate``).
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import psutil
from rich.console import Console
from rich.table import Table
from sqlcipher3 import dbapi2

from tacit.errors import InvalidInput

Better: TypeAlias = Literal["higher", "lower"]

_GIB = 1024**3
_HERE = Path(__file__).resolve()


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    processor: str
    cores: int
    """Logical cores that this process may use."""
    memory_gib: float
    system: str
    file_system: str
    """The type of file system under the folder that the bench writes to."""


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    tacit: str
    python: str
    sqlite: str
    commit: str | None
    """The git commit of the source, with "-dirty" if it was changed since; None outside of a checkout."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long one operation took: the number of measurements, and percentiles in milliseconds."""

    n: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured number with its unit, such as 5200 "steps/s"."""

    value: float
    unit: str


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """How this run compares with something else in the same run, and which direction is the better one."""

    value: float
    better: Better = "higher"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one bench."""

    bench: str
    machine: Machine
    versions: Versions
    timings: dict[str, Timing] = {}
    figures: dict[str, Figure] = {}
    ratios: dict[str, Ratio] = {}
    notes: dict[str, str] = {}
    """What numbers cannot say: settings, and why something was not measured."""


def report(
    bench: str,
    *,
    folder: Path,
    durations: Mapping[str, Sequence[float]] | None = None,
    figures: Mapping[str, Figure] | None = None,
    ratios: Mapping[str, Ratio] | None = None,
    notes: Mapping[str, str] | None = None,
) -> Report:
    """Put a result together. ``durations`` are in seconds, by operation; ``folder`` is where the bench wrote."""
    return Report(
        bench=bench,
        machine=machine(folder),
        versions=versions(),
        timings={name: timing(measured) for name, measured in (durations or {}).items()},
        figures=dict(figures or {}),
        ratios=dict(ratios or {}),
        notes=dict(notes or {}),
    )


def timing(seconds: Sequence[float]) -> Timing:
    """Summarise durations in seconds. Raises InvalidInput if there are none: no measurement is not a fast one."""
    if not seconds:
        raise InvalidInput("a timing needs at least one duration; the bench measured nothing")
    ordered = sorted(seconds)
    p50, p95, p99 = (round(percentile(ordered, share) * 1_000, 6) for share in (50, 95, 99))
    return Timing(n=len(ordered), p50_ms=p50, p95_ms=p95, p99_ms=p99)


def percentile(ordered: Sequence[float], share: int) -> float:
    """The nearest-rank percentile: the smallest value with at least ``share`` percent of all at or below it.

    ``ordered`` is sorted upwards and not empty; ``share`` is 1 to 100. The answer is always a value that was measured.
    """
    return ordered[math.ceil(len(ordered) * share / 100) - 1]


def machine(folder: Path) -> Machine:
    """This machine, with the file system under ``folder``."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / _GIB, 1),
        system=f"{platform.system()} {platform.release()}",
        file_system=_file_system(folder.resolve()),
    )


def _processor() -> str:
    """The model's name. Linux keeps it in a file of its own; elsewhere ``platform`` knows it."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    mounted = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounted[place] for place in (folder, *folder.parents) if place in mounted), "unknown")


def versions() -> Versions:
    """The versions of what is being measured."""
    return Versions(
        tacit=version("tacit"),
        python=platform.python_version(),
        sqlite=dbapi2.sqlite_version,
        commit=_commit(),
    )


def _commit() -> str | None:
    """The commit of the checkout that this file belongs to; an installed copy inside a foreign checkout has none."""
    if _git("ls-files", "--error-unmatch", _HERE.name) is None:
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(_HERE.parent), *arguments], capture_output=True, text=True, check=False, timeout=10
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def to_json(result: Report) -> str:
    """The report as indented JSON, ending with a line break."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n"


def show(result: Report, console: Console | None = None) -> None:
    """Print the report for people."""
    console = console or Console()
    here, of = result.machine, result.versions
    console.print(f"[bold]{result.bench}[/bold]")
    console.print(f"{here.processor}, {here.cores} cores, {here.memory_gib} GiB, {here.system}, {here.file_system}")
    console.print(f"tacit {of.tacit} ({of.commit or 'no commit'}), Python {of.python}, SQLite {of.sqlite}")
    if result.timings:
        console.print(_timings(result.timings))
    for name, figure in result.figures.items():
        console.print(f"{name}: {figure.value:,.6g} {figure.unit}")
    for name, ratio in result.ratios.items():
        console.print(f"{name}: {ratio.value:.4g} ({ratio.better} is better)")
    for name, note in result.notes.items():
        console.print(f"{name}: {note}", markup=False)


def _timings(timings: Mapping[str, Timing]) -> Table:
    table = Table("operation")
    for heading in ("n", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for name, one in timings.items():
        table.add_row(name, f"{one.n:,}", f"{one.p50_ms:.3f}", f"{one.p95_ms:.3f}", f"{one.p99_ms:.3f}")
    return table
