"""What the index of words of every store must do, as tests; see ``conformance`` for how they are run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from random import Random

from tacit.errors import Conflict, InvalidInput
from tacit.stores.conformance import MIND, StoreFactory, opened, refused
from tacit.stores.port import Store


class TextIndexConformance:
    """What holds for every store."""

    def test_documents_are_found_by_any_of_their_terms_the_best_first(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            index(store, MIND, {1: "seat map", 2: "seat row seat row", 3: "row", 4: "card", 2**36 - 1: "map seat"})
            with store.snapshot() as snapshot:
                assert [number for number, _ in snapshot.find_terms(MIND, ["seat", "none"], 9)] == [2**36 - 1, 1, 2]
                assert [number for number, _ in snapshot.find_terms(MIND, ["map", "card"], 2)] == [4, 2**36 - 1]
                assert snapshot.find_terms(MIND, ["none"], 9) == snapshot.find_terms(MIND, [], 9) == []
                assert snapshot.count_terms(MIND, ["seat", "row", "none", "row"]) == {"seat": 3, "row": 2}
                assert snapshot.indexed(MIND) == (5, 10)
            assert store.integrity() == []

    def test_documents_of_other_minds_are_neither_found_nor_counted(self, store_factory: StoreFactory) -> None:
        minds = [bytes([at]) * 16 for at in range(40)]
        with opened(store_factory) as store:
            for at, mind in enumerate(minds):
                index(store, mind, {at + 1: f"seat b{at} 0", 100: "1seat g0"})
            with store.snapshot() as snapshot:
                for at, mind in enumerate(minds):
                    assert [number for number, _ in snapshot.find_terms(mind, ["seat"], 99)] == [at + 1]
                    assert snapshot.count_terms(mind, ["seat", "b0", "0"]) == {"seat": 1, "0": 1} | (
                        {} if at else {"b0": 1}
                    )
                    assert snapshot.indexed(mind) == (2, 5)
                assert snapshot.find_terms(b"nobody", ["seat"], 9) == []
                assert (snapshot.count_terms(b"nobody", ["seat"]), snapshot.indexed(b"nobody")) == ({}, (0, 0))

    def test_scores_are_those_of_binary_bm25_whatever_else_is_stored(self, store_factory: StoreFactory) -> None:
        random = Random(7)  # noqa: S311 - it only makes texts
        words = [f"w{number}" for number in range(60)]
        texts = {
            number: random.choices(words, [1 / (n + 1) for n in range(60)], k=5 + number % 9)
            for number in range(1, 200)
        }
        with opened(store_factory) as store:
            index(store, MIND, {number: " ".join(terms) for number, terms in texts.items()})
            index(store, b"other", dict.fromkeys(range(1, 500), "w1 w2 w3 w4"))
            with store.snapshot() as snapshot:
                for terms in (["w0"], ["w59", "w3"], random.sample(words, 7)):
                    found = snapshot.find_terms(MIND, terms, 500)
                    expected = {number: bm25(terms, number, texts) for number in texts}
                    assert {number for number, _ in found} == {number for number in texts if expected[number]}
                    assert all(abs(score - expected[number]) < 1e-6 for number, score in found)
                    assert found == sorted(found, key=lambda pair: (round(-pair[1], 9), -pair[0]))

    def test_a_document_that_is_taken_away_is_found_and_counted_no_more(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            index(store, MIND, {1: "seat map map", 2: "seat"})
            for _ in range(2):  # taking away what is not there is nothing
                with store.transaction() as transaction:
                    transaction.unindex_terms(MIND, [(1, ["seat", "map", "map"]), (7, ["row"])])
                    transaction.unindex_terms(b"nobody", [(1, ["seat"])])
                with store.snapshot() as snapshot:
                    assert [number for number, _ in snapshot.find_terms(MIND, ["seat", "map"], 9)] == [2]
                    assert snapshot.count_terms(MIND, ["seat", "map"]) == {"seat": 1}
                    assert snapshot.indexed(MIND) == (1, 1)
            index(store, MIND, {1: "row"})
            with store.snapshot() as snapshot:
                assert [number for number, _ in snapshot.find_terms(MIND, ["row", "map"], 9)] == [1]
            assert store.integrity() == []

    def test_the_index_changes_with_its_transaction_and_its_savepoints(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            with refused(LookupError), store.transaction() as transaction:
                transaction.index_terms(MIND, [(1, ["seat"])])
                assert [number for number, _ in transaction.find_terms(MIND, ["seat"], 9)] == [1]
                raise LookupError
            with store.transaction() as transaction:
                transaction.index_terms(MIND, [(2, ["seat"])])
                with refused(LookupError), transaction.savepoint():
                    transaction.index_terms(MIND, [(3, ["seat"])])
                    assert len(transaction.find_terms(MIND, ["seat"], 9)) == 2
                    transaction.index_terms(MIND, [(4, ["seat"])])
                    raise LookupError
                with transaction.savepoint():
                    transaction.index_terms(MIND, [(5, ["seat"])])
            with store.snapshot() as snapshot:
                assert [number for number, _ in snapshot.find_terms(MIND, ["seat"], 9)] == [5, 2]
                assert snapshot.indexed(MIND) == (2, 2)

    def test_a_document_that_is_there_already_is_a_conflict(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            index(store, MIND, {1: "seat", 9: "row"})
            for number, text in ((1, "seat"), (9, "row")):
                with refused(Conflict):
                    index(store, MIND, {10: "seat", number: text})
            with store.snapshot() as snapshot:
                assert snapshot.indexed(MIND) == (2, 2)

    def test_only_terms_are_indexed(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            for term in ("", "two words", "Seat", 'a"b', "a-b", "a\x00b", "a_b"):
                with refused(InvalidInput), store.transaction() as transaction:
                    transaction.index_terms(MIND, [(1, ["row", term])])
            for number in (0, -1, 2**36):
                with refused(InvalidInput), store.transaction() as transaction:
                    transaction.index_terms(MIND, [(number, ["row"])])
            with store.snapshot() as snapshot:
                assert snapshot.indexed(MIND) == (0, 0)

    def test_many_documents_go_in_at_once(self, store_factory: StoreFactory) -> None:
        with opened(store_factory) as store:
            with store.transaction() as transaction:
                for number in range(1, 5_001):
                    transaction.index_terms(MIND, [(number, ["seat", f"x{number}"])])
            with store.snapshot() as snapshot:
                assert snapshot.indexed(MIND) == (5_000, 10_000)
                assert [number for number, _ in snapshot.find_terms(MIND, ["x77", "seat"], 2)] == [77, 5_000]


# ── helpers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def index(store: Store, mind: bytes, texts: Mapping[int, str]) -> None:
    """Add documents to the index of words, in one transaction, with the words of their texts for terms."""
    with store.transaction() as transaction:
        transaction.index_terms(mind, [(number, text.split()) for number, text in texts.items()])


def bm25(terms: Sequence[str], number: int, texts: Mapping[int, Sequence[str]]) -> float:
    """The score of a document, computed from all texts; see ``text_index``."""
    length = len(texts[number]) / (sum(map(len, texts.values())) / len(texts))
    found = {term: sum(term in text for text in texts.values()) for term in terms if term in texts[number]}
    weights = [log(1 + (len(texts) - count + 0.5) / (count + 0.5)) for count in found.values()]
    return sum(weights) * 2.2 / (1 + 0.3 + 0.9 * length)
