"""What ranking has to know of a text, whatever is asked: it never changes with the question, so it can be kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from tacit.recall.moments import tells_time

_SENTENCE = re.compile(r"[^.!?。！？؟]*(?:[.!?。！？؟]+|$)")
_QUESTION_MARKS = ("?", "？", "؟")


class Reading(msgspec.Struct, frozen=True, gc=False):
    """How often each term stands in a text, how many terms it has in all, which share of it asks (0 … 1), and whether
    it says when something was."""

    counts: Mapping[str, int]
    length: int
    asking: float
    tells_time: bool


def read(text: str, terms: Sequence[str]) -> Reading:
    """Read a text, whose terms are given with their repeats."""
    counts = dict(Counter(terms))  # of a plain dictionary of numbers the garbage collector keeps no record
    return Reading(counts, len(terms), asking(text), tells_time(text))


def asking(text: str) -> float:
    """The share of a text, by characters, that stands in sentences with a question mark; 0 … 1."""
    if not any(mark in text for mark in _QUESTION_MARKS):
        return 0.0
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(text)]
    asked = sum(len(sentence) for sentence in sentences if sentence.endswith(_QUESTION_MARKS))
    return asked / sum(len(sentence) for sentence in sentences)
