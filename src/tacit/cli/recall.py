"""``tacit recall``, ``tacit maintain`` and ``tacit cache``: find what is remembered, and keep it within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import astuple

from tacit.cli.episodes import AsOf, mind_at, moment_of
from tacit.cli.options import argument, option
from tacit.cli.output import Output, brief, counted, moment
from tacit.cli.session import Session
from tacit.cli.verb import by_default, verb
from tacit.cli.waiting import PATIENCE, WaitForVectors, embed

if TYPE_CHECKING:
    from tacit.cache import CacheUse
    from tacit.ops.setting_groups import CacheSettings
    from tacit.recall.answer import Hit, Recollection
    from tacit.verbs.upkeep import MaintenanceReport
    from tacit.verbs.warming import WarmUp

_WHOLE = 10_000
_SHORT = 200

Explain = Annotated[bool, typer.Option("--why", help="Show what each score is made of.")]
Full = Annotated[bool, typer.Option("--full", help="Do not shorten long texts.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be forgotten.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    _add_recall(app)
    _add_maintain(app)
    _add_cache(app)


def _add_recall(app: typer.Typer) -> None:
    @verb(app, "recall")
    def recall(
        session: Session,
        query: list[str] = argument("WORD…", "A question, or what it is about."),
        k: int = option("--k", "NUMBER", "How many hits at most.", 10),
        user: str = option("--user", "NAME", "Only what belongs to this person.", ""),
        in_session: str = option("--session", "NAME", "Only of this conversation.", ""),
        agent: str = option("--agent", "NAME", "Only of this agent.", ""),
        kind: list[str] | None = option(
            "--kind", "KIND", "turn, fact, preference, instruction, note or episode; repeatable."
        ),
        speaker: str = option("--speaker", "NAME", "Only what this one said.", ""),
        subject: str = option("--subject", "NAME", "Only of this subject.", ""),
        occurred_after: str | None = option("--occurred-after", "TIME", "Only what happened at this time or later."),
        occurred_before: str | None = option("--occurred-before", "TIME", "Only what happened before this time."),
        valid_at: str | None = option("--valid-at", "TIME", "Only what was true then."),
        threshold: float | None = option("--threshold", "SCORE", "Only hits with at least this score."),
        max_tokens: int | None = option("--max-tokens", "NUMBER", "As many of the best as have so many tokens."),
        recipe: str = option("--recipe", "NAME", "How to rank.", "default"),
        as_of: AsOf = None,
        why: Explain = False,
        full: Full = False,
        wait: WaitForVectors = PATIENCE,
    ) -> None:
        """Find what is remembered and matters for a question, the best first.

        What is new is found by its words at once, and by its meaning once it has a vector, which is waited for.
        """
        wanted: dict[str, Any] = {"k": k, "user": user, "session": in_session, "agent": agent, "kinds": kind or ()}
        wanted |= {"speaker": speaker, "subject": subject, "threshold": threshold, "max_tokens": max_tokens}
        wanted |= {"occurred_after": moment_of(occurred_after), "occurred_before": moment_of(occurred_before)}
        wanted |= {"valid_at": moment_of(valid_at), "recipe": recipe}
        with session.open_mind() as mind:
            if recipe != "lexical":
                embed(session.out, mind, wait)
            found = mind_at(mind, as_of).recall(" ".join(query), **wanted)
        session.out.result(found, lambda: show_hits(session.out, found, why=why, full=full))


def show_hits(out: Output, found: Recollection, *, why: bool, full: bool) -> None:
    """Hits for a person to read."""
    if not found.hits:
        out.note("nothing that is remembered matters for that")
    for place, hit in enumerate(found, start=1):
        out.line(f"{place}. {brief(hit.text, _WHOLE if full else _SHORT)}")
        out.line("   " + ", ".join(_facts(hit)))
        for reason in hit.why if why else ():
            out.line(f"   {reason.contribution:+.3f}  {reason.signal} ({reason.value:.3f} × {reason.weight:.3f})")
        if hit.duplicates:
            out.line(f"   says nearly the same: {', '.join(hit.duplicates)}")
    for note in found.notes:
        out.note(note)


def _facts(hit: Hit) -> list[str]:
    said = [f"score {hit.score:.3f}", hit.kind]
    said += [
        f"{name} {value}" for name, value in (("by", hit.speaker), ("user", hit.user), ("in", hit.session)) if value
    ]
    if hit.occurred_at_micros is not None:
        said.append(moment(hit.occurred_at_micros))
    return [*said, hit.id]


def _add_maintain(app: typer.Typer) -> None:
    @verb(app, "maintain")
    def maintain(session: Session, dry_run: DryRun = False) -> None:
        """Keep a mind within the settings 'retention': forget memories, and let finished episodes expire.

        Memories go that are too old, or the least useful of too many; 'tacit memory history ID' still tells of them. Of
        episodes that are too old or too many the steps go for good; a summary stays, and what was learned from them.

        Vectors of embedders that were set before are removed once the one that is set now has made as many.
        """
        with session.open_mind() as mind:
            report = mind.maintain(dry_run=dry_run)
        session.out.result(report, lambda: show_report(session.out, report))


def show_report(out: Output, report: MaintenanceReport) -> None:
    """What was forgotten, and what has expired."""
    would = "would be " if report.dry_run else ""
    count = len(report.forgotten)
    out.line(f"{count:,} {'memory' if count == 1 else 'memories'} {would}forgotten.")
    if report.former_vectors:
        out.line(f"{report.former_vectors:,} vectors of former embedders {would}removed.")
    rows = [(each.id, each.why, f"{each.usefulness:.2f}") for each in report.forgotten]
    if rows:
        out.table(("id", "why", "usefulness"), rows)
    if not report.expired:
        return
    size = sum(each.bytes for each in report.expired)
    did = "would expire" if report.dry_run else "expired"
    out.line(f"{counted(len(report.expired), 'episode')} {did}: {size:,} bytes of what was recorded.")
    out.table(
        ("id", "why", "events", "bytes"), [(each.id, each.why, each.events, each.bytes) for each in report.expired]
    )


def _add_cache(app: typer.Typer) -> None:
    cache = typer.Typer(name="cache")
    app.add_typer(cache)

    @by_default(cache)
    def show(session: Session) -> None:
        """Show how the caches of all processes that use this store have done: hits, misses and evictions.

        Of episodes that were read, and of answers of recall; counted up to some seconds ago.
        """
        with session.open_store() as store:
            uses, settings = store.cache_use(), store.settings.cache
        told = {**uses, "bytes": settings.bytes, "ttl_seconds": settings.ttl_seconds}
        session.out.result(told, lambda: show_uses(session.out, uses, settings))

    @verb(cache, "warm")
    def warm(session: Session, episodes: int = option("--episodes", "NUMBER", "Newest episodes to read.", 100)) -> None:
        """Read what the first questions need: the embedder, the index of vectors, the newest episodes.

        After this the machine has the files in its memory. What a process keeps itself, it keeps as long as it runs:
        an agent calls 'mind.warm_up()'.
        """
        with session.open_mind() as mind:
            found = mind.warm_up(episodes=episodes)
        session.out.result(found, lambda: session.out.facts(*as_facts(found)))


def as_facts(found: WarmUp) -> list[tuple[str, str]]:
    """What is warm, for a person to read."""
    return [
        ("embedder", "ready" if found.embedder else "none, or away"),
        ("memories", f"{found.memories:,} in the index of vectors"),
        ("episodes", f"{found.episodes:,} read"),
        ("seconds", f"{found.seconds:.2f}"),
    ]


def show_uses(out: Output, uses: Mapping[str, CacheUse], settings: CacheSettings) -> None:
    """How the caches have done."""
    out.table(("kept", "hits", "misses", "evictions"), [(kind, *astuple(use)) for kind, use in uses.items()])
    out.facts(("bytes", settings.bytes), ("ttl_seconds", settings.ttl_seconds))
