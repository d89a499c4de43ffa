"""``tacit remember`` and ``tacit memory``: tell, list, read, correct and forget what is remembered."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.episodes import AsOf, Limit, mind_at, moment_of
from tacit.cli.options import option
from tacit.cli.output import Output, brief, counted, moment
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.errors import InvalidInput

if TYPE_CHECKING:
    from tacit.experience.memory.memory import Memory
    from tacit.mind import Mind

STDIN = "-"
Id = Annotated[str, typer.Argument(metavar="ID", help="The memory's id, or the beginning of it that no other has.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="Memories, each by its id or the beginning of it.")]
Text = Annotated[
    str, typer.Argument(metavar="TEXT|-", help="What is to be remembered, in words; '-' for standard input.")
]
Kind = Annotated[str, typer.Option("--kind", metavar="KIND", help="turn, fact, preference, instruction or note.")]
Importance = Annotated[float | None, typer.Option("--importance", help="0 (trivial) to 1.")]
At = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="When it was said or happened: ISO 8601 with a zone.")
]
ValidFrom = Annotated[str | None, typer.Option("--valid-from", metavar="TIME", help="Since when it is true.")]
ValidTo = Annotated[str | None, typer.Option("--valid-to", metavar="TIME", help="Until before when it is true.")]
Metadata = Annotated[str | None, typer.Option("--metadata", metavar="JSON", help="An object of your own.")]


def memory_id_in(mind: Mind, given: str) -> str:
    """The id of the memory that is named by its id or by the beginning of it.

    Raises:
        NotFound: none begins so.
        InvalidInput: it is neither, or several begin so.
    """
    from tacit.experience.short_ids import whole_id

    with mind.recorder.journal.store.snapshot() as snapshot:
        return whole_id(snapshot, mind.recorder.mind.id, given, "memory")


def add_remember(app: typer.Typer) -> None:
    """Add ``tacit remember``."""

    @verb(app, "remember")
    def remember(
        session: Session,
        text: Text,
        kind: Kind = "note",
        user: str = option("--user", "NAME", "Whom it is about.", ""),
        session_name: str = option("--session", "NAME", "The conversation that it is from.", ""),
        agent: str = option("--agent", "NAME", "Whose memory it is.", ""),
        speaker: str = option("--speaker", "NAME", "Who said it.", ""),
        subject: str = option("--subject", "NAME", "What it is about: a newer one of it closes the older.", ""),
        source_id: str = option("--source-id", "ID", "Its id where it comes from.", ""),
        at: At = None,
        valid_from: ValidFrom = None,
        valid_to: ValidTo = None,
        importance: Importance = None,
        metadata: Metadata = None,
        key: str | None = option("--key", "TEXT", "Makes a retry safe: the same key is the same memory."),
    ) -> None:
        """Remember one thing, and print its id. The store and the mind are made when they are not there yet."""
        from tacit.cli.given import json_object

        fields: dict[str, Any] = {
            "kind": kind,
            "user": user,
            "session": session_name,
            "agent": agent,
            "speaker": speaker,
            "subject": subject,
            "source_id": source_id,
            "occurred_at": moment_of(at),
            "valid_from": moment_of(valid_from),
            "valid_to": moment_of(valid_to),
            "importance": importance,
            "metadata": json_object(metadata, "--metadata") if metadata else None,
        }
        said = _text(text)
        with session.open_mind(create=True) as mind:
            memory = mind.remember(said, **fields, key=key)
        session.out.result(memory, lambda: session.out.line(memory.id))


def add_to(app: typer.Typer) -> None:
    """Add the commands of ``tacit memory``."""
    for register in (_add_list, _add_show, _add_correct, _add_forget, _add_reindex):
        register(app)


def _text(given: str) -> str:
    """The text itself, or what comes in on standard input, without the line end that a shell adds."""
    if given != STDIN:
        return given
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"standard input is not UTF-8 text: {error.reason} at byte {error.start}") from error


def _add_list(app: typer.Typer) -> None:
    @verb(app, "list")
    def list_memories(
        session: Session,
        kind: list[str] | None = option("--kind", "KIND", "Only of this kind; repeatable."),
        user: str = option("--user", "NAME", "Only about this user.", ""),
        session_name: str = option("--session", "NAME", "Only from this conversation.", ""),
        agent: str = option("--agent", "NAME", "Only of this agent.", ""),
        speaker: str = option("--speaker", "NAME", "Only said by this one.", ""),
        subject: str = option("--subject", "NAME", "Only about this.", ""),
        source_id: str = option("--source-id", "ID", "Only what is called so where it comes from.", ""),
        occurred_after: str | None = option("--occurred-after", "TIME", "Only what happened at this time or later."),
        occurred_before: str | None = option("--occurred-before", "TIME", "Only what happened before this time."),
        as_of: AsOf = None,
        limit: Limit = 20,
        after: str = option("--after", "ID", "Go on behind this memory: the last one of the page before.", ""),
    ) -> None:
        """List what is remembered, the newest to come in first. All conditions that are given must hold."""
        wanted: dict[str, Any] = {"kinds": kind or (), "user": user, "session": session_name, "agent": agent}
        wanted |= {"speaker": speaker, "subject": subject, "source_id": source_id}
        wanted |= {"occurred_after": moment_of(occurred_after), "occurred_before": moment_of(occurred_before)}
        with session.open_mind() as mind:
            last = memory_id_in(mind, after) if after else ""
            found = mind_at(mind, as_of).memories(**wanted, limit=limit, after=last)
        session.out.result(found, lambda: _show_list(session.out, found, limit))


def _show_list(out: Output, found: list[Memory], limit: int) -> None:
    columns = ("id", "kind", "when", "user", "session", "speaker", "text")
    rows = [
        (one.id, one.kind, moment(_when(one)), one.user, one.session, one.speaker, brief(one.text, 80)) for one in found
    ]
    out.table(columns, rows, empty="no memory matches")
    if len(found) == limit:
        out.note(f"there may be more: --after {found[-1].id}")


def _when(memory: Memory) -> int:
    return memory.recorded_at_micros if memory.occurred_at_micros is None else memory.occurred_at_micros


def _add_show(app: typer.Typer) -> None:
    @verb(app, "show")
    def show(session: Session, id: Id, as_of: AsOf = None) -> None:
        """Show a memory with all that is known of it."""
        with session.open_mind() as mind:
            found = mind_at(mind, as_of).memory(memory_id_in(mind, id))
        session.out.result(found, lambda: show_memory(session.out, found))

    @verb(app, "history")
    def history(session: Session, id: Id, as_of: AsOf = None) -> None:
        """Show every wording that a memory has had, oldest first, and how each ended."""
        with session.open_mind() as mind:
            found = mind_at(mind, as_of).memory_history(memory_id_in(mind, id))

        def view() -> None:
            rows = [
                (moment(one.recorded_at_micros), one.ending or "holds", one.superseded_by, brief(one.text, 80))
                for one in found
            ]
            session.out.table(("recorded", "then", "superseded by", "text"), rows)

        session.out.result(found, view)


def show_memory(out: Output, memory: Memory) -> None:
    """Write all that is known of a memory, for people."""
    import msgspec

    out.facts(
        ("memory", memory.id),
        ("kind", memory.kind),
        ("text", memory.text),
        *((name.replace("_", " "), getattr(memory, name)) for name in ("user", "session", "agent", "speaker")),
        ("subject", memory.subject),
        ("source", memory.source_id),
        ("occurred", moment(memory.occurred_at_micros)),
        ("recorded", moment(memory.recorded_at_micros)),
        ("valid from", moment(memory.valid_from_micros)),
        ("valid to", moment(memory.valid_to_micros)),
        ("importance", memory.importance),
        ("metadata", msgspec.json.encode(memory.metadata).decode() if memory.metadata else None),
    )


def _add_correct(app: typer.Typer) -> None:
    @verb(app, "correct")
    def correct(
        session: Session,
        id: Id,
        text: Annotated[
            str | None, typer.Argument(metavar="TEXT|-", help="What is remembered instead.", show_default=False)
        ] = None,
        kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="What kind of memory it is.")] = None,
        speaker: str | None = option("--speaker", "NAME", "Who said it."),
        subject: str | None = option("--subject", "NAME", "What it is about."),
        at: At = None,
        valid_from: ValidFrom = None,
        valid_to: ValidTo = None,
        importance: Importance = None,
        metadata: str | None = option("--metadata", "JSON", "Replaces all metadata."),
    ) -> None:
        """Say what is remembered instead. The memory keeps its id; what it said before is in its history only."""
        from tacit.cli.given import json_object

        given: dict[str, Any] = {"kind": kind, "speaker": speaker, "subject": subject, "importance": importance}
        given |= {"occurred_at": moment_of(at), "valid_from": moment_of(valid_from), "valid_to": moment_of(valid_to)}
        given |= {"metadata": None if metadata is None else json_object(metadata, "--metadata")}
        changes = {name: value for name, value in given.items() if value is not None}
        said = None if text is None else _text(text)
        with session.open_mind() as mind:
            found = mind.correct(memory_id_in(mind, id), said, **changes)
        session.out.result(found, lambda: show_memory(session.out, found))


def _add_forget(app: typer.Typer) -> None:
    @verb(app, "forget")
    def forget(session: Session, ids: Ids) -> None:
        """Take memories out of what is remembered. Their history stays readable."""
        with session.open_mind() as mind:
            whole = [memory_id_in(mind, id) for id in ids]
            for id in whole:
                mind.memory_history(id)  # says which of them never was
            count = mind.forget(*whole)
        told = "1 memory" if count == 1 else f"{count:,} memories"
        session.out.result({"forgotten": count, "ids": whole}, lambda: session.out.line(f"{told} forgotten"))


def _add_reindex(app: typer.Typer) -> None:
    @verb(app, "reindex")
    def reindex(session: Session) -> None:
        """Make the index of words of all minds anew, while others read and write.

        Needed when 'tacit doctor' or a note at a recall says so. One that was interrupted goes on where it was.
        """
        from tacit.stores import reindex as words

        with session.open_database() as database, session.out.progress("indexing", unit="memories") as progress:
            found = words.reindex(database, progress)
        resumed = f", {found.resumed:,} by a call before" if found.resumed else ""
        told = f"{counted(found.documents, 'wording')} of memories indexed{resumed}"
        session.out.result(found, lambda: session.out.line(told))
