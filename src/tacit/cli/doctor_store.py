"""What the doctor looks at in a store: its place, its file, its journal, its consumers."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from tacit.cli.finding import Finding, ok, problem, warning
from tacit.cli.lag import read_lag
from tacit.cli.output import counted, moment
from tacit.errors import IntegrityError, TacitError
from tacit.journal.mark import read_anchor
from tacit.journal.minds import list_minds
from tacit.journal.read import head_position
from tacit.opening import anchor_of, database_options
from tacit.stores import schema
from tacit.stores.analyser import ANALYSER, of_another
from tacit.stores.opening import file_path, is_postgres, open_store
from tacit.stores.port import Snapshot, Store

if TYPE_CHECKING:
    from tacit.ops.settings import Settings

LEAST_FREE_BYTES = 1_000_000_000
LATE_CHECKPOINTS = 10
"""A checkpoint is late when the oldest unsigned event has waited for ten times the cadence."""
LATE_EVENTS = 10_000
"""A consumer is late when it is so many events behind."""
CLOCK_SLACK_SECONDS = 60
_IN_MEMORY = ("tmpfs", "ramfs")
_MICROS = 1_000_000

_newest = select(func.max(schema.event.c.recorded_at))
_signed = select(schema.checkpoint.c.mind, schema.checkpoint.c.origin, func.max(schema.checkpoint.c.last)).group_by(
    schema.checkpoint.c.mind, schema.checkpoint.c.origin
)
_last_signing = select(func.max(schema.checkpoint.c.signed_at))
_ends = select(schema.event.c.mind, schema.event.c.origin, func.max(schema.event.c.sequence)).group_by(
    schema.event.c.mind, schema.event.c.origin
)


def store(settings: Settings) -> Iterator[Finding]:
    """Everything about the store that the settings name."""
    if not is_postgres(settings.store):
        path = Path(file_path(settings.store))
        yield from _place(path)
        if not path.parent.is_dir():
            return
        if not path.exists():
            yield ok("store", f"there is none at {path} yet; it is made when something is recorded")
            return
        yield _permissions(path)
    try:
        opened = open_store(**database_options(settings), create=False, read_only=True)
    except TacitError as error:
        yield problem("store", f"{error.message} [{error.code}]")
        return
    with closing(opened):
        try:
            yield from _inside(opened, settings)
        except TacitError as error:
            yield problem("store", f"{error.message} [{error.code}]")


def _place(path: Path) -> Iterator[Finding]:
    folder = path.absolute().parent
    if not folder.is_dir():
        yield problem("folder", f"{folder} does not exist; create it first")
        return
    kind = _file_system(folder)
    if kind in _IN_MEMORY:
        yield warning("file system", f"{kind}: it is in memory, and gone when the machine stops")
    else:
        yield ok("file system", kind or "unknown")
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:,.1f} GB free"
    yield ok("space", said) if free >= LEAST_FREE_BYTES else warning("space", f"only {said}")
    yield _fsync(folder)


def _file_system(folder: Path) -> str:
    import psutil

    mounted = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounted[place] for place in (folder, *folder.parents) if place in mounted), "")


def _fsync(folder: Path) -> Finding:
    """Make one page durable in the folder of the store, and say how long that took."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".tacit-doctor-") as file:
            file.write(bytes(4096))
            file.flush()
            start = time.perf_counter()
            os.fsync(file.fileno())
            spent = (time.perf_counter() - start) * 1_000
    except OSError as error:
        return problem("writing", f"nothing can be made durable in {folder}: {error.strerror}")
    return ok("writing", f"one page was made durable (fsync) in {spent:.2f} ms")


def _permissions(path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if not os.access(path, os.R_OK | os.W_OK):
        return problem("permissions", f"{path} cannot be read and written by this user ({mode:04o})")
    if mode & 0o077:
        return warning("permissions", f"other users may read {path} ({mode:04o}); 'chmod 600' keeps it private")
    return ok("permissions", f"{mode:04o}")


def _inside(opened: Store, settings: Settings) -> Iterator[Finding]:
    encrypted = getattr(opened, "encrypted", None)
    yield ok("store", f"{opened.location}, {opened.size_bytes():,} bytes, schema {schema.SCHEMA_REVISION}")
    if encrypted is not None:
        yield ok("encryption", "the file is encrypted" if encrypted else "the file is not encrypted")
    with opened.snapshot() as snapshot:
        yield _journal(snapshot)
        yield _clock(snapshot)
        yield _signatures(snapshot, settings)
        yield from _anchor(snapshot, anchor_of(opened, settings))
        yield _consumers(snapshot)
        yield _words(snapshot)


def _words(snapshot: Snapshot) -> Finding:
    said = of_another(snapshot)
    return warning("words", said) if said else ok("words", f"the index is that of analyser {ANALYSER}")


def _journal(snapshot: Snapshot) -> Finding:
    minds = list_minds(snapshot)
    events = sum(head_position(snapshot, mind.id) for mind in minds)
    row = snapshot.row(_newest)
    newest = f", the newest of {moment(row[0])}" if row and row[0] is not None else ""
    return ok("journal", f"{counted(events, 'event')} of {counted(len(minds), 'mind')}{newest}")


def _clock(snapshot: Snapshot) -> Finding:
    row, now = snapshot.row(_newest), time.time()
    ahead = row[0] / _MICROS - now if row and row[0] is not None else 0.0
    if ahead > CLOCK_SLACK_SECONDS:
        return warning(
            "clock", f"the newest event was recorded {ahead:,.0f} s in the future: this clock is behind, or was"
        )
    return ok("clock", moment(round(now * _MICROS)))


def _signatures(snapshot: Snapshot, settings: Settings) -> Finding:
    signed = _chains(snapshot, _signed)
    unsigned = sum(last - signed.get(chain, 0) for chain, last in _chains(snapshot, _ends).items())
    row = snapshot.row(_last_signing)
    age = time.time() - row[0] / _MICROS if row and row[0] is not None else None
    said = "no checkpoint yet" if age is None else f"the last checkpoint is {age:,.0f} s old"
    said += f", {counted(unsigned, 'event')} unsigned" if unsigned else ", everything is signed"
    late = unsigned and (age is None or age > LATE_CHECKPOINTS * settings.journal.checkpoint_seconds)
    return warning("signatures", f"{said}; 'tacit journal checkpoint' signs now") if late else ok("signatures", said)


def _anchor(snapshot: Snapshot, path: Path | None) -> Iterator[Finding]:
    if path is None:
        yield warning(
            "anchor", "checkpoints are not copied outside of the database; the setting journal.anchor names a file"
        )
        return
    try:
        anchored: dict[tuple[bytes, bytes], int] = {}
        for mark in read_anchor(path):
            chain = (mark.mind, mark.origin)
            anchored[chain] = max(anchored.get(chain, 0), mark.last)
    except (IntegrityError, OSError) as error:
        yield warning("anchor", f"{path}: {error}")
        return
    behind = sum(max(0, last - anchored.get(chain, 0)) for chain, last in _chains(snapshot, _signed).items())
    beyond = sum(max(0, last - _chains(snapshot, _ends).get(chain, 0)) for chain, last in anchored.items())
    if beyond:
        yield warning(
            "anchor", f"{path} knows of {counted(beyond, 'event')} that the store does not hold: the end was cut off"
        )
    elif behind:
        yield warning(
            "anchor", f"{path} lacks {counted(behind, 'signed event')}; opening the store to write brings it up to date"
        )
    else:
        yield ok("anchor", f"{path} is up to date")


def _chains(snapshot: Snapshot, statement: object) -> dict[tuple[bytes, bytes], int]:
    return {(bytes(mind), bytes(origin)): last for mind, origin, last in snapshot.rows(statement)}  # type: ignore[arg-type]


def _consumers(snapshot: Snapshot) -> Finding:
    behind = [(one.behind, f"{one.consumer} of {one.tenant}/{one.mind}") for one in read_lag(snapshot) if one.behind]
    if not behind:
        return ok("consumers", "all have reached the head of the journal")
    most, name = max(behind)
    said = f"{counted(len(behind), 'consumer')} behind; {name} by {counted(most, 'event')}"
    return (
        warning("consumers", said)
        if most >= LATE_EVENTS
        else ok("consumers", f"{said}; it is caught up by any process that keeps the store open")
    )
