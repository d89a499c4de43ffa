"""Signatures of errors: values are masked, and what says which error it is stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.experience.episode import Step
from tacit.learning.assessment.signature import LONGEST_SIGNATURE, NO_TEXT, error_signature, step_signature

TRACEBACK = """Traceback (most recent call last):
  File "/srv/app/{file}.py", line {line}, in handler
    row = table[key]
          ~~~~~^^^^^
KeyError: '{key}'
"""


@pytest.mark.parametrize(
    ("one", "other", "signature"),
    [
        ("flight HAT136 not found", "flight HAT069 not found", "flight <id> not found"),
        ("timeout after 500ms", "timeout after 12.5s", "timeout after <number>"),
        ("user_12 is unknown", "user_9071 is unknown", "user_<number> is unknown"),
        ("cannot read /etc/a.conf", "cannot read ~/b/c", "cannot read <path>"),
        ("C:\\temp\\x.txt is locked", "D:\\y.log is locked", "<path> is locked"),
        ("report.csv is empty", "data/q3.csv is empty", "<path> is empty"),
        ("GET https://a.example/x?k=1 failed", "GET http://b.example failed", "get <url> failed"),
        ("no mail for jo@example.org", "no mail for ann.b+c@example.co.uk", "no mail for <email>"),
        ("closed since 2026-01-31T12:00:00Z", "closed since 2025-12-01", "closed since <date>"),
        ("item 550e8400-e29b-41d4-a716-446655440000 gone", "item 0x7ffe12 gone", "item <id> gone"),
        ("unknown field 'colour'", 'unknown field "größe"', "unknown field <text>"),
        ("expected one of 1, 2, 3", "expected one of 4, 5", "expected one of <number>"),
        ("超时30秒，订单 A123456 失败", "超时5秒，订单 B991234 失败", "超时<number>秒，订单 <id> 失败"),
        ("Файл «отчёт» не найден", "Файл «план» не найден", "файл <text> не найден"),
        ("الملف «تقرير» بعد 3 محاولات", "الملف «خطة» بعد 12 محاولات", "الملف <text> بعد <number> محاولات"),
        ('{"error": {"message": "row 12"}, "id": 7}', '{"id": 8, "error": {"message": "row 4"}}', "row <number>"),
        (TRACEBACK.format(file="a", line=3, key="x"), TRACEBACK.format(file="b", line=99, key="y"), "keyerror: <text>"),
    ],
)  # fmt: skip
def test_the_same_error_with_other_values_has_the_same_signature(one: str, other: str, signature: str) -> None:
    assert error_signature(one) == error_signature(other) == signature


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 404 Not Found", "HTTP 500 Internal Server Error"),
        ("status code: 403", "status code: 429"),
        ("[Errno 2] cannot open 'x'", "[Errno 13] cannot open 'x'"),
        ("ORA-00942: failed", "ORA-01017: failed"),
        ("error[E0425]: cannot compile", "error[E0308]: cannot compile"),
        ("KeyError: 'a'", "ValueError: 'a'"),
        ("payment method not found", "passenger not found"),
        ("找不到文件", "没有权限"),
        ("can't open file 'a'", "can't close file 'a'"),
        ('{"message": "too many requests"}', '{"message": "not allowed"}'),
        ('"not allowed"', '"not found"'),
    ],
)
def test_different_errors_have_different_signatures(one: str, other: str) -> None:
    assert error_signature(one) != error_signature(other)


@pytest.mark.parametrize(
    "text", ["read/write and/or n/a", "application/json", "java.lang.nullpointerexception", "utf8"]
)
def test_words_that_only_look_like_values_stay(text: str) -> None:
    assert error_signature(text) == text


def test_the_last_error_of_a_chain_of_tracebacks_tells() -> None:
    text = TRACEBACK.format(file="a", line=1, key="k") + "\nDuring handling …:\n\n" + TRACEBACK.format(
        file="b", line=2, key="k"
    ).replace("KeyError: 'k'", "RuntimeError: no row 5")  # fmt: skip
    assert error_signature(text) == "runtimeerror: no row <number>"


def test_otherwise_the_first_line_tells() -> None:
    assert error_signature("\n  disk is full\n  at line 3\n") == "disk is full"


@pytest.mark.parametrize("text", ["", "  \n\t "])
def test_an_error_without_text_has_a_signature_of_its_own(text: str) -> None:
    assert error_signature(text) == NO_TEXT


def test_a_failed_step_is_known_by_its_error_or_else_by_its_observation_or_else_by_its_status() -> None:
    assert step_signature(Step(tool="a", status="error", error="no row 5", observation="x")) == "no row <number>"
    assert step_signature(Step(tool="a", status="error", observation="no row 6")) == "no row <number>"
    assert step_signature(Step(tool="a", status="error", observation={"error": "no row 7"})) == "no row <number>"
    assert step_signature(Step(tool="a", status="timeout")) == "(timeout)"


@given(st.text(max_size=400))
def test_a_signature_is_short_one_line_and_its_own_signature(text: str) -> None:
    signature = error_signature(text)
    assert 0 < len(signature) <= LONGEST_SIGNATURE
    assert len(signature.splitlines()) == 1
    assert "\n" not in signature


@pytest.mark.parametrize("signature", ["keyerror: <text>", "flight <id> not found", "http 404 not found: <url>"])
def test_taking_a_signature_twice_changes_nothing(signature: str) -> None:
    assert error_signature(signature) == signature


@given(
    st.integers(0, 10**12), st.integers(0, 10**12), st.sampled_from(["no row {}", "row {}, retry", "{} is too many"])
)
def test_no_number_tells_two_errors_apart(one: int, other: int, text: str) -> None:
    assert error_signature(text.format(one)) == error_signature(text.format(other))
