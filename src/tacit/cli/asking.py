"""What ``tacit advise`` asks, as its options give it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tacit.errors import InvalidInput

if TYPE_CHECKING:
    from tacit.learning.advising.advice import Tool

_STEP_SHAPE = '{"tool": "search", "parameters": {"query": "HAT136"}, "observation": "found", "status": "success"}'


def tools_in(options: Sequence[str]) -> list[Tool]:
    """The tools at hand, from ``NAME`` or ``NAME=WHAT``."""
    from tacit.learning.advising.advice import Tool

    return [Tool(name=name, description=what) for name, _, what in (each.partition("=") for each in options)]


def metadata_in(options: Sequence[str]) -> dict[str, Any]:
    """Metadata, from ``KEY=VALUE``; a value that is a JSON object or list is taken as such.

    Raises:
        InvalidInput: there is no key, or it is given twice.
    """
    from tacit.cli.given import json_or_text

    found: dict[str, Any] = {}
    for each in options:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise InvalidInput(
                f"--metadata must be KEY=VALUE, such as project=billing, not {each!r}", option="--metadata"
            )
        if name in found:
            raise InvalidInput(f"--metadata gives {name!r} twice; give it once", option="--metadata")
        found[name] = json_or_text(value)
    return found


def steps_in(path: str) -> list[dict[str, Any]]:
    """Steps from a file with one JSON object a line, or from standard input for ``-``; empty lines are left out.

    Raises:
        NotFound: there is no such file.
        InvalidInput: a line is no JSON object; the message names it.
    """
    import msgspec

    from tacit.cli.given import text_of

    found = []
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            step = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidInput(f"line {number} of {path} is not JSON ({error}); {_wanted()}", line=number) from error
        if not isinstance(step, dict):
            raise InvalidInput(f"line {number} of {path} is not an object; {_wanted()}", line=number)
        found.append(step)
    return found


def _wanted() -> str:
    return f"each line is a step, such as {_STEP_SHAPE}"
