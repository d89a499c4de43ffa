"""How one log record becomes one line: structlog's formatter with our fields, redaction and rendering.

Records of every library arrive here through the standard library's ``logging``; what was passed as ``extra``
becomes fields of the line.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import JSONRenderer
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from tacit.ops.redaction import Redactor

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "_logger", "_name"}
_OURS = frozenset({"time", "level", "logger", "event", "exception", "stack"})


class LineFormatter(ProcessorFormatter):
    """A formatter that never fails: a record that cannot be rendered gives a line that says so."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception as error:  # noqa: BLE001 - logging would print a traceback instead and lose the line
            where = f"{record.pathname}:{record.lineno}"
            fallback = logging.makeLogRecord(
                {
                    "name": record.name,
                    "levelname": record.levelname,
                    "created": record.created,
                    "msg": "a log record could not be rendered",
                    "where": where,
                    "template": str(record.msg),
                    "error": type(error).__name__,
                }
            )
            return super().format(fallback)


def formatter(
    *, as_json: bool, colors: bool, redactor: Redactor, context: Callable[[], Mapping[str, Any]]
) -> LineFormatter:
    """A formatter of JSON lines, or of text for people. ``context`` gives the fields of the task at hand."""
    processors: list[Processor] = [_fields(context), _redact(redactor, lines=not as_json)]
    processors.append(JSONRenderer(serializer=json.dumps) if as_json else _text(colors))
    return LineFormatter(processors=processors)


def route_structlog() -> Callable[[], None]:
    """Let loggers of structlog end in the same lines; a set-up that the program made itself is left alone.

    Gives what undoes it.
    """
    if structlog.is_configured():
        return lambda: None
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    return structlog.reset_defaults


def _text(colors: bool) -> ConsoleRenderer:
    # repr_native_str, so that no text in a field can start a new line or move the cursor of a terminal
    return ConsoleRenderer(
        colors=colors, timestamp_key="time", repr_native_str=True, exception_formatter=plain_traceback, sort_keys=False
    )


def _fields(context: Callable[[], Mapping[str, Any]]) -> Processor:
    """First the fields that every line has, then the context, then what the call itself gave."""

    def process(_logger: WrappedLogger, _method: str, given: EventDict) -> EventDict:
        record: logging.LogRecord = given.pop("_record")
        given.pop("_from_structlog")
        exc_info, stack = given.pop("exc_info", None), given.pop("stack_info", None)
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line: EventDict = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": given.pop("event", ""),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        for name, value in {**context(), **extra, **given}.items():
            line[f"{name}_" if name in _OURS else name] = value
        if error := _error(exc_info):
            line["exception"] = "".join(traceback.format_exception(error)).rstrip("\n")
        if stack:
            line["stack"] = str(stack)
        return line

    return process


def _error(exc_info: Any) -> BaseException | None:
    """The exception of an ``exc_info``, which may be True, an exception, or what ``sys.exc_info`` gives."""
    if isinstance(exc_info, BaseException):
        return exc_info
    given = sys.exc_info() if exc_info is True else exc_info
    return given[1] if isinstance(given, tuple) else None


def _redact(redactor: Redactor, *, lines: bool) -> Processor:
    """Every value made plain and free of secrets. ``lines``: for text, where control characters would be obeyed."""

    def process(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        safe = {name: _value(redactor, name, value) for name, value in line.items()}
        if not lines:
            return safe
        return {_printable(name): _for_people(name, value) for name, value in safe.items()}

    return process


def _value(redactor: Redactor, name: str, value: Any) -> Any:
    if name in ("time", "level", "logger"):
        return value
    if name in ("exception", "stack"):
        return redactor.text(value, keep_end=True)
    return redactor.field(name, value)


def _for_people(name: str, value: Any) -> Any:
    if name == "event":
        return _printable(str(value))
    return _printable(value, allowed="\n\t") if name in ("exception", "stack") else value


def _printable(text: str, allowed: str = "") -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in allowed else repr(char)[1:-1] for char in text)
