"""``tacit erase``: erase for good, and check the receipts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import option
from tacit.cli.output import Output, counted, moment
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.errors import Conflict, IntegrityError, InvalidInput

if TYPE_CHECKING:
    from tacit.experience.erasing.receipt import Receipt, ReceiptCheck
    from tacit.mind import Mind

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether this is really wanted.")]
_RECEIPT = option("--receipt", "FILE", "Write the receipt there; it must not exist yet.")
_OF = {
    "memory": (
        "ID…",
        "Memories, each by its id or the beginning of it.",
        "Erase memories, with all that they have ever said.",
    ),
    "episode": (
        "ID…",
        "Episodes, each by its id or the beginning of it.",
        "Erase episodes, with all that was derived or learned from them.",
    ),
    "user": ("NAME…", "Names of users.", "Erase the memories of users, and the episodes whose metadata names them."),
    "session": (
        "NAME…",
        "Names of sessions.",
        "Erase the memories of sessions, and episodes whose metadata names them.",
    ),
    "source": ("ID…", "Ids of sources.", "Erase the memories and episodes that came from sources."),
}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for what, (metavar, help, told) in _OF.items():
        _add(app, what, metavar, help, told)
    _add_everything(app)
    _add_check(app)


def _add(app: typer.Typer, what: str, metavar: str, help: str, told: str) -> None:
    def erase(
        session: Session, *, names: list[str], dry_run: bool = False, yes: bool = False, receipt: Path | None = None
    ) -> None:
        keyword = "source_id" if what == "source" else what
        _erase(session, [{keyword: name} for name in names], f"{what} {', '.join(names)}", dry_run, yes, receipt)

    erase.__doc__ = f"{told}\n\nThe same is refused when it comes again. Nothing brings it back."
    erase.__name__ = f"erase_{what}"
    named = Annotated[list[str], typer.Argument(metavar=metavar, help=help)]
    erase.__annotations__ = {"session": Session, "names": named, "dry_run": DryRun, "yes": Yes, "receipt": Path | None}
    erase.__kwdefaults__ = {"dry_run": False, "yes": False, "receipt": _RECEIPT}
    verb(app, what)(erase)


def _add_everything(app: typer.Typer) -> None:
    @verb(app, "everything")
    def everything(
        session: Session, dry_run: DryRun = False, yes: Yes = False, receipt: Path | None = _RECEIPT
    ) -> None:
        """Erase all that the mind has been through. The mind itself stays, empty.

        The same is refused when it comes again. Nothing brings it back.
        """
        _erase(session, [{"everything": True}], "everything", dry_run, yes, receipt)


def _erase(
    session: Session, targets: Sequence[dict[str, Any]], called: str, dry_run: bool, yes: bool, path: Path | None
) -> None:
    if path is not None and path.exists():
        raise Conflict(f"{path} exists already; name another file", path=str(path))
    with session.open_mind() as mind:
        targets = [_whole(mind, target) for target in targets]
        if not (dry_run or yes):
            _ask(session, mind, targets, called)
        receipts = [mind.erase(**target, dry_run=dry_run) for target in targets]
    if path is not None:
        _write(path, receipts)
    document: Any = receipts[0] if len(receipts) == 1 else receipts
    session.out.result(document, lambda: _show(session.out, receipts, path))


def _whole(mind: Mind, target: dict[str, Any]) -> dict[str, Any]:
    """An episode or a memory may be named by the beginning of its id."""
    from tacit.cli.episodes import id_in
    from tacit.cli.memories import memory_id_in

    if "episode" in target:
        return {"episode": id_in(mind, target["episode"])}
    return {"memory": memory_id_in(mind, target["memory"])} if "memory" in target else target


def _write(path: Path, receipts: Sequence[Receipt]) -> None:
    from tacit.cli.given import write_new

    texts = [receipt.to_json() for receipt in receipts]
    write_new(path, (texts[0] if len(texts) == 1 else b"[" + b",".join(texts) + b"]") + b"\n")


def _ask(session: Session, mind: Mind, targets: Sequence[dict[str, Any]], called: str) -> None:
    """Ask whoever sits at the terminal; a script must have said it."""
    if session.out.json or not sys.stdin.isatty():
        raise InvalidInput(f"erasing {called} cannot be undone; say --yes, or look at it first with --dry-run")
    for target in targets:
        _show_counts(session.out, mind.erase(**target, dry_run=True))
    typer.confirm(f"Erase {called} for good?", abort=True, err=True)


def _show(out: Output, receipts: Sequence[Receipt], path: Path | None) -> None:
    for receipt in receipts:
        _show_counts(out, receipt)
    if path is not None:
        out.line(f"the receipt is in {path}; 'tacit erase check {path}' checks it")


def _show_counts(out: Output, receipt: Receipt) -> None:
    did = "would be erased" if receipt.dry_run else "erased then" if receipt.repeated else "erased"
    if receipt.repeated:
        out.line(f"nothing was left to erase; it was erased on {moment(receipt.erased_at)}")
    out.line(
        f"{did}: {counted(len(receipt.episodes), 'episode')}, {_memories(len(receipt.memories))}, "
        f"the content of {counted(receipt.counts.get('payload', 0), 'event')}"
    )
    out.table(("table", "rows"), list(receipt.counts.items()), empty="nothing of it was here")
    if not receipt.dry_run:
        out.facts(("at", moment(receipt.erased_at)), *(("event", ref.id) for ref in receipt.erasures))


def _memories(count: int) -> str:
    return "1 memory" if count == 1 else f"{count:,} memories"


def _add_check(app: typer.Typer) -> None:
    @verb(app, "check")
    def check(
        session: Session,
        path: Annotated[str, typer.Argument(metavar="RECEIPT|-", help="The file of a receipt; '-': standard input.")],
    ) -> None:
        """Check a receipt: its signature, its events in the chain, and that nothing of it is there. Exits 8 if not."""
        from tacit.cli.given import json_value, text_of

        given = json_value(text_of(path), "the receipt")
        with session.open_mind() as mind:
            found = [mind.check_receipt(one) for one in (given if isinstance(given, list) else [given])]
        ok = bool(found) and all(one.ok for one in found)
        document: Any = found[0] if len(found) == 1 else {"ok": ok, "receipts": found}
        session.out.result(document, lambda: _show_check(session.out, found, ok=ok))
        if not ok:
            raise typer.Exit(IntegrityError.exit_code)


def _show_check(out: Output, found: Sequence[ReceiptCheck], *, ok: bool) -> None:
    for one in found:
        for problem in one.problems:
            out.line(f"problem  {problem}")
    out.line("ok: signed by this store, in its journal, and nothing of it is left" if ok else "NOT OK")
