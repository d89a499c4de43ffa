"""A collection ranked in memory, by the code that recall ranks with and by plain baselines, all over the same terms and
vectors: which candidates there are is decided here as the store decides it, so the two can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tacit.bench.recall_data import Collection, Item
from tacit.bench.recall_metrics import ndcg_at, recall_at
from tacit.experience.memory.memory import STANDING_KINDS
from tacit.recall.bm25 import LENGTH_SHARE, SATURATION, rarity
from tacit.recall.pool import OFFSETS, Candidate, Pool, Statistics
from tacit.recall.question import Analyse, Question, read_question
from tacit.recall.ranking import rank
from tacit.recall.reading import read
from tacit.recall.recipe import Recipe
from tacit.recall.wording import wording

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]
    Vectors = NDArray[numpy.float32]

Embed = Callable[[Sequence[str]], "Vectors"]
K = 10
_RRF = 60
"""The constant of reciprocal-rank fusion (G. Cormack et al., SIGIR 2009)."""
_EACH = 100
"""Candidates by words, and as many by meaning."""
_WITH_NEIGHBOURS = 50
"""Of each of the two, so many bring their next neighbours along as candidates."""
_SAMPLE = 256
"""Memories by which the cosine to a random one is known."""
_DAY = 86_400 * 1_000_000


class Judged(msgspec.Struct, frozen=True):
    """How one question was answered: R@5, R@10 and nDCG@10, and the class of the question."""

    category: str
    recall_5: float
    recall_10: float
    ndcg_10: float


class Trial:
    """One collection. Baselines read whole texts with speaker and date, and every term of the question.

    Args:
        collection: what is remembered and asked.
        analyse: makes terms of a text.
        embed: makes vectors of texts.
    """

    def __init__(self, collection: Collection, analyse: Analyse, embed: Embed) -> None:
        import numpy

        self.collection, self._analyse = collection, analyse
        items = collection.items
        self._names = [tuple(dict.fromkeys((*analyse(item.speaker), *analyse(item.user)))) for item in items]
        self._spoken = Counter(name for names in self._names for name in names)
        self._texts = [tuple(analyse(item.text)) for item in items]
        self._plain = _Index([(*text, *names, *analyse(_date(item))) for text, names, item in self._rows()])
        self._own = Counter(term for text in self._texts for term in set(text))
        self._vectors = embed([wording(item.text, item.speaker) or " " for item in items])
        self._candidates = [self._candidate(number) for number in range(len(items))]
        self._beside = _neighbours(items)
        now = max((item.occurred_at or 0 for item in items), default=0) + _DAY
        self._questions = [read_question(one.text, analyse, self._spoken, now) for one in collection.questions]
        self._asked = embed([one.text for one in collection.questions])
        self._bare = embed([one.bare for one in self._questions])
        chosen = numpy.random.default_rng(0).permutation(len(items))[:_SAMPLE]
        self._sample = self._vectors[chosen]
        lengths = [len(text) for text in self._texts]
        self._mean_length = sum(lengths) / max(len(lengths), 1)

    def _rows(self) -> Sequence[tuple[tuple[str, ...], tuple[str, ...], Item]]:
        return list(zip(self._texts, self._names, self.collection.items, strict=True))

    def _candidate(self, number: int) -> Candidate:
        item = self.collection.items[number]
        return Candidate(
            id=item.id,
            text=item.text,
            reading=read(item.text, self._texts[number]),
            names=self._names[number],
            kind=item.kind,
            user=item.user,
            session=item.session,
            speaker=item.speaker,
            number=number,
            occurred_at=item.occurred_at,
            vector=self._vectors[number],
        )

    def words(self, place: int) -> Real:
        """BM25 of every item, for the question at a place."""
        return self._plain.bm25(tuple(dict.fromkeys(self._analyse(self.collection.questions[place].text))))

    def meaning(self, place: int) -> Real:
        """The cosine of every item to the question."""
        cosines: Real = (self._vectors @ self._asked[place]).astype("float64")
        return cosines

    def fusion(self, place: int) -> Real:
        """Reciprocal-rank fusion of the two."""
        return 1 / (_RRF + 1 + _ranks(self.words(place))) + 1 / (_RRF + 1 + _ranks(self.meaning(place)))

    def blend(self, place: int) -> Real:
        """The two brought to 0 … 1, added."""
        return _spread(self.words(place)) + _spread(self.meaning(place))

    def judge(self, score: Callable[[int], Real]) -> list[Judged]:
        """How the questions are answered by a score of all items."""
        import numpy

        best = [numpy.argsort(-score(place), kind="stable")[:K] for place in range(len(self._questions))]
        return [self._judged(place, [self._candidates[one].id for one in row]) for place, row in enumerate(best)]

    def judge_recipe(self, recipe: Recipe, embedded: bool = True) -> list[Judged]:
        """How the questions are answered by a recipe; without ``embedded``, as if no question had a vector."""
        return [
            self._judged(place, self._recalled(place, question, recipe, embedded))
            for place, question in enumerate(self._questions)
        ]

    def _recalled(self, place: int, question: Question, recipe: Recipe, embedded: bool) -> list[str]:
        import numpy

        pair = numpy.stack([self._asked[place], self._bare[place]])
        cosines = self._sample @ pair.mean(axis=0)
        statistics = Statistics(
            documents=len(self._candidates),
            mean_length=self._mean_length,
            frequencies={term: self._own[term] for term in question.terms},
            spoken={name: self._spoken[name] for name in question.names},
            cosine=(float(cosines.mean()), float(cosines.std())),
        )
        pool = self._pool(place, pair if embedded else None)
        hits = rank(question, pair if embedded else None, pool, statistics, recipe=recipe, most=K)
        return [hit.candidate.id for hit in hits]

    def _pool(self, place: int, pair: Vectors | None) -> Pool:
        import numpy

        words = self.words(place)
        lists = [[one for one in numpy.argsort(-words, kind="stable")[:_EACH].tolist() if words[one] > 0]]
        if pair is not None:
            lists.append(numpy.argsort(-(self._vectors @ pair.mean(axis=0)), kind="stable")[:_EACH].tolist())
        ranked = {one for best in lists for one in best}
        ranked |= {beside for best in lists for one in best[:_WITH_NEIGHBOURS] for beside in self._beside[one][:2]}
        ranked |= {one for one, item in enumerate(self._candidates) if item.kind in STANDING_KINDS}
        ranked.discard(-1)
        context = {beside for one in ranked for beside in self._beside[one]} - ranked - {-1}
        items = [self._candidates[one] for one in sorted(ranked)]
        items += [msgspec.structs.replace(self._candidates[one], ranked=False) for one in sorted(context)]
        names = {
            one: [self._candidates[beside].id if beside >= 0 else None for beside in self._beside[one]]
            for one in ranked
        }
        return Pool(items, {self._candidates[one].id: beside for one, beside in names.items()})

    def _judged(self, place: int, found: Sequence[str]) -> Judged:
        question = self.collection.questions[place]
        few, more = (recall_at(found, question.relevant, k) for k in (5, K))
        return Judged(question.category, few, more, ndcg_at(found, question.relevant, K))


class _Index:
    """Which text has which term how often."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        import numpy

        self._lengths = numpy.array([len(text) for text in texts], dtype=numpy.float64)
        self._postings: dict[str, dict[int, int]] = {}
        for row, text in enumerate(texts):
            for term, count in Counter(text).items():
                self._postings.setdefault(term, {})[row] = count

    def bm25(self, terms: Sequence[str]) -> Real:
        import numpy

        frequencies = {term: len(self._postings.get(term, ())) for term in terms}
        score = numpy.zeros(len(self._lengths))
        damping = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * self._lengths / max(self._lengths.mean(), 1e-9))
        for term, weight in zip(terms, rarity(terms, frequencies, len(score)).tolist(), strict=True):
            posting = self._postings.get(term, {})
            rows, counted = list(posting), numpy.array(list(posting.values()), dtype=numpy.float64)
            score[rows] += weight * counted * (SATURATION + 1) / (counted + damping[rows])
        return score


def _neighbours(items: Sequence[Item]) -> list[list[int]]:
    """The places of the neighbours of each item in its session, by OFFSETS; -1 where there is none."""
    sessions: dict[tuple[str, str], list[int]] = {}
    for place, item in enumerate(items):
        sessions.setdefault((item.user, item.session or f"alone {place}"), []).append(place)
    found = [[-1] * len(OFFSETS) for _ in items]
    for places in sessions.values():
        for at, place in enumerate(places):
            found[place] = [places[at + step] if 0 <= at + step < len(places) else -1 for step in OFFSETS]
    return found


def _date(item: Item) -> str:
    return "" if item.occurred_at is None else f"{datetime.fromtimestamp(item.occurred_at / 1e6, UTC):%d %B %Y}"


def _ranks(score: Real) -> Real:
    import numpy

    ranks = numpy.empty(len(score))
    ranks[numpy.argsort(-score, kind="stable")] = numpy.arange(len(score))
    return ranks


def _spread(score: Real) -> Real:
    import numpy

    width = float(numpy.ptp(score))
    return (score - score.min()) / width if width > 0 else score * 0
