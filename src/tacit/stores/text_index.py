"""What the indexes of words have in common, whichever database they lie in.

A document is a number with terms; numbers are a mind's own, and grow with time. What a transaction adds and takes away
is gathered, and written as one before the transaction ends or searches: many small changes to an inverted index cost
far more than one large one.

An index finds candidates; whoever asks has the texts, and can score them with all that is in them. So it keeps only
which terms stand in a document, and how long it is, and scores with a binary BM25: Robertson & Zaragoza, The
Probabilistic Relevance Framework (2009), 3.1, with every term's frequency taken for 1, lengths for ``MAX_LENGTH`` at
most, and an inverse document frequency that is never negative. It looks at no more than ``POSTINGS`` places, or a
search would take the longer the more is stored: the rarest terms are taken, as many as fit. If not even the rarest
fits, it alone is looked for, among the newest documents.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import bindparam, select

from tacit.errors import InvalidInput
from tacit.stores import schema
from tacit.stores.port import TextEntry

K1 = 1.2
"""How soon a further mention of a term counts less; here, how much the length of a document counts in all."""
B = 0.75
"""How much of that follows the length, 0 … 1."""
POSTINGS = 10_000
"""At so many places of the index a search looks."""
NEWEST = POSTINGS // 10
"""So many of the newest documents with a term are looked at when it stands in more than ``POSTINGS``."""
MOST_CHANGES = 2_000
"""So many changes of a transaction are gathered before they are written: it bounds the memory that they take."""
LABEL = "†"
"""What a label begins with: a term that stands for something told beside the text, such as whose it is. Labels are
searched like terms, and a search can be kept within some; a document is no longer for them."""
_LABEL_STEPS = 8
"""Of a term's places that a search skips, as they lie outside of its labels, so many cost as much as one inside."""
MAX_LENGTH = 255
MAX_NUMBER = 2**36 - 1
"""The highest number of a document."""

MAKING = b"+"
"""The row of ``text_space`` that is there while an index is made anew, its ``epoch`` being the analyser's number. The
one that tells how far a mind is has this before its id; ids of minds have 16 bytes."""

_is_no_term = re.compile(r"[\x00-\x1f!-/:-@A-Z\[-`{-\x7f]").search
_own = schema.text_space.c
space_of_mind = select(*[column for column in _own if column.name != "mind"]).where(_own.mind == bindparam("mind"))


class Space(NamedTuple):
    """A mind's part of the index.

    ``space`` is its number in an index that it shares with other minds. It has so many ``documents``, and ``terms`` in
    all, with repeats; ``last`` is the highest number of a document so far. ``epoch`` counts the changes that did more
    than add documents behind all others: while it is the same, what was counted up to a document still holds.
    """

    space: int
    documents: int
    terms: int
    last: int
    epoch: int


class Change(NamedTuple):
    """A document that a transaction adds to the index, or takes away; ``length`` is how many terms it has."""

    adding: bool
    mind: bytes
    number: int
    terms: tuple[str, ...]
    length: int

    @property
    def kept_length(self) -> int:
        return min(self.length, MAX_LENGTH)


def changes_of(mind: bytes, entries: Iterable[TextEntry], *, adding: bool) -> list[Change]:
    """Documents as changes; one without terms is none.

    Raises:
        InvalidInput: something is no term, or no number of a document.
    """
    found = (_change(mind, number, terms, adding) for number, terms in entries)
    return [change for change in found if change is not None]


def _change(mind: bytes, number: int, terms: Sequence[str], adding: bool) -> Change | None:
    if not 0 < number <= MAX_NUMBER:
        raise InvalidInput(f"{number} is no number of a document; it must be 1 to {MAX_NUMBER:,}")
    text = " ".join(terms)
    if _is_no_term(text) or "" in terms or text.count(" ") != max(0, len(terms) - 1):
        raise InvalidInput(f"document {number} has terms that are not of letters and digits alone")
    if not terms:
        return None
    labels = text.count(f" {LABEL}") + text.startswith(LABEL)
    return Change(adding, mind, number, tuple(dict.fromkeys(terms)), len(terms) - labels)


def making_of(mind: bytes) -> bytes:
    """The key of what ``text_space`` tells of a mind while its index is made anew."""
    return MAKING + mind


def is_of_making(column: str) -> str:
    """The condition, in SQL, that a key of ``text_space`` is one of those."""
    return f"length({column}) IN (1, 17)"


def runs(changes: Iterable[Change]) -> Iterator[tuple[bool, bytes, list[Change]]]:
    """The changes in their order, those that belong together at once: whether they are added, the mind, they."""
    for (adding, mind), run in groupby(changes, key=lambda change: (change.adding, change.mind)):
        yield adding, mind, list(run)


class Search(NamedTuple):
    """What is looked for: terms with their weights, in documents whose number is above one and that hold all of some
    other terms.

    ``above`` is 0 unless there is one term only. Numbers above ``upto`` are passed over. A document's score is the sum
    of the weights of its terms, times ``(K1 + 1) / (at_least + by_length * length)``.
    """

    weights: dict[str, float]
    within: tuple[str, ...]
    above: int
    upto: int
    at_least: float
    by_length: float


def search_for(space: Space, counts: Mapping[str, int], within: Mapping[str, int], upto: int | None) -> Search | None:
    """The rarest of some terms, as many as fit; None when no document can be found.

    Args:
        counts: in how many documents each of the terms stands.
        within: the same of the terms that a document must hold.
        upto: the highest number that a document may have; None for any.
    """
    narrowest = min(within.values(), default=space.documents)
    if not counts or not narrowest:
        return None
    inside = narrowest / space.documents
    weights: dict[str, float] = {}
    places = 0.0
    for term, count in sorted(counts.items(), key=lambda pair: (pair[1], pair[0])):
        places += _places(count, narrowest, inside)
        if weights and places > POSTINGS:
            break
        weights[term] = math.log1p((space.documents - count + 0.5) / (count + 0.5))
    last = space.last if upto is None else min(upto, space.last)
    rarest = _places(min(counts.values()), narrowest, inside) * last / max(1, space.last)
    above = 0 if rarest <= POSTINGS else last - int(last * NEWEST / rarest)
    return Search(weights, tuple(within), above, last, 1 + K1 * (1 - B), K1 * B * space.documents / max(1, space.terms))


def _places(count: int, narrowest: int, inside: float) -> float:
    """What looking for a term costs: its places inside the labels, and some of those that are skipped."""
    return count if inside >= 1 else count * inside + min(count, narrowest) / _LABEL_STEPS


def apart(
    counts: Mapping[str, int], terms: Iterable[str], within: Iterable[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """Counts of terms that are looked for, those that stand anywhere; and of terms that a document must hold."""
    return {term: counts[term] for term in terms if term in counts}, {term: counts.get(term, 0) for term in within}
