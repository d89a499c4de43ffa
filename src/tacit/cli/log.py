"""The log of a command: on standard error, beside what the command itself says there."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from tacit.journal.masking import Masker
from tacit.ops.logging import configure

if TYPE_CHECKING:
    from tacit.ops.settings import Loaded


def start_log(loaded: Loaded, *, few: bool) -> None:
    """Start the log as set. Where no level was chosen, a command logs warnings; with ``few``, only errors.

    An operation that failed is not logged to standard error then, because the command says so itself. The log file,
    if one is set, gets it in any case.
    """
    settings = loaded.settings.log
    chosen = loaded.sources["log.level"] != "default"
    if not chosen:
        settings = settings.model_copy(update={"level": "ERROR" if few else "WARNING"})
    configure(settings, mask=Masker().mask)
    if not chosen:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
                handler.addFilter(_is_not_the_failure_of_an_operation)


def _is_not_the_failure_of_an_operation(record: logging.LogRecord) -> bool:
    return record.name != "tacit.operation" or record.levelno < logging.ERROR
