"""``tacit episode``: find, read and change episodes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from tacit.cli.options import option
from tacit.cli.output import Output, brief, counted, moment
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.errors import InvalidInput

if TYPE_CHECKING:
    from tacit.experience.views import EpisodeSummary
    from tacit.mind import Mind, PastMind

Id = Annotated[str, typer.Argument(metavar="ID", help="The episode's id, or the beginning of it that no other has.")]
Tags = Annotated[list[str], typer.Argument(metavar="TAG…", help="One or more tags.")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="TIME", help="As it was then: ISO 8601 with a zone, such as 2026-01-31T12:00:00Z."),
]
Status = Annotated[
    str, typer.Option("--status", help="open, success, partial, failure or abstained.", show_default=False)
]
TaskType = Annotated[
    str, typer.Option("--task-type", metavar="NAME", help="Only of this task type.", show_default=False)
]
Domain = Annotated[str, typer.Option("--domain", metavar="NAME", help="Only of this domain.", show_default=False)]
Tag = Annotated[str, typer.Option("--tag", metavar="TAG", help="Only with this tag.", show_default=False)]
Tool = Annotated[
    str, typer.Option("--tool", metavar="NAME", help="Only those that used this tool.", show_default=False)
]
StartedAfter = Annotated[
    str | None, typer.Option("--started-after", metavar="TIME", help="Only those that began at this time or later.")
]
StartedBefore = Annotated[
    str | None, typer.Option("--started-before", metavar="TIME", help="Only those that began before this time.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many at most.")]
After = Annotated[
    str, typer.Option("--after", metavar="ID", help="Go on behind this episode: the last one of the page before.")
]
Kind = Annotated[str, typer.Argument(metavar="KIND", help="parent, depends_on, blocks, follows, duplicates or refers.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="The other episode, named likewise.")]


def moment_of(text: str | None) -> datetime | None:
    """The time that an option names; None when it was not given."""
    from tacit.clock import parse_moment

    return None if text is None else parse_moment(text)


def id_in(mind: Mind, given: str) -> str:
    """The id of the episode that is named by its id or by the beginning of it.

    Raises:
        NotFound: none begins so.
        InvalidInput: it is neither, or several begin so.
    """
    from tacit.experience.short_ids import whole_id

    with mind.recorder.journal.store.snapshot() as snapshot:
        return whole_id(snapshot, mind.recorder.mind.id, given)


def mind_at(mind: Mind, when: str | None) -> PastMind:
    """The mind now, or as it was at the time given with ``--as-of``."""
    moment = moment_of(when)
    return mind if moment is None else mind.at(moment)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for register in (_add_list, _add_search, _add_show, _add_tags, _add_relations, _add_update):
        register(app)


def _add_list(app: typer.Typer) -> None:
    @verb(app, "list")
    def list_episodes(
        session: Session,
        status: Status = "",
        task_type: TaskType = "",
        domain: Domain = "",
        tag: Tag = "",
        tool: Tool = "",
        started_after: StartedAfter = None,
        started_before: StartedBefore = None,
        as_of: AsOf = None,
        limit: Limit = 20,
        after: After = "",
    ) -> None:
        """List episodes, newest first. All conditions that are given must hold."""
        wanted: dict[str, Any] = {"status": status, "task_type": task_type, "domain": domain, "tag": tag, "tool": tool}
        wanted |= {"started_after": moment_of(started_after), "started_before": moment_of(started_before)}
        show_page(session, as_of, limit=limit, after=after, **wanted)


def _add_search(app: typer.Typer) -> None:
    @verb(app, "search")
    def search(
        session: Session,
        words: Annotated[list[str], typer.Argument(metavar="WORD…", help="Words of the description, in any case.")],
        status: Status = "",
        task_type: TaskType = "",
        domain: Domain = "",
        tag: Tag = "",
        tool: Tool = "",
        as_of: AsOf = None,
        limit: Limit = 20,
        after: After = "",
    ) -> None:
        """Find episodes whose description holds all the words, newest first."""
        wanted = {"status": status, "task_type": task_type, "domain": domain, "tag": tag, "tool": tool}
        show_page(session, as_of, text=" ".join(words), limit=limit, after=after, **wanted)


def show_page(session: Session, when: str | None, *, text: str = "", limit: int, after: str, **wanted: Any) -> None:
    """Show one page of a list of episodes."""
    from tacit.experience.episode import EpisodeStatus

    if wanted["status"] and wanted["status"] not in get_args(EpisodeStatus):
        known = ", ".join(get_args(EpisodeStatus))
        raise InvalidInput(f"--status is {wanted['status']!r}; use one of {known}", option="--status")
    with session.open_mind() as mind:
        last = id_in(mind, after) if after else ""
        found = mind_at(mind, when).episodes(text, limit=limit, after=last, **wanted)
    session.out.result(found, lambda: show_summaries(session.out, found, limit))


def show_summaries(out: Output, found: list[EpisodeSummary], limit: int) -> None:
    """Episodes as a table, with what to type for the next page."""
    columns = ("id", "status", "started", "steps", "kind", "description")
    rows = [
        (
            each.id,
            f"{each.status}, expired" if each.expired else each.status,
            moment(each.started_at),
            each.steps,
            each.task_type or each.domain,
            brief(each.description, 80),
        )
        for each in found
    ]
    out.table(columns, rows, empty="no episode matches")
    if len(found) == limit:
        out.note(f"there may be more: --after {found[-1].id}")


def _add_show(app: typer.Typer) -> None:
    @verb(app, "show")
    def show(
        session: Session,
        id: Id,
        as_of: AsOf = None,
        full: Annotated[bool, typer.Option("--full", help="Do not shorten long texts.")] = False,
    ) -> None:
        """Show an episode: task, context, steps, outcome, reward with every factor, reflection, relations, evidence."""
        from tacit.cli.episode_page import show_episode, told

        with session.open_mind() as mind:
            page = told(mind, id_in(mind, id), moment_of(as_of))
        session.out.result(page, lambda: show_episode(session.out, page, full=full))


def _add_tags(app: typer.Typer) -> None:
    @verb(app, "tag")
    def tag(session: Session, id: Id, tags: Tags) -> None:
        """Add tags to an episode."""
        _change(session, id, add_tags=tags)

    @verb(app, "untag")
    def untag(session: Session, id: Id, tags: Tags) -> None:
        """Remove tags from an episode."""
        _change(session, id, remove_tags=tags)


def _change(session: Session, id: str, **changes: Any) -> None:
    with session.open_mind() as mind:
        id = id_in(mind, id)
        task = mind.update(id, **changes).task
    tags = ", ".join(task.tags) or "no tags"
    session.out.result({"id": id, "task": task}, lambda: session.out.line(f"{brief(task.description, 60)}: {tags}"))


def _add_relations(app: typer.Typer) -> None:
    @verb(app, "relate")
    def relate(session: Session, id: Id, kind: Kind, target: Target) -> None:
        """Say how an episode stands to another, such as 'tacit episode relate ID depends_on TARGET'."""
        with session.open_mind() as mind:
            id = id_in(mind, id)
            mind.relate(id, kind, id_in(mind, target))
            _show_relations(session, mind, id)

    @verb(app, "unrelate")
    def unrelate(session: Session, id: Id, kind: Kind, target: Target) -> None:
        """Take a relation back."""
        with session.open_mind() as mind:
            id = id_in(mind, id)
            mind.unrelate(id, kind, id_in(mind, target))
            _show_relations(session, mind, id)


def _show_relations(session: Session, mind: Mind, id: str) -> None:
    relations = mind.get(id).relations
    listing = ", ".join(f"{relation.kind} {relation.target}" for relation in relations)
    text = f"{counted(len(relations), 'relation')}{': ' if listing else ''}{listing}"
    session.out.result({"id": id, "relations": relations}, lambda: session.out.line(text))


def _add_update(app: typer.Typer) -> None:
    @verb(app, "update")
    def update(
        session: Session,
        id: Id,
        description: str | None = option("--description", "TEXT", "What the agent is trying to do."),
        task_type: str | None = option("--task-type", "NAME", "What kind of task it is."),
        domain: str | None = option("--domain", "NAME", "The field it is in."),
        language: str | None = option("--language", "NAME", "A programming or spoken language."),
        framework: str | None = option("--framework", "NAME", "What it is done with."),
        complexity: Annotated[float | None, typer.Option("--complexity", help="0 (trivial) to 1.")] = None,
        metadata: str | None = option("--metadata", "JSON", "Replaces all metadata."),
    ) -> None:
        """Change what is said of an episode's task. What is not given stays as it is."""
        from tacit.cli.given import json_object

        given: dict[str, Any] = {
            "description": description,
            "task_type": task_type,
            "domain": domain,
            "language": language,
        }
        given |= {"framework": framework, "complexity": complexity}
        given |= {"metadata": None if metadata is None else json_object(metadata, "--metadata")}
        _change(session, id, **{name: value for name, value in given.items() if value is not None})
