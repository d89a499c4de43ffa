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
            found = [(mind, head_position(snapshot, mind.id)) for mind in list_minds(snapshot)]
        fields = ("tenant", "name", "events", "created_at", "id")
        told = [
            dict(zip(fields, (mind.tenant, mind.name, events, mind.created_at, format_id(mind.id)), strict=True))
            for mind, events in found
        ]
        rows = [(mind.tenant, mind.name, events, moment(mind.created_at), format_id(mind.id)) for mind, events in found]
        columns = ("tenant", "mind", "events", "created", "id")
        session.out.result(told, lambda: session.out.table(columns, rows, empty="no minds yet"))
