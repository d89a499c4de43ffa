"""Whether a question has anything to do with what is remembered: where it has not, the best of it is no answer.

The rule leaves out little. One word that the mind knows, one name or one time is enough to answer; so is a meaning that
is no worse than chance would have it. What is judged is the question as a whole: that each hit has some evidence of its
own, the scores tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt
from typing import TYPE_CHECKING, Literal

from tacit.recall.pool import Statistics
from tacit.recall.question import Question

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

Evidence = Literal["some", "none", "unasked"]
"""``some``: it is answered. ``none``: what holds whatever is asked is all that there is to say. ``unasked``: nothing is
asked, for the question has neither a word that the mind knows nor one that the embedder knows."""

LEAST_FAMILIARITY = 0.03
"""Meaning keeps so much of its weight whatever the question is written in, so that it decides where words are equal."""
_FEW = 64
"""Among fewer memories the nearest of them says too little of chance."""
_LEAST = 5
"""Among fewer it is told at all from a text in a language that the embedder knows."""
_MARGIN = 1.5
"""Deviations. The nearest memory to a question in a language that the embedder knows lies by so much below what is
expected of the best of random ones only where it has nothing to do with it. What is in no language, or misspelt, has
to reach that."""


def evidence_for(
    question: Question,
    signals: Mapping[str, Real],
    places: NDArray[numpy.int64],
    statistics: Statistics,
    compared: bool,
) -> Evidence:
    """What a question has to do with the candidates at some places.

    Args:
        compared: whether the question has a vector that memories were compared with.
    """
    if not question.terms and not question.names and not question.periods:
        return "unasked"
    if question.names or question.periods or question.trend or signals["words"][places].any():
        return "some"
    if not compared or not signals["meaning"][places].any():
        return "none"
    known = statistics.familiarity > LEAST_FAMILIARITY
    many = statistics.compared or statistics.documents
    if many < _FEW:
        is_near = known or _stands_out(signals["meaning"][places])
    else:
        chance = sqrt(2 * log(many))  # what the best of so many draws from a normal distribution comes to
        is_near = float(signals["meaning"][places].max()) >= chance - _MARGIN * known
    return "some" if is_near else "none" if known else "unasked"


def _stands_out(meaning: Real) -> bool:
    """Whether the nearest of a few lies as far above the others as the best of so many seldom does."""
    others = sorted(meaning.tolist())
    best = others.pop()
    if len(others) < _LEAST:
        return False
    mean = sum(others) / len(others)
    spread = sqrt(sum((other - mean) ** 2 for other in others) / len(others))
    return bool(best - mean >= spread * sqrt(2 * log(len(meaning))))
