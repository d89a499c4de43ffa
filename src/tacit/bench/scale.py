"""Many memories in one mind: how fast they come in, and how fast they are found, in processes of their own."""

from __future__ import annotations

import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

from tacit.bench import pgvector
from tacit.bench.live import together
from tacit.bench.peers.child import Child, disk_size
from tacit.bench.raw import GroupCommit, connect
from tacit.bench.run import Run, fsync_rate
from tacit.bench.scale_texts import ScaleTexts
from tacit.errors import IntegrityError

_WRITERS = 8
_MOST_SINGLE = 4_000
_MOST_RAW = 50_000
_BATCH = 1_000
_WITHIN = 7_200.0
_COLD, _WARM = 50, 300
"""Questions that are asked right after opening, and later on."""
_PACE = 500.0
_USER = "u7"
_SIZE = """
    SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
"""


def measure(run: Run) -> None:
    """Build ``run.size`` memories, ask them from a fresh process, and again while others write."""
    run.figure("disk_fsync", fsync_rate(run.folder), "fsyncs/s")
    store = run.folder / "store"
    store.mkdir()
    single = min(max(_WRITERS, run.size // 4), _MOST_SINGLE)
    bare, raw = _bare_rate(run.folder, single), _raw_rate(run.folder, min(run.size, _MOST_RAW))
    with _server_of(run.server) as server:
        where = {"folder": str(store), "server": server}
        _measure_building(run, where, single, bare, raw)
        run.figure("scale_disk", _tables_size(server) if server else disk_size(store), "MB")
        if server:
            pgvector.measure(run, server, single)
        _measure_opening(run, where)
        _measure_recall(run, where)
    shutil.rmtree(store)


@contextmanager
def _server_of(url: str) -> Iterator[str]:
    """The URL of a new schema in that database, which is removed in the end; empty for a file."""
    if not url:
        yield ""
        return
    import psycopg

    name = f"tacit_bench_{uuid.uuid4().hex}"
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())
        try:
            yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}%2Cpublic"
        finally:
            connection.execute(f"DROP SCHEMA {name} CASCADE".encode())


def _tables_size(url: str) -> float:
    """What the tables of the schema take, with their indexes, in MB."""
    import psycopg

    with closing(psycopg.connect(url)) as connection:
        row = connection.execute(_SIZE).fetchone()
    return float(row[0]) / 1e6 if row else 0.0


@contextmanager
def _worker(run: Run) -> Iterator[Child]:
    with Child([sys.executable, "-P", "-m", "tacit.bench.scale_worker"], run.folder / "errors") as child:
        yield child


def _texts(count: int) -> list[bytes]:
    return [one.text.encode() for chunk in ScaleTexts().memories(0, count) for one in chunk]


def _bare_rate(folder: Path, count: int) -> float:
    """Single rows a second by a bare group commit, from as many threads."""
    bare, bodies = GroupCommit(folder / "bare.db"), _texts(count)
    seconds, _ = together([lambda part=bodies[one::_WRITERS]: (part, bare.write) for one in range(_WRITERS)])  # type: ignore[misc]
    bare.close()
    return count / seconds


def _raw_rate(folder: Path, count: int) -> float:
    """Rows a second of the texts alone, in transactions of a thousand."""
    connection, bodies = connect(folder / "raw.db"), _texts(count)
    connection.execute('CREATE TABLE "row" (number INTEGER PRIMARY KEY, body BLOB NOT NULL)')
    start = time.perf_counter()
    for first in range(0, count, _BATCH):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            'INSERT INTO "row" (body) VALUES (?)', [(one,) for one in bodies[first : first + _BATCH]]
        )
        connection.execute("COMMIT")
    seconds = time.perf_counter() - start
    connection.close()
    return count / seconds


def _measure_building(run: Run, where: dict[str, str], single: int, bare: float, raw: float) -> None:
    bulk = run.size - single
    with _worker(run) as child:
        child.call("open", **where, within=_WITHIN)
        alone = child.call("single", first=0, count=single, within=_WITHIN)
        seconds = child.call("bulk", first=single, count=bulk, within=_WITHIN) if bulk else 0.0
        ready = child.call("settle", seconds=_WITHIN, within=_WITHIN)
        run.figure("scale_build_memory", child.memory(), "MB")
        found = child.call("count", within=_WITHIN)
        child.call("close", within=_WITHIN)
    if found != run.size:
        raise IntegrityError(f"{found:,} memories are stored, of {run.size:,} that were acknowledged")
    run.figure("scale_memories", found, "memories")
    rate = single / alone["seconds"]
    run.timing("scale_remember_8_threads", alone["calls"])
    run.figure("scale_ingest_8_threads", rate, "memories/s")
    run.figure("bare_group_commit_8_threads", bare, "rows/s")
    run.ratio("scale_ingest_share_of_bare", [rate / bare])
    if bulk:
        run.figure("scale_bulk", bulk / seconds, "memories/s")
        run.figure("raw_loop", raw, "rows of text/s")
        run.ratio("scale_bulk_share_of_raw_loop", [bulk / seconds / raw])
    run.figure("scale_vectors_ready_after", ready, "s after the last write")


def _measure_opening(run: Run, where: dict[str, str]) -> None:
    """The first answer of a fresh process, with the system's cache of the file emptied and with it full.

    What a server keeps in memory, nobody here can make it forget.
    """
    for name in ("cached",) if where["server"] else ("cold", "cached"):
        if name == "cold":
            _forget_pages(Path(where["folder"]))
        start = time.perf_counter()
        with _worker(run) as child:
            opening = child.call("open", **where, within=_WITHIN)
            first = child.call("ask", first=0, count=1, within=_WITHIN)
            whole = time.perf_counter() - start
            if name == "cold":
                run.timing("scale_recall_cold", child.call("ask", first=1, count=_COLD, within=_WITHIN))
            child.call("close", within=_WITHIN)
        run.figure(f"scale_first_answer_{name}", opening + first[0], "s from opening")
        run.figure(f"scale_first_answer_{name}_with_start", whole, "s from starting Python")


def _forget_pages(folder: Path) -> None:
    """Have the system forget what it keeps of files, where it can be told to."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def _measure_recall(run: Run, where: dict[str, str]) -> None:
    with _worker(run) as child:
        child.call("open", **where, within=_WITHIN)
        child.call("ask", first=0, count=_COLD, within=_WITHIN)
        idle, filtered, busy = [], [], []
        written = run.size
        for number in range(1, run.rounds + 1):
            questions = number * 100_000
            warm = child.call("ask", first=questions, count=_WARM, within=_WITHIN)
            narrow = child.call("ask", first=questions, count=_WARM, user=_USER, within=_WITHIN)
            run.figure("scale_memory", child.memory(), "MB")
            found = child.call(
                "ask_while_writing",
                questions=questions + 50_000,
                first=written,
                pace=_PACE,
                seconds=run.seconds,
                within=_WITHIN,
            )
            written += found["written"]
            child.call("settle", seconds=_WITHIN, within=_WITHIN)
            for name, calls in (("warm", warm), ("filtered", narrow), ("while_writing", found["calls"])):
                run.timing(f"scale_recall_{name}", calls)
            run.figure("scale_written_meanwhile", found["written"] / found["seconds"], "memories/s")
            idle.append(median(warm))
            filtered.append(median(narrow))
            busy.append(median(found["calls"]))
        child.call("close", within=_WITHIN)
    run.ratio("scale_filtered_over_unfiltered", [few / all for few, all in zip(filtered, idle, strict=True)], "lower")
    run.ratio("scale_while_writing_over_idle", [loud / calm for loud, calm in zip(busy, idle, strict=True)], "lower")
