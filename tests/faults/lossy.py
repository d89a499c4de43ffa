"""Power cuts and broken disks for a child process: what was not synced is lost.

A child runs with ``environment(...)``: the preloaded library (``lossy.c``) logs how to undo each change to the files
below one folder. When the child is dead, ``drop_unsynced`` makes the files look as after a power cut. The model is
strict, as POSIX is: bytes are safe once an fsync of their file that began after them has succeeded, and what a
failed fsync should have stored is lost even if a later one succeeds (as on Linux); a new, changed or removed name is
safe once its folder was synced.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import undo
from .undo import Kind, Record

SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""

_SOURCES = (Path(__file__).with_name("lossy_log.h"), Path(__file__).with_name("lossy.c"))
_FAULT = re.compile(r"((fsync|write|short):[1-9][0-9]*)?")


class NoCompilerError(RuntimeError):
    """No C compiler on this machine, so the crash tests cannot run."""


@dataclass(frozen=True)
class PowerCut:
    """What a power cut took: counts of unsynced changes."""

    lost_writes: int
    """Writes and truncations of which at least one sector was lost."""
    lost_entries: int
    """Names created, changed or removed that went back to what they were."""
    survived: int
    """Unsynced changes that reached the disk all the same."""


def build(folder: Path) -> Path:
    """Compiles the library into ``folder``, once for each version of its source, and returns its path.

    Raises:
        NoCompilerError: there is neither gcc, cc nor clang.
        subprocess.CalledProcessError: the compiler refused; it has said why on standard error.
    """
    compiler = next(filter(None, map(shutil.which, ("gcc", "cc", "clang"))), None)
    if compiler is None:
        raise NoCompilerError("the crash tests compile a small C library: install gcc, then run them again")
    version = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES)).hexdigest()[:16]
    library = folder / f"lossy-{version}.so"
    if not library.exists():
        unfinished = folder / f"{library.name}.{os.getpid()}"
        options = ["-O1", "-U_FORTIFY_SOURCE", "-Wall", "-Wextra", "-shared", "-fPIC", "-pthread"]
        subprocess.run([compiler, *options, "-o", str(unfinished), str(_SOURCES[-1])], check=True)
        unfinished.replace(library)
    return library


def environment(library: Path, directory: Path, log: Path, fail: str | None = None, slow_us: int = 0) -> dict[str, str]:
    """The environment variables for a child whose files below ``directory`` can lose power.

    ``log`` is a folder outside of ``directory`` but on the same file system; it is made if missing. One log may serve
    many processes and many lives. ``fail`` injects an error into each process, counted from its start (``arm`` counts
    from a later moment): ``fsync:N``, the N-th fsync fails with EIO; ``write:N``, the N-th write and all after it fail
    with ENOSPC; ``short:N``, the N-th write stores half its bytes and the process dies by SIGKILL. ``slow_us`` is how
    many microseconds longer an fsync takes than on this machine's disk (an SSD takes about 1,000, a hard disk 10,000),
    so that more kills land on writes not yet synced.
    """
    log.mkdir(parents=True, exist_ok=True)
    directory, log = directory.resolve(strict=True), log.resolve()
    if log.is_relative_to(directory) or log.stat().st_dev != directory.stat().st_dev:
        raise ValueError(f"the log {log} must be outside of {directory} and on the same file system")
    variables = {"LD_PRELOAD": str(library), "TACIT_FAULT_DIR": str(directory), "TACIT_FAULT_LOG": str(log)}
    return {**os.environ, **variables, "TACIT_FAULT_FAIL": _checked(fail or ""), "TACIT_FAULT_SLOW": str(slow_us)}


def arm(fail: str) -> None:
    """In the child: from now on inject this error (see ``environment``), counting anew; the empty text stops it."""
    ctypes.CDLL(None).tacit_fault_arm(_checked(fail).encode())


def fsync_count(log: Path, suffix: str = "") -> int:
    """How many fsyncs of files whose path ends with ``suffix`` succeeded since the last power cut."""
    return sum(record.kind is Kind.SYNC and str(record.path).endswith(suffix) for record in undo.read(log))


def drop_unsynced(log: Path, keep: random.Random | None = None) -> PowerCut:
    """Makes the files look as after a power cut.

    Every process that used them must have ended, and none may have opened them without the library since (a look into
    a SQLite file recovers it, which changes it unseen).

    With ``keep``, disks are as untidy as they really are: of the unsynced writes a random choice of sectors survives,
    in any order, and of the unsynced names a random first part. The log is emptied: what is left is on the disk.
    """
    records = undo.read(log)
    cuts = [_cut_file(path, changes, keep) for path, changes in _unsafe_files(log, records)]
    cuts.append(_cut_entries(log, records, keep))
    for file in log.iterdir():
        file.unlink()
    return PowerCut(
        sum(cut.lost_writes for cut in cuts), sum(cut.lost_entries for cut in cuts), sum(cut.survived for cut in cuts)
    )


def _checked(fail: str) -> str:
    if not _FAULT.fullmatch(fail):
        raise ValueError(f"{fail!r} is not a fault to inject: use fsync:N, write:N or short:N with N of at least 1")
    return fail


def _unsafe_files(log: Path, records: Iterable[Record]) -> list[tuple[Path, list[tuple[Record, bool]]]]:
    """Each file with unsafe changes: its path now; from the first unsafe change on, each with whether it is safe."""
    pending: dict[int, list[Record]] = defaultdict(list)
    settled: dict[int, list[tuple[Record, bool]]] = defaultdict(list)
    for record in records:
        if record.kind in (Kind.WRITE, Kind.TRUNCATE):
            pending[record.inode].append(record)
        elif record.kind in (Kind.SYNC, Kind.SYNC_FAILED):
            safe = record.kind is Kind.SYNC
            settled[record.inode].extend((change, safe) for change in pending.pop(record.inode, ()))
    for inode, changes in pending.items():
        settled[inode].extend((change, False) for change in changes)
    paths = _paths(log, records)
    tails = ((inode, _from_first_unsafe(changes)) for inode, changes in settled.items())
    return [(_path_of(inode, paths, changes), changes) for inode, changes in tails if changes]


def _path_of(inode: int, paths: dict[int, Path], changes: list[tuple[Record, bool]]) -> Path:
    if inode not in paths:
        raise RuntimeError(f"{changes[0][0].path} was removed by a call that the library does not see (see lossy.c)")
    return paths[inode]


def _from_first_unsafe(changes: list[tuple[Record, bool]]) -> list[tuple[Record, bool]]:
    first = next((place for place, (_, safe) in enumerate(changes) if not safe), len(changes))
    return changes[first:]


def _paths(log: Path, records: Iterable[Record]) -> dict[int, Path]:
    """Where each file is now: an inode keeps its number while it is renamed, unlinked (and saved) or replaced."""
    folders = {record.path.parent for record in records if record.kind is not Kind.SYNC_DIRECTORY} | {log}
    return {file.lstat().st_ino: file for folder in folders for file in folder.iterdir()}


def _cut_file(path: Path, changes: list[tuple[Record, bool]], keep: random.Random | None) -> PowerCut:
    """Goes back to before the first unsafe change, then forward with the safe ones and what survives of the others."""
    chance = keep.random() if keep else 0.0
    lost = survived = 0
    file = os.open(path, os.O_RDWR)
    try:
        undone = [(change, safe, undo.undo_data(file, change)) for change, safe in reversed(changes)]
        for change, safe, written in reversed(undone):
            if safe:
                undo.redo_data(file, change, written)
            elif _redo_some(file, change, written, chance, keep):
                survived += 1
            else:
                lost += 1
    finally:
        os.close(file)
    return PowerCut(lost, 0, survived)


def _redo_some(file: int, change: Record, written: bytes, chance: float, keep: random.Random | None) -> bool:
    """Lets each sector of a change survive by chance; True when all of it did."""
    if keep is None:
        return False
    if change.kind is Kind.TRUNCATE:
        survives = keep.random() < chance
        if survives:
            undo.redo_data(file, change, written)
        return survives
    whole = True
    start = change.offset
    while start < change.offset + len(written):
        end = min(start - start % SECTOR_BYTES + SECTOR_BYTES, change.offset + len(written))
        if keep.random() < chance:
            os.pwrite(file, written[start - change.offset : end - change.offset], start)
        else:
            whole = False
        start = end
    return whole


def _cut_entries(log: Path, records: list[Record], keep: random.Random | None) -> PowerCut:
    """File systems journal their names in order, so what survives of them is a first part."""
    synced = {str(record.path): record.time for record in records if record.kind is Kind.SYNC_DIRECTORY}
    unsafe = [
        record
        for record in records
        if record.kind in (Kind.CREATE, Kind.UNLINK, Kind.RENAME)
        and synced.get(str(record.path.parent), -1) < record.time
    ]
    for record in reversed(unsafe):
        undo.undo_entry(log, record)
    survived = keep.randint(0, len(unsafe)) if keep else 0
    for record in unsafe[:survived]:
        undo.redo_entry(log, record)
    return PowerCut(0, len(unsafe) - survived, survived)
