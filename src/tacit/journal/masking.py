"""Masks secrets in what an agent reports, before it reaches the journal, which never forgets.

    if masker.suspects(body):                      # a quick look at the JSON bytes, for every event
        payload, count = masker.mask(payload)      # the thorough search, for the few that need it

A secret is known by its shape (``detectors``) or by its name (``named_secrets``). It is replaced by a mark such as
``[masked: AWS Access Key]``, which holds no part of it. What is not found: secrets in plain sentences ("my password
is swordfish"), numbers under secret names, and anything inside encoded or compressed data.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from tacit.journal import detectors, named_secrets
from tacit.journal.detectors import Detector

NAMED_SECRET = "Named Secret"  # noqa: S105  # a label
"""The label of what is secret by its name only."""

_MOST_PASSES = 4
"""A mark changes what stands beside its neighbours, so a text is searched until nothing is found: twice, nearly always.
A text built to need more than this is masked as a whole; searching on could take quadratic time."""


class Masker:
    """Finds and replaces secrets. Building one is cheap; the detectors are loaded at the first suspect (0.1 s).

    May be shared between threads. The search takes time linear in the size of the value.
    """

    def __init__(self) -> None:
        self._traces = detectors.compile_pattern("|".join((*detectors.TRACES, *named_secrets.TRACES)), captures=False)

    def suspects(self, body: bytes) -> bool:
        """Whether ``mask`` could find anything in the value whose JSON bytes (UTF-8, as in RFC 8785) these are.

        False is certain; True is a reason to look closely. About 1.5 µs for 500 bytes and 15 µs for 10 kB.
        """
        return self._traces.search(body) is not None

    def mask(self, value: Any) -> tuple[Any, int]:
        """The value with every secret in it replaced, and how many were; the very same object if there were none.

        Looks at all strings, and at the keys of objects, of any JSON value. Masking again changes nothing.
        """
        if isinstance(value, str):
            return self._mask_text(value)
        if isinstance(value, dict):
            return self._mask_object(value)
        if isinstance(value, list | tuple):
            return self._mask_list(value)
        return value, 0

    def _mask_list(self, items: list[Any] | tuple[Any, ...]) -> tuple[Any, int]:
        masked = [self.mask(item) for item in items]
        count = sum(found for _, found in masked)
        return ([item for item, _ in masked], count) if count else (items, 0)

    def _mask_object(self, entries: dict[str, Any]) -> tuple[Any, int]:
        masked: dict[str, Any] = {}
        numbers: Counter[str] = Counter()
        total = 0
        for key, value in entries.items():
            new_key, in_key = self._mask_text(key)
            new_value, in_value = self._mask_named(key, value)
            masked[_unused(new_key, masked, numbers)] = new_value
            total += in_key + in_value
        return (masked, total) if total else (entries, 0)

    def _mask_named(self, name: str, value: Any) -> tuple[Any, int]:
        """A value with the name that it stands under: as a whole if the name says so, else whatever is in it."""
        raw_name = _to_bytes(name)
        if isinstance(value, list) and named_secrets.is_plain_name(raw_name):
            masked = [self._mask_named(name, item) for item in value]
            count = sum(found for _, found in masked)
            return ([item for item, _ in masked], count) if count else (value, 0)
        if not isinstance(value, str) or not named_secrets.is_secret_value(raw_name, _to_bytes(value)):
            return self.mask(value)
        if self._marks.fullmatch(_to_bytes(value)):
            return value, 0
        spans = self._secrets_in(_to_bytes(value))
        whole = len(spans) == 1 and spans[0].length == len(_to_bytes(value))
        return _mark(spans[0].label if whole else NAMED_SECRET), 1

    def _mask_text(self, text: str) -> tuple[str, int]:
        if not self.suspects(_to_bytes(_QUOTE.encode(text))):
            return text, 0
        raw, total = _to_bytes(text), 0
        for _ in range(_MOST_PASSES):
            spans = self._secrets_in(raw)
            if not spans:
                return (raw.decode("utf-8", "surrogatepass"), total) if total else (text, 0)
            raw, total = _replaced(raw, spans), total + len(spans)
        return _mark(NAMED_SECRET), total

    @cached_property
    def _detectors(self) -> tuple[Detector, ...]:
        return detectors.load_detectors()

    @cached_property
    def _marks(self) -> re.Pattern[bytes]:
        labels = {NAMED_SECRET, *(detector.label for detector in self._detectors)}
        return re.compile(rb"\[masked: (?:%s)\]" % b"|".join(re.escape(label).encode() for label in sorted(labels)))

    def _secrets_in(self, raw: bytes) -> list[_Span]:
        """Every secret in a text, in order and without overlaps. Marks that are there already divide the text."""
        spans: list[_Span] = []
        done = 0
        for start, end in (*(mark.span() for mark in self._marks.finditer(raw)), (len(raw), len(raw))):
            spans += _merged(span.moved(done) for span in self._spans(raw[done:start]))
            done = end
        return spans

    def _spans(self, raw: bytes) -> Iterator[_Span]:
        """Every find in the text as it is, and, if it has escapes, in the text that it stands for."""
        yield from self._finds(raw)
        if b"\\" not in raw:
            return
        plain, positions = _unescaped(raw)
        for span in self._finds(plain):
            yield span._replace(start=positions.original(span.start), end=positions.original(span.end))

    def _finds(self, text: bytes) -> Iterator[_Span]:
        for rank, detector in enumerate(self._detectors):
            for start, end in detectors.find_secrets(detector, text):
                yield _Span(start, end, rank, detector.label)
        for start, end in named_secrets.find_assignments(text):
            yield _Span(start, end, len(self._detectors), NAMED_SECRET)


class NoMasking:
    """Leaves every secret where it is. For the explicit setting only; nothing chooses it by itself."""

    def suspects(self, body: bytes) -> bool:  # the same signature as Masker's
        """Always False."""
        return False

    def mask(self, value: Any) -> tuple[Any, int]:
        """The value itself, and zero."""
        return value, 0


class _Span(NamedTuple):
    start: int
    end: int
    rank: int
    label: str

    @property
    def length(self) -> int:
        return self.end - self.start

    def moved(self, by: int) -> _Span:
        return self._replace(start=self.start + by, end=self.end + by)


def _replaced(raw: bytes, spans: list[_Span]) -> bytes:
    pieces: list[bytes] = []
    done = 0
    for span in spans:
        pieces += (raw[done : span.start], _mark(span.label).encode())
        done = span.end
    return b"".join((*pieces, raw[done:]))


def _merged(spans: Iterator[_Span]) -> list[_Span]:
    """Overlapping finds are one secret, named by the most telling detector."""
    merged: list[_Span] = []
    for span in sorted(spans):
        if not merged or span.start >= merged[-1].end:
            merged.append(span)
            continue
        last = merged[-1]
        best = min(last, span, key=lambda found: found.rank)
        merged[-1] = best._replace(start=last.start, end=max(last.end, span.end))
    return merged


class _Positions:
    """Where each byte of an unescaped text stands in the original."""

    def __init__(self) -> None:
        self.plain = [0]
        self.raw = [0]

    def add(self, plain: int, raw: int) -> None:
        self.plain.append(plain)
        self.raw.append(raw)

    def original(self, position: int) -> int:
        index = bisect_right(self.plain, position) - 1
        return self.raw[index] + position - self.plain[index]


_ESCAPE = re.compile(rb"(?<!\\)\\++(?:u([0-9a-fA-F]{4})|([\"'/bfnrt]))")
_CONTROL = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _unescaped(raw: bytes) -> tuple[bytes, _Positions]:
    r"""The text with JSON's escapes replaced, however deeply they are nested (``\"``, ``\\\"``), one byte each."""
    pieces: list[bytes] = []
    positions = _Positions()
    plain_length = done = 0
    for match in _ESCAPE.finditer(raw):
        start, end = match.span()
        pieces += (raw[done:start], _meaning(match))
        plain_length += start - done
        positions.add(plain_length, start)
        plain_length += 1
        positions.add(plain_length, end)
        done = end
    return b"".join((*pieces, raw[done:])), positions


def _meaning(escape: re.Match[bytes]) -> bytes:
    if escape[1] is None:
        return _CONTROL.get(escape[2], escape[2])
    return bytes([min(int(escape[1], 16), 0xFF)])  # beyond ASCII it only matters that it is none of ASCII


_QUOTE = json.JSONEncoder(ensure_ascii=False)


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _mark(label: str) -> str:
    return f"[masked: {label}]"


def _unused(key: str, taken: dict[str, Any], numbers: Counter[str]) -> str:
    """The key, numbered if another one became the same by masking, so that no entry is lost."""
    candidate = key
    while candidate in taken:
        numbers[key] += 1
        candidate = f"{key} {numbers[key] + 1}"
    return candidate
