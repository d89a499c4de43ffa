"""Plain baselines that what is learned has to beat: nearest neighbours, n-grams and a logistic regression on words."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tacit.bench.folds import calls, solved
from tacit.experience.episode import Episode, Step
from tacit.learning.fitting.reading import context_of

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float32]

_WORD = re.compile(r"[^\W\d]+")
_MOST_WORDS = 600
_NEIGHBOURS = 15
_SHRINKAGE = 1.0
"""Half of the inverse variance of a normal prior on each weight of the regression."""
_ITERATIONS = 100
_LEAST_SEEN = 20
"""How often the beginning of an observation must have been seen to be a class of its own."""


class Words:
    """Texts as vectors of unit length: words by frequency in the text and rarity among the texts known."""

    def __init__(self, texts: Sequence[str]) -> None:
        seen = Counter(word for text in texts for word in set(_words(text)))
        kept = [word for word, count in seen.most_common(_MOST_WORDS) if count > 1]
        self._place = {word: place for place, word in enumerate(kept)}
        self._rarity = {word: 1 + math.log(len(texts) / seen[word]) for word in kept}

    def vectors(self, texts: Sequence[str]) -> Real:
        """A row for each text."""
        import numpy

        rows = numpy.zeros((len(texts), len(self._place)), dtype=numpy.float32)
        for row, text in zip(rows, texts, strict=True):
            for word, count in Counter(_words(text)).items():
                if word in self._place:
                    row[self._place[word]] = count * self._rarity[word]
        return _unit(rows)


def nearest_shares(known: Real, labels: NDArray[numpy.int64], asked: Real, classes: int) -> Real:
    """For each row asked, how the nearest known rows share out among classes, each weighed by its cosine."""
    import numpy

    likeness = asked @ known.T + 1e-6
    most = min(_NEIGHBOURS, likeness.shape[1])
    near = numpy.argpartition(-likeness, most - 1, axis=1)[:, :most]
    ones = numpy.eye(classes, dtype=numpy.float32)[labels]
    votes = numpy.einsum("ij,ijk->ik", numpy.take_along_axis(likeness, near, 1), ones[near])
    shares: Real = votes / votes.sum(1, keepdims=True)
    return shares


def logistic_shares(known: Real, labels: NDArray[numpy.int64], asked: Real, classes: int) -> Real:
    """Chances of classes by a multinomial logistic regression with a ridge."""
    import numpy
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    ones = numpy.eye(classes)[labels]
    known = numpy.column_stack([known, numpy.ones(len(known))]).astype(numpy.float64)

    def loss(flat: NDArray[numpy.float64]) -> tuple[float, NDArray[numpy.float64]]:
        weights = flat.reshape(known.shape[1], classes)
        scores = known @ weights
        told = log_softmax(scores, axis=1)
        slope = known.T @ (numpy.exp(told) - ones) + 2 * _SHRINKAGE * weights
        return float(-(told * ones).sum() + _SHRINKAGE * (weights**2).sum()), slope.ravel()

    start = numpy.zeros(known.shape[1] * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    weights = found.x.reshape(known.shape[1], classes)
    shares: Real = softmax(numpy.column_stack([asked, numpy.ones(len(asked))]) @ weights, axis=1)
    return shares


def success_shares(known: Sequence[Episode], asked: Sequence[tuple[Episode, int]]) -> dict[str, list[float]]:
    """The chance of success of runs after so many of their steps, by the words of the task and of the last of these.

    Each baseline knows finished runs cut off at the same numbers of steps as the runs that are asked about.
    """
    import numpy

    cut = sorted({count for _, count in asked})
    rows = [(_so_far(each, count), solved(each)) for each in known for count in cut if len(each.steps) > count]
    words = Words([text for text, _ in rows])
    vectors, labels = words.vectors([text for text, _ in rows]), numpy.array([int(well) for _, well in rows])
    there = words.vectors([_so_far(each, count) for each, count in asked])
    return {
        name: [float(share) for share in shares(vectors, labels, there, 2)[:, 1]]
        for name, shares in (("nearest", nearest_shares), ("logistic", logistic_shares))
    }


def _so_far(episode: Episode, count: int) -> str:
    """The task with its context, and the last step of those made so far."""
    last = episode.steps[count - 1] if count else Step()
    return f"{episode.task.description} {context_of(episode.task)} {last.tool} {last.action} {last.observation}"


class NextTools:
    """What plain baselines say comes next: n-grams of tools, also with how the last observation began; and the nearest
    moments and a regression, which see the last two tools, that beginning, and the words of the task."""

    def __init__(self, known: Sequence[Episode]) -> None:
        begun = Counter(_begins(step.observation) for each in known for step in each.steps)
        self._beginnings = {text for text, count in begun.items() if count >= _LEAST_SEEN}
        self._grams: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        self._words = Words([each.task.description for each in known])
        moments = [(each, place) for each in known for place in calls(each)]
        for each, place in moments:
            for seen in self._seen(each, place).values():
                for context in seen:
                    self._grams[context][each.steps[place].tool] += 1
        self._tools = sorted({each.steps[place].tool for each, place in moments})
        marks = {mark for each, place in moments for mark in self._marks(each, place)}
        self._columns = {mark: column for column, mark in enumerate(sorted(marks))}
        self._known = self._vectors(moments)
        self._labels = [self._tools.index(each.steps[place].tool) for each, place in moments]

    def told(self, asked: Sequence[tuple[Episode, int]]) -> dict[str, list[str]]:
        """For each baseline and each place of a run, the tool that it says."""
        import numpy

        rows, labels = self._vectors(asked), numpy.array(self._labels)
        told = {
            name: [self._tools[place] for place in shares(self._known, labels, rows, len(self._tools)).argmax(1)]
            for name, shares in (("nearest", nearest_shares), ("logistic", logistic_shares))
        }
        seen = [self._seen(each, place) for each, place in asked]
        return {name: [self._by_grams(one[name]) for one in seen] for name in seen[0]} | told

    def _seen(self, episode: Episode, place: int) -> dict[str, list[tuple[str, ...]]]:
        """The contexts of a call that each n-gram model looks up, from long to short."""
        first, second = self._last_tools(episode, place)
        begun = self._begun(episode, place)
        plain: list[tuple[str, ...]] = [("2", first, second), ("1", second), ("0",)]
        return {
            "majority": plain[2:],
            "bigram": plain[1:],
            "trigram": plain,
            "trigram_observed": [("2o", first, second, begun), ("1o", second, begun), *plain],
        }

    def _by_grams(self, contexts: Sequence[tuple[str, ...]]) -> str:
        """The most frequent tool after the longest context that was seen."""
        found = next((self._grams[context] for context in contexts if context in self._grams), Counter())
        return max(found, key=lambda tool: (found[tool], tool), default="")

    def _last_tools(self, episode: Episode, place: int) -> tuple[str, str]:
        tools = ["", "", *(step.tool for step in episode.steps[:place] if step.tool)]
        return tools[-2], tools[-1]

    def _begun(self, episode: Episode, place: int) -> str:
        begun = _begins(episode.steps[place - 1].observation) if place else ""
        return begun if begun in self._beginnings else ""

    def _marks(self, episode: Episode, place: int) -> list[tuple[str, str]]:
        first, second = self._last_tools(episode, place)
        return [("tool before", first), ("last tool", second), ("begun", self._begun(episode, place))]

    def _vectors(self, moments: Sequence[tuple[Episode, int]]) -> Real:
        import numpy

        rows = numpy.zeros((len(moments), len(self._columns)), dtype=numpy.float32)
        for row, (each, place) in zip(rows, moments, strict=True):
            row[[self._columns[mark] for mark in self._marks(each, place) if mark in self._columns]] = 1
        words = self._words.vectors([each.task.description for each, _ in moments])
        return _unit(numpy.hstack([rows, words]))


def _unit(rows: Real) -> Real:
    import numpy

    scaled: Real = rows / numpy.maximum(numpy.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return scaled


def _begins(observation: object) -> str:
    """The first two words of what came back."""
    return " ".join(_words(str(observation or "")[:100])[:2])


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
