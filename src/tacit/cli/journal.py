"""``tacit journal``: verify, rebuild, sign and read the journal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.options import option
from tacit.cli.output import Output, counted, moment, one_line
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.errors import IntegrityError

if TYPE_CHECKING:
    from tacit.cli.journal_check import Check, Rebuild
    from tacit.cli.journal_tail import Line

LARGE_STORE_BYTES = 200_000_000
"""A store up to this size is rebuilt in memory, a larger one in an encrypted file beside it."""
MOST_PROBLEMS_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for register in (_add_verify, _add_replay, _add_checkpoint, _add_tail, _add_prove):
        register(app)


def _add_verify(app: typer.Typer) -> None:
    @verb(app, "verify")
    def verify(
        session: Session,
        anchor: Path | None = option("--anchor", "FILE", "The anchor file, if it is kept elsewhere."),
        chain_only: Annotated[
            bool, typer.Option("--chain-only", help="Do not rebuild the views to compare them: quicker.")
        ] = False,
    ) -> None:
        """Check chains, payloads, signatures, anchor, the database itself, and the views against a rebuild.

        Changes nothing. Exits 8 and names the first bad event when something is wrong.
        """
        from tacit.cli.journal_check import check
        from tacit.opening import anchor_of

        with session.open_database(read_only=True) as database:
            where = anchor or anchor_of(database, session.settings)
            scratch = scratch_folder(database)
            with session.out.progress("verifying", unit="events") as progress:
                found = check(database, where, views=not chain_only, scratch=scratch, progress=progress)
        session.out.result(found, lambda: _show_check(session.out, found))
        if not found.ok:
            raise typer.Exit(IntegrityError.exit_code)


def scratch_folder(database: object) -> Path | None:
    """Where to rebuild views: in memory (None), or for a large store beside it."""
    path: Path | None = getattr(database, "path", None)
    return path.parent if path is not None and path.stat().st_size > LARGE_STORE_BYTES else None


def _show_check(out: Output, found: Check) -> None:
    journal = found.journal
    agree = "agree" if journal.ok else "were checked"
    out.line(
        f"{counted(journal.events, 'event')} of {counted(journal.minds, 'mind')}, "
        f"{counted(journal.checkpoints, 'checkpoint')}, {counted(journal.anchored, 'line')} of the anchor {agree}."
    )
    if not journal.anchored and journal.checkpoints:
        out.line("No anchor was found: a journal whose end was cut off cannot be told from a shorter one.")
    for problem in journal.problems[:MOST_PROBLEMS_SHOWN]:
        out.line(one_line(f"problem  {problem}"))
    more = len(journal.problems) - MOST_PROBLEMS_SHOWN + journal.unlisted
    if more > 0:
        out.line(f"… and {more:,} more")
    for line in found.database[:MOST_PROBLEMS_SHOWN]:
        out.line(one_line(f"problem  database: {line}"))
    for name in found.views:
        out.line(f"problem  view: {name} is not what the journal says; restore a backup, or report how it came about")
    if found.views_skipped:
        out.line(f"The views were not compared: {found.views_skipped}.")
    elif not found.views:
        out.line("The views are what the journal says.")
    out.line("ok" if found.ok else "NOT OK")


def _add_replay(app: typer.Typer) -> None:
    @verb(app, "replay")
    def replay(session: Session) -> None:
        """Rebuild every view twice from the journal alone, and compare. Exits 8 when they differ.

        Asks no model, and writes nothing to the store.
        """
        from tacit.cli.journal_check import rebuild

        database_open = session.open_database(read_only=True)
        with database_open as database, session.out.progress("rebuilding", unit="events") as progress:
            found = rebuild(database, scratch_folder(database), progress)
        session.out.result(found, lambda: _show_rebuild(session.out, found))
        if not found.ok:
            raise typer.Exit(IntegrityError.exit_code)


def _show_rebuild(out: Output, found: Rebuild) -> None:
    rows = [
        (
            name,
            live[:16],
            found.rebuilt[name][:16],
            found.again[name][:16],
            "differs" if name in found.differing else "same",
        )
        for name, live in found.live.items()
    ]
    out.table(("view", "live", "rebuilt", "again", ""), rows)
    out.line("ok: the same every time" if found.ok else "NOT OK")


def _add_checkpoint(app: typer.Typer) -> None:
    @verb(app, "checkpoint")
    def checkpoint(session: Session) -> None:
        """Sign what is unsigned now, and copy the checkpoints to the anchor file."""
        from tacit.ids import format_id

        with session.open_store() as opened:
            made = opened.journal.notary.sign_all()
        columns = ("mind", "first", "last", "root")
        rows = [(format_id(one.mind), one.first, one.last, one.root.hex()) for one in made]
        told = [dict(zip(columns, row, strict=True)) for row in rows]
        session.out.result(told, lambda: session.out.table(columns, rows, empty="everything is signed already"))


def _add_tail(app: typer.Typer) -> None:
    @verb(app, "tail")
    def tail(
        session: Session,
        count: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the newest events.")] = 20,
        follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")] = False,
        kind: str = option("--kind", "KIND", "Only this kind, such as step.logged.", ""),
    ) -> None:
        """Show the newest events of the mind, without their contents. With --json one document a line."""
        from tacit.cli.journal_tail import newest, since
        from tacit.journal.minds import require_mind

        settings = session.settings
        with session.open_database() as database:
            with database.snapshot() as snapshot:
                mind = require_mind(snapshot, settings.tenant, settings.mind).id
                found, position = newest(snapshot, mind, count, kind)
            _show_lines(session.out, iter(found))
            while follow:
                time.sleep(settings.consumers.poll_seconds)
                with database.snapshot() as snapshot:
                    found, position = since(snapshot, mind, position, kind)
                _show_lines(session.out, iter(found))


def _show_lines(out: Output, lines: Iterator[Line]) -> None:
    import sys

    for line in lines:
        if out.json:
            out.document(line)
        else:
            about = f"  of {line.causation}" if line.causation else ""
            out.line(f"{moment(line.recorded_at)}  {line.position:>8}  {line.kind:<22}  {line.id}{about}")
    sys.stdout.flush()


def _add_prove(app: typer.Typer) -> None:
    @verb(app, "prove")
    def prove(
        session: Session, id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The id of an event.")]
    ) -> None:
        """Print, as JSON, a proof that an event stands under a signed checkpoint; it shows nothing of other events."""
        from tacit.cli.journal_proof import prove as prove_event
        from tacit.ids import parse_id
        from tacit.journal.minds import require_mind

        settings = session.settings
        with session.open_database(read_only=True) as database, database.snapshot() as snapshot:
            mind = require_mind(snapshot, settings.tenant, settings.mind).id
            proof = prove_event(snapshot, mind, parse_id(id))
        session.out.document(proof)
