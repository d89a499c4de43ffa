"""Where the program begins: as ``tacit``, or as ``python -m tacit``."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def main() -> None:
    """Run the command line. Ctrl-C ends it without a traceback, also while modules are loaded and when all is done."""
    _at_ctrl_c(_leave)
    from tacit.cli.app import run_command
    from tacit.cli.streams import prepare_streams

    prepare_streams()
    _at_ctrl_c(signal.default_int_handler)  # a command has a store to close
    code = run_command()
    _at_ctrl_c(_leave)
    sys.exit(code)


def _at_ctrl_c(handler: Any) -> None:
    """Let Ctrl-C do this, unless whoever started the program has it ignored."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _leave(*_: Any) -> None:
    os._exit(130)  # as tacit.cli.failure says, which may not be there yet


if __name__ == "__main__":
    main()
