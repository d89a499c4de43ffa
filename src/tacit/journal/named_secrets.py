"""What a secret looks like by its name: the value of "password", "api_key", "client_secret" and the like.

One definition of the names serves three uses, so that they cannot drift apart: the keys of JSON objects, the
assignments inside texts (``password=…``, ``"api_key": "…"``, ``--password …``), and the quick look at whole
payloads. A name counts by its end, in any case and with ``_``, ``-``, ``.``, a space or nothing between its words:
``DB_PASSWORD``, ``x-api-key`` and ``clientSecret`` count; ``password_hint`` and ``token_count`` do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tacit.journal.detectors import compile_pattern

_PLAIN = (
    r"(?:pass[_. -]?(?:word|wd|phrase|code)|pwd|credential"
    r"|secret(?:[_. -]?access)?(?:[_. -]?key)?"
    r"|(?:api|access|private|account|auth|encryption|signing|master|shared|storage)[_. -]?key"
    r"|(?:access|refresh|auth|bearer|session|security|api|id|bot)[_. -]?token)"
)
"""Whatever stands under such a name is secret, unless it says nothing."""

_STRICT = r"(?:token|authorization)"
"""These also name harmless things, so the value must look like a key as well."""

_NUMBER = r"(?:s|[_-]?[0-9]{1,3})?"
_ASSIGN = r"(?::=|=>|={1,3}|::?)"

_PLAIN_NAME = compile_pattern(rf"(?i){_PLAIN}{_NUMBER}$")
_STRICT_NAME = compile_pattern(rf"(?i){_STRICT}{_NUMBER}$")
_HARMLESS_NAME = compile_pattern(r"(?i)(?:page|next|previous|continuation|cursor|sync)[_. -]?tokens?$")

_ASSIGNMENT = compile_pattern(
    rf"(?i)([a-z0-9_.-]*(?:{_PLAIN}|{_STRICT}){_NUMBER})"
    rf"(?:\\*[\"'`]?\]?[ \t]*({_ASSIGN})[ \t]*|[ \t]+)"
)

_SCHEMES = "Bearer|Basic|Token|Digest|ApiKey|Bot|Negotiate"
_TAB = r"\\+(?:t|u0009)"
_TO_SIGN = rf"(?:{_TAB}|[\\\"'`\] ])*[=:]"
_TO_KEY = rf"(?:{_TAB}|[\\\"'`=:> bfru])*(?:(?:{_SCHEMES})(?:{_TAB}| )+)?[a-z0-9._~+/=:\\-]{{12}}"

TRACES = (
    rf"(?i:{_PLAIN}{_NUMBER}{_TO_SIGN})",
    rf"(?i:{_STRICT}{_NUMBER}{_TO_SIGN}{_TO_KEY})",
    rf"(?i:--[a-z0-9_.-]*(?:{_PLAIN}|{_STRICT}){_NUMBER}(?:{_TAB}| ))",
)
"""RE2 sources that match the JSON bytes of a payload wherever a named secret could stand in it."""

_MOST_QUOTED_BYTES = 2_048
_MOST_BARE_BYTES = 256
"""So much of a value is looked at to judge it; more would let a hostile text cost quadratic time. A longer value is
masked to the end of its word, or of its line after a quote, all the same."""

_QUOTED = re.compile(rb"[bfru]{0,2}(\\*[\"'`])([^\r\n]{0,%d}?)(?<!\\)\1" % _MOST_QUOTED_BYTES)
_UNCLOSED = re.compile(rb"[bfru]{0,2}\\*[\"'`]([^\r\n]{1,%d})" % _MOST_BARE_BYTES)
_BARE = re.compile(rb"[^\s\"'`\\&;<>]{1,%d}" % _MOST_BARE_BYTES)
_REST_OF_LINE = re.compile(rb"[^\r\n]*")
_REST_OF_WORD = re.compile(rb"[^\s\"'`\\&;<>]*")
_END_OF_PROMPT = re.compile(rb"\\*[\"'`](?:[\s),;\]}]|$)")
_SCHEME = re.compile(rb"(?i:%s)[ \t]+" % _SCHEMES.encode())

_SAYS_NOTHING = frozenset(
    b"none null nil true false undefined required optional string text password passwd secret token unknown missing "
    b"hidden redacted removed empty invalid incorrect wrong forgotten expired changed unchanged default here "
    b"changeme masked filtered n/a todo yes pending denied granted approved".split()
)
_PLACEHOLDER = re.compile(
    rb"[*xX.#_\xe2\x80\xa2\xa6-]+|<.*>|\$\w+|\$?\{.*|\$\(.*|%\w+%|%\(.*|\[(?:REDACTED|FILTERED|HIDDEN|masked).*"
    rb"|(?i:your[_ -].*|process\.env.*|os\.(?:environ|getenv).*)",
    re.DOTALL,
)
_PATH = re.compile(rb"(?:[/~.]|[A-Za-z]:[\\/])")
_CODE = re.compile(rb"[A-Za-z_][\w.]*\(|[A-Za-z_]+(?:\.[A-Za-z_]+)+$|[A-Za-z_.]+\[")
_PUNCTUATION = b",.)}]:!?"
_KEY_SHAPE = re.compile(rb"[A-Za-z0-9._~+/=:-]{12,}")
_NO_LETTER = re.compile(rb"[0-9@#$%^*+=~|!?]")
_DIGIT = re.compile(rb"[0-9]")
_LEAST_BYTES = 4


def is_secret_value(name: bytes, value: bytes) -> bool:
    """Whether a value under this name must be masked: the name is one of the above, and the value says something."""
    name = name[-128:]
    if _PLAIN_NAME.search(name) is not None:
        return _says_something(value) and not (name[-3:].lower() == b"pwd" and _PATH.match(value))
    if _STRICT_NAME.search(name) is None or _HARMLESS_NAME.search(name) is not None:
        return False
    return _looks_like_a_key(value)


def is_plain_name(name: bytes) -> bool:
    """Whether every string below this name must be masked, also inside a list."""
    return _PLAIN_NAME.search(name[-128:]) is not None


class _Value(NamedTuple):
    start: int
    end: int
    bare: bool = False
    rest: re.Pattern[bytes] | None = None
    """What belongs to the value beyond the bytes that were judged."""


def find_assignments(text: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of every secret value that the text assigns to a name."""
    done = 0
    for match in _ASSIGNMENT.finditer(text):
        if match.start() < done or not _is_assignment(text, match):
            continue
        value = _value_at(text, match.end())
        if value.bare and not _is_assigned(text, match, value):
            continue
        if is_secret_value(match.group(1), text[match.end() if value.bare else value.start : value.end]):
            done = _end_of(text, value)
            yield value.start, done


def _is_assignment(text: bytes, match: re.Match[bytes]) -> bool:
    name, sign = match.group(1), match.group(2)
    if sign is None:
        return bool(name.startswith(b"--"))
    # input("Password: ") ends a text after the colon; it does not begin one.
    prompts = sign == b":" and text[match.end(1)] == ord(":")
    return not (prompts and _END_OF_PROMPT.match(text, match.end()))


def _value_at(text: bytes, position: int) -> _Value:
    """The value there: between quotes of any escaping, to the end of a line with an unclosed quote, or a bare word.

    The scheme of an authorization ("Bearer") is no part of a bare value.
    """
    if (quoted := _QUOTED.match(text, position)) is not None:
        return _Value(*quoted.span(2))
    if (unclosed := _UNCLOSED.match(text, position)) is not None:
        return _Value(*unclosed.span(1), rest=_REST_OF_LINE)
    scheme = _SCHEME.match(text, position)
    start = position if scheme is None else scheme.end()
    match = _BARE.match(text, start)
    word = b"" if match is None else match.group()
    whole = len(word) < _MOST_BARE_BYTES
    return _Value(start, start + len(word.rstrip(_PUNCTUATION) if whole else word), bare=True, rest=_REST_OF_WORD)


def _end_of(text: bytes, value: _Value) -> int:
    if value.rest is None or value.end - value.start < _MOST_BARE_BYTES:
        return value.end
    rest = value.rest.match(text, value.end)
    return value.end if rest is None else rest.end()


def _is_assigned(text: bytes, match: re.Match[bytes], found: _Value) -> bool:
    """Whether a word without quotes is a value, and neither program code nor the next word of a sentence."""
    value = text[found.start : found.end]
    if _CODE.match(value) is not None or is_plain_name(value) or _STRICT_NAME.search(value[-128:]) is not None:
        return False
    if match.group(2) not in (b":", None):
        return True
    if _NO_LETTER.search(value) is not None:
        return True
    return match.group(2) is not None and _stands_alone(text, match.start(), found.end)


_BEFORE_NAME = re.compile(rb"(?:[ \t]|- |export )*$")
_AFTER_VALUE = re.compile(rb"[ \t]*(?:[\r\n]|$)")


def _stands_alone(text: bytes, start: int, end: int) -> bool:
    """Whether "name: value" is a line of its own, as in YAML and headers. Only a short indentation is looked at."""
    window = text[max(0, start - 64) : start]
    before = window[window.rfind(b"\n") + 1 :]
    return _BEFORE_NAME.match(before) is not None and _AFTER_VALUE.match(text, end) is not None


def _says_something(value: bytes) -> bool:
    plain = value.strip()
    if len(plain) < _LEAST_BYTES or plain.lower() in _SAYS_NOTHING:
        return False
    return _PLACEHOLDER.fullmatch(plain) is None


def _looks_like_a_key(value: bytes) -> bool:
    scheme = _SCHEME.match(value)
    key = value if scheme is None else value[scheme.end() :]
    if not _says_something(key) or _KEY_SHAPE.fullmatch(key) is None:
        return False
    mixed = key != key.upper() and key != key.lower()
    with_digits = not key.isdigit() and _DIGIT.search(key) is not None
    return with_digits or (scheme is not None and mixed)
