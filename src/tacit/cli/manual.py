"""The page of the command line, made from the commands themselves so that it cannot disagree with them.

``python -m tacit.cli.manual > docs/cli.md`` writes it anew.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from tacit.cli.app import app
from tacit.cli.failure import EXIT_CODES
from tacit.cli.session import SHARED
from tacit.cli.verb import needs_command

_INTRODUCTION = """\
# Command line

This page is made from the program's own commands; do not edit it by hand.

Results go to standard output, everything else to standard error. People at a terminal get tables; in a pipe they become
plain aligned text; `--json` writes exactly one JSON document, or one document a line where new ones keep coming
(`journal tail`, `export -`). With `--json` an error is a JSON object on standard error, with `code`, `message`,
`retryable`, `context` and `cause`, as in the library, and nothing else is written there unless a log level was chosen.

Every setting can also come from the environment or a file, see [Configuration](configuration.md). There is no option
that takes a passphrase itself, because other users could read it in the list of processes: use `--key-file`,
`--ask-passphrase` or the variable `TACIT_ENCRYPTION__PASSPHRASE`.

Only commands that record something make a store or a mind that is not there yet; all others say that it is missing.

`tacit --install-completion` sets up completion for the shell that it is called from; `tacit --show-completion` prints
it.
"""


def describe() -> str:
    """The whole of ``docs/cli.md`` as Markdown, ending with a line end."""
    root: Any = get_command(app)
    shared = [parameter for parameter in root.params if parameter.name in SHARED]
    parts = [
        _INTRODUCTION,
        f"## Options of every command\n\nThey stand before the name of the command or after it.\n\n{_table(shared)}",
        f"## Exit codes\n\n{EXIT_CODES}\n",
        *(_section(path, command) for path, command in commands(root)),
    ]
    return "\n".join(parts)


def commands(group: Any, path: tuple[str, ...] = ("tacit",)) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, in the order of the help."""
    for name, command in group.commands.items():
        inner = (*path, name)
        if not getattr(command, "commands", None):
            yield " ".join(inner), command
            continue
        if not needs_command(command):
            yield " ".join(inner), command
        yield from commands(command, inner)


def _section(path: str, command: Any) -> str:
    own = [parameter for parameter in command.params if parameter.name not in (*SHARED, "help")]
    usage = " ".join([path, *(_argument(one) for one in own if _is_argument(one))])
    options = " [OPTIONS]" if any(not _is_argument(one) for one in own) else ""
    text = inspect.cleandoc(command.help or "")
    table = f"\n{_table(own)}" if own else ""
    return f"## {path}\n\n    {usage}{options}\n\n{text}\n{table}"


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _table(parameters: list[Any]) -> str:
    rows = [
        f"| {_name(one)} | {_default(one)} | {(one.help or '').replace('|', chr(92) + '|')} |\n" for one in parameters
    ]
    return "| option | default | meaning |\n|---|---|---|\n" + "".join(rows)


def _name(parameter: Any) -> str:
    if _is_argument(parameter):
        return f"`{_escaped(parameter.metavar or parameter.name.upper())}`"
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    return names if parameter.is_flag else f"{names} `{_escaped(parameter.metavar or _kind(parameter))}`"


def _kind(parameter: Any) -> str:
    return "NUMBER" if isinstance(parameter.default, int | float) else str(parameter.name).upper()


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    return "" if parameter.default in (None, "", False) else f"`{parameter.default}`"


if __name__ == "__main__":
    sys.stdout.write(describe())
