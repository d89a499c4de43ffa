"""What is given to all that are measured: one mind with many people, questions with known answers, and the vectors.

Everybody gets the very same strings, who said something being part of the text, and the vectors of Tacit's own model:
none of them embeds anything itself.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

import msgspec

from tacit.bench.peers.served import ITEMS, QUESTIONS, VECTORS
from tacit.bench.recall_data import Collection, Item
from tacit.bench.recall_made import made_crowd
from tacit.models.embedders import open_embedder

EMBEDDER = "minilm"
_PEOPLE = 200
"""In one crowd."""
_MOST_QUESTIONS = 300
_EMBEDDED_AT_ONCE = 512
_BEGINNINGS = (
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
)
_MIDDLES = ("la", "ne", "ri", "so", "tu", "ve", "mi", "da", "go", "ke")
_ENDS = ("ck", "dle", "land", "man", "nez", "rov", "sen", "shaw", "tti", "well")


class Made(msgspec.Struct, frozen=True):
    """What was given: its folder, how much it is, and for each question the places of the items that answer it."""

    folder: Path
    items: int
    answers: tuple[frozenset[int], ...]


def make_given(folder: Path, size: int, embedder: str = EMBEDDER) -> Made:
    """Write ``size`` texts, the questions about them, and the vectors of both into an empty folder.

    The questions are about the people of the first crowd alone (of what is left of it, when ``size`` is smaller); all
    others tell stories like theirs, under other names.
    """
    items = list(islice(_items(), size))
    place = {name: number for number, (name, _) in enumerate(items)}
    asked: list[tuple[str, frozenset[int]]] = []
    for question in _named(made_crowd(0, _PEOPLE), 0).questions:
        if all(("0", name) in place for name in question.relevant):
            asked.append((question.text, frozenset(place["0", name] for name in question.relevant)))
    random.Random(0).shuffle(asked)  # noqa: S311 - repeatable on purpose
    asked = asked[:_MOST_QUESTIONS]
    texts, questions = [text for _, text in items], [text for text, _ in asked]
    _write_lines(folder / ITEMS, texts)
    _write_lines(folder / QUESTIONS, questions)
    _write_vectors(folder / VECTORS, [*texts, *questions], embedder)
    return Made(folder, len(items), tuple(relevant for _, relevant in asked))


def _items() -> Iterator[tuple[tuple[str, str], str]]:
    """Without end: the crowd and the id of an item, and its text."""
    seed = 0
    while True:
        for item in _named(made_crowd(seed, _PEOPLE), seed).items:
            yield (str(seed), item.id), flat_text(item)
        seed += 1


def flat_text(item: Item) -> str:
    """An item as one string that tells who said it."""
    return f"{item.speaker}: {item.text}" if item.speaker else item.text


@cache
def _names(seed: int) -> dict[str, str]:
    """For each person of a crowd a full name. Others share the first name or the surname; both are shared by nobody of
    another crowd with somebody who is asked about."""
    chance = random.Random(f"surnames {seed}")  # noqa: S311
    people = sorted({item.user for item in made_crowd(seed, _PEOPLE).items if item.user})
    taken = set(_names(0).values()) if seed else set()
    names: dict[str, str] = {}
    for person in people:
        while person not in names:
            surname = chance.choice(_BEGINNINGS) + chance.choice(_MIDDLES) + chance.choice(_ENDS)
            full = f"{person.split()[0]} {surname}"
            if full not in taken:
                names[person] = full
                taken.add(full)
    return names


def _named(crowd: Collection, seed: int) -> Collection:
    """A crowd under the names of its seed."""
    names = _names(seed)

    def renamed(text: str) -> str:
        for first_and_letter in {" ".join(pair) for pair in zip(text.split(), text.split()[1:], strict=False)}:
            person = first_and_letter.removesuffix("'s").removesuffix(":").rstrip("?!,")
            if person in names:
                text = text.replace(person, names[person])
        return text

    return Collection(
        name=crowd.name,
        items=tuple(
            msgspec.structs.replace(item, text=renamed(item.text), speaker=names.get(item.speaker, item.speaker))
            for item in crowd.items
        ),
        questions=tuple(msgspec.structs.replace(one, text=renamed(one.text)) for one in crowd.questions),
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
