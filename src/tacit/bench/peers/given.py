"""What is given to all that are measured: what pairs of people write to each other, questions, and the vectors of both.

Everybody gets the very same strings, who said something being part of the text, and the vectors of Tacit's own model:
none of them embeds anything itself.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import count, islice
from pathlib import Path

import msgspec

from tacit.bench.peers.served import FURTHER, ITEMS, QUESTIONS, VECTORS
from tacit.bench.recall_data import Collection
from tacit.bench.recall_made import made_diary
from tacit.models.embedders import open_embedder
from tacit.recall.question import read_question
from tacit.stores.terms import terms_of

EMBEDDER = "minilm"
_ASKED_ABOUT = 2
"""Diaries whose people are asked about."""
_MOST_QUESTIONS = 300
_EMBEDDED_AT_ONCE = 512
_BEGINNINGS = [
    "Ba",
    "Ce",
    "Do",
    "Fa",
    "Ga",
    "He",
    "Jo",
    "Ka",
    "Li",
    "Mo",
    "Na",
    "Or",
    "Pe",
    "Ru",
    "Sa",
    "Te",
    "Vo",
    "Wi",
]
_MIDDLES = ["la", "ne", "ri", "so", "tu", "ve", "mi", "da", "go", "ke"]
_ENDS = ["ck", "dle", "land", "man", "nez", "rov", "sen", "shaw", "tti", "well"]


class Made(msgspec.Struct, frozen=True):
    """What was given: its folder, how much it is, and for each question the places of the items that answer it."""

    folder: Path
    items: int
    answers: tuple[frozenset[int], ...]


def make_given(folder: Path, size: int, embedder: str = EMBEDDER) -> Made:
    """Write ``size`` texts, the questions about them, and the vectors of both into an empty folder.

    The questions are about the people of the first diaries alone (of what is left of them, when ``size`` is smaller);
    all others tell stories like theirs, under other names.
    """
    items = list(islice(_items(), size))
    place = {name: number for number, (name, _) in enumerate(items)}
    asked: list[tuple[str, frozenset[int]]] = []
    for seed in range(_ASKED_ABOUT):
        for question in _diary(seed).questions:
            relevant = [(seed, name) for name in question.relevant]
            if all(name in place for name in relevant):
                asked.append((question.text, frozenset(place[name] for name in relevant)))
    random.Random(0).shuffle(asked)  # noqa: S311 - repeatable on purpose
    asked = asked[:_MOST_QUESTIONS]
    texts, questions = [text for _, text in items], [text for text, _ in asked]
    _write_lines(folder / ITEMS, texts)
    _write_lines(folder / QUESTIONS, questions)
    bare = [read_question(text, terms_of, (), 0).bare for text in questions]  # Tacit compares these as well
    _write_lines(folder / FURTHER, bare)
    _write_vectors(folder / VECTORS, [*texts, *questions, *bare], embedder)
    return Made(folder, len(items), tuple(relevant for _, relevant in asked))


def _items() -> Iterator[tuple[tuple[int, str], str]]:
    """Without end: the diary and the id of an item, and its text."""
    for seed in count():
        for item in _diary(seed).items:
            yield (seed, item.id), f"{item.speaker}: {item.text}"


@cache
def _names(seed: int) -> dict[str, str]:
    """For both who write to each other a full name. Others share the first name or the surname; nobody shares both with
    somebody who is asked about."""
    chance = random.Random(f"surnames {seed}")  # noqa: S311
    taken = {name for other in range(min(seed, _ASKED_ABOUT)) for name in _names(other).values()}
    names: dict[str, str] = {}
    for person in sorted({item.speaker for item in made_diary(seed).items}):
        while person not in names:
            full = f"{person} {chance.choice(_BEGINNINGS)}{chance.choice(_MIDDLES)}{chance.choice(_ENDS)}"
            if full not in taken:
                names[person] = full
    return names


def _diary(seed: int) -> Collection:
    """What two people write to each other, and what is asked about it, under their full names."""
    names, diary = _names(seed), made_diary(seed)
    person = re.compile(rf"\b(?:{'|'.join(names)})\b")

    def named(text: str) -> str:
        return person.sub(lambda found: names[found[0]], text)

    return Collection(
        name=diary.name,
        items=tuple(
            msgspec.structs.replace(item, text=named(item.text), speaker=names[item.speaker]) for item in diary.items
        ),
        questions=tuple(msgspec.structs.replace(question, text=named(question.text)) for question in diary.questions),
    )


def _write_lines(path: Path, texts: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(text) + "\n" for text in texts)


def _write_vectors(path: Path, texts: Sequence[str], name: str) -> None:
    """The vectors as rows of float32. A text that comes several times is embedded once."""
    import numpy

    embedder = open_embedder(name)
    assert embedder is not None
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    distinct = list(places)
    vectors = numpy.empty((len(distinct), embedder.dimension), dtype=numpy.float32)
    for first in range(0, len(distinct), _EMBEDDED_AT_ONCE):
        vectors[first : first + _EMBEDDED_AT_ONCE] = embedder.embed(distinct[first : first + _EMBEDDED_AT_ONCE])
    with path.open("wb") as rows:
        for text in texts:
            rows.write(vectors[places[text]].tobytes())
