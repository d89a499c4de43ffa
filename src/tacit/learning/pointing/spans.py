"""Spans: a few words in a row that name one thing, such as "drawer 1", and where a text holds them.

What may be a span is learned from what actions named in the past: any words of a shape with a number in it ("word
number", "identifier"), and such words without a number as were named before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from tacit.learning.fitting.reading import has_digit

Span: TypeAlias = tuple[str, ...]
"""Words in lower case."""

LONGEST = 4
"""Words of a span."""
_LONGEST_NUMBER = 8
"""Digits; longer numbers are names and cannot be counted on from."""
_CACHE = 16_384
_WORD = re.compile(r"\w+")


class Word(NamedTuple):
    """A word of a text, in lower case, and where it stands."""

    word: str
    start: int
    end: int


class Mention(NamedTuple):
    """A span in a text: as it is written there, and the word before it."""

    span: Span
    text: str
    before: str


class Lexicon:
    """Knows what may be a span."""

    def __init__(self, shapes: Collection[str], known: Collection[Span]) -> None:
        """
        Args:
            shapes: those with a number in them; see :func:`shape_of`.
            known: spans that are known by their words.
        """
        self._known = frozenset(known)
        self._first = frozenset(span[0] for span in known)
        ordered = sorted(shapes, key=lambda shape: (-len(shape), shape))
        self._shapes = re.compile(f"(?=({'|'.join(ordered)}))") if ordered else None

    def mentions(self, text: str) -> list[Mention]:
        """The spans of a text in their order, without overlap; where several begin, the longest."""
        matches = list(_WORD.finditer(text))
        words = [match[0].lower() for match in matches]
        lengths = {place: self._longest(words, place) for place, word in enumerate(words) if word in self._first}
        if self._shapes is not None:
            for match in self._shapes.finditer(shape_of_words(words)):
                lengths[match.start()] = max(lengths.get(match.start(), 0), len(match[1]))
        found, free = [], 0
        for place in sorted(lengths):
            if place >= free and lengths[place]:
                free = place + lengths[place]
                written = text[matches[place].start() : matches[free - 1].end()]
                found.append(Mention(tuple(words[place:free]), written, words[place - 1] if place else ""))
        return found

    def _longest(self, words: Sequence[str], place: int) -> int:
        """The length of the longest known span that begins here; 0 when there is none."""
        part = tuple(words[place : place + LONGEST])
        return next((length for length in range(len(part), 0, -1) if part[:length] in self._known), 0)


def placed_words(text: str) -> list[Word]:
    """The words and numbers of a text, with their places."""
    return [Word(match[0].lower(), *match.span()) for match in _WORD.finditer(text)]


def span_of(text: str) -> Span:
    """The words of a text."""
    return tuple(each.word for each in placed_words(text))


@lru_cache(maxsize=_CACHE)
def shape_of(span: Span) -> str:
    """The shape of a span."""
    return shape_of_words(span)


def shape_of_words(words: Sequence[str]) -> str:
    """One letter for each word: ``d`` for a number, ``x`` for a name with a digit in it, ``w`` for any other."""
    return "".join(["w" if not has_digit(word) else "d" if word.isdigit() else "x" for word in words])


def has_number(shape: str) -> bool:
    """Whether a shape holds a number or a name with a digit."""
    return "d" in shape or "x" in shape


@lru_cache(maxsize=_CACHE)
def writing_of(text: str) -> str:
    """The sorts of characters that a text is written with, each once: ``a`` for small letters, ``A`` for capitals,
    ``9`` for digits, and any other character for itself. Numbers of one sort of thing are mostly written alike."""
    return "".join(sorted({"9" if each.isdigit() else "A" if each.isupper() else "a" if each.isalpha() else each
                           for each in text}))  # fmt: skip


@lru_cache(maxsize=_CACHE)
def head_of(span: Span) -> Span:
    """A span without its numbers: what kind of thing it names."""
    return tuple(word for word in span if not word.isdigit())


@lru_cache(maxsize=_CACHE)
def number_of(span: Span) -> int | None:
    """The first number of a span."""
    return next((int(word) for word in span if _is_countable(word)), None)


def next_of(span: Span) -> Span:
    """The span with its numbers one higher."""
    return tuple(str(int(word) + 1) if _is_countable(word) else word for word in span)


def next_text(text: str) -> str:
    """A text with its numbers one higher."""
    return _WORD.sub(lambda match: next_of((match[0],))[0], text)


def _is_countable(word: str) -> bool:
    return word.isdecimal() and len(word) <= _LONGEST_NUMBER
