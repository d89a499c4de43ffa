"""``tacit doctor``: is this machine fit for Tacit, and is this store?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from tacit.cli.output import Output
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.errors import StoreError

if TYPE_CHECKING:
    from tacit.cli.finding import Finding

_COLOURS = {"ok": "\x1b[32m", "warning": "\x1b[33m", "problem": "\x1b[31m"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""

    @verb(app, "doctor")
    def doctor(session: Session) -> None:
        """Check this machine and this store. Exits 0, also with warnings; 7 when the store cannot be used."""
        from tacit.cli.doctor_machine import machine
        from tacit.cli.doctor_store import store

        findings = [*machine(session.loaded), *store(session.settings)]
        usable = all(finding.state != "problem" for finding in findings)
        session.out.result({"ok": usable, "findings": findings}, lambda: _show(session.out, findings))
        if not usable:
            raise typer.Exit(StoreError.exit_code)


def _show(out: Output, findings: list[Finding]) -> None:
    width = max(len(finding.about) for finding in findings)
    for finding in findings:
        mark = f"{finding.state:<8}"
        if sys.stdout.isatty():
            sys.stdout.write(f"{_COLOURS[finding.state]}{mark}\x1b[0m")
        else:
            sys.stdout.write(mark)
        out.line(f"{finding.about:<{width}}  {finding.detail}")
