"""The ledger of what was erased: a file outside the database, applied whenever an older state of the store comes back.

A backup that was made before an erasure still holds what was erased. So each erasure is also a line of the ledger,
beside the store and in the folder of its scheduled backups. It holds opaque ids and tombstones, no content, so it may
lie wherever backups do. A restore applies it before the store gets its name; so does opening, for whoever copied an old
file back by hand.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import bindparam, select

from tacit.clock import Clock
from tacit.errors import IntegrityError, StoreError
from tacit.experience.erasing.eraser import erase
from tacit.ids import Entropy, format_id, parse_id
from tacit.journal import canonical
from tacit.journal.append import Appender, Preparer
from tacit.journal.erasing import Erasure, ErasureProjection, erasures
from tacit.journal.event import Recorded
from tacit.journal.forgetting import Doomed, Keeper, complete
from tacit.journal.journal import by_kind
from tacit.journal.mark import append_lines
from tacit.journal.masking import NoMasking
from tacit.journal.minds import MindInfo, list_minds
from tacit.journal.node import Node
from tacit.journal.read import event_by_id
from tacit.journal.writer import Writer
from tacit.ops.keepers import keepers
from tacit.stores import schema
from tacit.stores.opening import is_postgres
from tacit.stores.port import Snapshot, Store
from tacit.stores.sqlite import MEMORY
from tacit.stores.sqlite_file import anchor_path, ledger_path

NAME = "tacit.erased"
"""Of the ledger in a folder of backups."""
VERSION = 1
_log = logging.getLogger("tacit.ops.ledger")
_all_ids = select(schema.erasure.c.id)
_episode_there = select(schema.episode.c.id).where(
    schema.episode.c.mind == bindparam("mind"), schema.episode.c.id == bindparam("id")
)
_memory_there = select(schema.memory.c.id).where(
    schema.memory.c.mind == bindparam("mind"), schema.memory.c.id == bindparam("id")
)
_exposure_there = select(schema.exposure.c.id).where(
    schema.exposure.c.mind == bindparam("mind"), schema.exposure.c.id == bindparam("id")
)


class Entry(msgspec.Struct, frozen=True):
    """One line: an erasure, the mind and the id and the hash of its event."""

    v: int
    mind: str
    id: str
    hash: str
    erasure: Erasure


class _Head(msgspec.Struct, frozen=True):
    """What tells one line from another; the rest of a line, which may be long, is passed over."""

    v: int
    mind: str
    id: str


T = TypeVar("T", Entry, _Head)


class Ledger:
    """The ledger of one store, kept in one or more places."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(dict.fromkeys(paths))

    def add(self, mind: MindInfo, done: Iterable[Recorded]) -> None:
        """Write down erasures that are durable, wherever they are not yet; a place that does not exist is left out."""
        entries = [_entry(mind.id, recorded) for recorded in done]
        for path in self._paths if entries else ():
            if not path.parent.is_dir():
                continue
            known = _known(path)
            lines = [_line(entry) for entry in entries if entry.id not in known]
            if lines:
                append_lines(path, b"".join(lines), "ledger")

    def add_missing(self, store: Store) -> None:
        """Bring every place up to date: a crash may have come between the commit and the file."""
        with store.snapshot() as snapshot:
            there = {format_id(bytes(id)) for (id,) in snapshot.rows(_all_ids)}
            if all(there <= _known(path) for path in self._paths if path.parent.is_dir()):
                return
            done = [(mind, erasures(snapshot, mind.id)) for mind in list_minds(snapshot)]
        for mind, recorded in done:
            self.add(mind, recorded)

    def missing(self, store: Store) -> list[Entry]:
        """What the ledger says was erased in minds of this store, and its journal does not know of."""
        return missing_from(store, self._paths)


def read_ledger(path: Path) -> list[Entry]:
    """The entries of a ledger; empty when there is none. A last line that a crash cut off is left out.

    Raises:
        IntegrityError: a whole line is not an entry.
        StoreError: the file cannot be read.
    """
    return [_parsed(line, number, path, Entry) for number, line in enumerate(_lines(path), start=1)]


def _known(path: Path) -> set[str]:
    """The ids of the entries of a ledger."""
    return {head.id for head, _, _ in _heads(path)}


def _lines(path: Path) -> list[bytes]:
    try:
        *lines, _cut = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"the ledger {path} cannot be read: {error.strerror}", path=str(path)) from error
    return lines


def missing_from(store: Store, paths: Sequence[Path]) -> list[Entry]:
    """What ledgers say was erased in minds of a store, and its journal does not know of; each once, in their order."""
    told = [(head, line, number, path) for path in paths for head, line, number in _heads(path)]
    if not told:
        return []
    with store.snapshot() as snapshot:
        minds = {format_id(mind.id) for mind in list_minds(snapshot)}
        there = {format_id(bytes(id)) for (id,) in snapshot.rows(_all_ids)}
    wanted = {
        head.id: _parsed(line, number, path, Entry)
        for head, line, number, path in told
        if head.mind in minds and head.id not in there
    }
    return list(wanted.values())


def _heads(path: Path) -> list[tuple[_Head, bytes, int]]:
    return [(_parsed(line, number, path, _Head), line, number) for number, line in enumerate(_lines(path), start=1)]


def applying(entry: Entry, preparer: Preparer, forgetful: Sequence[Keeper] | None = None) -> Callable[[Appender], None]:
    """A job for the writing thread: what was erased before is erased again, under the same id."""
    who = keepers() if forgetful is None else forgetful

    def job(appender: Appender) -> None:
        snapshot, mind_id = appender.transaction, parse_id(entry.mind)
        mind = next(mind for mind in list_minds(snapshot) if mind.id == mind_id)
        if event_by_id(snapshot, mind_id, parse_id(entry.id)) is not None:
            return  # another process was first
        doomed = _doomed(snapshot, mind_id, entry.erasure)
        complete(snapshot, mind, doomed, who)
        note = msgspec.structs.replace(entry.erasure, again=entry.erasure.again or entry.hash)
        erase(appender, preparer, mind, who, doomed, parse_id(entry.id), note)

    return job


def ledgers_for(backup: Path, source: str, anchor: Path | None) -> list[Path]:
    """Where there may be a ledger that a backup needs: beside it, beside the store that it was made of, as ``source``
    names it, and beside the anchor of the store that is made of it."""
    places = [backup.with_name(NAME)]
    if source and source != MEMORY and not is_postgres(source):
        places.append(ledger_path(anchor_path(Path(source))))
    if anchor is not None:
        places.append(ledger_path(anchor))
    return list(dict.fromkeys(places))


def erase_again(
    store: Store, node: Node, clock: Clock, entropy: Entropy, places: Sequence[Path]
) -> tuple[tuple[str, ...], int]:
    """Apply the ledgers that there are at some places to what was restored from a backup.

    Returns:
        which ledgers there were, and how many erasures were done again.
    """
    found = [place for place in places if place.exists()]
    if not found:
        looked_at = ", ".join(map(str, places))
        _log.warning("there is no ledger of erasures (%s): what was erased after the backup is in it again", looked_at)
    missing = missing_from(store, found)
    if missing:
        preparer = Preparer(clock, entropy, NoMasking())
        writer = Writer(store, origin=node.origin, clock=clock, projections=by_kind([ErasureProjection()]))
        try:
            for entry in missing:
                writer.run(applying(entry, preparer))
        finally:
            writer.close()
        store.scrub()
    return tuple(map(str, found)), len(missing)


def _doomed(snapshot: Snapshot, mind: bytes, erasure: Erasure) -> Doomed:
    """What is there of what was erased."""
    doomed = Doomed()
    for ids, there, add in (
        (erasure.episodes, _episode_there, doomed.episode),
        (erasure.memories, _memory_there, doomed.memory),
        (erasure.exposures, _exposure_there, doomed.exposure),
    ):
        for id in map(parse_id, ids):
            if snapshot.row(there, mind=mind, id=id) is not None:
                add(id)
    doomed.add_ids(snapshot, mind, map(parse_id, erasure.events))
    doomed.marks.update(map(bytes.fromhex, erasure.marks))
    return doomed


def _entry(mind: bytes, recorded: Recorded) -> Entry:
    assert recorded.payload is not None
    erasure = msgspec.convert(recorded.payload, Erasure)
    return Entry(VERSION, format_id(mind), format_id(recorded.event.id), recorded.event.hash.hex(), erasure)


def _line(entry: Entry) -> bytes:
    fields: dict[str, Any] = msgspec.to_builtins(entry)
    return canonical.encode(fields) + b"\n"


def _parsed(line: bytes, number: int, path: Path, kind: type[T]) -> T:
    with contextlib.suppress(msgspec.MsgspecError):
        entry = msgspec.json.decode(line, type=kind)
        if entry.v == VERSION:
            return entry
    raise IntegrityError(f"line {number} of the ledger {path} is damaged", path=str(path), line=number)
