"""``tacit episode start / step / complete …``: tell an episode by commands alone, hand it over, take it up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.episodes import Id, id_in
from tacit.cli.options import option
from tacit.cli.session import Session
from tacit.cli.verb import verb

if TYPE_CHECKING:
    from tacit.experience.live import LiveEpisode
    from tacit.mind import Mind

Key = Annotated[
    str | None, typer.Option("--key", metavar="TEXT", help="Makes a retry safe: the same key is the same call.")
]
Metadata = Annotated[str | None, typer.Option("--metadata", metavar="JSON", help="An object of your own.")]
Score = Annotated[float | None, typer.Option("--score", help="0 to 1.")]
Verdict = Annotated[str | None, typer.Option("--verdict", metavar="TEXT", help="How it went, in words.")]
Details = Annotated[str | None, typer.Option("--details", metavar="JSON", help="An object with what is known.")]
Artifact = Annotated[
    list[Path] | None,
    typer.Option("--artifact", metavar="FILE", help="A text file to keep with the outcome; repeatable."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for register in (_add_start, _add_step, _add_complete, _add_fail, _add_abstain, _add_handoff, _add_resume):
        register(app)


def live(mind: Mind, id: str) -> LiveEpisode:
    """A handle on an episode that was begun by an earlier command, by its id or the beginning of it.

    Raises:
        NotFound: there is none of that id.
    """
    from tacit.experience.live import LiveEpisode
    from tacit.ids import parse_id

    id = id_in(mind, id)
    mind.get(id)
    return LiveEpisode(mind.recorder, parse_id(id))


def _add_start(app: typer.Typer) -> None:
    @verb(app, "start")
    def start(
        session: Session,
        description: Annotated[str, typer.Argument(metavar="DESCRIPTION", help="What the agent is trying to do.")],
        task_type: str = option("--task-type", "NAME", "What kind of task it is.", ""),
        domain: str = option("--domain", "NAME", "The field it is in; rewards compare within it.", ""),
        language: str = option("--language", "NAME", "A programming or spoken language.", ""),
        framework: str = option("--framework", "NAME", "What it is done with.", ""),
        complexity: Annotated[float | None, typer.Option("--complexity", help="0 (trivial) to 1.")] = None,
        tag: list[str] | None = option("--tag", "TAG", "Repeatable."),
        metadata: Metadata = None,
        agent: str = option("--agent", "NAME", "Who is at work.", ""),
        source_id: str = option("--source-id", "ID", "Its id elsewhere.", ""),
        key: Key = None,
    ) -> None:
        """Begin an episode and print its id. The store and the mind are made when they are not there yet."""
        from tacit.cli.given import json_object

        with session.open_mind(create=True) as mind:
            begun = mind.episode(
                description,
                task_type=task_type,
                domain=domain,
                language=language,
                framework=framework,
                complexity=complexity,
                tags=tag or (),
                metadata=json_object(metadata, "--metadata") if metadata else None,
                agent=agent,
                source_id=source_id,
                key=key,
            )
        session.out.result({"id": begun.id}, lambda: session.out.line(begun.id))


def _add_step(app: typer.Typer) -> None:
    @verb(app, "step")
    def step(
        session: Session,
        id: Id,
        tool: str = option("--tool", "NAME", "The tool that was used.", ""),
        action: str = option("--action", "TEXT", "What was done, in words.", ""),
        parameters: str | None = option("--parameters", "JSON", "What the tool was given."),
        observation: str | None = option("--observation", "TEXT|JSON", "What came back; an object, a list or a text."),
        status: Annotated[str | None, typer.Option("--status", help="success, error or timeout.")] = None,
        error: str | None = option("--error", "TEXT", "What went wrong."),
        thought: str | None = option("--thought", "TEXT", "Why it was done."),
        latency_ms: Annotated[
            float | None, typer.Option("--latency-ms", help="How long it took, milliseconds.")
        ] = None,
        tokens: Annotated[int | None, typer.Option("--tokens", help="What it cost.")] = None,
        metadata: Metadata = None,
        key: Key = None,
    ) -> None:
        """Log one step of an open episode; durable when it returns. Prints the id of its event."""
        from tacit.cli.given import json_object, json_or_text

        fields: dict[str, Any] = {
            "tool": tool,
            "action": action,
            "parameters": json_object(parameters, "--parameters") if parameters else None,
            "observation": None if observation is None else json_or_text(observation),
            "status": status,
            "error": error,
            "thought": thought,
            "latency_ms": latency_ms,
            "tokens": tokens,
            "metadata": json_object(metadata, "--metadata") if metadata else None,
        }
        with session.open_mind() as mind:
            episode = live(mind, id)
            event = episode.step(**fields, key=key) or ""
        session.out.result({"episode": episode.id, "event": event}, lambda: session.out.line(event))


def _complete(
    session: Session, id: str, kind: Any, artifacts: list[Path] | None, details: str | None, **fields: Any
) -> None:
    from tacit.cli.given import json_object, text_of

    kept = [{"name": path.name, "content": text_of(str(path))} for path in artifacts or ()]
    object_of_details = json_object(details, "--details") if details else None
    with session.open_mind() as mind:
        id = id_in(mind, id)
        live(mind, id).complete(kind, artifacts=kept, details=object_of_details, **fields)
        reward = mind.reward(id)
    total = reward.total if reward else 0.0
    session.out.result(
        {"episode": id, "status": kind, "reward": total}, lambda: session.out.line(f"{kind}, reward {total:+.3f}")
    )


def _add_complete(app: typer.Typer) -> None:
    @verb(app, "complete")
    def complete(
        session: Session,
        id: Id,
        partial: Annotated[bool, typer.Option("--partial", help="Only a part was done.")] = False,
        score: Score = None,
        verdict: Verdict = None,
        done: list[str] | None = option("--done", "TEXT", "A part that was done; repeatable."),
        failed: list[str] | None = option("--failed", "TEXT", "A part that was not done; repeatable."),
        details: Details = None,
        artifact: Artifact = None,
    ) -> None:
        """End an episode as a success, or with --partial as a partial one."""
        kind = "partial" if partial or done or failed else "success"
        _complete(session, id, kind, artifact, details, score=score, verdict=verdict, done=done, failed=failed)


def _add_fail(app: typer.Typer) -> None:
    @verb(app, "fail")
    def fail(
        session: Session,
        id: Id,
        reason: Annotated[str, typer.Argument(metavar="REASON", help="Why it failed.")],
        score: Score = None,
        verdict: Verdict = None,
        details: Details = None,
        artifact: Artifact = None,
    ) -> None:
        """End an episode as a failure."""
        _complete(session, id, "failure", artifact, details, reason=reason, score=score, verdict=verdict)


def _add_abstain(app: typer.Typer) -> None:
    @verb(app, "abstain")
    def abstain(
        session: Session,
        id: Id,
        reason: Annotated[str, typer.Argument(metavar="REASON", help="Why the agent chose not to act.")],
        signal: list[str] | None = option("--signal", "TEXT", "What made it stop; repeatable."),
        score: Score = None,
        verdict: Verdict = None,
        details: Details = None,
        artifact: Artifact = None,
    ) -> None:
        """End an episode in which the agent chose not to act."""
        _complete(
            session, id, "abstained", artifact, details, reason=reason, signals=signal, score=score, verdict=verdict
        )


def _add_handoff(app: typer.Typer) -> None:
    @verb(app, "handoff")
    def handoff(
        session: Session,
        id: Id,
        note: str = option("--note", "TEXT", "For whoever goes on.", ""),
        state: str | None = option("--state", "JSON", "An object that the next one needs."),
        output: Path | None = option("--output", "FILE", "Write the pack there; it must not exist yet."),
    ) -> None:
        """Mark where an open episode stands, and write a pack with which another agent can go on, here or elsewhere."""
        from tacit.cli.given import json_object, write_new

        with session.open_mind() as mind:
            pack = mind.handoff(id_in(mind, id), note=note, state=json_object(state, "--state") if state else None)
        raw = pack.to_json()
        if output is None:
            session.out.line(raw.decode())
            return
        write_new(output, raw + b"\n")
        told = {"checkpoint": pack.checkpoint, "path": str(output)}
        session.out.result(told, lambda: session.out.line(f"wrote {output}"))


def _add_resume(app: typer.Typer) -> None:
    @verb(app, "resume")
    def resume(
        session: Session,
        given: Annotated[
            str, typer.Argument(metavar="FILE|ID", help="A pack, '-' for standard input, or an episode's id.")
        ],
        agent: str = option("--agent", "NAME", "Who goes on.", ""),
    ) -> None:
        """Go on with an open episode, and print its id. A pack from elsewhere brings its episode with it."""
        from tacit.cli.given import is_episode, text_of
        from tacit.experience.handoff import HandOff

        pack = given if is_episode(given) else HandOff.from_json(text_of(given))
        with session.open_mind(create=isinstance(pack, HandOff)) as mind:
            id = mind.resume(id_in(mind, pack) if isinstance(pack, str) else pack, agent=agent).id
        session.out.result({"id": id}, lambda: session.out.line(id))
