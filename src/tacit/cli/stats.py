"""``tacit stats``: what the agent is good and bad at; ``tacit stats lag``: how far the consumers have come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.episodes import AsOf, mind_at
from tacit.cli.output import Output, brief, counted, percent
from tacit.cli.session import Session
from tacit.cli.verb import by_default, verb
from tacit.cli.waiting import LONGEST_WAIT, PATIENCE, LongestWait, catch_up, lag_note, learn

if TYPE_CHECKING:
    from tacit.learning.assessment.statistics import Statistics, ToolStatistics, Totals
    from tacit.mind import Mind

Wait = Annotated[float, typer.Option("--wait", min=0, help="Wait so many seconds until everything is counted.")]
MOST_ERRORS = 10
MOST_KINDS = 20
MOST_TOOLS = 4
"""Shown in a table for people; JSON has all."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    stats = typer.Typer(name="stats")
    app.add_typer(stats)

    @by_default(stats)
    def show(session: Session, wait: Wait = LONGEST_WAIT) -> None:
        """Show what the agent is good and bad at: success by kind of task, slow and failing tools, errors."""
        with session.open_mind() as mind:
            behind = catch_up(mind, wait)
            found = mind.statistics()
            memories = _memories_of(mind)
        told = {"statistics": found, "memories": memories, "lag": behind}
        session.out.result(told, lambda: show_statistics(session.out, found, memories))
        if behind:
            session.out.note(lag_note(behind))

    @verb(stats, "learning")
    def learning(session: Session, wait: LongestWait = PATIENCE, as_of: AsOf = None) -> None:
        """Show how good advice is: each episode is forecast before it is learned from."""
        from tacit.cli.learning import show_quality

        with session.open_mind() as mind:
            learn(session.out, mind, wait)
            found = mind_at(mind, as_of).forecasts()
        session.out.result(found, lambda: show_quality(session.out, found))

    @verb(stats, "advice")
    def advice(session: Session, wait: LongestWait = PATIENCE, as_of: AsOf = None) -> None:
        """Show whether each piece of advice helps: successes and steps per success, where shown and where withheld."""
        from tacit.cli.learning import show_trials

        with session.open_mind() as mind:
            learn(session.out, mind, wait)
            found = mind_at(mind, as_of).trials()
        session.out.result(found, lambda: show_trials(session.out, found))

    @verb(stats, "lag")
    def lag(session: Session) -> None:
        """Show how many events each consumer has yet to see, without making it run."""
        from tacit.cli.lag import read_lag

        with session.open_database() as database, database.snapshot() as snapshot:
            found = read_lag(snapshot)
        columns = ("tenant", "mind", "consumer", "events behind", "of", "run by", "model")
        rows = [
            (one.tenant, one.mind, one.consumer, one.behind, one.events, one.holder or "nobody", one.model)
            for one in found
        ]
        session.out.result(found, lambda: session.out.table(columns, rows, empty="no minds yet"))


def _memories_of(mind: Mind) -> int:
    from tacit.experience.memory.walk import count_memories

    with mind.recorder.journal.store.snapshot() as snapshot:
        return count_memories(snapshot, mind.recorder.mind.id)


def show_statistics(out: Output, found: Statistics, memories: int = 0) -> None:
    """Write statistics for people; ``memories`` is how many things are remembered."""
    if memories:
        out.line("1 memory." if memories == 1 else f"{memories:,} memories.")
    if not found.totals.episodes:
        out.line(
            "No finished episodes yet. What is learned comes from episodes whose outcome is known; "
            "'tacit episode list --status open' shows the others."
        )
        return
    _show_totals(out, found.totals)
    out.heading("Success by kind of task (with the interval that holds the true rate with 95 % confidence)")
    columns = ("kind", "episodes", "success", "outcomes", "steps")
    kinds = [
        (each.kind, each.episodes, percent(each.success), _outcomes(each.outcomes), round(each.mean_steps, 1))
        for each in found.kinds[:MOST_KINDS]
    ]
    out.table(columns, kinds)
    tools = {tool.name: tool for tool in found.tools}
    _show_tools(out, "Slowest tools (milliseconds a call)", [tools[name] for name in found.slowest])
    if tools and not found.slowest:
        out.line("\nNo step says how long it took, so no tool can be called slow.")
    _show_tools(out, "Tools that fail most", [tools[name] for name in found.failing])
    if found.errors:
        out.heading("Errors")
        errors = [(each.count, _few(each.tools), brief(each.signature)) for each in found.errors[:MOST_ERRORS]]
        out.table(("times", "tools", "error"), errors)


def _show_totals(out: Output, totals: Totals) -> None:
    out.line(
        f"{counted(totals.episodes, 'finished episode')}, {percent(totals.success)} successful; "
        f"{counted(totals.steps, 'step')}, {counted(totals.calls, 'call')} of {counted(totals.tools, 'tool')}, "
        f"{counted(totals.failed_steps, 'failed step')}."
    )


def _show_tools(out: Output, heading: str, tools: list[ToolStatistics]) -> None:
    if not tools:
        return
    out.heading(heading)
    columns = ("tool", "calls", "errors", "time-outs", "fails", "median ms", "95 % within ms")
    rows = [
        (tool.name, tool.calls, tool.errors, tool.timeouts, percent(tool.error_rate), tool.p50_ms, tool.p95_ms)
        for tool in tools
    ]
    out.table(columns, rows)


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_TOOLS} more" if len(names) > MOST_TOOLS else ""
    return ", ".join(names[:MOST_TOOLS]) + more


def _outcomes(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in outcomes.items())
