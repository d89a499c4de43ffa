"""Embedders of the library sentence-transformers, for those who have installed it; Tacit does not bring it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tacit.errors import ModelError
from tacit.models.embedding import checked_texts, unit_vectors
from tacit.stores.forking import FreshLock

if TYPE_CHECKING:
    from tacit.models.embedding import Vectors


class SentenceTransformerEmbedder:
    """A model of sentence-transformers, by its name or the path of its folder.

    The library loads it at once, and fetches it from the network if it is not on this machine yet.

    Raises:
        ModelError: the library is not installed, or has no such model.
    """

    def __init__(self, name: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            text = "the embedder needs sentence-transformers: pip install sentence-transformers"
            raise ModelError(text, missing="sentence-transformers") from error
        self._lock = FreshLock()  # one call at a time: the models are not made for more
        self.fingerprint = f"sentence-transformers:{name}"
        try:
            self._model: Any = SentenceTransformer(name)
        except (OSError, ValueError) as error:
            raise ModelError(f"sentence-transformers cannot load {name}: {error}", model=name) from error
        self.dimension = int(self._model.get_sentence_embedding_dimension())

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of unit length for each text, in their order. The library makes batches by length itself.

        Raises:
            InvalidInput: something that is not text was given.
            ModelError: the model answered vectors that cannot be used.
        """
        wanted = checked_texts(texts)
        with self._lock:
            raw = self._model.encode(wanted, show_progress_bar=False, convert_to_numpy=True)
        return unit_vectors(raw, len(wanted), self.dimension, self.fingerprint)
