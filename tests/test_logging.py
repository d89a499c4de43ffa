"""Logging: every line parses, nothing secret is written, slow operations are warned of, standard output stays clean."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tacit.errors import InvalidInput, InvalidSetting
from tacit.ops.logging import bound, configure, operation, unconfigure
from tacit.ops.redaction import LONGEST_BYTES, names_a_secret
from tacit.ops.settings import LogSettings

log = logging.getLogger("tacit.test")
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    unconfigure()


def mask(text: str) -> tuple[object, int]:
    return text.replace(SECRET, "[secret]"), text.count(SECRET)


def configured(**settings: Any) -> io.StringIO:
    stream = io.StringIO()
    masked = settings.pop("mask", mask)
    configure(LogSettings(**{"format": "json", "level": "DEBUG", **settings}), stream=stream, mask=masked)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Every line, read by a parser that takes strict JSON only, and split as any reader of lines would."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in stream.getvalue().splitlines()]


@pytest.mark.requirement("OP-02")
def test_a_line_has_time_level_logger_event_and_the_fields_given() -> None:
    stream = configured()
    with bound(request="r-1", mind="support"):
        log.info("opened %s", "it", extra={"events": 3})
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "logger": "tacit.test",
        "event": "opened it",
        "request": "r-1",
        "mind": "support",
        "events": 3,
    }


@pytest.mark.requirement("OP-02")
def test_the_time_of_a_line_is_that_of_its_record_in_utc() -> None:
    stream = configured()
    record = logging.makeLogRecord({"name": "tacit.test", "levelno": 20, "levelname": "INFO", "msg": "x"})
    record.created = 1_767_225_600.25
    log.handle(record)
    assert lines(stream)[0]["time"] == "2026-01-01T00:00:00.250000Z"


ODD_TEXTS = [
    "two\nlines\r\nand more",
    "NUL \x00 and \x1b[31mred\x1b[0m",
    "Größe, 記憶, ذاكرة, 🙂",
    "line separators \u2028 \u2029 \x85 \x0b \x0c \x1c",
    "half a pair \ud800",
    '"quotes" \\ and {braces} %s %d',
    "",
]


@pytest.mark.requirement("OP-02")
@pytest.mark.parametrize("text", ODD_TEXTS)
def test_every_line_parses_whatever_is_in_it(text: str) -> None:
    stream = configured(mask=None)
    log.warning(text, extra={"field": text, "nested": {text: [text]}})
    (line,) = lines(stream)
    expected = text.encode("utf-8", "backslashreplace").decode()
    assert line["event"] == line["field"] == line["nested"][expected][0] == expected


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@pytest.mark.requirement("OP-02")
@given(event=st.text(st.characters()), value=values)
def test_any_value_gives_one_line_that_parses(event: str, value: Any) -> None:
    stream = configured()
    log.info("%s", event, extra={"value": value})
    assert len(lines(stream)) == 1
    unconfigure()


@pytest.mark.requirement("OP-02")
def test_values_that_json_does_not_have_are_told_in_words() -> None:
    stream = configured()
    round_trip: list[Any] = [1]
    round_trip.append(round_trip)
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]

    class Silent:
        def __str__(self) -> str:
            raise RuntimeError("no")

    log.info(
        "x",
        extra={
            "a": float("nan"),
            "b": 10**5_000,
            "c": round_trip,
            "d": Silent(),
            "e": b"\xff",
            "f": ValueError("why"),
            "g": deep,
        },
    )
    (line,) = lines(stream)
    assert line["a"] == "nan"
    assert line["b"] == "[a number of 16610 bits]"
    assert line["c"] == [1, "[contains itself]"]
    assert line["d"] == "[Silent that cannot be shown: RuntimeError]"
    assert line["e"] == "b'\\xff'"
    assert line["f"] == "ValueError: why"
    assert json.dumps(line["g"]) == "[" * 20 + '"[nested deeper than shown]"' + "]" * 20


@pytest.mark.requirement("OP-02")
def test_a_huge_value_is_cut_at_ten_kilobytes_with_a_mark() -> None:
    stream = configured()
    log.info("y" * 20_000, extra={"text": "é" * 9_000, "data": list(range(10_000)), "fits": "z" * LONGEST_BYTES})
    (line,) = lines(stream)
    assert line["event"] == "y" * 10_000 + "… [cut; 20000 characters in all]"
    assert line["text"] == "é" * 5_000 + "… [cut; 9000 characters in all]"
    assert line["data"].startswith("[0, 1, 2, ")
    assert re.search(r"… \[cut; \d+ characters in all\]$", line["data"])
    assert line["fits"] == "z" * LONGEST_BYTES


@pytest.mark.requirement("OP-02")
def test_a_secret_that_the_cut_would_split_is_masked_whole() -> None:
    stream = configured()
    log.info("x", extra={"text": "y" * (LONGEST_BYTES - 3) + SECRET + "y" * 1_000_000})
    (line,) = lines(stream)
    assert "hun" not in line["text"]
    assert "1010004 characters in all" in line["text"]


@pytest.mark.requirement("OP-02")
def test_of_a_long_traceback_the_end_is_kept() -> None:
    stream = configured()
    try:
        raise ValueError("long " * 10_000 + "the end")
    except ValueError:
        log.exception("failed")
    (line,) = lines(stream)
    assert line["exception"].endswith("the end")
    assert line["exception"].startswith("[cut; ")


@pytest.mark.requirement("OP-02")
def test_an_exception_is_within_its_line() -> None:
    stream = configured()
    try:
        raise ValueError(f"first\nsecond {SECRET}")
    except ValueError:
        log.exception("failed")
    (line,) = lines(stream)
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: first\nsecond [secret]")


@pytest.mark.requirement("OP-02")
def test_secrets_are_masked_by_the_name_of_their_field_at_any_depth() -> None:
    stream = configured(mask=None)
    log.info("x", extra={"api_key": SECRET, "a": {"headers": [{"Authorization": SECRET}]}, "password": {"p": SECRET}})
    text = stream.getvalue()
    assert SECRET not in text
    assert lines(stream)[0]["api_key"] == "********"


@pytest.mark.requirement("OP-02")
def test_names_of_secrets_are_told_from_other_names() -> None:
    secrets = "password db_password passphrase token accessToken apiKey x-api-key API_KEY private_key client_secret"
    others = "key keyword tokens_used tokenizer secretary path author monkey passed mind event"
    assert [name for name in secrets.split() if not names_a_secret(name)] == []
    assert [name for name in others.split() if names_a_secret(name)] == []


@pytest.mark.requirement("OP-02")
def test_a_count_of_tokens_is_not_a_secret_but_a_number_as_password_is() -> None:
    stream = configured()
    log.info("x", extra={"tokens": 120, "password": 1234, "has_password": True})
    (line,) = lines(stream)
    assert (line["tokens"], line["password"], line["has_password"]) == (120, "********", True)


@pytest.mark.requirement("OP-02")
@pytest.mark.parametrize("format", ["json", "text"])
def test_secrets_in_text_are_masked_wherever_they_stand(format: str) -> None:
    stream = configured(format=format)
    with bound(request=f"r {SECRET}"), pytest.raises(ValueError, match=SECRET), operation("o", about=SECRET):
        raise ValueError(SECRET)
    log.info(f"event {SECRET}", extra={"list": [f"a {SECRET}"], "map": {f"k {SECRET}": 1}})
    log.info("%s", SECRET, stack_info=True)
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count("[secret]") == 7


@pytest.mark.requirement("OP-02")
def test_when_masking_fails_the_text_is_withheld_and_the_line_says_so() -> None:
    def broken(text: str) -> tuple[object, int]:
        raise KeyError("x")

    stream = configured(mask=broken)
    log.info(SECRET, extra={"count": 3})
    (line,) = lines(stream)
    assert line["event"] == "[withheld: masking failed with KeyError]"
    assert line["count"] == 3


@pytest.mark.requirement("OP-02")
def test_a_field_that_is_called_like_one_of_ours_is_kept_under_another_name() -> None:
    stream = configured()
    log.info("real", extra={"event": "other", "level": "high"})
    (line,) = lines(stream)
    assert (line["event"], line["event_"], line["level"], line["level_"]) == ("real", "other", "info", "high")


@pytest.mark.requirement("OP-02")
def test_the_level_is_that_of_the_settings_and_other_libraries_speak_from_warning_up() -> None:
    stream = configured(level="INFO")
    log.debug("a")
    log.info("b")
    logging.getLogger("library").info("c")
    logging.getLogger("library").warning("d")
    assert [line["event"] for line in lines(stream)] == ["b", "d"]
    stream = configured(level="ERROR")
    log.warning("e")
    logging.getLogger("library").warning("f")
    log.error("g")
    assert [line["event"] for line in lines(stream)] == ["g"]


@pytest.mark.requirement("OP-02")
def test_lines_of_structlog_come_out_like_all_others() -> None:
    stream = configured()
    try:
        raise ValueError("why")
    except ValueError:
        structlog.stdlib.get_logger("tacit.other").error("went %s", "wrong", api_key=SECRET, exc_info=True)
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["api_key"]) == ("went wrong", "tacit.other", "********")
    assert line["exception"].endswith("ValueError: why")


@pytest.mark.requirement("OP-02")
def test_bound_fields_are_those_of_their_block_and_their_thread_only() -> None:
    stream = configured()
    with bound(request="r-1"):
        with bound(mind="inner"):
            log.info("both")
        thread = threading.Thread(target=lambda: log.info("elsewhere"))
        thread.start()
        thread.join()
    log.info("outside")
    both, elsewhere, outside = lines(stream)
    assert (both["request"], both["mind"]) == ("r-1", "inner")
    assert {"request", "mind"} & (elsewhere.keys() | outside.keys()) == set()


@pytest.mark.requirement("OP-02")
def test_text_is_one_line_a_record_and_obeys_no_control_characters() -> None:
    stream = configured(format="text")
    log.info("a\nforged line\x1b[2J", extra={"field": "b\nc\x1b[31m\u2028", "plain": "g\x1bh", "nested": {"d": "e\nf"}})
    (line,) = stream.getvalue().splitlines()
    assert "\x1b" not in line
    assert r"a\nforged line\x1b[2J" in line
    assert r"plain='g\x1bh'" in line
    assert r"field='b\nc\x1b[31m\u2028'" in line


@pytest.mark.requirement("OP-02")
def test_text_shows_a_traceback_over_several_lines() -> None:
    stream = configured(format="text")
    try:
        raise ValueError("why\x1b[31m")
    except ValueError:
        log.exception("failed")
    assert "\nTraceback (most recent call last):\n" in stream.getvalue()
    assert r"ValueError: why\x1b[31m" in stream.getvalue()


@pytest.mark.requirement("OP-02")
@pytest.mark.parametrize(
    ("format", "no_color", "coloured"), [("text", "", True), ("text", "1", False), ("json", "", False)]
)
def test_colours_are_for_text_on_a_terminal_only(
    format: Any, no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    reader, writer = os.openpty()
    with os.fdopen(writer, "w", encoding="utf-8") as terminal:
        configure(LogSettings(format=format), stream=terminal)
        log.warning("hello")
        terminal.flush()
        shown = os.read(reader, 10_000)
    os.close(reader)
    assert (b"\x1b[" in shown) is coloured
    stream = configured(format=format)
    log.warning("hello")
    assert "\x1b[" not in stream.getvalue()


@pytest.mark.requirement("OP-02")
def test_the_file_is_rotated_by_size_keeps_so_many_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "tacit.log"
    stream = configured(file=str(path), max_bytes=1_000, files=2)
    for number in range(100):
        log.info("event %d", number)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["tacit.log", "tacit.log.1", "tacit.log.2"]
    assert all(file.stat().st_size <= 1_000 for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    kept = [json.loads(line)["event"] for file in reversed(files) for line in file.read_text().splitlines()]
    assert kept == [f"event {number}" for number in range(100 - len(kept), 100)]
    assert len(lines(stream)) == 100


@pytest.mark.requirement("OP-02")
def test_a_file_that_others_could_read_becomes_private(tmp_path: Path) -> None:
    path = tmp_path / "tacit.log"
    path.touch(mode=0o644)
    configured(file=str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.requirement("OP-02")
def test_a_new_file_is_private_before_anything_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fchmod", lambda *given: None)  # what corrects it afterwards
    configured(file=str(tmp_path / "tacit.log"))
    assert stat.S_IMODE((tmp_path / "tacit.log").stat().st_mode) == 0o600


@pytest.mark.requirement("OP-02")
def test_the_file_is_added_to_when_the_program_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "tacit.log"
    for number in range(2):
        configured(file=str(path))
        log.info("event %d", number)
        unconfigure()
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["event 0", "event 1"]


@pytest.mark.requirement("OP-01", "OP-02")
def test_a_log_file_that_cannot_be_written_is_an_invalid_setting(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"log\.file") as raised:
        configured(file=str(tmp_path / "missing" / "tacit.log"))
    assert raised.value.context["key"] == "log.file"


@pytest.mark.requirement("OP-02")
@pytest.mark.parametrize("level", [logging.DEBUG, logging.CRITICAL])
def test_configuring_again_replaces_and_unconfiguring_restores(level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(level)
    root, before = logging.getLogger(), list(logging.getLogger().handlers)
    first, second = configured(), configured()
    log.info("once")
    assert (len(lines(first)), len(lines(second))) == (0, 1)
    unconfigure()
    unconfigure()
    assert root.handlers == before
    assert root.level == level
    assert logging.getLogger("tacit").level == logging.NOTSET
    assert not structlog.is_configured()


@pytest.mark.requirement("OP-02")
def test_standard_output_is_refused_as_a_place_for_lines() -> None:
    with pytest.raises(InvalidInput, match="standard output"):
        configure(LogSettings(), stream=sys.stdout)


@pytest.mark.requirement("OP-02")
def test_a_set_up_of_structlog_that_the_program_made_itself_is_left_alone() -> None:
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    try:
        stream = configured()
        assert len(structlog.get_config()["processors"]) == 1
        unconfigure()
        assert structlog.is_configured()
        assert stream.getvalue() == ""
    finally:
        structlog.reset_defaults()
