"""``tacit backup`` and ``tacit restore``: copies of a store, verified, and the way back from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.output import Output, counted
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.errors import IntegrityError, NotFound

if TYPE_CHECKING:
    from tacit.ops.backup import BackupCheck
    from tacit.ops.backup_catalog import BackupInfo
    from tacit.ops.restore import Restored

Backed = Annotated[Path, typer.Argument(metavar="PATH", help="A backup.")]


def add_to(app: typer.Typer, backup: typer.Typer) -> None:
    """Add the group ``backup``, and ``restore``."""
    for register in (_add_create, _add_list, _add_verify):
        register(backup)
    _add_restore(app)


def passphrase_of(session: Session) -> str | None:
    """The passphrase that was given, for a store or a backup."""
    secret = session.settings.encryption.passphrase
    return None if secret is None else secret.get_secret_value()


def folder_of(session: Session, given: Path | None) -> Path:
    """The folder for backups: as given, or else of the setting, or else the working directory."""
    return given or Path(session.settings.backup.directory or ".")


def _add_create(app: typer.Typer) -> None:
    @verb(app, "create")
    def create(
        session: Session,
        target: Annotated[
            str | None,
            typer.Argument(
                metavar="TARGET",
                help="A folder (made, if it ends in '/'), where the backup gets a name of its own, or a new file. "
                "The setting backup.directory, or the working directory, when left out.",
            ),
        ] = None,
    ) -> None:
        """Back up the whole store while it is in use, and verify the copy."""
        where = folder_of(session, Path(target) if target else None)
        if target and target.endswith("/"):
            where.mkdir(parents=True, exist_ok=True)
        with session.open_store() as opened:
            made = opened.backup(where)
        session.out.result(made, lambda: _show_made(session.out, made))


def _show_made(out: Output, made: BackupInfo) -> None:
    how = "encrypted, " if made.encrypted else ""
    out.line(made.path)
    out.note(f"{counted(made.events, 'event')}, {made.bytes:,} bytes, {how}verified")


def _add_list(app: typer.Typer) -> None:
    @verb(app, "list")
    def list_backups(
        session: Session, folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="Where to look.")] = None
    ) -> None:
        """List the backups in a folder, newest first. Damaged ones are named."""
        from tacit.ops.backup_catalog import list_backups

        if folder is not None and not folder.is_dir():
            raise NotFound(f"there is no folder {folder}", path=str(folder))
        found = list_backups(folder_of(session, folder))
        rows = [
            (each.path, f"{each.created_at:%Y-%m-%d %H:%M:%SZ}", each.events, each.bytes, each.problem or "ok")
            for each in found
        ]
        columns = ("backup", "made", "events", "bytes", "state")
        session.out.result(found, lambda: session.out.table(columns, rows, empty="no backups"))


def _add_verify(app: typer.Typer) -> None:
    @verb(app, "verify")
    def verify(session: Session, path: Backed) -> None:
        """Check a backup: its bytes, its database, its journal, its views. Exits 8 when something is wrong."""
        from tacit.ops.backup import verify_backup

        found = verify_backup(path, passphrase_of(session))
        session.out.result({"ok": found.ok, "check": found}, lambda: _show_check(session.out, found))
        if not found.ok:
            raise typer.Exit(IntegrityError.exit_code)


def _show_check(out: Output, found: BackupCheck) -> None:
    for problem in found.problems:
        out.line(f"problem  {problem}")
    info = found.info
    out.line(
        f"ok: {counted(info.events, 'event')} of {info.source}, made {info.created_at:%Y-%m-%d %H:%M:%SZ}"
        if found.ok
        else "NOT OK"
    )


def _add_restore(app: typer.Typer) -> None:
    @verb(app, "restore")
    def restore(
        session: Session,
        path: Backed,
        to: Annotated[str, typer.Option("--to", metavar="PATH|URL", help="The store to make of it.")],
        force: Annotated[
            bool, typer.Option("--force", help="Replace a file that is there; it is kept under another name.")
        ] = False,
    ) -> None:
        """Verify a backup and make a working store of it. The restored store signs with a new key of its own."""
        from tacit.clock import SystemClock
        from tacit.ids import SystemEntropy
        from tacit.ops.restore import restore_backup

        done = restore_backup(
            path, to, clock=SystemClock(), entropy=SystemEntropy(), passphrase=passphrase_of(session), force=force
        )
        session.out.result(done, lambda: _show_restored(session.out, done))


def _show_restored(out: Output, done: Restored) -> None:
    out.line(f"restored {counted(done.backup.events, 'event')} to {done.destination}")
    if done.safety_copy:
        out.line(f"what was there before is kept at {done.safety_copy}")
    if done.erased:
        out.line(f"{counted(done.erased, 'erasure')} came after this backup: done again in the restored store")
    if done.missing_events:
        out.line(
            f"{counted(done.missing_events, 'event')} came after this backup and are not in it; "
            f"the anchor that knows of them is kept at {done.old_anchor}"
        )
