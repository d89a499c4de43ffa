"""Recalls: finds candidates by words and by meaning, reads them and what stands around them, ranks and packs them.

Nothing that an index says is believed: candidates are joined with the view of memories in the same snapshot, so what is
closed or erased is in no answer, however far an index is behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from tacit import numerics
from tacit.cache import ALWAYS, RECALL, AnswerCache
from tacit.experience.memory.fold import IMPORTANCE_PARTS, MemoryRow
from tacit.experience.memory.views import MemoryFilter, list_memories
from tacit.ids import format_id
from tacit.recall.answer import Hit, Recollection
from tacit.recall.budget import packed, tokens_of
from tacit.recall.diversity import repeating
from tacit.recall.evidence import Evidence
from tacit.recall.finding import Asked, Finder, Found, is_valid
from tacit.recall.lasting import lacks_vectors, next_change, stand_of
from tacit.recall.pool import Candidate, Pool, Statistics
from tacit.recall.question import Question, read_question
from tacit.recall.ranking import Ranked, judged
from tacit.recall.reading import Reading, read
from tacit.recall.recipe import Recipe, recipe_of
from tacit.recall.serving import Served, Serving
from tacit.recall.vector_index import VectorIndex
from tacit.stores.analyser import AnalyserWatch
from tacit.stores.port import Snapshot, Store
from tacit.stores.terms import name_label, terms_of

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

_FEW = 64
"""Among fewer memories it is told from the candidates how alike a random one is to the question."""
_WITHOUT_EVIDENCE: dict[Evidence, str] = {
    "none": "nothing that is remembered has to do with the question: only what holds whatever is asked is told",
    "unasked": "the question has no word that is known here, so nothing was recalled",
}
_WARMING_LETTERS = 200
"""Of the newest memory, which is asked about to warm up."""
_TEXTS_READ = 20_000
"""Texts that have been read are remembered: those that answer once are candidates again and again."""


class Recaller:
    """What recalls from the minds of one store. Safe to use from many threads."""

    def __init__(self, serving: Serving, index: VectorIndex, cache: AnswerCache) -> None:
        self._serving = serving
        self._index = index
        self._cache = cache
        self._analyser = AnalyserWatch()

    @property
    def serving(self) -> Serving:
        """Which embedder answers."""
        return self._serving

    def recall(self, store: Store, mind: bytes, position: int, asked: Asked, now: int) -> Recollection:
        """What matters for a question, as of a position of the journal.

        The answer to the same question is kept until anything is written to the mind, more memories get vectors, or
        time changes it: a time that the question names by now ("last week"), or the truth of a memory that it is about.

        Raises:
            InvalidInput: there is no such recipe.
        """
        numerics.prepare(numerics.NUMPY)
        recipe = recipe_of(asked.recipe)
        with store.snapshot() as snapshot:
            stand = stand_of(snapshot, mind)
            question = self._read(snapshot, mind, asked.query, now)
            said = self._analyser.said(snapshot)
        position = min(position, stand.head)
        self._cache.note_erasure(mind, stand.erasure)
        key = (RECALL, mind, position, stand, msgspec.msgpack.encode((asked, question)))
        kept = self._cache.get(key, now)
        if kept is not None:
            return msgspec.msgpack.decode(kept, type=Recollection)
        served = self._serving.of(dict(stand.reached), position)  # outside: an embedder may take its time
        vectors = self._vectors(store, mind, served, question, recipe)
        with store.snapshot() as snapshot:
            recall = _Recall(self._index, served, snapshot, mind, position, asked, recipe, now)
            found = recall.answer(question, vectors)
            whole = stand_of(snapshot, mind) == stand and not lacks_vectors(served, recipe, vectors is not None)
        if said:  # no answer is kept: once the index has been made anew, there is another one
            return msgspec.structs.replace(found, notes=(*found.notes, said))
        if whole:
            self._cache.put(key, msgspec.msgpack.encode(found), (now, recall.good_until))
        return found

    def warm_up(self, store: Store, mind: bytes, now: int) -> tuple[bool, int]:
        """Load what a question needs, by asking for what came last; whether there is an embedder that answers, and how
        many memories are compared by meaning."""
        numerics.prepare(numerics.NUMPY)
        with store.snapshot() as snapshot:
            stand = stand_of(snapshot, mind)
            newest = list_memories(snapshot, mind, MemoryFilter(), limit=1)
            query = newest[0].text[:_WARMING_LETTERS] if newest else "anything"
            question = self._read(snapshot, mind, query, now)
        served = self._serving.of(dict(stand.reached), stand.head)
        asked, recipe = Asked(query=query), recipe_of("default")
        vectors = self._vectors(store, mind, served, question, recipe)
        with store.snapshot() as snapshot:
            _Recall(self._index, served, snapshot, mind, stand.head, asked, recipe, now).answer(question, vectors)
            if vectors is None or served.meaning is None:
                return False, 0
            return True, len(self._index.among(snapshot, mind, served.meaning.model, vectors.shape[1]).numbers)

    def _read(self, snapshot: Snapshot, mind: bytes, query: str, now: int) -> Question:
        terms = list(dict.fromkeys(terms_of(query)))
        labels = {name_label(term): term for term in terms}
        names = {labels[label] for label in snapshot.count_terms(mind, list(labels))}
        return read_question(query, terms_of, names, now)

    def _vectors(self, store: Store, mind: bytes, served: Served, question: Question, recipe: Recipe) -> Real | None:
        if served.meaning is None or not recipe.weights.get("meaning"):
            return None
        import numpy

        found = served.meaning.of(list(dict.fromkeys((question.text, question.bare))))
        vectors = [found[text] for text in (question.text, question.bare) if text in found]
        if not vectors:
            return None
        self._index.prepare(store, mind, served.meaning.model, len(vectors[0]))
        return numpy.stack(vectors).astype(numpy.float64)


class _Recall:
    """One recall, within one snapshot."""

    def __init__(
        self,
        index: VectorIndex,
        served: Served,
        snapshot: Snapshot,
        mind: bytes,
        position: int,
        asked: Asked,
        recipe: Recipe,
        now: int,
    ) -> None:
        self._index = index
        self._served = served
        self._meaning = served.meaning
        self._snapshot = snapshot
        self._mind = mind
        self._position = position
        self._asked = asked
        self._recipe = recipe
        self._now = now
        self.good_until = ALWAYS[1]
        """Until when the answer holds, if nothing is written: then something becomes true or untrue."""
        self._finder = Finder(index, served.meaning, snapshot, mind, position, asked, now)

    def answer(self, question: Question, vectors: Real | None) -> Recollection:
        found = self._finder.candidates(question, vectors)
        rows, ranked, around = self._rows(found)
        if self._asked.valid_at is None:
            self.good_until = next_change(rows.values(), self._now)
        pool = self._pool(rows, ranked, around, vectors, found.of_the_time)
        statistics = self._statistics(question, vectors)
        most = self._asked.k if self._asked.max_tokens is None else max(self._asked.k, len(ranked))
        best, evidence = judged(question, vectors, pool, statistics, recipe=self._recipe, most=most)
        if self._asked.threshold is not None:
            best = [hit for hit in best if hit.score >= self._asked.threshold]
        if self._asked.max_tokens is not None:
            best = packed(best, self._asked.max_tokens)
        return self._told(best[: self._asked.k], pool, rows, len(ranked), vectors, evidence)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _rows(self, found: Found) -> tuple[dict[int, MemoryRow], set[int], dict[int, tuple[int | None, ...]]]:
        """Rows by number; which of them may answer; and the numbers of the neighbours of these."""
        rows = self._finder.rows(found.numbers)
        ranked = {number for number, row in rows.items() if self._finder.is_meant(row)}
        around = self._finder.around(rows[number] for number in found.best if number in rows)
        beside = self._finder.rows(_all_in(around) - rows.keys())
        ranked |= {number for number, row in beside.items() if self._finder.is_meant(row)}
        rows |= beside
        around |= self._finder.around(rows[number] for number in ranked - around.keys())
        return rows | self._finder.rows(_all_in(around) - rows.keys()), ranked, around

    def _pool(
        self,
        rows: dict[int, MemoryRow],
        ranked: set[int],
        around: dict[int, tuple[int | None, ...]],
        vectors: Real | None,
        of_the_time: set[int],
    ) -> Pool:
        if vectors is not None:
            self._finder.vectors([number for number in rows if number not in self._finder.known], vectors.shape[1])
        items = [self._candidate(row, self._finder.known.get(number), number in ranked) for number, row in rows.items()]
        beside = {
            str(number): [str(other) if other in rows else None for other in others]
            for number, others in around.items()
            if number in rows
        }
        others = ranked - of_the_time
        shown = others.union(*(around[number] for number in others if number in around))
        return Pool(items, beside, {str(number) for number in rows if number not in shown} if of_the_time else ())

    def _candidate(self, row: MemoryRow, vector: NDArray[numpy.float16] | None, ranked: bool) -> Candidate:
        return Candidate(
            id=str(row.since),
            text=row.text,
            reading=_read(f"{row.subject}\n{row.text}" if row.subject else row.text),
            names=_terms(f"{row.speaker}\n{row.user}"),
            kind=row.kind,
            user=row.user,
            session=row.session,
            speaker=row.speaker,
            number=row.since,
            occurred_at=row.recorded_at if row.occurred_at is None else row.occurred_at,
            importance=None if row.importance is None else row.importance / IMPORTANCE_PARTS,
            valid=is_valid(row, self._now if self._asked.valid_at is None else self._asked.valid_at),
            vector=vector,
            ranked=ranked,
        )

    def _statistics(self, question: Question, vectors: Real | None) -> Statistics:
        documents, terms = self._snapshot.indexed(self._mind)
        names = {name_label(name): name for name in question.names}
        counts = self._snapshot.count_terms(self._mind, [*question.terms, *names])
        return Statistics(
            documents=documents,
            mean_length=terms / documents if documents else 0.0,
            frequencies={term: counts[term] for term in question.terms if term in counts},
            spoken={name: counts[label] for label, name in names.items() if label in counts},
            cosine=self._background(vectors),
            compared=self._finder.meant,
            familiarity=1.0 if vectors is None or self._meaning is None else self._meaning.familiarity(question.text),
        )

    def _background(self, vectors: Real | None) -> tuple[float, float] | None:
        """Mean and deviation of the cosine between the question and a random memory; None with too few to say."""
        if vectors is None or self._meaning is None:
            return None
        import numpy

        everything = self._index.among(self._snapshot, self._mind, self._meaning.model, vectors.shape[1])
        if len(everything.numbers) < _FEW:
            return None
        return everything.background(vectors.mean(axis=0).astype(numpy.float32))

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _told(
        self,
        best: Sequence[Ranked],
        pool: Pool,
        rows: dict[int, MemoryRow],
        considered: int,
        vectors: Real | None,
        evidence: Evidence,
    ) -> Recollection:
        doubles = repeating([each.candidate for each in best], pool)
        hits = tuple(self._hit(each, double, rows) for each, double in zip(best, doubles, strict=True))
        lag = self._lag()
        return Recollection(
            hits=hits,
            recipe=self._recipe.name,
            meaning=vectors is not None,
            lag=lag,
            considered=considered,
            tokens=sum(hit.tokens for hit in hits),
            notes=tuple(self._notes(evidence, lag, vectors)),
        )

    def _lag(self) -> int:
        return 0 if self._meaning is None else max(0, self._position - self._served.reached)

    def _notes(self, evidence: Evidence, lag: int, vectors: Real | None) -> Iterator[str]:
        if evidence in _WITHOUT_EVIDENCE:
            yield _WITHOUT_EVIDENCE[evidence]
        if not self._recipe.weights.get("meaning"):
            return
        if vectors is None:
            yield "the embedder is away or busy: this answer goes by words alone"
            return
        far = self._served.wanted_reached
        if far is not None and self._meaning is not None:
            former, head = self._meaning.model.partition(":")[0], self._position
            yield f"the former embedder ({former}) still serves: the new one has read {far:,} of {head:,} events"
        if lag:
            yield f"vectors are {lag:,} events behind: what came since is found by its words alone"

    def _hit(self, ranked: Ranked, doubles: Sequence[int], rows: dict[int, MemoryRow]) -> Hit:
        row = rows[ranked.candidate.number]
        return Hit(
            id=format_id(row.id),
            text=row.text,
            score=ranked.score,
            kind=row.kind,
            why=ranked.why,
            user=row.user,
            session=row.session,
            agent=row.agent,
            speaker=row.speaker,
            subject=row.subject,
            source_id=row.source_id,
            occurred_at_micros=row.occurred_at,
            recorded_at_micros=row.recorded_at,
            valid_from_micros=row.valid_from,
            valid_to_micros=row.valid_to,
            tokens=tokens_of(row.text),
            duplicates=tuple(format_id(rows[number].id) for number in doubles),
        )


def _all_in(around: dict[int, tuple[int | None, ...]]) -> set[int]:
    return {number for beside in around.values() for number in beside if number is not None}


@lru_cache(_TEXTS_READ)
def _read(text: str) -> Reading:
    return read(text, terms_of(text))


@lru_cache(_TEXTS_READ)
def _terms(text: str) -> tuple[str, ...]:
    return tuple(terms_of(text))
