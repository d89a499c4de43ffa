"""Logging: JSON or text lines on standard error and, if wanted, in a rotating file. Never on standard output.

A program calls ``configure`` once. Who uses Tacit as a library need not: until then nothing is written, and
warnings go wherever the program's own ``logging`` set-up sends them.

Every room logs through the standard library, ``logging.getLogger("tacit.…")``, with fields as ``extra={…}``.
``structlog`` makes the lines; it is imported by ``configure`` only, so that importing Tacit stays quick.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, TextIO

from tacit.errors import InvalidInput, InvalidSetting, TacitError
from tacit.ops.redaction import Mask, Redactor

if TYPE_CHECKING:
    from tacit.ops.settings import LogSettings

__all__ = ["Mask", "bound", "configure", "operation", "unconfigure"]

_TACIT = logging.getLogger("tacit")
_TACIT.addHandler(logging.NullHandler())
_OPERATIONS = logging.getLogger("tacit.operation")
_RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "operation", "duration_ms"}
_DEFAULT_SLOW_MS = 1_000.0

_context: ContextVar[Mapping[str, Any]] = ContextVar("tacit_log_context", default={})  # noqa: B039 - never changed


@dataclass
class _Configured:
    """What ``configure`` put in place, so that it can be replaced or taken away again."""

    handlers: list[logging.Handler] = field(default_factory=list)
    root_level: int = logging.WARNING
    slow_ms: float = _DEFAULT_SLOW_MS
    unroute: Callable[[], None] = lambda: None


_configured = _Configured()


def configure(log: LogSettings, *, stream: TextIO | None = None, mask: Mask | None = None) -> None:
    """Write log lines as the settings say: to ``stream`` (standard error by default) and to ``log.file`` if set.

    ``mask`` finds and masks secrets inside text; fields named like secrets are masked in any case. Other libraries
    are logged from WARNING up (the driver of PostgreSQL only with ``log.level`` DEBUG: Tacit reports itself what that
    warns of), and Python's own warnings become log lines. Calling it again replaces the set-up.
    InvalidSetting if the log file cannot be written; InvalidInput if the stream is standard output, which belongs
    to results and protocols.
    """
    from tacit.ops.log_lines import route_structlog

    stream = sys.stderr if stream is None else stream
    if stream is sys.stdout:
        raise InvalidInput("log lines cannot go to standard output; leave the stream out for standard error")
    handlers = _handlers(log, stream, Redactor(mask))
    unconfigure()
    root = logging.getLogger()
    _configured.handlers, _configured.root_level, _configured.slow_ms = handlers, root.level, log.slow_ms
    for handler in handlers:
        if log.level != "DEBUG":
            handler.addFilter(_is_no_warning_of_the_driver)
        root.addHandler(handler)
    _TACIT.setLevel(log.level)
    root.setLevel(max(logging.WARNING, _TACIT.level))
    logging.captureWarnings(True)
    _configured.unroute = route_structlog()


def unconfigure() -> None:
    """Take away what ``configure`` put in place and close the log file. Nothing happens if it was not called."""
    if not _configured.handlers:
        return
    root = logging.getLogger()
    for handler in _configured.handlers:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(_configured.root_level)
    _TACIT.setLevel(logging.NOTSET)
    logging.captureWarnings(False)
    _configured.unroute()
    _configured.handlers, _configured.slow_ms = [], _DEFAULT_SLOW_MS


def _is_no_warning_of_the_driver(record: logging.LogRecord) -> bool:
    return not record.name.startswith("psycopg") or record.levelno >= logging.ERROR


def _handlers(log: LogSettings, stream: TextIO, redactor: Redactor) -> list[logging.Handler]:
    from tacit.ops.log_lines import formatter

    as_json = log.format == "json"
    colors = stream.isatty() and not os.environ.get("NO_COLOR")
    on_stream = logging.StreamHandler(stream)
    on_stream.setFormatter(formatter(as_json=as_json, colors=colors, redactor=redactor, context=_context.get))
    if not log.file:
        return [on_stream]
    in_file = _file_handler(log)
    in_file.setFormatter(formatter(as_json=as_json, colors=False, redactor=redactor, context=_context.get))
    return [on_stream, in_file]


def _file_handler(log: LogSettings) -> logging.Handler:
    from logging.handlers import RotatingFileHandler

    class PrivateFileHandler(RotatingFileHandler):
        """A rotating file that only its owner can read, from its first byte on."""

        def _open(self) -> Any:
            return _open_private(self.baseFilename, self.mode)

    try:
        return PrivateFileHandler(log.file, maxBytes=log.max_bytes, backupCount=log.files, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise InvalidSetting(f"log.file {log.file!r} cannot be written: {reason}", key="log.file", value=log.file)


def _open_private(path: str, mode: str) -> IO[str]:
    def opener(name: str, flags: int) -> int:
        descriptor = os.open(name, flags, 0o600)
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
        return descriptor

    return open(path, mode, encoding="utf-8", errors="backslashreplace", opener=opener)


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Give every log line of this thread or async task these fields, such as ``request`` and ``mind``."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


@contextmanager
def operation(
    name: str, /, *, clock: Callable[[], float] = time.perf_counter, **fields: Any
) -> Iterator[dict[str, Any]]:
    """Time the block and log how it went, with ``duration_ms`` and the fields.

    "done" at DEBUG; "slow operation" at WARNING if it took longer than ``log.slow_ms`` (1 s until configured);
    "failed" at ERROR with the type of the exception, which is raised on. Gives the fields, so that the block can add
    what it finds out. ``clock`` is any monotonic clock in seconds.
    """
    start = clock()
    try:
        yield fields
    except BaseException as error:
        _log_failure(name, _since(start, clock), fields, error)
        raise
    duration_ms = _since(start, clock)
    if duration_ms > _configured.slow_ms:
        _log(logging.WARNING, "slow operation", name, duration_ms, fields)
    else:
        _log(logging.DEBUG, "done", name, duration_ms, fields)


def _since(start: float, clock: Callable[[], float]) -> float:
    return round((clock() - start) * 1_000, 3)


def _log_failure(name: str, duration_ms: float, fields: Mapping[str, Any], error: BaseException) -> None:
    if not isinstance(error, Exception):
        # Cancellation, KeyboardInterrupt, SystemExit: somebody wanted it to stop.
        _log(logging.DEBUG, "interrupted", name, duration_ms, {**fields, "error": type(error).__name__})
        return
    facts = {"error": type(error).__name__, "reason": str(error)}
    if isinstance(error, TacitError):
        facts["code"] = error.code
    _log(logging.ERROR, "failed", name, duration_ms, {**fields, **facts})


def _log(level: int, event: str, name: str, duration_ms: float, fields: Mapping[str, Any]) -> None:
    if not _OPERATIONS.isEnabledFor(level):
        return
    # logging raises on an extra field that is called like one of its own; an operation must not fail of that
    extra = {f"{key}_" if key in _RESERVED else key: value for key, value in fields.items()}
    _OPERATIONS.log(level, event, extra={**extra, "operation": name, "duration_ms": duration_ms})
