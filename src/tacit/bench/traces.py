"""Importing files of recorded traces: real ones where a folder with them is given, else a generated one of 4 MB."""

from __future__ import annotations

import time
from pathlib import Path

from tacit.bench.episodes import write_messages
from tacit.bench.run import Run
from tacit.bench.store import open_default
from tacit.experience.importers import Format
from tacit.stores.sqlite import SqliteStore

_GENERATED_BYTES = 4_000_000
_MEGABYTE = 1_000_000
_KNOWN: tuple[tuple[str, str, Format], ...] = (
    ("tau_airline", "tau_bench/gpt-4o-airline.json", "openai-messages"),
    ("alfworld", "alfworld/*.jsonl", "auto"),
)
"""Name, files in the data folder, format."""


def measure(run: Run) -> None:
    """Seconds for a whole file: reading, understanding, masking, writing durably."""
    for name, path, format in _files(run):
        seconds, imported = [], 0
        for number in range(run.rounds):
            spent, imported = _import(run.folder / f"{name}-{number}.db", path, format)
            seconds.append(spent)
        run.spread(f"import_{name}", seconds, "s")
        run.figure(f"import_{name}_episodes", imported, "episodes")
        run.figure(f"import_{name}_size", path.stat().st_size / _MEGABYTE, "MB")


def _files(run: Run) -> list[tuple[str, Path, Format]]:
    if run.data is not None:
        return [(name, path, format) for name, files, format in _KNOWN for path in sorted(run.data.glob(files))]
    path = run.folder / "messages.json"
    write_messages(path, min(_GENERATED_BYTES, run.size * 4_000))
    return [("generated", path, "openai-messages")]


def _import(store: Path, path: Path, format: Format) -> tuple[float, int]:
    with open_default(SqliteStore(store)) as opened:
        mind = opened.mind()
        start = time.perf_counter()
        report = mind.ingest(path, format=format)
        return time.perf_counter() - start, report.imported
