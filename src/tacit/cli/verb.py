"""Registers a function as a command: gives it a session, and the options that every command takes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import typer

from tacit.cli import failure
from tacit.cli.session import SHARED, Options, Session, options_from
from tacit.errors import InvalidInput

Command = TypeVar("Command", bound=Callable[..., None])
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def verb(app: typer.Typer, name: str) -> Callable[[Command], Command]:
    """Add the function below to ``app`` under that name. Its first parameter is the session."""

    def register(function: Command) -> Command:
        app.command(name)(with_session(function))
        return function

    return register


def by_default(app: typer.Typer) -> Callable[[Command], Command]:
    """Let the function below run when ``app`` is called without the name of one of its commands."""

    def register(function: Command) -> Command:
        app.callback(invoke_without_command=True)(with_session(function))
        return function

    return register


def group(parent: typer.Typer, name: str, help: str) -> typer.Typer:
    """A new group of commands. Called without one it shows its help; with ``--json``, an error that names them."""
    made = typer.Typer(name=name, help=help)
    parent.add_typer(made)
    made.callback(invoke_without_command=True)(described(needing_command, needing_command, []))
    return made


def needs_command(group: Any) -> bool:
    """Whether a group does nothing by itself, and only holds its commands."""
    return getattr(group.callback, "__wrapped__", None) is needing_command


def needing_command(*, context: typer.Context, **values: Any) -> None:
    """Keep the options for the command that follows; without one show the help, or an error as JSON."""
    options = _options(context, values)
    if context.invoked_subcommand is not None:
        remember(context, options)
        return
    if options.json:
        names = ", ".join(context.command.commands)  # type: ignore[attr-defined]
        failure.report(InvalidInput(f"'{context.command_path}' needs one of its commands: {names}"), as_json=True)
    else:
        sys.stdout.write(context.get_help() + "\n")
    raise typer.Exit(InvalidInput.exit_code)


def remember(context: typer.Context, options: Options) -> None:
    """Keep the options that stood before the command's name."""
    context.obj = options


def _options(context: typer.Context, values: dict[str, Any]) -> Options:
    """Take the shared options out of a command's arguments; where one is not given, as it stood before its name."""
    before = context.obj if isinstance(context.obj, Options) else Options()
    return options_from(values).over(before)


def with_session(function: Callable[..., None]) -> Callable[..., None]:
    """The function with the shared options in place of its session."""
    _, *own = inspect.signature(function, eval_str=True).parameters.values()

    def command(*, context: typer.Context, **values: Any) -> None:
        options = _options(context, values)
        if context.invoked_subcommand is not None:
            remember(context, options)
            return
        try:
            function(Session(options), **values)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - the border of the program: whatever comes is told and becomes an exit code
            debug = (options.log_level or "").upper() == "DEBUG"
            raise typer.Exit(failure.report_any(error, as_json=options.json, debug=debug)) from None

    return described(command, function, [parameter.replace(kind=_KEYWORD) for parameter in own])


def described(
    command: Callable[..., None], function: Callable[..., Any], own: list[inspect.Parameter]
) -> Callable[..., None]:
    """Let the command be seen with these parameters, a context and the shared options."""
    context = inspect.Parameter("context", _KEYWORD, annotation=typer.Context)
    shared = [
        inspect.Parameter(name, _KEYWORD, annotation=kind, default=default) for name, (kind, default) in SHARED.items()
    ]
    parameters = [*own, context, *shared]
    command.__name__, command.__doc__, command.__module__ = function.__name__, function.__doc__, function.__module__
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command
