"""Standard input, output and error, fit for use whatever the program was started with."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper


def prepare_streams() -> None:
    """Read UTF-8, write what the terminal's encoding has and escapes for the rest; a closed stream leads nowhere."""
    sys.stdin = sys.stdin if sys.stdin is not None else _nowhere("r")
    sys.stdout = sys.stdout if sys.stdout is not None else _nowhere("w")
    sys.stderr = sys.stderr if sys.stderr is not None else _nowhere("w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")


def _nowhere(mode: str) -> TextIOWrapper:
    stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115, PTH123 - it is open as long as the program runs
    assert isinstance(stream, TextIOWrapper)
    return stream
