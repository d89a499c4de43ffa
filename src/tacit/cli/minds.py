"""``tacit mind``: the minds of a store."""

from __future__ import annotations

import typer

from tacit.cli.output import moment
from tacit.cli.session import Session
from tacit.cli.verb import verb


def add_to(app: typer.Typer) -> None:
    """Add the commands."""

    @verb(app, "list")
    def list_minds(session: Session) -> None:
        """List every mind of the store, with its owner and the number of its events."""
        from tacit.ids import format_id
        from tacit.journal.minds import list_minds
        from tacit.journal.read import head_position

        with session.open_database() as database, database.snapshot() as snapshot:
            found = [
                {
                    "id": format_id(mind.id),
                    "tenant": mind.tenant,
                    "name": mind.name,
                    "created_at": mind.created_at,
                    "events": head_position(snapshot, mind.id),
                }
                for mind in list_minds(snapshot)
            ]
        rows = [(one["tenant"], one["name"], one["events"], moment(one["created_at"]), one["id"]) for one in found]
        columns = ("tenant", "mind", "events", "created", "id")
        session.out.result(found, lambda: session.out.table(columns, rows, empty="no minds yet"))
