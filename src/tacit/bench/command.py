"""The benches by name, and how to run them. ``tacit bench`` is a thin layer over this."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tacit.bench import advice, backup, closed_loop, ingest, learning, read, recall, scale, soak, startup, verify
from tacit.bench.peers import side_by_side
from tacit.bench.report import Report
from tacit.bench.run import Bench, Options, Run, workspace
from tacit.errors import InvalidInput, NotFound

__all__ = ["ALL", "BENCHES", "Bench", "Options", "run", "run_all"]

ALL = "all"

_BENCHES = (
    Bench(
        name="ingest",
        about="bulk import, live steps and files of traces, beside raw loops of the same database binding",
        measure=ingest.measure,
        size=5_000,
        quick_size=1_500,
    ),
    Bench(
        name="read",
        about="an episode by its id, pages of the list, searches, at 100,000 episodes",
        measure=read.measure,
        size=100_000,
        quick_size=3_000,
    ),
    Bench(
        name="startup",
        about="fresh processes: import tacit, tacit --version, beside Python alone",
        measure=startup.measure,
        size=20,
        quick_size=7,
        rounds=1,
    ),
    Bench(
        name="verify",
        about="a whole journal verified, 1,000,000 events",
        measure=verify.measure,
        size=1_000_000,
        quick_size=30_000,
    ),
    Bench(
        name="backup",
        about="a backup under load and its restore, beside a plain copy of the file",
        measure=backup.measure,
        size=20_000,
        quick_size=2_000,
    ),
    Bench(
        name="learning",
        about="what is learned: chances of success and next tools on held-out tasks, beside plain baselines",
        measure=learning.measure,
        size=1,
        quick_size=1,
        rounds=1,
    ),
    Bench(
        name="advice",
        about="how fast is learned, and advice on 10,000 episodes, now and as of the past",
        measure=advice.measure,
        size=10_000,
        quick_size=1_000,
    ),
    Bench(
        name="recall",
        about="how well is recalled: LoCoMo, Cranfield and generated collections, beside plain baselines",
        measure=recall.measure,
        size=1,
        quick_size=1,
        rounds=1,
        in_all=False,
    ),
    Bench(
        name="closed-loop",
        about="SIMULATED: an agent's success with memory on, off, random, shuffled, stale and poisoned",
        measure=closed_loop.measure,
        size=20,
        quick_size=2,
        rounds=1,
        in_all=False,
    ),
    Bench(
        name="peers",
        about="memories beside mem0, LangGraph's store, LanceDB and txtai, which it installs for itself",
        measure=side_by_side.measure,
        size=2_000,
        quick_size=300,
        in_all=False,
    ),
    Bench(
        name="scale",
        about="memories in one mind, 10,000 by default: ingest, recall cold, warm, filtered and under writes",
        measure=scale.measure,
        size=10_000,
        quick_size=1_000,
        seconds=10.0,
        in_all=False,
    ),
    Bench(
        name="soak",
        about="ten minutes at 100 episodes a second: memory, processor, errors, lag; then a burst if asked for",
        measure=soak.measure,
        size=1,
        quick_size=1,
        seconds=600.0,
        rounds=1,
        in_all=False,
    ),
)
BENCHES: dict[str, Bench] = {bench.name: bench for bench in _BENCHES}
"""Every bench by its name, in the order in which they run."""


def run(name: str, options: Options | None = None) -> Report:
    """Run one bench; "all" runs the quick ones in their small sizes and puts what they found into one report.

    Raises:
        NotFound: there is no such bench, or the folder does not exist.
        InvalidInput: a size that is not positive, or a folder in memory.
    """
    if name == ALL:
        return _together(list(run_all(options)))
    bench = BENCHES.get(name)
    if bench is None:
        raise NotFound(f"there is no bench {name!r}; choose from {', '.join((*BENCHES, ALL))}", bench=name)
    return _run(bench, options or Options())


def run_all(options: Options | None = None) -> Iterator[Report]:
    """Run the quick benches in their small sizes, one report each, as they finish."""
    quick = msgspec.structs.replace(options or Options(), quick=True)
    for bench in BENCHES.values():
        if bench.in_all:
            yield _run(bench, quick)


def _run(bench: Bench, options: Options) -> Report:
    size = options.size if options.size is not None else bench.quick_size if options.quick else bench.size
    seconds = bench.seconds if options.seconds is None else options.seconds
    rounds = bench.rounds if options.rounds is None else options.rounds
    for what, value in (("size", size), ("rounds", rounds), ("seconds", seconds or (1 if not bench.seconds else 0))):
        if value <= 0:
            raise InvalidInput(f"{what} {value} is not above 0", field=what)
    if options.data is not None and not options.data.is_dir():
        raise NotFound(f"there is no folder {options.data}; check the path of the data", path=str(options.data))
    with workspace(options.folder, bench.name) as folder:
        taken = Run(
            folder,
            size=size,
            seconds=seconds,
            burst_seconds=options.burst_seconds,
            rounds=rounds,
            data=options.data,
            peers=options.peers,
            server=options.server,
        )
        bench.measure(taken)
        return taken.report(bench.name)


def _together(reports: list[Report]) -> Report:
    first = reports[0]
    return Report(
        bench=ALL,
        machine=first.machine,
        versions=first.versions,
        timings={name: one for report in reports for name, one in report.timings.items()},
        figures={name: one for report in reports for name, one in report.figures.items()},
        ratios={name: one for report in reports for name, one in report.ratios.items()},
    )
