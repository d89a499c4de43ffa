"""The write path: bulk import, live steps, files of traces; with the raw rate of the disk."""

from __future__ import annotations

from tacit.bench import bulk, live, traces
from tacit.bench.run import Run, fsync_rate


def measure(run: Run) -> None:
    """All three, on the same disk in the same run."""
    run.spread("disk_fsync", [fsync_rate(run.folder) for _ in range(run.rounds)], "fsyncs/s")
    bulk.measure(run)
    live.measure(run)
    traces.measure(run)
