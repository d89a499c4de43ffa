"""What a command shows: tables for people at a terminal, plain lines in a pipe, or one JSON document.

Results go to standard output and nothing else does; notes and progress go to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from tacit.learning.assessment.evidence import Estimate
    from tacit.learning.assessment.statistics import Share

Cell: TypeAlias = str | int | float | None
Progress: TypeAlias = Callable[[int], None]

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}
_REORDERING = {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Marks that turn the order of what follows, so that a text seems to say something else."""
_UNSEEN = {**_CONTROLS, **_REORDERING}
"""Stored text is data: a terminal must not obey the control sequences in it."""
_UNSEEN_IN_JSON = {code: f"\\u{code:04x}" for code in (*range(127, 160), *_REORDERING)}
"""JSON escapes the others itself. These can only stand inside its texts, where an escape means the same."""
_IDS = ("id", "episode")
"""Columns that are not folded: who copies a part of an id from a line of its own may name several things by it."""
_ONE_LINE = {9: " ", 10: " "}


class Output:
    """Where a command writes. ``json`` is asked for with ``--json``, ``quiet`` with ``--quiet``."""

    def __init__(self, *, json: bool, quiet: bool) -> None:
        self.json = json
        self.quiet = quiet
        self._begun = False

    def result(self, data: Any, view: Callable[[], None]) -> None:
        """Show a result: as JSON when that was asked for, otherwise with ``view``."""
        if self.json:
            self.document(data)
        else:
            view()

    def document(self, data: Any) -> None:
        """Write data as one line of JSON; in ASCII where the output's encoding does not have every character."""
        import msgspec

        text = msgspec.json.encode(data).decode().translate(_UNSEEN_IN_JSON)
        try:
            text.encode(sys.stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            text = json.dumps(json.loads(text))
        sys.stdout.write(text + "\n")

    def line(self, text: str = "") -> None:
        """Write a line of text."""
        sys.stdout.write(printable(text) + "\n")
        self._begun = True

    def heading(self, text: str) -> None:
        """Write a line that begins a part, set apart from what stands before it, if anything does."""
        if self._begun:
            self.line()
        if sys.stdout.isatty():
            _console().print(printable(text), style="bold", markup=False, highlight=False)
            self._begun = True
        else:
            self.line(text)

    def facts(self, *pairs: tuple[str, Cell]) -> None:
        """Write ``name  value`` lines; a fact without a value is left out."""
        known = [(name, value) for name, value in pairs if value not in (None, "")]
        width = max((len(name) for name, _ in known), default=0)
        for name, value in known:
            self.line(f"{name:<{width}}  {_shown(value)}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, empty: str = "nothing") -> None:
        """Write rows under the names of their columns: a table at a terminal, aligned text elsewhere.

        A column in which nothing stands is left out.
        """
        if not rows:
            self.note(empty)
            return
        used = [place for place in range(len(columns)) if any(row[place] not in (None, "") for row in rows)]
        names = [columns[place] for place in used]
        cells = [[row[place] for place in used] for row in rows]
        if sys.stdout.isatty():
            _console().print(_table(names, cells))
            self._begun = True
            return
        texts = [names, *([printable(one_line(_shown(cell))) for cell in row] for row in cells)]
        widths = [max(len(row[place]) for row in texts) for place in range(len(used))]
        for row in texts:
            self.line("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())

    def note(self, text: str) -> None:
        """Tell the person something that is not the result; on standard error.

        Not with ``--quiet``, and not with ``--json``: there standard error belongs to the error, if there is one.
        """
        if not self.quiet and not self.json:
            sys.stderr.write(printable(text) + "\n")

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Tell that the block may take a while: a moving sign on standard error at a terminal, a note elsewhere.

        Not with ``--quiet``, and not with ``--json``.
        """
        if self.quiet or self.json or not sys.stderr.isatty():
            self.note(what)
            yield
            return
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True).status(Text(one_line(printable(what)))):
            yield

    @contextmanager
    def progress(self, what: str, *, unit: str) -> Iterator[Progress]:
        """A counter on standard error while the block runs; only at a terminal, and not with ``--quiet``."""
        if self.quiet or not sys.stderr.isatty():
            yield _unseen
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),  # a file's name is data, too
            BarColumn(),
            TextColumn("{task.completed:,.0f} {task.fields[unit]}"),
        )
        with Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(one_line(printable(what)), total=None, unit=unit)
            yield lambda done: bar.update(task, completed=done)


def _unseen(_done: int) -> None:
    """Progress that nobody watches."""


def printable(text: str) -> str:
    """The text with control characters made visible; tabs and line ends stay."""
    return text.translate(_UNSEEN).encode(errors="backslashreplace").decode()


def one_line(text: str) -> str:
    """The text on one line."""
    return text.translate(_ONE_LINE)


def brief(text: str, length: int = 100) -> str:
    """The first ``length`` characters on one line, with an ellipsis when something was left out."""
    text = one_line(text.strip())
    return text if len(text) <= length else text[: length - 1] + "…"


def counted(count: int, noun: str) -> str:
    """``1 step``, ``1,200 steps``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(share: Share | None) -> str:
    """A share with its interval, such as ``62 % (55 … 69)``."""
    if share is None:
        return ""
    return f"{share.value * 100:.0f} % ({share.low * 100:.0f} … {share.high * 100:.0f})"


def chance_of(found: Estimate) -> str:
    """A chance with its interval, such as ``62 % (55 … 69)``; one that is not certain never passes for certain."""
    shown = "< 1" if found.mean < 0.01 else "> 99" if found.mean > 0.99 else f"{found.mean * 100:.0f}"
    return f"{shown} % ({found.low * 100:.0f} … {found.high * 100:.0f})"


def moment(micros: int | None) -> str:
    """A time as people read it: UTC, to the second; empty when there is none."""
    from tacit.clock import from_micros

    return "" if micros is None else from_micros(micros).strftime("%Y-%m-%d %H:%M:%SZ")


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}" if sys.stdout.isatty() else str(cell)
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _console() -> Any:
    from rich.console import Console

    return Console(file=sys.stdout)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        numeric = all(isinstance(row[place], int | float | None) for row in rows)
        justify: Literal["left", "right"] = "right" if numeric else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name in _IDS)
    for row in rows:
        table.add_row(*(Text(printable(one_line(_shown(cell)))) for cell in row))
    return table
