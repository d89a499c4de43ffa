"""The command line: ``tacit COMMAND …``. Each group of commands is a file of this folder.

Nothing heavy is imported here; a command imports what it needs when it runs, so that ``tacit --help`` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from tacit import __version__
from tacit.cli import (
    advice,
    backups,
    bench,
    config,
    demo,
    doctor,
    episodes,
    erasing,
    journal,
    memories,
    memory_import,
    migrate,
    minds,
    patterns,
    recall,
    run,
    stats,
    telling,
    traces,
)
from tacit.cli.failure import INTERRUPTED, report_any, report_usage
from tacit.cli.verb import described, group, needing_command

app = typer.Typer(
    name="tacit",
    help="A mind that lasts and learns for AI agents: what an agent did goes in, know-how with evidence comes out.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"tacit {__version__}\n")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A mind that lasts and learns for AI agents: what an agent did goes in, know-how with evidence comes out."""


def _without_version(*, version: bool, **values: Any) -> None:
    needing_command(**values)


def _build() -> None:
    import inspect

    own = list(inspect.signature(_root, eval_str=True).parameters.values())
    keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    app.callback(invoke_without_command=True)(described(_without_version, _root, keyword))
    run.add_to(app)
    demo.add_to(app)
    traces.add_to(app)
    stats.add_to(app)
    advice.add_to(app)
    recall.add_to(app)
    patterns.add_to(group(app, "pattern", "What was found in the episodes, and why it is believed."))
    episode = group(app, "episode", "Tell, find, read and change episodes.")
    episodes.add_to(episode)
    telling.add_to(episode)
    memories.add_remember(app)
    memory = group(app, "memory", "Bring in, find, read, correct and forget what is remembered.")
    memories.add_to(memory)
    memory_import.add_to(memory)
    erasing.add_to(group(app, "erase", "Erase for good, and check the receipts."))
    minds.add_to(group(app, "mind", "The minds of a store."))
    journal.add_to(group(app, "journal", "Verify, rebuild, sign and read the journal."))
    backups.add_to(app, group(app, "backup", "Make, list and verify backups."))
    config.add_to(group(app, "config", "Show and check settings."))
    doctor.add_to(app)
    migrate.add_to(app)
    bench.add_to(app)


_build()


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run a command line without the program's name; its exit code. ``sys.argv`` when None."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in arguments
    try:
        code = get_command(app).main(args=list(arguments), prog_name="tacit", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        usage = f"{context.get_usage()}\nTry '{context.command_path} --help'." if context is not None else ""
        return report_usage(error.format_message(), usage, as_json=as_json)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except OSError as error:
        return report_any(error, as_json=as_json)
    except SystemExit as ended:
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        return report_any(ended.__context__, as_json=as_json)
    return code if isinstance(code, int) else 0
