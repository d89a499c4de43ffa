"""Tacit beside other stores of memories: the same texts and vectors, in the same run, each in a process of its own.

Single writes come from eight threads, each acknowledged before the next. Searches are of a store that was filled in
bulk. Durations are taken inside of the process that is measured. A peer that cannot be had or fails is told of in the
notes, and stops nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median
from typing import Any

import msgspec

from tacit.bench.live import together
from tacit.bench.peers.child import Child, disk_size, fsyncs_per_write, served
from tacit.bench.peers.environments import PEERS, TACIT, Kind, python_of, surroundings
from tacit.bench.peers.failure import PeerFailed
from tacit.bench.peers.given import Made, make_given
from tacit.bench.raw import GroupCommit
from tacit.bench.recall_metrics import ndcg_at, recall_at
from tacit.bench.run import Run, fsync_rate

_K = 10
_THREADS = 8
_MOST_SINGLE = 2_000
_SINGLE_SECONDS = 30.0
_FILL_SECONDS = 300.0
"""A peer that cannot store everything in bulk in this time is asked with what it has by then."""
_ASK_SECONDS = 60.0
_OPEN_WITHIN = 300.0
_WITHIN = 3_600.0


class _System(msgspec.Struct):
    """A store of memories that takes part, and what was found of it."""

    kind: Kind
    command: list[str]
    environment: Mapping[str, str] | None
    rates: list[float] = []
    """Single writes a second, one for each round."""
    p50: float = 0.0
    quality: float = 0.0
    complete: bool = False
    """Whether it held everything when it was asked."""

    @property
    def name(self) -> str:
        return self.kind.name


def measure(run: Run) -> None:
    """Rates of single and bulk writes, durations and quality of recall, memory and disk, of Tacit and of each peer."""
    run.figure("disk_fsync", fsync_rate(run.folder), "fsyncs/s")
    given = run.folder / "given"
    given.mkdir()
    made = make_given(given, run.size)
    run.figure("peers_items", made.items, "items")
    run.figure("peers_questions", len(made.answers), "questions")
    systems = list(_systems(run))
    bare = _measure_writes(run, systems, made)
    _each(run, systems, lambda system: _count_fsyncs(run, system, made))
    _each(run, systems, lambda system: _measure_recall(run, system, made))
    _compare(run, systems, bare)


def _systems(run: Run) -> Iterator[_System]:
    """Tacit, and the peers that can be had."""
    yield _System(TACIT, served(python_of(TACIT, run.folder), TACIT.file), None)
    folder = run.peers or run.folder / "environments"
    for kind in PEERS:
        home = run.folder / f"home-{kind.name}"
        home.mkdir()
        try:
            yield _System(kind, served(python_of(kind, folder), kind.file), surroundings(home))
        except PeerFailed as failure:
            run.note(f"{kind.name}_failed", str(failure))


def _each(run: Run, systems: list[_System], work: Callable[[_System], None]) -> None:
    """Do something with each; who fails leaves, with a note."""
    for system in list(systems):
        try:
            work(system)
        except PeerFailed as failure:
            run.note(f"{system.name}_failed", str(failure))
            systems.remove(system)


@contextmanager
def _opened(run: Run, system: _System, place: str, made: Made) -> Iterator[Child]:
    """A process with a store in a folder of that name, which is made when it is not there."""
    folder = run.folder / f"{system.name}-{place}"
    folder.mkdir(exist_ok=True)
    errors = run.folder / f"{system.name}-errors"
    with Child(system.command, errors, system.environment) as child:
        about = child.call("open", folder=str(folder), given=str(made.folder), within=_OPEN_WITHIN)
        run.note(f"{system.name}_about", "; ".join(f"{name} {text}" for name, text in about.items()))
        yield child


def _remove(run: Run, system: _System, place: str) -> None:
    shutil.rmtree(run.folder / f"{system.name}-{place}")


def _measure_writes(run: Run, systems: list[_System], made: Made) -> list[float]:
    """Single writes of every system in each round; the rates of a bare group commit in the same rounds."""
    count = min(made.items, _MOST_SINGLE)
    run.figure("peers_single_writes", count, "items")
    bare = []
    for number in range(run.rounds):
        bare.append(_bare_rate(run.folder / f"bare-{number}.db", count))
        _each(run, systems, lambda system, number=number: _write(run, system, made, count, number))  # type: ignore[misc]
    run.spread("bare_group_commit", bare, "rows/s")
    for system in systems:
        run.spread(f"{system.name}_ingest", system.rates, "items/s")
    return bare


def _bare_rate(path: Path, count: int) -> float:
    bare = GroupCommit(path)
    each, body = max(1, count // _THREADS), bytes(1_000)
    seconds, _ = together([lambda: ([body] * each, bare.write)] * _THREADS)
    bare.close()
    return each * _THREADS / seconds


def _write(run: Run, system: _System, made: Made, count: int, number: int) -> None:
    """Single writes into a new store; in the first round its process is then killed, and what is left is counted."""
    place = f"single-{number}"
    with _opened(run, system, place, made) as child:
        written = child.call("write", count=count, threads=_THREADS, seconds=_SINGLE_SECONDS, within=_WITHIN)
        child.kill()
    calls: list[float] = written["calls"]
    if not calls:
        raise PeerFailed(f"not one write of {count:,} succeeded: {written['why']}")
    run.timing(f"{system.name}_write", calls)
    system.rates.append(len(calls) / written["seconds"])
    if written["failed"]:
        run.note(f"{system.name}_failed_writes", f"{written['failed']} of round {number + 1}; {written['why']}")
    if not number:
        with _opened(run, system, place, made) as child:
            left = child.call("count", within=_OPEN_WITHIN)
        run.figure(f"{system.name}_lost_by_kill", max(0, len(calls) - left), "acknowledged items")
    _remove(run, system, place)


def _count_fsyncs(run: Run, system: _System, made: Made) -> None:
    """How durable a single write is. That it cannot be counted here is no fault of a system."""
    folder = run.folder / f"{system.name}-traced"
    folder.mkdir()
    try:
        found = fsyncs_per_write(system.command, folder, made.folder, system.environment, _OPEN_WITHIN)
        run.figure(f"{system.name}_fsyncs_per_write", found, "fsyncs of one thread")
    except PeerFailed as failure:
        run.note(f"{system.name}_fsyncs", str(failure))
    _remove(run, system, "traced")


def _measure_recall(run: Run, system: _System, made: Made) -> None:
    """Fill a new store in bulk, and ask it everything."""
    name = system.name
    with _opened(run, system, "bulk", made) as child:
        filled = child.call("fill", count=made.items, seconds=_FILL_SECONDS, within=2 * _WITHIN)
        done = int(filled["done"])
        run.figure(f"{name}_bulk", done / (filled["seconds"] + filled["prepare"]), "items/s until all can be found")
        system.complete = done == made.items
        if not system.complete:
            run.note(f"{name}_incomplete", f"asked with {done:,} of {made.items:,} items, as many as it stored in time")
        asked = child.call("ask", k=_K, rounds=run.rounds, seconds=_ASK_SECONDS, within=_WITHIN)
        run.figure(f"{name}_memory", child.memory(), "MB")
        child.call("close", within=_OPEN_WITHIN)
    run.figure(f"{name}_disk", disk_size(run.folder / f"{name}-bulk"), "MB")
    _remove(run, system, "bulk")
    run.timing(f"{name}_recall", asked["calls"])
    system.p50 = median(asked["calls"])
    found = [[str(one) for one in hits] for hits in asked["found"]]
    answers = [{str(one) for one in relevant} for relevant in made.answers]
    pairs = list(zip(found, answers, strict=True))
    system.quality = mean(recall_at(hits, relevant, _K) for hits, relevant in pairs)
    run.figure(f"{name}_recall_at_{_K}", system.quality, "")
    run.figure(f"{name}_ndcg_at_{_K}", mean(ndcg_at(hits, relevant, _K) for hits, relevant in pairs), "")


def _compare(run: Run, systems: list[_System], bare: list[float]) -> None:
    """Tacit over each that was measured to the end; those of writes within each round."""
    ours: Any = next((system for system in systems if system.kind is TACIT), None)
    if ours is None:
        return
    run.ratio("ingest_share_of_bare", [rate / raw for rate, raw in zip(ours.rates, bare, strict=True)])
    for system in systems:
        if system is ours:
            continue
        shares = [rate / theirs for rate, theirs in zip(ours.rates, system.rates, strict=True)]
        run.ratio(f"ingest_over_{system.name}", shares)
        if ours.complete and system.complete:
            run.ratio(f"recall_p50_over_{system.name}", [ours.p50 / system.p50], "lower")
            if system.quality:
                run.ratio(f"recall_at_{_K}_over_{system.name}", [ours.quality / system.quality])
