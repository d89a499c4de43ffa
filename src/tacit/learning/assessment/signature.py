"""The signature of an error: what is left of its text when the values in it are masked.

Two errors with the same signature are taken to be the same error with other values. The text is read once, from left
to right, by one regular expression that never goes back over a token, so the time is linear in the length.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tacit.experience.episode import Json, Step

LONGEST_SIGNATURE = 200
"""Characters."""
LONGEST_LINE = 2_000
"""Characters of the telling line that are looked at."""
NO_TEXT = "(no text)"
"""The signature of an error that says nothing."""

_FILE = (
    "py|js|ts|tsx|jsx|java|kt|rs|go|c|h|cc|cpp|hpp|cs|rb|php|sh|sql|txt|md|rst|csv|tsv|json|jsonl|yaml|yml|toml|ini|cfg|"
    "conf|xml|html?|css|pdf|png|jpe?g|gif|svg|zip|gz|tar|whl|log|db|sqlite|lock|parquet|ipynb|docx?|xlsx?|pptx?"
)
_UNIT = "(?:%|[mnuµ]?s|sec|min|[mhd]|[kmgt]?i?b|k|x|px)"
# A possessive group looks ahead first: before Python 3.11.5 one that fails midway keeps what it has read.
_VALUES = re.compile(
    rf"""
    (?P<keep> (?<![a-z0-9]) (?: http(?:/\d\.\d)? | status | code | errno | error | exit )
              [\ :=#]{{1,3}} \d{{1,5}} (?![\w.])
            | (?<![a-z0-9]) [a-z]{{1,10}}-?\d{{2,6}} (?= [:\]] ) )        # 404, [Errno 13], ORA-00942:, error[E0425]
  | (?P<text> "[^"]*+" | “[^”]*+” | „[^“”]*+[“”] | «[^»]*+» | ‹[^›]*+› | 「[^」]*+」 | 『[^』]*+』 | ‘[^’]*+’ | `[^`]*+`
            | (?<![^\W_]) '[^']*+' (?![^\W_]) )
  | (?P<url> (?<![a-z0-9]) [a-z][a-z0-9+.-]{{1,20}}+://[^\s<>"')\]]*+ )
  | (?P<email> (?<![\w.+-]) [\w.+-]++@[\w-]++(?:\.[\w-]++)+ )
  | (?P<date> (?<![a-z0-9]) \d{{4}}-\d\d-\d\d (?: [t\ ]\d\d:\d\d(?::\d\d(?:[.,]\d++)?)? (?:z|[+-]\d\d:?\d\d)? )?
            | (?<![a-z0-9]) \d{{1,4}}/\d{{1,2}}/\d{{1,4}} (?![\w/]) )
  | (?P<id> (?<![a-z0-9]) (?: [0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}} (?![a-z0-9])
            | 0x[0-9a-f]++ ) )
  | (?P<path> (?<![\w./\\~-]) (?: [a-z]:[\\/] | ~?/ | \.\.?[\\/] ) [^\s'"<>|:,;()\[\]]++
            | (?<![\w./\\~-]) (?: [\w.-]++[\\/] ){{2,}}+ [\w.-]*+
            | (?<![\w./\\~-]) [\w-]++ (?: [\\/.][\w-]++ )*? \. (?:{_FILE}) (?![\w(]) )
  | (?P<number> (?<![a-z0-9]) \d++ (?: (?=[.,:]\d) [.,:]\d++ )*+ (?: e[+-]?\d++ | {_UNIT} )? (?![a-z0-9]) )
  | (?P<mixed> (?<![a-z0-9]) (?: (?= (?:[a-z]*+\d){{3}} ) (?= \d*+[a-z] ) [a-z0-9]++
            | (?= [a-f]*+\d ) (?= \d*+[a-f] ) [0-9a-f]{{8,}}+ (?![a-z0-9]) ) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MASKS = {"mixed": "id"}
_LISTS = re.compile(r"(<[a-z]+>)(?:\s*[,;|]\s*\1)+")
_TRACEBACK = "Traceback (most recent call last)"
_TELLING_FIELDS = ("type", "code", "status", "error", "message", "msg", "detail", "reason", "title", "errors")


def error_signature(text: str) -> str:
    """The signature of an error text: lower-case, one line, at most 200 characters, never empty.

    Taken from the last line of a Python traceback, the telling fields of a JSON object, or else the first line.
    Masked are ``<text>`` (anything in quotes), ``<url>``, ``<email>``, ``<date>``, ``<id>`` (UUIDs, hexadecimal, codes
    that mix letters and digits), ``<path>`` and ``<number>``. Numbers that name the error, such as an HTTP status or
    an errno, stay.
    """
    line = _telling_line(text)[:LONGEST_LINE].lower()
    masked = _LISTS.sub(r"\1", " ".join(_VALUES.sub(_mask, line).split()))
    return masked[:LONGEST_SIGNATURE].strip() or NO_TEXT


def error_text(step: Step) -> str:
    """The telling line of a failed step's error, as it was written; its status when nothing was."""
    text = step.error or _text_of(step.observation)
    return _telling_line(text) or f"({step.status or 'error'})"


def step_signature(step: Step) -> str:
    """The signature of a failed step, from its error or else its observation; its status when both say nothing."""
    text = step.error or _text_of(step.observation)
    return error_signature(text) if text.strip() else f"({step.status or 'error'})"


def _text_of(observation: Json) -> str:
    if observation is None:
        return ""
    return observation if isinstance(observation, str) else msgspec.json.encode(observation).decode()


def _mask(found: re.Match[str]) -> str:
    kind = found.lastgroup or ""
    return found[0] if kind == "keep" else f"<{_MASKS.get(kind, kind)}>"


def _telling_line(text: str) -> str:
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        stripped = _message_in(stripped) or stripped
    lines = [line for line in stripped.splitlines() if line.strip()]
    if not lines:
        return ""
    if _TRACEBACK in stripped:
        flush_left = [line for line in lines if not line[0].isspace() and _TRACEBACK not in line]
        return _unquoted(flush_left[-1] if flush_left else lines[-1])
    return _unquoted(lines[0])


def _unquoted(line: str) -> str:
    """The line without quotes that enclose all of it: they are not around a value."""
    line = line.strip()
    if len(line) > 2 and line[0] == line[-1] and line[0] in "\"'`" and line[0] not in line[1:-1]:
        return line[1:-1]
    return line


def _message_in(text: str) -> str:
    """What an error in JSON says, without its other fields; empty when the text is not JSON."""
    try:
        return " ".join(_telling_parts(msgspec.json.decode(text), 4))
    except (msgspec.DecodeError, RecursionError):
        return ""


def _telling_parts(value: Any, room: int) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, bool) or value is None or room == 0:
        return []
    if isinstance(value, int | float):
        return [f"code {value}"]
    if isinstance(value, list):
        return _telling_parts(value[0], room - 1) if value else []
    named = [value[name] for name in _TELLING_FIELDS if value.get(name)]
    chosen = named or [item for item in value.values() if isinstance(item, str | dict | list)]
    return [part for item in chosen for part in _telling_parts(item, room - 1)]
