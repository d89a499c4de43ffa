"""One run of a command: the options that every command takes, the settings they lead to, and the store they open."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.output import Output

if TYPE_CHECKING:
    from tacit.mind import Mind
    from tacit.opening import OpenStore
    from tacit.ops.settings import Loaded, Settings
    from tacit.stores.port import Store

PANEL = "Options of every command"


def _option(*names: str, **rest: Any) -> Any:
    return typer.Option(*names, rich_help_panel=PANEL, show_default=False, **rest)


SHARED: dict[str, tuple[Any, Any]] = {
    "store": (
        Annotated[str | None, _option("--store", metavar="PATH|URL", help="The store: a file, or postgresql://…")],
        None,
    ),
    "mind": (Annotated[str | None, _option("--mind", metavar="NAME", help="The mind.")], None),
    "tenant": (Annotated[str | None, _option("--tenant", metavar="NAME", help="The owner of the mind.")], None),
    "config": (Annotated[Path | None, _option("--config", metavar="FILE", help="A YAML file with settings.")], None),
    "key_file": (
        Annotated[str | None, _option("--key-file", metavar="FILE", help="A file with the passphrase of the store.")],
        None,
    ),
    "ask_passphrase": (
        Annotated[bool, _option("--ask-passphrase", help="Ask for the passphrase of the store.")],
        False,
    ),
    "json": (Annotated[bool, _option("--json", help="Write JSON, and nothing else, to standard output.")], False),
    "quiet": (Annotated[bool, _option("--quiet", "-q", help="No notes, no progress: results and errors only.")], False),
    "log_level": (
        Annotated[str | None, _option("--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING, ERROR, CRITICAL.")],
        None,
    ),
}
"""Options that stand before or after the command's name, by their field in ``Options``: type and default."""


@dataclass(frozen=True)
class Options:
    """What was given of the options that every command takes."""

    store: str | None = None
    mind: str | None = None
    tenant: str | None = None
    config: Path | None = None
    key_file: str | None = None
    ask_passphrase: bool = False
    json: bool = False
    quiet: bool = False
    log_level: str | None = None

    def over(self, before: Options) -> Options:
        """These, and where nothing is given here, those that stood before the command's name."""
        mine = {name: value for name, value in dataclasses.asdict(self).items() if value}
        return dataclasses.replace(before, **mine)


def options_from(values: dict[str, Any]) -> Options:
    """Take the shared options out of a command's arguments."""
    return Options(**{name: values.pop(name) for name in SHARED})


def program() -> str:
    """What to type for this program: its name where the PATH has it, or else the path by which it was called."""
    called = sys.argv[0]
    return shlex.quote(called) if Path(called).stem == "tacit" and shutil.which("tacit") is None else "tacit"


class Session:
    """What a command works with: its options, where it writes, and ways to open what it needs."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.out = Output(json=options.json, quiet=options.quiet)

    @cached_property
    def loaded(self) -> Loaded:
        """The settings with their sources; loading them shows their warnings and starts the log."""
        from tacit.cli.log import start_log
        from tacit.ops.settings import load

        loaded = load(self._flags(), self.options.config)
        for warning in loaded.warnings:
            self.out.note(f"warning: {warning}")
        start_log(loaded, few=self.options.quiet or self.options.json)
        return loaded

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.loaded.settings

    def _flags(self) -> Mapping[str, Any]:
        options = self.options
        passphrase = typer.prompt("Passphrase", hide_input=True, err=True) if options.ask_passphrase else None
        return {
            "store": options.store,
            "mind": options.mind,
            "tenant": options.tenant,
            "encryption.key_file": options.key_file,
            "encryption.passphrase": passphrase,
            "log.level": options.log_level,
        }

    def again(self, command: str, location: str, *, mind: str | None = None) -> str:
        """A command line to copy, which uses the store and the mind of this one.

        Args:
            command: what follows ``tacit``.
            location: where the store is, without secrets.
            mind: the mind, if it is not the one of the options.
        """
        options = self.options
        given = {
            "--store": location if options.store else None,
            "--mind": mind or options.mind,
            "--tenant": options.tenant,
            "--config": options.config,
            "--key-file": options.key_file,
        }
        words = [f"{name} {shlex.quote(str(value))}" for name, value in given.items() if value]
        return " ".join([program(), command, *words, *(["--ask-passphrase"] if options.ask_passphrase else [])])

    @contextmanager
    def open_store(self, *, create: bool = False) -> Iterator[OpenStore]:
        """The store, open for the block."""
        settings = self.settings
        from tacit.opening import open_store

        with open_store(settings=settings, create=create) as opened:
            yield opened

    @contextmanager
    def open_mind(self, *, create: bool = False) -> Iterator[Mind]:
        """The mind, open for the block. Without ``create``, neither a store nor a mind is made by a typing error."""
        from tacit.journal.minds import require_mind

        with self.open_store(create=create) as opened:
            if not create:
                with opened.store.snapshot() as snapshot:
                    require_mind(snapshot, self.settings.tenant, self.settings.mind)
            yield opened.mind(self.settings.mind, tenant=self.settings.tenant)

    @contextmanager
    def open_database(self, *, read_only: bool = False) -> Iterator[Store]:
        """The bare database, for whoever must not write to the journal by looking at it."""
        settings = self.settings
        from tacit.opening import database_options
        from tacit.stores.opening import open_store

        with closing(open_store(**database_options(settings), create=False, read_only=read_only)) as database:
            yield database
