"""Canonical JSON is RFC 8785, byte for byte, and what it cannot hold exactly is refused."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tacit.errors import InvalidInput, LimitExceeded
from tacit.journal import canonical

LARGEST = 2**53 - 1
controls = [chr(code) for code in range(32) if chr(code) not in "\t\n\r"]
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters=controls))
numbers = st.integers(-LARGEST, LARGEST) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5), max_leaves=25
)


@pytest.mark.requirement("JR-01")
@given(values)
def test_any_json_value_gives_the_bytes_of_rfc_8785(value: Any) -> None:
    assert canonical.encode(value) == rfc8785.dumps(value)


@pytest.mark.requirement("JR-01")
@given(st.binary(min_size=8, max_size=8).map(lambda raw: struct.unpack(">d", raw)[0]).filter(math.isfinite))
def test_any_bit_pattern_of_a_float_gives_the_bytes_of_rfc_8785(number: float) -> None:
    assert canonical.encode([number, {"n": number}]) == rfc8785.dumps([number, {"n": number}])


@given(st.dictionaries(st.text(st.characters(min_codepoint=0xD000, exclude_categories=("Cs",)), min_size=1), plain))
def test_member_names_are_sorted_as_utf_16(value: dict[str, Any]) -> None:
    names = list(json.loads(canonical.encode(value)))
    assert names == sorted(value, key=lambda name: name.encode("utf-16-be"))


@given(values)
def test_what_was_encoded_is_decoded_to_equal_values(value: Any) -> None:
    decoded = canonical.decode(canonical.encode(value))
    assert decoded == value
    assert canonical.encode(decoded) == canonical.encode(value)


@pytest.mark.parametrize("number", [2.0**53, -5.046560201276919e16, 1e20, 18446744073709551616.0])
def test_a_large_float_that_is_printed_like_an_integer_comes_back_as_a_float(number: float) -> None:
    for value in (number, [number], {"n": {"m": [number]}}):
        decoded = canonical.decode(canonical.encode(value))
        assert decoded == value
        assert type(decoded) is type(value)
        assert canonical.encode(decoded) == canonical.encode(value)


@pytest.mark.requirement("JR-10")
@pytest.mark.parametrize("code", [code for code in range(32) if chr(code) not in "\t\n\r"])
def test_control_characters_are_refused_by_their_place(code: int) -> None:
    with pytest.raises(InvalidInput, match=f"U\\+{code:04X}") as caught:
        canonical.encode({"steps": [{"text": f"a{chr(code)}b"}]})
    assert caught.value.context["path"] == "steps[0].text"
    with pytest.raises(InvalidInput, match="control character"):
        canonical.encode({f"a{chr(code)}": 1})


def test_text_that_only_looks_like_an_escape_is_no_control_character() -> None:
    assert canonical.encode({"a": "\\u0001", "b": "\\\\u0000"}) == b'{"a":"\\\\u0001","b":"\\\\\\\\u0000"}'


@pytest.mark.requirement("JR-10")
@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc00\ud800"])
@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: {text: 1}, lambda text: [1.5, text]])
def test_lone_surrogates_are_refused(text: str, wrap: Any) -> None:
    with pytest.raises(InvalidInput):
        canonical.encode(wrap(text))


@pytest.mark.requirement("JR-10")
@pytest.mark.parametrize("value", [
    math.nan, math.inf, -math.inf, LARGEST + 1, -LARGEST - 1, 10**400, b"bytes", {1, 2}, object(), {1: "a"}, 1j,
])  # fmt: skip
def test_what_json_cannot_hold_exactly_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput):
        canonical.encode({"inside": [value]})


@pytest.mark.parametrize("number", [LARGEST, -LARGEST, 0, -0.0, 5e-324, 1.7976931348623157e308])
def test_numbers_at_the_edge_are_kept(number: float) -> None:
    assert json.loads(canonical.encode([number])) == [number]


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.requirement("JR-10")
@given(st.integers(1, 40))
def test_depth_passes_up_to_the_limit_and_not_beyond(limit: int) -> None:
    assert canonical.decode(canonical.encode(nested(limit), max_depth=limit)) == nested(limit)
    with pytest.raises(LimitExceeded, match="nested too deeply"):
        canonical.encode(nested(limit + 1), max_depth=limit)


@pytest.mark.requirement("JR-10")
def test_depth_that_would_exhaust_the_stack_is_refused_too() -> None:
    with pytest.raises(LimitExceeded):
        canonical.encode(nested(100_000))
