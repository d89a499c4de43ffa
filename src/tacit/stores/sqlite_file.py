"""Which file may be opened as an embedded store, and how a new one comes into being.

A file that is not a Tacit store is refused and left untouched; a new store appears under its name only when complete,
so processes that start together never see a half-made one.
"""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from tacit.errors import InvalidInput, NotAStore, PermissionDenied, StoreFull, StoreUnavailable
from tacit.stores.schema import APPLICATION_ID

MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "afs",
        "ncpfs",
        "9p",
        "ceph",
        "glusterfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "lustre",
    }
)
SALT_BYTES = 16
_ENCRYPTED_PAGE_BYTES = 4_096  # SQLCipher 4's own, which is not changed
_KEY_BYTES = 32
_KEY_ITERATIONS = 256_000
"""PBKDF2-HMAC-SHA512 rounds: SQLCipher 4's own, so its tools open the file with the same passphrase."""


def anchor_path(path: Path) -> Path:
    """Where the anchor of the store at ``path`` lies unless a setting says otherwise."""
    return path.with_name(path.name + ".anchor")


def ledger_path(anchor: Path) -> Path:
    """Where the ledger of what was erased lies: beside the anchor of the same store."""
    return anchor.with_name(anchor.name.removesuffix(".anchor") + ".erased")


def log_paths(path: Path) -> tuple[Path, ...]:
    """What SQLite keeps beside the file at ``path`` while it is in use, and leaves there after a crash."""
    return tuple(path.with_name(path.name + end) for end in ("-wal", "-shm"))


def own_files(path: Path) -> tuple[Path, ...]:
    """What belongs to the store at ``path``, whether or not it is there just now."""
    return path, *log_paths(path), anchor_path(path), ledger_path(anchor_path(path))


def has_log(path: Path) -> bool:
    """Whether there is a log beside the file, from which SQLite may bring it up to date."""
    log = log_paths(path)[0]
    return log.exists() and log.stat().st_size > 0


def is_at_rest(path: Path) -> bool:
    """Whether nobody has the file open, and nobody left anything beside it for the next one to take up."""
    return not any(beside.exists() for beside in (*log_paths(path), path.with_name(path.name + "-journal")))


def refuse_remains(path: Path) -> None:
    """Raise when an anchor or a log tells of a store that is gone: the log would be taken for the new one's."""
    anchor = anchor_path(path)
    remains = [("anchor", anchor)] if anchor.exists() else []
    remains += [("log", log_paths(path)[0])] if has_log(path) else []
    for name, left in remains:
        raise NotAStore(
            f"{path} is gone, but its {name} {left} is still there. Restore a backup, "
            f"or delete the {name} to start a new store",
            path=str(path),
        )


def identity(path: Path) -> tuple[int, int] | None:
    """Which file is at a path; another one once it was deleted, moved or replaced. None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def derive_key(passphrase: str, salt: bytes) -> str:
    """SQLCipher's raw key (key and salt in hex) for a passphrase, as SQLCipher 4 derives it itself."""
    key = hashlib.pbkdf2_hmac("sha512", passphrase.encode(), salt, _KEY_ITERATIONS, _KEY_BYTES)
    return (key + salt).hex()


def read_salt(path: Path) -> bytes:
    """The salt of an encrypted store: its first 16 bytes."""
    with path.open("rb") as file:
        return file.read(SALT_BYTES)


def inspect(path: Path, *, encrypted: bool) -> None:
    """Raise unless the existing file at ``path`` can be a Tacit store; looks only, changes nothing."""
    if not path.is_file():
        raise NotAStore(f"{path} is not a regular file", path=str(path))
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except PermissionError as error:
        raise PermissionDenied(f"no permission to read {path}", path=str(path)) from error
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    if size == 0:
        raise NotAStore(
            f"{path} is empty: a store was lost, or the file was made by something else. "
            "Restore a backup, or delete the file to start a new store",
            path=str(path),
        )
    if header.startswith(MAGIC):
        _inspect_plain(path, header, size, encrypted=encrypted)
    elif encrypted:
        _inspect_encrypted(path, size)
    else:
        raise NotAStore(
            f"{path} is not a Tacit store, or it is encrypted and needs its passphrase; it was left as it is",
            path=str(path),
        )


def _inspect_plain(path: Path, header: bytes, size: int, *, encrypted: bool) -> None:
    application = int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise NotAStore(f"{path} is an SQLite database, but not a Tacit store; it was left as it is", path=str(path))
    if encrypted:
        raise PermissionDenied(
            f"{path} is not encrypted, but a passphrase was given; open it without one", path=str(path)
        )
    page = int.from_bytes(header[16:18], "big") or 1
    page = 65_536 if page == 1 else page
    expected = int.from_bytes(header[28:32], "big") * page
    if size < expected and not has_log(path):
        raise NotAStore(
            f"{path} is cut short: {size:,} of {expected:,} bytes are left. It was left as it is; restore a backup",
            path=str(path),
            size=size,
            expected=expected,
        )


def _inspect_encrypted(path: Path, size: int) -> None:
    """All that can be seen without the key; the rest is found when the file is unlocked."""
    if size % _ENCRYPTED_PAGE_BYTES and not has_log(path):
        raise NotAStore(
            f"{path} is not an encrypted store, or it was cut short: {size:,} bytes are not a whole number of pages. "
            "It was left as it is; restore a backup",
            path=str(path),
            size=size,
        )


def refuse_network(path: Path, mounts: str | None = None) -> None:
    """Refuse a network file system: its locks and its fsync cannot be trusted (SQLite FAQ, question 5).

    Args:
        mounts: the table of mounts as Linux writes it (proc(5), ``/proc/self/mounts``); the system's own when None.
    """
    kind = _file_system(path.parent, _mounts() if mounts is None else mounts)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise InvalidInput(
            f"{path} lies on a network file system ({kind}), where an embedded store can be damaged. "
            "Use a local disk, or a postgresql:// store",
            path=str(path),
            file_system=kind,
        )


def _mounts() -> str:
    """The table of mounts; empty where the system does not tell."""
    table = Path("/proc/self/mounts")
    return table.read_text(encoding="utf-8", errors="replace") if table.exists() else ""


def _file_system(folder: Path, mounts: str) -> str:
    """The kind of file system that holds ``folder``; empty where the table does not tell."""
    resolved = str(folder.resolve())
    best, kind = -1, ""
    for line in mounts.splitlines():
        parts = line.split(" ")
        mount = parts[1].replace("\\040", " ")
        inside = resolved == mount or resolved.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= best:
            best, kind = len(mount), parts[2]
    return kind


def touch_private(path: Path, shown: Path) -> None:
    """Make an empty file that only its owner may read; SQLite gives its log files the same rights.

    ``shown`` is the name that an error speaks of.

    Raises:
        PermissionDenied, StoreFull: the folder does not take it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"no space is left for {shown}", path=str(shown)) from error
        raise PermissionDenied(
            f"{shown} cannot be made: {error.strerror}; check the folder's permissions", path=str(shown)
        ) from error


def publish(draft: Path, path: Path) -> bool:
    """Give a finished new store its name, durably; False when another process was first."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Make changes of names in a folder survive a power cut (where the system can)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
