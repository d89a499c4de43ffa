"""``tacit advise``, ``tacit playbook``, ``tacit feedback``: how to do a task, and how it turned out."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tacit.cli.advice_page import show_advice, show_playbooks
from tacit.cli.episodes import AsOf, id_in, mind_at, moment_of
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.cli.waiting import PATIENCE, LongestWait, learn
from tacit.errors import InvalidInput

Task = Annotated[str, typer.Argument(metavar="TASK", help="What the agent is about to do, in words.")]
TaskType = Annotated[str, typer.Option("--task-type", metavar="NAME", help="Its task type.", show_default=False)]
Domain = Annotated[str, typer.Option("--domain", metavar="NAME", help="Its domain.", show_default=False)]
Language = Annotated[str, typer.Option("--language", metavar="NAME", help="Its language.", show_default=False)]
Framework = Annotated[str, typer.Option("--framework", metavar="NAME", help="Its framework.", show_default=False)]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag; may be given several times.")]
Metadata = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="KEY=VALUE", help="What else is known of it; several times for several."),
]
Tools = Annotated[
    list[str] | None,
    typer.Option("--tool", metavar="NAME[=WHAT]", help="A tool at hand, with what it does; several times for several."),
]
Steps = Annotated[
    str | None,
    typer.Option(
        "--steps",
        metavar="FILE|-",
        help="What was done so far: a step a line, as JSON such as 'tacit export' writes it; '-' is standard input.",
    ),
]
EpisodeId = Annotated[
    str | None, typer.Option("--episode", metavar="ID", help="What was done so far: the steps of this episode.")
]
Record = Annotated[
    bool,
    typer.Option(
        "--record",
        help="Write the advice down, so that its outcome can be told with 'feedback'. "
        "Not done unless asked for here; the library does it unless told not to (record=False).",
    ),
]
Key = Annotated[
    str,
    typer.Option("--key", metavar="TEXT", help="With --record: the same question with the same key is one exposure."),
]
Prompt = Annotated[
    int | None,
    typer.Option(
        "--prompt",
        metavar="TOKENS",
        help="As plain text for a model's prompt, in so many tokens; 20 or more.",
        show_default=False,
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
        metadata: Metadata = None,
        tool: Tools = None,
        steps: Steps = None,
        episode: EpisodeId = None,
        key: Key = "",
        record: Record = False,
        prompt: Prompt = None,
        wait: LongestWait = PATIENCE,
        as_of: AsOf = None,
    ) -> None:
        """Say how to do a task: chance of success, tools, next steps, pitfalls, heuristics, a playbook."""
        from tacit.cli.asking import metadata_in, steps_in, tools_in
        from tacit.mind import as_data

        _check_options(as_of, steps=steps, episode=episode, key=key, record=record, prompt=prompt)
        names: dict[str, Any] = {
            "task_type": task_type, "domain": domain, "language": language, "framework": framework
        }  # fmt: skip
        more: dict[str, Any] = {
            "tags": tag or (),
            "metadata": metadata_in(metadata or ()),
            "tools": tools_in(tool or ()),
        }
        more["steps"] = () if steps is None else steps_in(steps)
        _check_question(session, task, names, more, key)
        with session.open_mind() as mind:
            left = learn(session.out, mind, wait)
            then = mind_at(mind, as_of)
            if episode is not None:
                more["steps"] = then.get(id_in(mind, episode)).steps
            found = then.advise(task, **names, **more, key=key, record=record)
        if prompt is not None:
            text = found.prompt(prompt)
            told = {"prompt": text, "exposure_id": found.exposure_id, "unlearned": left}
            session.out.result(told, lambda: session.out.line(text))
        else:
            session.out.result(
                {**as_data(found), "unlearned": left}, lambda: show_advice(session.out, found, unlearned=left)
            )


def _check_options(
    as_of: str | None, *, steps: str | None, episode: str | None, key: str, record: bool, prompt: int | None
) -> None:
    """Refuse options that cannot be, or not together, before a store is opened."""
    from tacit.experience.short_ids import check_id
    from tacit.learning.advising.budget import check_budget

    moment_of(as_of)
    if prompt is not None:
        check_budget(prompt)
    if episode is not None:
        check_id(episode)
    if steps is not None and episode is not None:
        raise InvalidInput("--steps and --episode both say what was done so far; give one of them", option="--steps")
    if key and not record:
        raise InvalidInput("--key names what is written down; give --record with it", option="--key")
    if record and as_of is not None:
        raise InvalidInput("the past cannot be written to; leave out --record or --as-of", option="--record")


def _check_question(session: Session, task: str, names: dict[str, Any], more: dict[str, Any], key: str) -> None:
    from tacit.experience.entrance import check_key
    from tacit.learning.asking import question_of

    limits = session.settings.limits.to_limits()
    check_key(key, limits)
    question_of(task, names, **more, limits=limits)


def _add_others(app: typer.Typer) -> None:
    @verb(app, "playbook")
    def playbook(
        session: Session,
        task_type: TaskType = "",
        domain: Domain = "",
        wait: LongestWait = PATIENCE,
        as_of: AsOf = None,
    ) -> None:
        """Show the playbooks: for each kind of task, the way that successful episodes took."""
        moment_of(as_of)
        with session.open_mind() as mind:
            left = learn(session.out, mind, wait)
            book = mind_at(mind, as_of).book()
        found = [
            each
            for kind, each in book.playbooks
            if (not task_type or kind[0] == task_type) and (not domain or kind[1] == domain)
        ]
        told = {"playbooks": found, "unlearned": left}
        session.out.result(told, lambda: show_playbooks(session.out, found, filtered=bool(task_type or domain)))

    @verb(app, "feedback")
    def feedback(session: Session, exposure: Exposure, outcome: Outcome) -> None:
        """Tell how that turned out for which advice was given."""
        from tacit.ids import parse_id
        from tacit.learning.counsel import check_outcome

        parse_id(exposure)
        check_outcome(outcome)
        with session.open_mind() as mind:
            mind.feedback(exposure, outcome=outcome)  # type: ignore[arg-type]  # it was checked
        session.out.result({"exposure": exposure, "outcome": outcome}, lambda: session.out.line("noted"))
