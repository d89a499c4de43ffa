"""``tacit import`` and ``tacit export``: bring recorded traces in, and take episodes out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import option
from tacit.cli.output import Output, counted
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.cli.waiting import AFTER_IMPORT, LongestWait, learn_imported
from tacit.errors import InvalidInput

if TYPE_CHECKING:
    from tacit.experience.ingest import IngestReport
    from tacit.mind import Mind

MOST_REJECTED_SHOWN = 20
STDOUT = "-"

Source = Annotated[Path, typer.Argument(metavar="PATH", help="A file, or a folder of files.")]
FormatName = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="auto, openai-messages, react, otel, claude-code, codex or jsonl (Tacit's own).",
    ),
]
Fit = Annotated[
    str,
    typer.Option("--fit", metavar="HOW", help="What to do with what is over the limits: truncate, split or refuse."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    _add_import(app)
    _add_export(app)


def _add_import(app: typer.Typer) -> None:
    @verb(app, "import")
    def import_traces(
        session: Session,
        path: Source,
        format: FormatName = "auto",
        task_type: str = option("--task-type", "NAME", "What kind of tasks they are.", ""),
        domain: str = option("--domain", "NAME", "The field they are in.", ""),
        tag: list[str] | None = option("--tag", "TAG", "Add a tag; repeatable."),
        agent: str = option("--agent", "NAME", "Whose traces.", ""),
        fit: Fit = "truncate",
        wait: LongestWait = AFTER_IMPORT,
    ) -> None:
        """Import recorded traces. Doing it again adds nothing; a bad record is listed and stops nothing.

        Then waits until they have been learned from, so that advice is there at once. Interrupting that loses nothing.
        Exits 0 when at least one record could be read, 2 when all of them were rejected.
        """
        options = {"format": format, "task_type": task_type, "domain": domain, "agent": agent, "fit": fit}
        check_source(path, format, fit)
        with session.open_mind(create=True) as mind:
            report = ingest(session.out, mind, path, tags=tag or (), **options)
            session.out.result(report, lambda: show_report(session.out, report))
            learn_imported(session.out, mind, wait)
        if report.rejected and not report.imported and not report.skipped:
            raise typer.Exit(InvalidInput.exit_code)


def check_source(path: Path, format: str, fit: str = "truncate") -> None:
    """Refuse what cannot be imported before a store is made for it.

    Raises:
        NotFound: there is no such path.
        InvalidInput: a format or a way to fit that does not exist, or nothing recognises the content.
    """
    from typing import cast, get_args

    from tacit.experience.importers import Fit, Format, importer_for

    if fit not in get_args(Fit):
        raise InvalidInput(f"--fit is {fit!r}; use one of {', '.join(get_args(Fit))}", option="--fit")
    importer_for(cast(Format, format), path)


def ingest(out: Output, mind: Mind, path: Path, **options: Any) -> IngestReport:
    """Import with a counter; the options are those of ``Mind.ingest``."""
    with out.progress(f"importing {path.name}", unit="records") as progress:
        return mind.ingest(path, progress=progress, **options)


def show_report(out: Output, report: IngestReport) -> None:
    """Write what became of the records."""
    out.line(
        f"{counted(report.imported, 'episode')} imported ({counted(report.steps, 'step')}), "
        f"{report.skipped:,} skipped because they were there already, {len(report.rejected):,} rejected."
    )
    if report.shortened:
        out.line(
            f"{counted(report.shortened, 'text')} shortened, each with a mark; --fit says what to do with long ones."
        )
    if report.masked:
        out.line(f"{counted(report.masked, 'secret')} masked.")
    for rejected in report.rejected[:MOST_REJECTED_SHOWN]:
        out.line(f"rejected  {rejected.location}: {rejected.reason}")
    if len(report.rejected) > MOST_REJECTED_SHOWN:
        out.line(f"… and {len(report.rejected) - MOST_REJECTED_SHOWN:,} more; --json lists all.")


def _add_export(app: typer.Typer) -> None:
    @verb(app, "export")
    def export(
        session: Session,
        path: Annotated[str, typer.Argument(metavar="PATH|-", help="A file to write, or '-' for standard output.")],
        overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    ) -> None:
        """Write every episode as Tacit's own JSONL, which 'tacit import' reads back without loss."""
        with session.open_mind() as mind:
            if path == STDOUT:
                _stream(mind)
                return
            with session.out.progress("exporting", unit="episodes") as progress:
                count = mind.export(path, overwrite=overwrite, progress=progress)
        told = {"episodes": count, "path": path}
        session.out.result(told, lambda: session.out.line(f"{counted(count, 'episode')} written to {path}"))


def _stream(mind: Mind) -> None:
    from tacit.experience.importers import line_of, record_of

    for episode in mind.all_episodes():
        sys.stdout.buffer.write(line_of(record_of(episode)))
    sys.stdout.buffer.flush()
