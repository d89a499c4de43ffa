"""``tacit run``: the first minute. Imports traces and tells what they say, or shows the live example."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tacit.cli.demo import run_demo
from tacit.cli.options import option
from tacit.cli.session import Session
from tacit.cli.source import name_of, source_of
from tacit.cli.stats import show_statistics
from tacit.cli.traces import NO_STORE, FormatName, check_source, exit_if_all_rejected, ingest, show_report
from tacit.cli.verb import verb
from tacit.cli.waiting import AFTER_IMPORT, catch_up, lag_note, learn_imported
from tacit.errors import InvalidInput

if TYPE_CHECKING:
    from tacit.experience.ingest import IngestReport

LONGEST_COUNT = 600.0
"""Seconds that the first count over a large import may take."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""

    @verb(app, "run")
    def run(
        session: Session,
        traces: str | None = option(
            "--traces", "PATH|-", "Recorded traces: a file, a folder of files, or '-' for standard input."
        ),
        format: FormatName = "auto",
        task_type: str = option("--task-type", "NAME", "What kind of tasks they are.", ""),
        domain: str = option("--domain", "NAME", "The field they are in.", ""),
    ) -> None:
        """Import traces and show what they say about the agent; without --traces, show a live example.

        Traces go into the store ('tacit.db' in this folder, unless --store or a setting says otherwise), where
        they can be browsed. The example uses a temporary store unless --store is given.
        """
        if traces is not None:
            report_on(session, traces, format, task_type=task_type, domain=domain)
            return
        if task_type or domain or format != "auto":
            raise InvalidInput(
                "a format, a task type and a domain are said of traces, and no traces were given; "
                "name them with '--traces PATH', or 'make run TRACES=PATH'"
            )
        if not session.out.json:
            session.out.line(
                "No traces were given. 'make run TRACES=path/to/traces.json' (or 'tacit run --traces PATH')"
            )
            session.out.line(
                "imports yours and shows what they say about your agent. Here is a live example instead.\n"
            )
        run_demo(session)


def report_on(session: Session, traces: str, format: str, **options: Any) -> None:
    """Import, count, and show what was found. The options are those of ``Mind.ingest``."""
    out = session.out
    with source_of(out, traces) as source:
        nothing = check_source(session, source, format, name_of(traces), **options)
        if nothing is None:
            report = _import(session, source, name_of(traces), format, **options)
        else:
            report = nothing
            out.result({"import": nothing, "statistics": None, "lag": {}}, lambda: show_report(out, nothing))
            out.note(f"\n{NO_STORE}")
    exit_if_all_rejected(report)


def _import(session: Session, source: Path, called: str, format: str, **options: Any) -> IngestReport:
    out = session.out
    with session.open_mind(create=True) as mind:
        report = ingest(out, mind, source, called, format=format, **options)
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
    if report.imported or report.skipped:
        _tell_what_is_next(session, location)
    return report


def _tell_what_is_next(session: Session, location: str) -> None:
    out = session.out
    out.note(f"\nIt is kept in {location}. Browse it:")
    for command in ("episode list", "episode show ID", "stats"):
        out.note(f"  {session.again(command, location)}")
    out.note("Ask it:")
    for command in ("advise TASK", "playbook", "pattern list"):
        out.note(f"  {session.again(command, location)}")
