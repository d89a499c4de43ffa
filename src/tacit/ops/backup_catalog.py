"""The backups in a folder: what each says about itself, which are there, which are due to be made or deleted."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from tacit.clock import MICROS_PER_SECOND, from_micros
from tacit.errors import IntegrityError, InvalidInput
from tacit.ids import Entropy
from tacit.stores.sqlite_file import sync_folder

FORMAT = 1
SUFFIX = ".backup"
_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"tacit-(\d{8}T\d{6}Z)-[0-9a-f]{8}\.backup")
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Where the journal of one mind ended: ids as UUIDs, keys and hashes in hex."""

    mind: str
    position: int
    origin: str
    sequence: int
    hash: str


class BackupInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a backup says about itself, in the file beside it whose name ends in ``.json``."""

    format: int
    created_at: datetime
    source: str
    """Where it was taken from, without a password."""
    sha256: str
    """Of the file, in hex."""
    bytes: int
    events: int
    heads: tuple[Head, ...]
    views: dict[str, str]
    """The digest of each view; see ``journal.replay.view_digests``."""
    schema: str
    encrypted: bool
    tacit_version: str
    path: str = ""
    """Where it was found; not part of the metadata."""
    problem: str = ""
    """Why what stands here cannot be trusted; rotation leaves such a backup alone."""


def metadata_path(path: Path) -> Path:
    """Where the metadata of the backup at ``path`` lies."""
    return path.with_name(path.name + ".json")


def new_name(now: int, entropy: Entropy) -> str:
    """A name for a backup made at ``now`` (µs UTC)."""
    return f"tacit-{from_micros(now).strftime(_STAMP)}-{entropy.bytes(4).hex()}{SUFFIX}"


def write_durably(path: Path, data: bytes) -> None:
    """Write a small file so that after a crash it is there whole or not at all."""
    draft = path.with_name(f".{path.name}.partial")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def write_metadata(path: Path, info: BackupInfo) -> None:
    """Put the metadata beside the backup at ``path``."""
    plain = msgspec.structs.replace(info, path="", problem="")
    write_durably(metadata_path(path), msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n")


def read_metadata(path: Path) -> BackupInfo:
    """The metadata of the backup at ``path``.

    Raises:
        IntegrityError: it is missing, damaged, or of a later format.
    """
    beside = metadata_path(path)
    try:
        info = msgspec.json.decode(beside.read_bytes(), type=BackupInfo)
    except OSError as error:
        raise IntegrityError(f"the metadata {beside} cannot be read: {error.strerror}", path=str(beside)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise IntegrityError(f"the metadata {beside} is damaged: {error}", path=str(beside)) from error
    if info.format != FORMAT:
        raise IntegrityError(
            f"{path} has format {info.format}, this program knows {FORMAT}; use the Tacit that made it", path=str(path)
        )
    return msgspec.structs.replace(info, path=str(path), problem="")


def unknown(path: Path, problem: str) -> BackupInfo:
    """What can be said of a backup without usable metadata: its size, and when its name says that it was made."""
    named = _NAME.fullmatch(path.name)
    return BackupInfo(
        format=FORMAT,
        created_at=_moment(named[1]) if named else _BEGINNING,
        source="",
        sha256="",
        bytes=path.stat().st_size,
        events=0,
        heads=(),
        views={},
        schema="",
        encrypted=False,
        tacit_version="",
        path=str(path),
        problem=problem,
    )


def list_backups(directory: Path) -> list[BackupInfo]:
    """The backups in a folder, newest first; one with damaged metadata is listed with its problem.

    Only files named as :func:`new_name` does are looked at.
    """
    if not directory.is_dir():
        return []
    found = [_look_at(path) for path in directory.iterdir() if _NAME.fullmatch(path.name) and path.is_file()]
    return sorted(found, key=lambda info: (info.created_at, info.path), reverse=True)


def _look_at(path: Path) -> BackupInfo:
    try:
        info = read_metadata(path)
    except IntegrityError as error:
        return unknown(path, error.message)
    size = path.stat().st_size
    if size == info.bytes:
        return info
    return unknown(path, f"it has {size:,} bytes, not the {info.bytes:,} of its metadata")


def _moment(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:  # such as month 13: the name was not made by us
        return _BEGINNING


def rotate(directory: Path, keep: int) -> list[Path]:
    """Delete the oldest sound backups beyond the newest ``keep``; which were deleted."""
    if keep < 1:
        raise InvalidInput(f"at least one backup must be kept, not {keep}", keep=keep)
    sound = [Path(info.path) for info in list_backups(directory) if not info.problem]
    for path in sound[keep:]:
        path.unlink()
        metadata_path(path).unlink(missing_ok=True)
    if sound[keep:]:
        sync_folder(directory)
    return sound[keep:]


def due(directory: Path, every_seconds: float, now: int) -> bool:
    """Whether the newest sound backup is ``every_seconds`` old at ``now`` (µs UTC), or there is none."""
    newest = next((info for info in list_backups(directory) if not info.problem), None)
    return newest is None or from_micros(now) - newest.created_at >= timedelta(seconds=every_seconds)


def stale_drafts(directory: Path, now: int, *, older_than_seconds: float) -> Sequence[Path]:
    """What crashed backups have left in a folder."""
    oldest = now / MICROS_PER_SECOND - older_than_seconds
    return [path for path in directory.glob(".tacit-*.partial*") if path.is_file() and path.stat().st_mtime < oldest]
