"""``tacit migrate``: bring a store of an older schema up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.output import Output
from tacit.cli.session import Session
from tacit.cli.verb import verb

if TYPE_CHECKING:
    from tacit.stores.migrate import MigrationReport


def add_to(app: typer.Typer) -> None:
    """Add the command."""

    @verb(app, "migrate")
    def migrate(
        session: Session,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, with its SQL.")] = False,
    ) -> None:
        """Bring the schema of the store to the one that this program knows. Twice does no more than once."""
        from tacit.opening import database_options
        from tacit.stores.migrate import migrate as migrate_store

        options = database_options(session.settings)
        done = migrate_store(options["location"], options["passphrase"], dry_run)
        session.out.result(done, lambda: _show(session.out, done))


def _show(out: Output, done: MigrationReport) -> None:
    if not done.steps:
        out.line(f"the store has schema {done.target}: nothing to do")
        return
    out.line(f"{'migrated' if done.done else 'would migrate'} from schema {done.found} to {done.target}:")
    for step in done.steps:
        out.line(f"  {step}")
    if not done.done:
        for statement in done.sql:
            out.line(f"\n{statement};")
