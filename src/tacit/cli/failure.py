"""What a command says when it cannot do what was asked, and the exit code that goes with it.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | an error of no other class |
| 2 | wrong input, option or setting |
| 3 | not found |
| 4 | it conflicts with what is there |
| 5 | not permitted, or a wrong passphrase |
| 6 | over a quota or a rate |
| 7 | the store cannot be used |
| 8 | an integrity check failed |
| 9 | a language model failed |
| 10 | consumers did not catch up in time |
| 11 | it was erased, and is not taken in again |
| 70 | a fault of Tacit itself |
| 130 | interrupted by Ctrl-C |
| 141 | whoever read the output stopped reading |
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import suppress
from typing import Any

from tacit.cli.output import printable
from tacit.errors import InvalidInput, PermissionDenied, TacitError

INTERNAL = 70
INTERRUPTED = 130
PIPE_CLOSED = 141

EXIT_CODES = (__doc__ or "").partition("\n\n")[2].strip()
"""The table of exit codes, as Markdown."""


def report_any(error: Exception, *, as_json: bool, debug: bool = False) -> int:
    """Say whatever it was that ended a command; the exit code."""
    if isinstance(error, BrokenPipeError):
        _close_output()
        return PIPE_CLOSED
    if isinstance(error, TacitError):
        return report(error, as_json=as_json)
    if isinstance(error, OSError):
        return report_system(error, as_json=as_json, debug=debug)
    return report_fault(error, as_json=as_json, debug=debug)


def report(error: TacitError, *, as_json: bool) -> int:
    """Say what was wrong on standard error: as JSON, or in red at a terminal; the exit code."""
    if as_json:
        _write_json(error.as_dict())
    else:
        said = [f"error: {error.message}", *getattr(error, "__notes__", ())]
        _say("".join(_red(printable(line)) + "\n" for line in said))
    return error.exit_code


def report_usage(message: str, usage: str, *, as_json: bool) -> int:
    """Say what was wrong with the command line; the exit code."""
    if as_json:
        _write_json(InvalidInput(message).as_dict())
    else:
        _say(f"{usage}\n" if usage else "")
        _say(_red(f"error: {printable(message)}") + "\n")
    return InvalidInput.exit_code


def report_system(error: OSError, *, as_json: bool, debug: bool) -> int:
    """Say what the operating system refused, such as a name that is too long or a full disk; the exit code."""
    what = error.strerror or str(error) or type(error).__name__
    message = what if error.filename is None else f"{error.filename}: {what}"
    if debug:
        traceback.print_exception(error)
    if isinstance(error, PermissionError):
        return report(PermissionDenied(message), as_json=as_json)
    if as_json:
        _write_json({"code": "system_error", "message": message, "retryable": False, "context": {}, "cause": None})
    else:
        _say(_red(f"error: {printable(message)}") + "\n")
    return TacitError.exit_code


def report_fault(error: Exception, *, as_json: bool, debug: bool) -> int:
    """Say that Tacit itself failed; with the traceback when debugging; the exit code."""
    message = f"{type(error).__name__}: {error}"
    if debug:
        traceback.print_exception(error)
    if as_json:
        _write_json({"code": "internal_error", "message": message, "retryable": False, "context": {}, "cause": None})
    else:
        hint = "" if debug else "\nThis is a fault of Tacit; '--log-level DEBUG' shows where it happened."
        _say(_red(f"error: {printable(message)}") + hint + "\n")
    return INTERNAL


def _close_output() -> None:
    """Nobody reads standard output any more: make sure that the interpreter does not try to write there at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    finally:
        os.close(nowhere)


def _say(text: str) -> None:
    with suppress(OSError):  # where nobody can read it, the exit code alone has to tell
        sys.stderr.write(text)


def _write_json(data: dict[str, Any]) -> None:
    _say(json.dumps(data, ensure_ascii=False, default=str) + "\n")


def _red(text: str) -> str:
    wanted = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return f"\x1b[31m{text}\x1b[0m" if wanted else text
