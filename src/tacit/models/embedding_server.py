"""Embedders over the wire that OpenAI, Ollama, vLLM and many others speak: ``POST …/embeddings``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tacit.models.embedding import batches, checked_texts, unit_vectors
from tacit.models.wire import ModelServer

if TYPE_CHECKING:
    from tacit.models.embedding import Vectors

BATCH_TEXTS = 256
BATCH_CHARACTERS = 200_000
"""Texts times the longest of them in one call; providers refuse calls beyond some 300,000 tokens."""


class EmbeddingServer:
    """A model behind an OpenAI-compatible server; ``options`` are those of ``ModelServer``, such as ``attempts``.

    Args:
        url: what comes before ``/embeddings``, such as ``http://localhost:11434/v1``.
        model: the model's name on that server.
        key: the API key, if the server wants one.
        dimension: the length of its vectors; without it, the server is asked once, with a short text.
        timeout: seconds to wait for the server at each stage of a call.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: str | None = None,
        *,
        dimension: int | None = None,
        timeout: float = 30.0,
        **options: Any,
    ) -> None:
        self._server = ModelServer(url, "embeddings", model, key, timeout, **options)
        self._dimension = dimension
        self.fingerprint = f"openai:{model}@{self._server.url}"

    def __repr__(self) -> str:
        return f"EmbeddingServer({self._server.url!r}, {self._server.model!r})"

    @property
    def dimension(self) -> int:
        """The length of a vector, in numbers.

        Raises:
            ModelError: it was not given, and the server could not tell it.
        """
        if self._dimension is None:
            self._dimension = len(self._ask(["dimension"])[0])
        return self._dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of unit length for each text, in their order. What is too long is the server's affair.

        Raises:
            InvalidInput: something that is not text was given.
            ModelError: the server refused, could not be reached, or answered vectors that cannot be used.
        """
        import numpy

        wanted = checked_texts(texts)
        vectors = numpy.empty((len(wanted), self.dimension), dtype=numpy.float32)
        for batch in batches([len(text) for text in wanted], BATCH_TEXTS, BATCH_CHARACTERS):
            rows = self._ask([wanted[index] for index in batch])
            vectors[batch] = unit_vectors(rows, len(batch), self.dimension, f"the model {self._server.model}")
        return vectors

    def _ask(self, texts: list[str]) -> list[list[float]]:
        body = {"model": self._server.model, "input": texts, "encoding_format": "float"}
        rows = sorted(self._server.ask(body, _Answer, "a list of embeddings").data, key=lambda row: row.index)
        if [row.index for row in rows] != list(range(len(texts))):
            raise self._server.error(f"did not answer one vector for each of {len(texts)} texts")
        return [row.embedding for row in rows]


class _Row(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Row]
