"""``tacit run``: the first minute. Imports traces and tells what they say, or shows the live example."""

from __future__ import annotations

from pathlib import Path

import typer

from tacit.cli.demo import run_demo
from tacit.cli.options import option
from tacit.cli.session import Session
from tacit.cli.stats import show_statistics
from tacit.cli.traces import FormatName, check_source, ingest, show_report
from tacit.cli.verb import verb
from tacit.cli.waiting import AFTER_IMPORT, catch_up, lag_note, learn_imported
from tacit.errors import InvalidInput

LONGEST_COUNT = 600.0
"""Seconds that the first count over a large import may take."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""

    @verb(app, "run")
    def run(
        session: Session,
        traces: Path | None = option("--traces", "PATH", "Recorded traces: a file, or a folder of files."),
        format: FormatName = "auto",
    ) -> None:
        """Import traces and show what they say about the agent; without --traces, show a live example.

        Traces go into the store ('tacit.db' in this folder, unless --store or a setting says otherwise), where
        they can be browsed. The example uses a temporary store unless --store is given.
        """
        if traces is not None:
            report_on(session, traces, format)
            return
        if not session.out.json:
            session.out.line(
                "No traces were given. 'make run TRACES=path/to/traces.json' (or 'tacit run --traces PATH')"
            )
            session.out.line(
                "imports yours and shows what they say about your agent. Here is a live example instead.\n"
            )
        run_demo(session)


def report_on(session: Session, traces: Path, format: str) -> None:
    """Import, count, and show what was found."""
    out = session.out
    check_source(traces, format)
    with session.open_mind(create=True) as mind:
        report = ingest(out, mind, traces, format=format)
        behind = catch_up(mind, LONGEST_COUNT)
        found = mind.statistics()
        location = mind.recorder.journal.store.location
        out.result({"import": report, "statistics": found, "lag": behind}, lambda: show_report(out, report))
        if not out.json:
            out.line()
            show_statistics(out, found)
        if behind:
            out.note(lag_note(behind))
        learn_imported(out, mind, AFTER_IMPORT)
    if not out.json:
        out.note(f"\nIt is kept in {location}. Browse it: tacit episode list, tacit episode show ID, tacit stats")
        out.note("Ask it: tacit advise TASK, tacit playbook, tacit pattern list")
    if report.rejected and not report.imported and not report.skipped:
        raise typer.Exit(InvalidInput.exit_code)
