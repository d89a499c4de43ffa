"""What every bench is given, where it writes, and where it leaves what it measured."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tacit.bench.intervals import Interval
from tacit.bench.report import Better, Figure, Ratio, Report, machine, report
from tacit.errors import InvalidInput, NotFound

_IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_FSYNC_SECONDS = 0.5
_PAGE = bytes(4096)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said about a run. None takes the bench's own."""

    folder: Path | None = None
    """Where to write, on the disk to be measured; the current folder when None. What is written there is removed."""
    data: Path | None = None
    """A folder with real traces; generated ones are used when None."""
    size: int | None = None
    """How many episodes (for ``verify``: events; for ``startup``: starts)."""
    seconds: float | None = None
    """How long a bench runs that runs for a time."""
    burst_seconds: float = 0.0
    """How long the burst at the end of ``soak`` lasts; 0 for none."""
    rounds: int | None = None
    """How often a measurement is repeated."""
    peers: Path | None = None
    """Where ``peers`` keeps what it installs, for the next time; a folder that is removed when None."""
    server: str = ""
    """The URL of a PostgreSQL database, in a schema of which ``scale`` measures; it measures a file when empty."""
    quick: bool = False
    """Take the small sizes, for a look at everything in a few minutes."""


class Run:
    """One run of one bench: its sizes, its folder, and what it found."""

    def __init__(
        self, folder: Path, *, size: int, seconds: float = 0.0, burst_seconds: float = 0.0, rounds: int = 3,
        data: Path | None = None, peers: Path | None = None, server: str = "",
    ) -> None:  # fmt: skip
        self.folder = folder
        self.size = size
        self.seconds = seconds
        self.burst_seconds = burst_seconds
        self.rounds = rounds
        self.data = data
        self.peers = peers
        self.server = server
        self._durations: dict[str, list[float]] = {}
        self._figures: dict[str, Figure] = {}
        self._ratios: dict[str, Ratio] = {}
        self._notes: dict[str, str] = {}

    def timing(self, name: str, seconds: Sequence[float]) -> None:
        """Add durations of one operation; those of several rounds come together."""
        self._durations.setdefault(name, []).extend(seconds)

    def figure(self, name: str, value: float, unit: str) -> None:
        """Note one number."""
        self._figures[name] = Figure(value=value, unit=unit)

    def interval(self, name: str, found: Interval) -> None:
        """Note a figure with the ends of its interval."""
        for suffix, value in (("", found.value), ("_low", found.low), ("_high", found.high)):
            self.figure(f"{name}{suffix}", value, "")

    def spread(self, name: str, values: Sequence[float], unit: str) -> None:
        """Note the median of several rounds, with the lowest and the highest."""
        self.figure(name, statistics.median(values), unit)
        if len(values) > 1:
            self.figure(f"{name}_lowest", min(values), unit)
            self.figure(f"{name}_highest", max(values), unit)

    def ratio(self, name: str, values: Sequence[float], better: Better = "higher") -> None:
        """Note how something compares with its baseline: the median of what the rounds gave, each within itself."""
        self._ratios[name] = Ratio(value=statistics.median(values), better=better)

    def note(self, name: str, text: str) -> None:
        """Say what numbers cannot: settings, or why something was not measured."""
        self._notes[name] = text

    def report(self, bench: str) -> Report:
        """What was measured, with the machine and the versions."""
        return report(
            bench,
            folder=self.folder,
            durations=self._durations,
            figures=self._figures,
            ratios=self._ratios,
            notes=self._notes,
        )


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """A bench: what it is called, what it measures, and its sizes."""

    name: str
    about: str
    measure: Callable[[Run], None]
    size: int
    quick_size: int
    seconds: float = 0.0
    rounds: int = 3
    in_all: bool = True
    """Whether it belongs to the quick look at everything."""


@contextmanager
def workspace(folder: Path | None, name: str) -> Iterator[Path]:
    """An empty folder on a real disk, removed afterwards.

    Raises:
        NotFound: the folder around it does not exist.
        InvalidInput: it lies in memory, where durability costs nothing and figures mean nothing.
    """
    around = (folder or Path.cwd()).resolve()
    if not around.is_dir():
        raise NotFound(f"the folder {around} does not exist; create it first", path=str(around))
    kind = machine(around).file_system
    if kind in _IN_MEMORY:
        raise InvalidInput(f"{around} lies in memory ({kind}); name a folder on a disk", path=str(around))
    with tempfile.TemporaryDirectory(prefix=f".tacit-bench-{name}-", dir=around, ignore_cleanup_errors=True) as inside:
        yield Path(inside)


def fsync_rate(folder: Path) -> float:
    """How often a second this disk makes an appended page durable: nothing that waits for it can be faster."""
    path, done = folder / "fsync", 0
    handle = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        start = time.perf_counter()
        while (spent := time.perf_counter() - start) < _FSYNC_SECONDS:
            os.write(handle, _PAGE)
            os.fsync(handle)
            done += 1
    finally:
        os.close(handle)
        path.unlink()
    return done / spent
