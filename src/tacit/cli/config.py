"""``tacit config``: every setting with its value and where it came from."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tacit.cli.output import counted
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.errors import NotFound


def add_to(app: typer.Typer) -> None:
    """Add the commands."""

    @verb(app, "show")
    def show(
        session: Session,
        keys: Annotated[list[str] | None, typer.Argument(metavar="KEY…", help="Only these, or all of a group.")] = None,
    ) -> None:
        """Show every setting with its value and its source. Secrets are masked."""
        rows = [row for row in session.loaded.rows() if not keys or _is_meant(row.key, keys)]
        if not rows:
            raise NotFound(f"there is no setting {keys[0] if keys else ''!r}; 'tacit config show' lists all", keys=keys)
        data = {row.key: {"value": row.value, "source": row.source, "description": row.description} for row in rows}
        table = [(row.key, _shown(row.value), row.source) for row in rows]
        session.out.result(data, lambda: session.out.table(("setting", "value", "source"), table))

    @verb(app, "check")
    def check(session: Session) -> None:
        """Check every setting. Exits 2 and names each one that is wrong."""
        loaded = session.loaded
        given = sorted(key for key, source in loaded.sources.items() if source != "default")
        data = {"ok": True, "given": given, "warnings": list(loaded.warnings)}
        warned = f", {counted(len(loaded.warnings), 'warning')}" if loaded.warnings else ""
        text = f"all settings are valid ({len(given)} given, the rest are defaults){warned}"
        session.out.result(data, lambda: session.out.line(text))

    @verb(app, "docs")
    def docs(session: Session) -> None:
        """Print the page that describes every setting, as Markdown."""
        from tacit.ops.settings import describe

        page = describe()
        session.out.result({"markdown": page}, lambda: _write(page))


def _is_meant(key: str, wanted: list[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in wanted)


def _shown(value: str | int | float | bool | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _write(page: str) -> None:
    sys.stdout.write(page)
