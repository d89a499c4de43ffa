"""``tacit import`` and ``tacit export``: bring recorded traces in, and take episodes and memories out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import option
from tacit.cli.output import Output, counted
from tacit.cli.session import Session
from tacit.cli.source import name_of, source_of
from tacit.cli.verb import verb
from tacit.cli.waiting import AFTER_IMPORT, LongestWait, learn_imported
from tacit.errors import InvalidInput

if TYPE_CHECKING:
    from tacit.experience.importers import Rejected
    from tacit.experience.ingest import IngestReport
    from tacit.mind import Mind
    from tacit.ops.settings import Settings

NO_STORE = "Nothing was kept, and no store was made."
MOST_REJECTED_SHOWN = 20
STDOUT = "-"

_KEPT = {
    "domain": ("under another domain than given", "'tacit episode update ID --domain NAME' changes one."),
    "task_type": ("under another task type than given", "'tacit episode update ID --task-type NAME' changes one."),
    "agent": ("under another agent than given", "mind.update(ID, agent=NAME) changes one."),
    "tags": ("without tags that were given", "'tacit episode tag ID TAG' adds them to one."),
}
"""What stays as it was when it is imported again, and how to change it, by the field of the report."""

Source = Annotated[str, typer.Argument(metavar="PATH|-", help="A file, a folder of files, or '-' for standard input.")]
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

        Context that is given holds for what is new: an episode that is there already stays as it was, which is told.
        No store is made for a source in which nothing can be read.
        Then waits until they have been learned from, so that advice is there at once. Interrupting that loses nothing.
        Exits 0 when at least one record could be read, 2 when all of them were rejected. A script sees in 'rejected'
        of the JSON what was left out, such as a last line that was cut off.
        """
        out = session.out
        options = {"task_type": task_type, "domain": domain, "agent": agent, "fit": fit, "tags": tag or ()}
        with source_of(out, path) as source:
            nothing = check_source(session, source, format, name_of(path), **options)
            if nothing is not None:
                out.result(nothing, lambda: show_report(out, nothing))
                out.note(NO_STORE)
                exit_if_all_rejected(nothing)
                return
            with session.open_mind(create=True) as mind:
                report = ingest(out, mind, source, name_of(path), format=format, **options)
                out.result(report, lambda: show_report(out, report))
                learn_imported(out, mind, wait)
        exit_if_all_rejected(report)


def check_source(session: Session, source: Path, format: Any, called: str, **options: Any) -> IngestReport | None:
    """Look at a source before a store is made for it. The report when there is neither a store nor anything for one.

    Raises:
        NotFound: there is no such path.
        InvalidInput: a format or a way to fit that does not exist, or nothing recognises the content.
    """
    from tacit.experience.importers import importer_for
    from tacit.experience.ingest import nothing_in, options_of

    settings = session.settings
    checked = options_of(settings.limits.to_limits(), **options)
    try:
        importer = importer_for(format, source, called)
    except InvalidInput as error:
        if format == "auto" and _holds_memories(source):
            raise InvalidInput(f"{called} holds memories: 'tacit memory import' takes it", path=called) from error
        raise
    return None if store_exists(settings) else nothing_in(importer.read(source, checked))


def _holds_memories(source: Path) -> bool:
    from tacit.experience.memory.importers.registry import memory_importer_for

    try:
        memory_importer_for("auto", source)
    except InvalidInput:
        return False
    return True


def store_exists(settings: Settings) -> bool:
    """Whether there is something where the store belongs. A database server is there already."""
    from tacit.stores.opening import file_path, is_postgres

    return is_postgres(settings.store) or Path(file_path(settings.store)).exists()


def exit_if_all_rejected(report: IngestReport) -> None:
    """End with the exit code of wrong input when there were records, and none of them could be read."""
    taken = report.imported or report.skipped or report.memories or report.corrected or report.refused
    if report.rejected and not taken:
        raise typer.Exit(InvalidInput.exit_code)


def ingest(out: Output, mind: Mind, path: Path, called: str, **options: Any) -> IngestReport:
    """Import with a counter; the options are those of ``Mind.ingest``."""
    with out.progress(f"importing {Path(called).name}", unit="records") as progress:
        return mind.ingest(path, progress=progress, **options)


def show_report(out: Output, report: IngestReport) -> None:
    """Write what became of the records."""
    out.line(
        f"{counted(report.imported, 'episode')} imported ({counted(report.steps, 'step')}), "
        f"{report.skipped:,} skipped because they were there already, {len(report.rejected):,} rejected."
    )
    if report.memories or report.corrected:
        out.line(f"{_memories(report.memories)} imported, {report.corrected:,} corrected.")
    if report.refused:
        out.line(f"{counted(report.refused, 'episode')} refused: they were erased, and are not taken in again.")
    for field, count in report.kept.items():
        kept, change = _KEPT[field]
        out.line(f"Kept {kept}: {counted(count, 'episode')}. {change}")
    if report.shortened:
        out.line(
            f"{counted(report.shortened, 'text')} shortened, each with a mark; --fit says what to do with long ones."
        )
    if report.masked:
        out.line(f"{counted(report.masked, 'secret')} masked.")
    show_rejected(out, report.rejected)


def show_rejected(out: Output, rejected: list[Rejected]) -> None:
    """Write what could not be read, and why."""
    for one in rejected[:MOST_REJECTED_SHOWN]:
        out.line(f"rejected  {one.location}: {one.reason}")
    if len(rejected) > MOST_REJECTED_SHOWN:
        out.line(f"… and {len(rejected) - MOST_REJECTED_SHOWN:,} more; --json lists all.")


def _add_export(app: typer.Typer) -> None:
    @verb(app, "export")
    def export(
        session: Session,
        path: Annotated[str, typer.Argument(metavar="PATH|-", help="A file to write, or '-' for standard output.")],
        overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    ) -> None:
        """Write every episode and every memory as Tacit's own JSONL, which 'tacit import' reads back without loss.

        Of a memory it holds what is remembered now; its history stays in this store only.
        """
        from tacit.verbs.exports import write_export

        with session.open_mind() as mind:
            if path == STDOUT:
                _stream(mind)
                return
            with session.out.progress("exporting", unit="lines") as progress:
                written = write_export(mind, path, overwrite=overwrite, progress=progress)
        told = {"episodes": written.episodes, "memories": written.memories, "path": path}
        parts = [counted(written.episodes, "episode"), *([_memories(written.memories)] if written.memories else [])]
        session.out.result(told, lambda: session.out.line(f"{' and '.join(parts)} written to {path}"))


def _memories(count: int) -> str:
    return "1 memory" if count == 1 else f"{count:,} memories"


def _stream(mind: Mind) -> None:
    sys.stdout.buffer.writelines(mind.export_lines())
    sys.stdout.buffer.flush()
