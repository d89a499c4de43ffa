"""``tacit advise``, ``tacit playbook``, ``tacit feedback``: how to do a task, and how it turned out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.episodes import AsOf, mind_at
from tacit.cli.output import Output
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.cli.waiting import LONGEST_STUDY, catch_up

if TYPE_CHECKING:
    from tacit.learning.advising.advice import Advice, Item, Playbook

Task = Annotated[str, typer.Argument(metavar="TASK", help="What the agent is about to do, in words.")]
TaskType = Annotated[str, typer.Option("--task-type", metavar="NAME", help="Its task type.", show_default=False)]
Domain = Annotated[str, typer.Option("--domain", metavar="NAME", help="Its domain.", show_default=False)]
Language = Annotated[str, typer.Option("--language", metavar="NAME", help="Its language.", show_default=False)]
Framework = Annotated[str, typer.Option("--framework", metavar="NAME", help="Its framework.", show_default=False)]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag; may be given several times.")]
Tools = Annotated[
    list[str] | None,
    typer.Option("--tool", metavar="NAME[=WHAT]", help="A tool at hand, with what it does; several times for several."),
]
Record = Annotated[
    bool, typer.Option("--record", help="Write the advice down, so that its outcome can be told with 'feedback'.")
]
Key = Annotated[str, typer.Option("--key", metavar="TEXT", help="Makes a retry safe: the same key is one exposure.")]
Prompt = Annotated[
    int,
    typer.Option(
        "--prompt", metavar="TOKENS", help="As plain text for a model's prompt, in so many tokens.", show_default=False
    ),
]
Exposure = Annotated[str, typer.Argument(metavar="EXPOSURE", help="The id that 'advise --record' gave.")]
Outcome = Annotated[str, typer.Argument(metavar="OUTCOME", help="success, partial, failure or abstained.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    _add_advise(app)
    _add_others(app)


def _add_advise(app: typer.Typer) -> None:
    @verb(app, "advise")
    def advise(
        session: Session,
        task: Task,
        task_type: TaskType = "",
        domain: Domain = "",
        language: Language = "",
        framework: Framework = "",
        tag: Tags = None,
        tool: Tools = None,
        key: Key = "",
        record: Record = False,
        prompt: Prompt = 0,
        as_of: AsOf = None,
    ) -> None:
        """Say how to do a task: chance of success, tools, next steps, pitfalls, heuristics, a playbook."""
        from tacit.learning.advising.advice import Tool

        tools = [Tool(name=name, description=what) for name, _, what in (each.partition("=") for each in tool or ())]
        with session.open_mind() as mind:
            catch_up(mind, LONGEST_STUDY, only="")
            found = mind_at(mind, as_of).advise(
                task,
                task_type=task_type,
                domain=domain,
                language=language,
                framework=framework,
                tags=tag or (),
                tools=tools,
                key=key,
                record=record,
            )
        if prompt:
            text = found.prompt(prompt)
            session.out.result({"prompt": text, "exposure_id": found.exposure_id}, lambda: session.out.line(text))
        else:
            session.out.result(found, lambda: show_advice(session.out, found))


def _add_others(app: typer.Typer) -> None:
    @verb(app, "playbook")
    def playbook(session: Session, task_type: TaskType = "", domain: Domain = "", as_of: AsOf = None) -> None:
        """Show the playbooks: for each kind of task, the way that successful episodes took."""
        with session.open_mind() as mind:
            catch_up(mind, LONGEST_STUDY, only="")
            book = mind_at(mind, as_of).book()
        found = [
            each
            for kind, each in book.playbooks
            if (not task_type or kind[0] == task_type) and (not domain or kind[1] == domain)
        ]
        session.out.result(found, lambda: _show_playbooks(session.out, found))

    @verb(app, "feedback")
    def feedback(session: Session, exposure: Exposure, outcome: Outcome) -> None:
        """Tell how that turned out for which advice was given."""
        with session.open_mind() as mind:
            mind.feedback(exposure, outcome=outcome)  # type: ignore[arg-type]  # it is checked there
        session.out.result({"exposure": exposure, "outcome": outcome}, lambda: session.out.line("noted"))


def show_advice(out: Output, found: Advice) -> None:
    """Write advice for people."""
    if found.abstained:
        out.line(
            "Nothing is known that would help here. Advice comes from finished episodes; 'tacit import' brings some."
        )
        return
    if found.success is not None:
        low, high = found.success.low * 100, found.success.high * 100
        out.line(f"Chance of success: {found.success.mean * 100:.0f} % ({low:.0f} … {high:.0f})")
    if found.tools:
        out.heading("Tools")
        out.table(("tool", "share", "why"), [(each.name, round(each.score, 2), each.why) for each in found.tools])
    if found.next_steps:
        out.heading("Next")
        rows = [(each.tool, each.action, round(each.score, 2), each.why) for each in found.next_steps]
        out.table(("tool", "action", "chance", "why"), rows)
    _show_items(out, "What helps", found.heuristics)
    _show_items(out, "Pitfalls", found.pitfalls)
    if found.playbook is not None:
        out.heading("Playbook")
        out.line(found.playbook.text)
    if found.episodes:
        out.heading("Episodes like this one")
        out.table(
            ("episode", "likeness", "what"), [(each.id, round(each.score, 2), each.text) for each in found.episodes]
        )
    for note in found.notes:
        out.note(note)
    if found.exposure_id:
        out.note(f"written down as {found.exposure_id}; 'tacit feedback {found.exposure_id} OUTCOME' tells how it went")


def _show_items(out: Output, title: str, items: tuple[Item, ...]) -> None:
    if items:
        out.heading(title)
        out.table(("id", "what", "why"), [(each.id, each.text, each.why) for each in items])


def _show_playbooks(out: Output, found: list[Playbook]) -> None:
    if not found:
        out.line("No playbook yet: a kind of task needs three successes.")
    for each in found:
        out.heading(f"{each.title} ({each.why})")
        out.line(each.text)
