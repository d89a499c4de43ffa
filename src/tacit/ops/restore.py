"""Restores a backup, never over something that is still wanted, and never half.

The restored store writes under a new node key: the original may still be running somewhere, and two stores must
not continue the same chain.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import select, update

from tacit.clock import Clock
from tacit.errors import (
    Conflict,
    IntegrityError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    StoreBusy,
    StoreError,
)
from tacit.ids import Entropy
from tacit.journal.node import Node, active_node, rotate_node
from tacit.ops.backup import migrate, open_backup, verify_backup
from tacit.ops.backup_catalog import BackupInfo
from tacit.ops.ledger import erase_again, ledgers_for
from tacit.ops.restored_anchor import RestoredAnchor, draft_of, free_name
from tacit.stores import schema, sqlite_file, sqlite_lock
from tacit.stores.copy import copy_tables
from tacit.stores.leftovers import removed_at_the_end
from tacit.stores.opening import file_path, is_postgres, open_store
from tacit.stores.port import Transaction
from tacit.stores.sqlite import MEMORY, SqliteStore

_COPIED_BYTES = 1 << 20
_WAIT_SECONDS = 1.0  # for a process that is about to close the store
_log = structlog.stdlib.get_logger("tacit.ops.restore")
_free_leases = update(schema.consumer).values(holder="", expires_at=0)
_any_event = select(schema.event.c.position).limit(1)


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did. Paths are empty when there is no such file."""

    destination: str
    backup: BackupInfo
    origin: str
    """The public key of the new node, in hex."""
    safety_copy: str = ""
    """What was at the destination before."""
    anchor: str = ""
    old_anchor: str = ""
    """The anchor that was there before, kept because it knows of more than the backup holds, or is damaged."""
    missing_events: int = 0
    """How many events the old anchor vouches for that the backup does not hold: they came after it."""
    ledgers: tuple[str, ...] = ()
    """The ledgers of erasures that were found. Without any, nobody knows what was erased after the backup was made."""
    erased: int = 0
    """How many of their erasures the backup did not know, which were done again before the store got its name."""


def restore_backup(
    path: Path,
    destination: str,
    *,
    clock: Clock,
    entropy: Entropy,
    passphrase: str | None = None,
    force: bool = False,
    anchor: Path | None = None,
) -> Restored:
    """Verify a backup and make a working store of it.

    Args:
        destination: a path, or the ``postgresql://`` URL of an empty database.
        passphrase: that of the backup; a restored file keeps it.
        force: replace a store that exists at the path, which is kept as a safety copy.
        anchor: the anchor file of the restored store; for a path, beside it unless given.

    Raises:
        IntegrityError: the backup does not verify; nothing was changed.
        Conflict: something is at the destination already.
        StoreBusy: the store to be replaced is open somewhere.
    """
    checked = verify_backup(path, passphrase)
    if not checked.ok:
        raise IntegrityError(
            f"{path} was not restored, because it does not verify: {checked.problems[0]}. Use another backup",
            problems=list(checked.problems),
        )
    passphrase = passphrase if checked.info.encrypted else None
    if is_postgres(destination):
        return _restore_into_database(path, destination, checked.info, passphrase, clock, entropy, anchor)
    target = _target(destination, path, force=force)
    anchor = anchor or sqlite_file.anchor_path(target)
    return _restore_into_file(path, target, checked.info, passphrase, clock, entropy, anchor, force=force)


def _restore_into_file(
    path: Path,
    target: Path,
    info: BackupInfo,
    passphrase: str | None,
    clock: Clock,
    entropy: Entropy,
    anchor: Path,
    *,
    force: bool,
) -> Restored:
    """Everything is made ready under other names, so that a crash leaves the old store, the new one, or both.

    From the last look at what is there until store and anchor are in place, nobody else can open a store here.
    """
    draft = target.with_name(f".{target.name}.{entropy.bytes(4).hex()}.restoring")
    with removed_at_the_end(draft, *sqlite_file.log_paths(draft), draft_of(anchor)):
        _copy_file(path, draft)
        if info.schema != schema.SCHEMA_REVISION:
            migrate(draft, passphrase)
        with closing(SqliteStore(draft, passphrase=passphrase, create=False)) as store:
            with store.transaction() as transaction:
                node, old = _renew_node(transaction, entropy, clock.now())
            anchors = RestoredAnchor.prepare(store, old, clock, anchor)
            ledgers, erased = erase_again(store, node, clock, entropy, ledgers_for(path, info.source, anchor))
        with sqlite_lock.replacing(target, _WAIT_SECONDS):
            _refuse_to_overwrite(target, force=force)
            safety_copy = _set_aside(target, passphrase, clock.now())
            draft.replace(target)
            sqlite_file.sync_folder(target.parent)
            kept = anchors.place(clock.now())
    return Restored(
        destination=str(target),
        backup=info,
        origin=node.origin.hex(),
        safety_copy=safety_copy,
        anchor=str(anchors.path),
        old_anchor=kept,
        missing_events=anchors.missing,
        ledgers=ledgers,
        erased=erased,
    )


def _restore_into_database(
    path: Path,
    url: str,
    info: BackupInfo,
    passphrase: str | None,
    clock: Clock,
    entropy: Entropy,
    anchor: Path | None,
) -> Restored:
    with closing(open_store(url, pool_min=1)) as store:
        with open_backup(path, passphrase) as source, source.snapshot() as rows, store.transaction() as transaction:
            if transaction.row(_any_event) is not None:
                raise Conflict(
                    f"{store.location} holds a store already; restore into an empty database", path=store.location
                )
            copy_tables(rows, transaction)
            node, old = _renew_node(transaction, entropy, clock.now())
        anchors = RestoredAnchor.prepare(store, old, clock, anchor)
        ledgers, erased = erase_again(store, node, clock, entropy, ledgers_for(path, info.source, anchor))
        kept = anchors.place(clock.now())
        return Restored(
            destination=store.location,
            backup=info,
            origin=node.origin.hex(),
            anchor=str(anchor or ""),
            old_anchor=kept,
            missing_events=anchors.missing,
            ledgers=ledgers,
            erased=erased,
        )


# ── the new node ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _renew_node(transaction: Transaction, entropy: Entropy, now: int) -> tuple[Node, Node | None]:
    """Give a copy a key of its own, and free it of leases that other processes hold; the new node and the old one."""
    old = active_node(transaction)
    node = rotate_node(transaction, entropy, now)
    transaction.execute(_free_leases)
    return node, old


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _target(destination: str, backup: Path, *, force: bool) -> Path:
    """The file to make of the backup."""
    name = file_path(destination)
    if name == MEMORY:
        raise InvalidInput("a backup is restored to a path or into a database, not into memory")
    target = Path(name).absolute()
    if not target.parent.is_dir():
        raise NotFound(f"the folder {target.parent} does not exist; create it first", path=str(target))
    sqlite_file.refuse_network(target)
    if target.exists() and (not target.is_file() or target.samefile(backup)):
        what = "the backup itself" if target.is_file() else "not a regular file"
        raise Conflict(f"{target} is {what}, which is not replaced; restore elsewhere", path=str(target))
    _refuse_to_overwrite(target, force=force)
    return target


def _refuse_to_overwrite(target: Path, *, force: bool) -> None:
    if target.exists() and not force:
        raise Conflict(
            f"there is something at {target} already; restore elsewhere, or with force (--force): it is kept beside",
            path=str(target),
        )


def _copy_file(path: Path, draft: Path) -> None:
    sqlite_file.touch_private(draft, draft)
    with path.open("rb") as source, draft.open("r+b") as copy:
        shutil.copyfileobj(source, copy, _COPIED_BYTES)
        copy.flush()
        os.fsync(copy.fileno())


def _set_aside(target: Path, passphrase: str | None, now: int) -> str:
    """Keep what is at ``target`` under another name, as well; that name, or empty when no store is there.

    Raises:
        StoreBusy: some process has the store open. One that cannot be opened at all is kept as it is.
    """
    if not target.exists():
        _move_logs(target, free_name(target, now))
        return ""
    _seal(target, passphrase)
    kept = free_name(target, now)
    try:
        os.link(target, kept)
    except OSError:  # a file system without hard links
        shutil.copy2(target, kept)
    _move_logs(target, kept)
    return str(kept)


def _seal(target: Path, passphrase: str | None) -> None:
    try:
        with closing(SqliteStore(target, passphrase=passphrase, create=False, busy_timeout=_WAIT_SECONDS)) as store:
            store.seal()
    except StoreBusy as error:
        raise StoreBusy(f"{target} is in use; close it everywhere, then restore", path=str(target)) from error
    except (StoreError, PermissionDenied) as error:
        _log.warning("what is replaced cannot be opened; it is kept as it is", path=str(target), error=error.message)


def _move_logs(target: Path, kept: Path) -> None:
    """The log of a store that is damaged or gone must not be taken for the restored one's."""
    for log, aside in zip(sqlite_file.log_paths(target), sqlite_file.log_paths(kept), strict=True):
        if log.exists():
            log.rename(aside)
