"""``tacit demo``: a scripted agent at work in a little world, and what Tacit learns from watching it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.output import Output, counted
from tacit.cli.session import Session, program
from tacit.cli.stats import show_statistics
from tacit.cli.verb import verb
from tacit.cli.waiting import catch_up

if TYPE_CHECKING:
    from tacit.experience.episode import Episode
    from tacit.mind import Mind

MIND = "demo"
ERRANDS = 30
SEED = 1

Seed = Annotated[int, typer.Option("--seed", help="Another seed, another house and other errands.")]
Tasks = Annotated[int, typer.Option("--tasks", min=1, max=1_000, help="How many errands the agent does.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""

    @verb(app, "demo")
    def demo(session: Session, tasks: Tasks = ERRANDS, seed: Seed = SEED) -> None:
        """Watch a scripted agent at work in a little world, then see what was learned from it.

        Uses the store given with --store, or else a temporary one that is removed afterwards.
        """
        run_demo(session, tasks, seed)


@contextmanager
def open_somewhere(session: Session, mind: str | None = None) -> Iterator[Mind]:
    """A mind in the store that was named on the command line, or else in a temporary one."""
    from tacit.opening import open_mind_alone

    settings = session.settings
    names = {"mind": session.options.mind or mind or settings.mind, "tenant": settings.tenant}
    if session.options.store:
        with open_mind_alone(settings=settings, **names) as opened:
            yield opened
        return
    with (
        tempfile.TemporaryDirectory(prefix="tacit-") as folder,
        open_mind_alone(Path(folder) / "tacit.db", settings=settings, **names) as opened,
    ):
        yield opened


def run_demo(session: Session, tasks: int = ERRANDS, seed: int = SEED) -> None:
    """Run the demonstration."""
    out = session.out
    with open_somewhere(session, MIND) as mind:
        if not out.json:
            out.line(
                f"A scripted agent (fixed rules, no language model) does {counted(tasks, 'errand')} in a little house."
            )
            out.line("Tacit records every step as it happens; the times are those that its tools really took.\n")
        told = _work(out, mind, tasks, seed)
        catch_up(mind)
        found = mind.statistics()
        if out.json:
            out.document({"scripted": True, "seed": seed, "episodes": told, "statistics": found})
            return
        out.heading("What Tacit learned from watching")
        show_statistics(out, found)
        _show_lesson(out, mind, told)
        location = mind.recorder.journal.store.location
    _show_next_steps(session, location)


def _work(out: Output, mind: Mind, tasks: int, seed: int) -> list[dict[str, Any]]:
    from tacit.cli.demo_agent import carry_out, errands

    told = []
    for number, (errand, habit, house) in enumerate(errands(tasks, random.Random(seed)), start=1):  # noqa: S311 - a game
        id, status = carry_out(mind, errand, habit, house)
        told.append({"id": id, "task": errand.description, "habit": habit.name, "status": status})
        if not out.json:
            out.line(f"{number:>3}. {status:<8} {habit.name:<9} {errand.description}")
    return told


def _show_lesson(out: Output, mind: Mind, told: list[dict[str, Any]]) -> None:
    """The failure with the least reward, as an example of what can be asked about an episode."""
    failed = [
        (reward.total, one["id"]) for one in told if one["status"] != "success" and (reward := mind.reward(one["id"]))
    ]
    if not failed:
        return
    total, id = min(failed)
    episode: Episode = mind.get(id)
    reflection = mind.reflection(id)
    out.heading(f"A look back at the worst of them: {episode.task.description} (reward {round(total, 2) + 0.0:.2f})")
    for remark in (*reflection.improvements, *reflection.insights):
        out.line(f"- {remark.text}")


def _show_next_steps(session: Session, location: str) -> None:
    out = session.out
    out.heading("Next")
    if session.options.store:
        mind = session.options.mind or MIND
        out.line(session.again("episode list --status failure", location, mind=mind))
    else:
        out.line(f"This ran in a temporary store, which is gone. '{program()} demo --store demo.db' keeps it.")
    for command, what in (
        ("import PATH", "your own traces: chat messages, ReAct text, OpenTelemetry, coding sessions"),
        ("stats", "what your agent is good and bad at"),
        ("--help", "everything else"),
    ):
        out.line(f"{program()} {command:<18}  {what}")
