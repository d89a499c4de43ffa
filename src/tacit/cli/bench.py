"""``tacit bench``: measure this machine. The benches themselves are the room ``tacit.bench``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.options import argument, option
from tacit.cli.session import Session
from tacit.cli.verb import verb

if TYPE_CHECKING:
    from tacit.bench.report import Report
    from tacit.bench.run import Options

ALL = "all"
DATA_VARIABLE = "TACIT_BENCH_DATA"
_NAMES = "ingest, read, startup, verify, backup, soak, peers, scale; or all, the quick ones."


def add_to(app: typer.Typer) -> None:
    """Add the command."""

    @verb(app, "bench")
    def bench(
        session: Session,
        name: str = argument("NAME", _NAMES, ALL),
        output: Path | None = option("--output", "FOLDER", "Also write each report there, as NAME.json."),
        folder: Path | None = option("--folder", "FOLDER", "Where to write while measuring; the working directory."),
        data: Path | None = option(
            "--data", "FOLDER", f"Real traces; the variable {DATA_VARIABLE}, or else generated ones."
        ),
        size: int | None = option("--size", "NUMBER", "How many episodes, events, starts or memories."),
        seconds: float | None = option("--seconds", "NUMBER", "How long, for a bench that runs for a time."),
        burst_seconds: float = option("--burst-seconds", "NUMBER", "How long the burst at the end of soak lasts.", 0.0),
        peers: Path | None = option("--peers", "FOLDER", "Where the bench peers keeps what it installs."),
        server: str = option(
            "--server", "URL", "Measure scale in this PostgreSQL database, in a schema of its own.", ""
        ),
        rounds: int | None = option("--rounds", "NUMBER", "How often a measurement is repeated."),
        quick: Annotated[bool, typer.Option("--quick", help="The small sizes, for a first look.")] = False,
    ) -> None:
        """Measure this machine: rates, percentiles, and ratios that mean the same on every machine."""
        from tacit.bench.run import Options

        options = Options(
            folder=folder,
            data=data or _data_from_environment(),
            size=size,
            seconds=seconds,
            burst_seconds=burst_seconds,
            rounds=rounds,
            peers=peers,
            server=server,
            quick=quick,
        )
        _ = session.settings  # starts the log
        _measure(session, name, options, output)


def _data_from_environment() -> Path | None:
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else None


def _measure(session: Session, name: str, options: Options, output: Path | None) -> None:
    from tacit.bench import command
    from tacit.bench.report import show, to_json

    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    reports: list[Report] = []
    for report in command.run_all(options) if name == ALL else iter([command.run(name, options)]):
        reports.append(report)
        if output is not None:
            (output / f"{report.bench}.json").write_text(to_json(report), encoding="utf-8")
        if not session.out.json:
            show(report)
    if session.out.json:
        session.out.document(reports if name == ALL else reports[0])
