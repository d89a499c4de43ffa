"""Options as commands declare them: ``domain: str = option("--domain", "NAME", "The field it is in.", "")``."""

from __future__ import annotations

from typing import Any

import typer


def option(name: str, metavar: str, help: str, default: Any = None) -> Any:
    """An option with a value. A default that says nothing (None or empty) is not shown."""
    return typer.Option(default, name, metavar=metavar, help=help, show_default=default not in (None, ""))


def argument(metavar: str, help: str, default: Any = ...) -> Any:
    """An argument; needed, unless it has a default."""
    return typer.Argument(default, metavar=metavar, help=help, show_default=False)
