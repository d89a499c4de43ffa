"""Operations and their log lines, and what a program sees that uses Tacit as a library."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tacit.errors import StoreBusy
from tacit.ops.logging import configure, operation, unconfigure
from tacit.ops.settings import LogSettings

log = logging.getLogger("tacit.test")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    unconfigure()


def configured(**settings: Any) -> io.StringIO:
    stream = io.StringIO()
    configure(LogSettings(**{"format": "json", "level": "DEBUG", **settings}), stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class Ticks:
    """A monotonic clock that gives the moments it was told, in seconds."""

    def __init__(self, *moments: float) -> None:
        self.moments = list(moments)

    def __call__(self) -> float:
        return self.moments.pop(0)


@pytest.mark.requirement("OP-02")
def test_an_operation_that_was_quick_is_done_at_debug_level() -> None:
    stream = configured()
    with operation("recall", clock=Ticks(5.0, 6.0), mind="support") as fields:
        fields["hits"] = 4
    (line,) = lines(stream)
    assert line["event"] == "done"
    assert line["level"] == "debug"
    assert (line["operation"], line["mind"], line["hits"], line["duration_ms"]) == ("recall", "support", 4, 1_000)


@pytest.mark.requirement("OP-02")
def test_an_operation_over_a_second_is_warned_of_even_if_debug_is_off() -> None:
    stream = configured(level="INFO")
    with operation("recall", clock=Ticks(5.0, 6.0)):
        log.info("inside")
    with operation("recall", clock=Ticks(5.0, 6.001), mind="support"):
        log.info("inside")
    slow = lines(stream)[2]
    assert len(lines(stream)) == 3
    assert (slow["event"], slow["level"]) == ("slow operation", "warning")
    assert (slow["operation"], slow["mind"], slow["duration_ms"]) == ("recall", "support", 1_001)


@pytest.mark.requirement("OP-02")
def test_what_counts_as_slow_is_a_setting() -> None:
    stream = configured(slow_ms=20)
    for seconds in (0.020, 0.021):
        with operation("append", clock=Ticks(0.0, seconds)):
            log.debug("inside")
    assert [line["event"] for line in lines(stream) if line["event"] != "inside"] == ["done", "slow operation"]


@pytest.mark.requirement("OP-02")
def test_without_configuration_slow_is_over_a_second(caplog: pytest.LogCaptureFixture) -> None:
    configured(slow_ms=20)
    unconfigure()
    for seconds in (0.9, 1.1):
        with operation("append", clock=Ticks(0.0, seconds)):
            log.debug("inside")
    assert [record.message for record in caplog.records] == ["slow operation"]


@pytest.mark.requirement("OP-02")
def test_an_operation_that_failed_tells_the_type_and_the_code_and_raises_on() -> None:
    stream = configured()
    with pytest.raises(StoreBusy), operation("append", clock=Ticks(0.0, 0.5)):
        raise StoreBusy("the store is locked")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["duration_ms"]) == ("failed", "error", 500)
    assert (line["error"], line["code"], line["reason"]) == ("StoreBusy", "store_busy", "the store is locked")


@pytest.mark.requirement("OP-02")
def test_an_interruption_is_not_logged_as_a_failure() -> None:
    stream = configured()
    with pytest.raises(KeyboardInterrupt), operation("append"):
        raise KeyboardInterrupt
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["error"]) == ("interrupted", "debug", "KeyboardInterrupt")


@pytest.mark.requirement("OP-02")
def test_an_operation_does_not_fail_of_the_names_of_its_fields() -> None:
    stream = configured()
    with operation("load", name="x", module="y", message="z", operation="w"):
        log.debug("inside")
    line = lines(stream)[1]
    assert (line["name_"], line["module_"], line["message_"]) == ("x", "y", "z")
    assert (line["operation"], line["operation_"]) == ("load", "w")


LIBRARY_USE = """
import logging, sys
from tacit.ops.logging import operation
{setup}
with operation("quick"): pass
with operation("slow", clock=iter([0.0, 2.0]).__next__): pass
logging.getLogger("tacit.x").info("information")
print([name for name in ("structlog", "pydantic") if name in sys.modules])
"""


CONFIGURED = (
    "from tacit.ops import logging as tacit_logging, settings; "
    "tacit_logging.configure(settings.LogSettings(format='json', level='DEBUG'))"
)


def run(setup: str) -> subprocess.CompletedProcess[str]:
    program = LIBRARY_USE.format(setup=setup)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


@pytest.mark.requirement("OP-02")
def test_without_configuration_nothing_is_written_and_nothing_heavy_imported() -> None:
    done = run("")
    assert done.stderr == ""
    assert done.stdout == "[]\n"


@pytest.mark.requirement("OP-02")
def test_without_configuration_warnings_go_where_the_programs_own_logging_sends_them() -> None:
    done = run("logging.basicConfig()")
    assert done.stderr == "WARNING:tacit.operation:slow operation\n"
    assert done.stdout == "[]\n"


@pytest.mark.requirement("OP-02")
def test_with_configuration_lines_go_to_standard_error_only() -> None:
    done = run(CONFIGURED)
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["done", "slow operation", "information"]
    assert done.stdout == "['structlog', 'pydantic']\n"


@pytest.mark.requirement("OP-02")
def test_warnings_of_python_become_lines() -> None:
    done = run(f"{CONFIGURED}; import warnings; warnings.warn('careful')")
    line = json.loads(done.stderr.splitlines()[0])
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "UserWarning: careful" in line["event"]


@pytest.mark.requirement("OP-02")
def test_a_log_call_with_wrong_arguments_still_gives_a_line() -> None:
    done = run(f"{CONFIGURED}; logging.getLogger('tacit').error('%d things', 'many', extra={{'token': 'x'}})")
    line = json.loads(done.stderr.splitlines()[0])
    assert line["event"] == "a log record could not be rendered"
    assert (line["template"], line["error"], line["level"]) == ("%d things", "TypeError", "error")
    assert line["where"] == "<string>:4"
