"""Makes backups of a store that is in use, and verifies them.

A backup is one file that can be opened as a store, with its metadata beside it. It gets its name only when it is
complete and has been verified.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec
from sqlalchemy import select

from tacit.clock import Clock, from_micros
from tacit.errors import Conflict, IntegrityError, InvalidInput, NotFound, SchemaMismatch, StoreError
from tacit.ids import Entropy, SystemEntropy, format_id
from tacit.journal.replay import compare, view_digests
from tacit.journal.verify import Verification, verify
from tacit.ops import backup_catalog
from tacit.ops.backup_catalog import BackupInfo, Head, due, list_backups, rotate
from tacit.stores import schema
from tacit.stores.copy import copy_to_file
from tacit.stores.leftovers import remove, removed_at_the_end
from tacit.stores.port import Snapshot, Store
from tacit.stores.sqlite import SqliteStore
from tacit.stores.sqlite_file import sync_folder

__all__ = [
    "BackupCheck",
    "BackupInfo",
    "create_backup",
    "due",
    "list_backups",
    "rotate",
    "verify_backup",
]

_STALE_SECONDS = 86_400.0  # a backup that has been running longer than a day has crashed
_heads = select(
    schema.head.c.mind, schema.head.c.position, schema.head.c.origin, schema.head.c.sequence, schema.head.c.hash
).order_by(schema.head.c.mind)


class BackupCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying a backup found."""

    info: BackupInfo
    problems: tuple[str, ...]
    verification: Verification | None
    """Of the journal in it; None when it could not be opened."""

    @property
    def ok(self) -> bool:
        return not self.problems


def create_backup(
    store: Store, target: Path, *, clock: Clock, entropy: Entropy | None = None, passphrase: str | None = None
) -> BackupInfo:
    """Copy a store while others read and write it, verify the copy, and give it its name.

    Sign what is unsigned first (``journal.notary.sign_all()``), so that the backup's events are under checkpoints.

    Args:
        target: a folder, where the backup gets a name of its own; or the path of the backup, which must not exist.
        passphrase: encrypts the backup of a store that is not encrypted. An encrypted store's backup has its own.

    Raises:
        Conflict: ``target`` is a file that exists.
        InvalidInput: a passphrase was given for a store that has one.
        IntegrityError: the copy does not verify, so the store itself is damaged; nothing is left behind.
    """
    if isinstance(store, SqliteStore) and store.encrypted and passphrase is not None:
        raise InvalidInput("the backup of an encrypted store has the store's own passphrase; give none")
    now = clock.now()
    path = target / backup_catalog.new_name(now, entropy or SystemEntropy()) if target.is_dir() else target
    if not path.parent.is_dir():
        raise NotFound(f"the folder {path.parent} does not exist; create it first", path=str(path))
    if path.exists():
        raise Conflict(f"{path} exists already; a backup never overwrites", path=str(path))
    for leftover in backup_catalog.stale_drafts(path.parent, now, older_than_seconds=_STALE_SECONDS):
        leftover.unlink(missing_ok=True)
    draft = path.with_name(f".{path.name}.partial")
    with removed_at_the_end(draft):
        _copy(store, draft, passphrase)
        with _open_copy(store, draft, passphrase) as copy:
            info = _describe(copy, draft, store.location, now)
        backup_catalog.write_metadata(path, info)
        draft.rename(path)
        sync_folder(path.parent)
    return msgspec.structs.replace(info, path=str(path))


def _copy(store: Store, draft: Path, passphrase: str | None) -> None:
    remove(draft)
    if passphrase is None:
        store.backup(draft)
        return
    with store.snapshot() as snapshot:
        copy_to_file(snapshot, draft, passphrase=passphrase)


def _open_copy(store: Store, draft: Path, passphrase: str | None) -> AbstractContextManager[SqliteStore]:
    if isinstance(store, SqliteStore) and store.encrypted:
        return closing(store.open_copy(draft))
    return open_backup(draft, passphrase)


def _describe(copy: SqliteStore, draft: Path, source: str, now: int) -> BackupInfo:
    """The metadata of a copy that verifies."""
    verification, problems = _check_contents(copy)
    if problems:
        raise IntegrityError(
            f"the backup was not made, because the copy of {source} does not verify: {problems[0]}. "
            "Run 'tacit journal verify', and restore an earlier backup if the store is damaged",
            problems=list(problems),
        )
    with copy.snapshot() as snapshot:
        heads, views = read_heads(snapshot), view_digests(snapshot)
    return BackupInfo(
        format=backup_catalog.FORMAT,
        created_at=from_micros(now),
        source=source,
        sha256=file_digest(draft),
        bytes=draft.stat().st_size,
        events=verification.events,
        heads=heads,
        views=views,
        schema=schema.SCHEMA_REVISION,
        encrypted=copy.encrypted,
        tacit_version=version("tacit"),
    )


@contextmanager
def open_backup(path: Path, passphrase: str | None) -> Iterator[SqliteStore]:
    """The backup as a store that can only be read. It stays as it is: an older one is migrated in a copy."""
    with ExitStack() as until_closed:
        try:
            store = SqliteStore(path, passphrase=passphrase, create=False, read_only=True)
        except SchemaMismatch:
            folder = until_closed.enter_context(tempfile.TemporaryDirectory(prefix="tacit-backup-"))
            copy = Path(folder) / path.name
            shutil.copyfile(path, copy)
            migrate(copy, passphrase)
            store = SqliteStore(copy, passphrase=passphrase, create=False, read_only=True)
        with closing(store):
            yield store


def migrate(path: Path, passphrase: str | None) -> None:
    """Bring a copy of a backup to the schema that this program knows.

    Raises:
        SchemaMismatch: a newer Tacit made the backup.
    """
    from tacit.stores.migrate import migrate as migrate_store  # slow to import, and rarely needed

    migrate_store(str(path), passphrase)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_heads(snapshot: Snapshot) -> tuple[Head, ...]:
    """Where the journal of each mind ends."""
    return tuple(
        Head(
            mind=format_id(bytes(mind)),
            position=position,
            origin=bytes(origin).hex(),
            sequence=sequence,
            hash=bytes(hash).hex(),
        )
        for mind, position, origin, sequence, hash in snapshot.rows(_heads)
    )


def _check_contents(store: SqliteStore) -> tuple[Verification, tuple[str, ...]]:
    damage = [f"the database's own check: {line}" for line in store.integrity()]
    verification = verify(store, None)
    return verification, tuple(damage + [str(problem) for problem in verification.problems])


def verify_backup(path: Path, passphrase: str | None = None) -> BackupCheck:
    """Check a backup: its bytes, the database's own check, journal and checkpoints, heads and views.

    Raises:
        NotFound: there is no such file.
        PermissionDenied: the passphrase is wrong or missing.
    """
    if not path.is_file():
        raise NotFound(f"there is no backup at {path}", path=str(path))
    try:
        info = backup_catalog.read_metadata(path)
    except IntegrityError as error:
        unknown = backup_catalog.unknown(path, error.message)
        return BackupCheck(info=unknown, problems=(error.message,), verification=None)
    if file_digest(path) != info.sha256:
        problem = f"{path} is not the file that was written: its SHA-256 differs from the one in its metadata"
        return BackupCheck(info=info, problems=(problem,), verification=None)
    if info.encrypted and passphrase is None:
        raise InvalidInput(f"{path} is encrypted; give its passphrase", path=str(path))
    try:
        with open_backup(path, passphrase if info.encrypted else None) as store:
            verification, problems = _check_contents(store)
            with store.snapshot() as snapshot:
                problems += _differences(snapshot, info)
    except StoreError as error:
        return BackupCheck(info=info, problems=(error.message,), verification=None)
    return BackupCheck(info=info, problems=problems, verification=verification)


def _differences(snapshot: Snapshot, info: BackupInfo) -> tuple[str, ...]:
    """What the backup holds other than its metadata says."""
    same_tables = info.schema == schema.SCHEMA_REVISION  # of an older one, the digest of the whole file must do
    changed = compare(view_digests(snapshot), info.views) if same_tables else []
    found = [f"view {name} is not as its metadata says" for name in changed]
    if read_heads(snapshot) != info.heads:
        found.insert(0, "the heads of its minds are not as its metadata says")
    return tuple(found)
