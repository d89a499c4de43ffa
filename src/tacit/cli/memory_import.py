"""``tacit memory import``: remember what chat logs and lines of JSON hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import option
from tacit.cli.output import Output, counted
from tacit.cli.session import Session
from tacit.cli.source import name_of, source_of
from tacit.cli.traces import NO_STORE, Fit, Source, show_rejected, store_exists
from tacit.cli.verb import verb
from tacit.cli.waiting import AFTER_IMPORT, WaitForVectors, embed_imported
from tacit.errors import InvalidInput

if TYPE_CHECKING:
    from tacit.experience.memory.intake import MemoryImportReport
    from tacit.mind import Mind
    from tacit.ops.settings import Settings

MemoryFormatName = Annotated[
    str,
    typer.Option("--format", metavar="NAME", help="auto, openai-messages, locomo or jsonl (one memory a line)."),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""

    @verb(app, "import")
    def import_memories(
        session: Session,
        path: Source,
        format: MemoryFormatName = "auto",
        user: str = option("--user", "NAME", "Whom all of it is about.", ""),
        session_name: str = option("--session", "NAME", "The conversation that all of it is from.", ""),
        agent: str = option("--agent", "NAME", "Whose memory it is.", ""),
        kind: str | None = option("--kind", "KIND", "turn, fact, preference, instruction or note, for all of it."),
        conversation: str = option("--conversation", "ID", "Only this one of the conversations.", ""),
        fit: Fit = "truncate",
        wait: WaitForVectors = AFTER_IMPORT,
    ) -> None:
        """Remember what chat logs hold. Doing it again adds nothing; a bad record is listed and stops nothing.

        What was imported before stays as it has become since: a correction holds, and what was forgotten stays so.
        No store is made for a source in which nothing can be read.
        Then waits until there are vectors, so that all is found by its meaning. Interrupting that loses nothing.
        Exits 0 when at least one memory could be read, 2 when all of them were rejected.
        """
        out = session.out
        options = {"user": user, "session": session_name, "agent": agent, "kind": kind}
        options |= {"conversation": conversation, "fit": fit}
        with source_of(out, path) as source:
            report = _check(session.settings, source, format, name_of(path), **options)
            if report is None:
                with session.open_mind(create=True) as mind:
                    report = _import(out, mind, source, name_of(path), format=format, **options)
                    out.result(report, lambda: _show(out, report))
                    embed_imported(out, mind, wait)
            else:
                out.result(report, lambda: _show(out, report))
                out.note(NO_STORE)
        if report.rejected and not report.imported and not report.corrected and not report.skipped:
            raise typer.Exit(InvalidInput.exit_code)


def _import(out: Output, mind: Mind, source: Path, called: str, /, **options: Any) -> MemoryImportReport:
    """Import with a counter; the options are those of ``Mind.import_memories``."""
    with out.progress(f"importing {Path(called).name}", unit="memories") as progress:
        return mind.import_memories(source, progress=progress, **options)


def _check(settings: Settings, source: Path, format: str, called: str, **given: Any) -> MemoryImportReport | None:
    """Look at a source before a store is made for it. The report when there is neither a store nor anything for one.

    Raises:
        NotFound: there is no such path, or no such conversation in it.
        InvalidInput: an option that is none, or nothing recognises the content.
    """
    from tacit.experience.memory.importers.registry import memory_importer_for
    from tacit.experience.memory.intake import no_memory_in
    from tacit.verbs.imports import memory_options

    options = memory_options(settings.limits.to_limits(), **given)
    importer = memory_importer_for(format, source, called)
    if store_exists(settings):
        return None
    nothing = no_memory_in(importer.read(source, options))
    if nothing is not None:
        options.conversations.check()
    return nothing


def _show(out: Output, report: MemoryImportReport) -> None:
    new = "1 memory" if report.imported == 1 else f"{report.imported:,} memories"
    out.line(
        f"{new} imported, {report.corrected:,} corrected, {report.skipped:,} skipped because they were there already, "
        f"{len(report.rejected):,} rejected."
    )
    if report.shortened:
        out.line(
            f"{counted(report.shortened, 'text')} shortened, split or cleaned; --fit says what to do with long ones."
        )
    if report.masked:
        out.line(f"{counted(report.masked, 'secret')} masked.")
    show_rejected(out, report.rejected)
