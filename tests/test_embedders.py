"""What holds for every embedder, and the ways to come by one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest

from embedding_provider import Provider
from tacit.errors import InvalidInput, ModelError
from tacit.models.embedders import open_embedder
from tacit.models.embedding import batches
from tacit.models.embedding_cache import CachedEmbedder, EmbeddingCache
from tacit.models.embedding_server import EmbeddingServer
from tacit.models.hashing import HashingEmbedder

pytestmark = pytest.mark.requirement("RE-11")

KEY = "k-1234567890-secret"


def client(provider: Provider, dimension: int | None = 8) -> EmbeddingServer:
    return EmbeddingServer(provider.url, "test-model", KEY, dimension=dimension, timeout=5, pause=0.001)


def rows(*vectors: str) -> tuple[int, bytes]:
    """An answer with these vectors, each written as JSON or as what some servers take for it."""
    data = ", ".join(f'{{"index": {index}, "embedding": {vector}}}' for index, vector in enumerate(vectors))
    return 200, f'{{"data": [{data}]}}'.encode()


# ── over the wire ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_texts_are_asked_for_on_the_wire_as_documented_and_come_back_in_their_order(provider: Provider) -> None:
    texts = ["a longer text of several words", "short", ""]
    vectors = client(provider).embed(texts)
    ((path, key, body),) = provider.asked
    assert (path, key) == ("/v1/embeddings", f"Bearer {KEY}")
    assert (body["model"], body["encoding_format"], sorted(body["input"])) == ("test-model", "float", sorted(texts))
    assert vectors.dtype == numpy.float32
    numpy.testing.assert_allclose(vectors, provider.model.embed(texts), atol=1e-6)


def test_many_texts_are_sent_in_batches_of_like_length(provider: Provider) -> None:
    texts = [f"text {number} " + "word " * (number % 7 * 60) for number in range(300)]
    vectors = client(provider).embed(texts)
    numpy.testing.assert_allclose(vectors, provider.model.embed(texts), atol=1e-6)
    lengths = [[len(text) for text in body["input"]] for _, _, body in provider.asked]
    assert len(lengths) >= 2
    assert all(max(before) <= min(after) for before, after in pairwise(lengths))
    assert all(len(batch) <= 256 and len(batch) * max(batch) <= 200_000 for batch in lengths)


def test_the_dimension_is_learned_from_the_server_once(provider: Provider) -> None:
    embedder = client(provider, dimension=None)
    assert (embedder.dimension, embedder.dimension, len(provider.asked)) == (8, 8, 1)
    assert embedder.embed([]).shape == (0, 8)
    assert embedder.embed(["x"]).shape == (1, 8)


ONES = "[1, 1, 1, 1, 1, 1, 1, 1]"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (rows(ONES, "[1, 2, 3]"), "a vector of 3 numbers, not of 8"),
        (rows(ONES, "[]"), "a vector of 0 numbers, not of 8"),
        (rows(ONES, "[0, 0, 0, 0, 0, 0, 0, 0]"), "a vector of zeros for text 1"),
        (rows(ONES, "[NaN, 0, 0, 0, 0, 0, 0, 0]"), "not a list of embeddings"),
        (rows(ONES, "[null, 0, 0, 0, 0, 0, 0, 0]"), "not a list of embeddings"),
        (rows(ONES, "[Infinity, 0, 0, 0, 0, 0, 0, 0]"), "not a list of embeddings"),
        (rows(ONES, "[1e999, 0, 0, 0, 0, 0, 0, 0]"), "not a list of embeddings|NaN or infinity"),
        (rows(ONES), "one vector for each of 2 texts"),
        (rows(ONES, ONES, ONES), "one vector for each of 2 texts"),
        ((200, b"<html>sign in</html>"), "not a list of embeddings"),
        ((400, b"no such model"), "answered 400: no such model"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(provider: Provider, answer: tuple[int, bytes], words: str) -> None:
    provider.script = [answer]
    with pytest.raises(ModelError, match=words):
        client(provider).embed(["one", "two"])


def test_a_passing_refusal_is_tried_again_and_the_key_is_told_to_nobody(provider: Provider) -> None:
    provider.script = [(503, b"busy"), rows(ONES), (401, f"bad key {KEY}".encode())]
    embedder = client(provider)
    numpy.testing.assert_allclose(embedder.embed(["one"]), 8**-0.5)
    with pytest.raises(ModelError, match="401") as caught:
        embedder.embed(["one"])
    assert KEY not in repr((caught.value.as_dict(), embedder, embedder.fingerprint))


# ── answers of libraries ─────────────────────────────────────────────────────────────────────────────────────────────

LIBRARY = """
import numpy

class SentenceTransformer:
    def __init__(self, name):
        if name == "missing":
            raise OSError("no such model")
        self.first = float(name)

    def get_sentence_embedding_dimension(self):
        return 3

    def encode(self, texts, show_progress_bar, convert_to_numpy):
        return numpy.array([[self.first, len(text), 2.0] for text in texts], dtype=numpy.float32).reshape(-1, 3)
"""
"""The part of sentence-transformers that is used; the library itself needs torch, gigabytes that no test is worth."""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "sentence_transformers.py").write_text(LIBRARY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)
    yield
    sys.modules.pop("sentence_transformers", None)


@pytest.mark.usefixtures("library")
def test_a_model_of_sentence_transformers_is_used_where_that_is_installed() -> None:
    embedder = open_embedder("sentence-transformers:1")
    assert embedder is not None
    assert (embedder.dimension, embedder.fingerprint) == (3, "sentence-transformers:1")
    numpy.testing.assert_allclose(embedder.embed(["ab"]), [[1 / 3, 2 / 3, 2 / 3]], atol=1e-6)
    assert embedder.embed([]).shape == (0, 3)
    with pytest.raises(ModelError, match="cannot load missing: no such model"):
        open_embedder("sentence-transformers:missing")


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_nan_and_infinity_of_a_library_are_refused(number: str) -> None:
    embedder = open_embedder(f"sentence-transformers:{number}")
    assert embedder is not None
    with pytest.raises(ModelError, match="NaN or infinity in the vector of text 0"):
        embedder.embed(["ab"])


def test_without_sentence_transformers_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelError, match="pip install sentence-transformers"):
        open_embedder("sentence-transformers:all-MiniLM-L6-v2")


# ── hashing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_hashing_embedder_is_the_same_everywhere_and_finds_shared_words() -> None:
    embedder = HashingEmbedder()
    vectors = embedder.embed(["Cancel the booking", "cancel my bookings", "heat a mug", "", "?!", "取消预订"])
    numpy.testing.assert_allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] > 0.4 > vectors[0] @ vectors[2]
    other = subprocess.run(
        [sys.executable, "-c", "from tacit.models.hashing import *; print(HashingEmbedder().embed(['a b']).nonzero())"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
    )
    assert other.stdout.strip() == str(embedder.embed(["a b"]).nonzero())


# ── the port ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("texts", ["one text", ["ok", 7], ["ok", None], ["half a pair \ud800"]])
@pytest.mark.parametrize("name", ["hashing", "minilm", "openai:m@http://127.0.0.1:9/v1"])
def test_what_is_not_text_is_refused_before_anything_is_asked(name: str, texts: Any) -> None:
    embedder = open_embedder(name)
    assert embedder is not None
    with pytest.raises(InvalidInput):
        embedder.embed(texts)


def test_a_name_means_one_embedder() -> None:
    server = open_embedder("openai:org/model@2@https://models.example/v1")
    assert server is not None
    assert server.fingerprint == "openai:org/model@2@https://models.example/v1/embeddings"
    assert open_embedder("none") is None
    for name in ("", "MiniLM", "openai:model", "openai:m@ftp://a", "sentence-transformers:"):
        with pytest.raises(InvalidInput, match=r"there are minilm, hashing, none, openai:MODEL@URL"):
            open_embedder(name)


def test_fingerprints_tell_models_apart() -> None:
    names = ["minilm", "hashing", "openai:a@http://one/v1", "openai:a@http://two/v1", "openai:b@http://one/v1"]
    opened = [open_embedder(name) for name in names]
    assert len({embedder.fingerprint for embedder in opened if embedder} | {HashingEmbedder(64).fingerprint}) == 6


def test_importing_tacit_or_choosing_an_embedder_loads_no_library_of_numbers() -> None:
    program = (
        "import sys, tacit; from tacit.models.embedders import open_embedder; open_embedder('minilm');"
        "open_embedder('hashing'); open_embedder('openai:m@http://localhost/v1');"
        "print({'numpy', 'onnxruntime', 'tokenizers', 'httpx'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_batches_are_of_like_length_and_bounded() -> None:
    lengths = [5, 100, 1, 7, 30, 2, 1000]
    made = list(batches(lengths, most_items=3, most_cells=100))
    assert made == [[2, 5, 0], [3, 4], [1], [6]]
    assert list(batches([], 3, 100)) == []


# ── the cache ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Counting(HashingEmbedder):
    """Remembers what it was asked."""

    def __init__(self, dimension: int = 16) -> None:
        super().__init__(dimension)
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        self.asked += texts
        return super().embed(texts)


def test_a_text_is_embedded_once() -> None:
    behind = Counting()
    embedder = CachedEmbedder(behind)
    first = embedder.embed(["a", "b", "a", ""])
    again = embedder.embed(["b", "c", "a"])
    assert behind.asked == ["a", "b", "", "c"]
    numpy.testing.assert_array_equal(first, behind.embed(["a", "b", "a", ""]))
    numpy.testing.assert_array_equal(again, behind.embed(["b", "c", "a"]))
    assert (embedder.fingerprint, embedder.dimension) == (behind.fingerprint, behind.dimension)
    assert embedder.embed([]).shape == (0, 16)


def test_changing_what_was_answered_does_not_change_the_cache() -> None:
    embedder = CachedEmbedder(Counting())
    for _ in range(2):
        answered = embedder.embed(["a"])
        expected = answered.copy()
        answered[:] = 7
    numpy.testing.assert_array_equal(embedder.embed(["a"]), expected)


def test_the_vector_that_was_not_used_for_longest_leaves_the_cache() -> None:
    behind, cache = Counting(), EmbeddingCache(capacity=2)
    embedder = CachedEmbedder(behind, cache)
    for text in ["a", "b", "a", "c", "a", "b"]:
        embedder.embed([text])
    assert behind.asked == ["a", "b", "c", "b"]
    assert embedder.embed(["p", "q", "r", "s"]).shape == (4, 16)
    assert len(cache) == 2
    with pytest.raises(InvalidInput, match="at least 1"):
        EmbeddingCache(0)


def test_one_cache_keeps_the_vectors_of_two_models_apart() -> None:
    cache, small, large = EmbeddingCache(), Counting(16), Counting(32)
    for behind in (small, large, small):
        assert CachedEmbedder(behind, cache).embed(["a"]).shape == (1, behind.dimension)
    assert (small.asked, large.asked) == (["a"], ["a"])


def test_a_failure_leaves_nothing_in_the_cache(provider: Provider) -> None:
    cache = EmbeddingCache()
    embedder = CachedEmbedder(client(provider), cache)
    provider.script = [rows(ONES, "[0, 0, 0, 0, 0, 0, 0, 0]")]
    with pytest.raises(ModelError):
        embedder.embed(["one", "two"])
    assert len(cache) == 0
    assert embedder.embed(["one", "two"]).shape == (2, 8)
