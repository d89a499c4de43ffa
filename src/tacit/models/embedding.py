"""The port to embedders, and what holds for all of them: text in, vectors of unit length out, or an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tacit.errors import InvalidInput, ModelError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[numpy.float32]
    """Vectors of unit length, one a row: float32, (texts, dimension)."""


class Embedder(Protocol):
    """Turns texts into vectors whose dot product says how alike in meaning the texts are. Safe to use from threads."""

    @property
    def fingerprint(self) -> str:
        """Names the model and its version; vectors of different fingerprints must never be compared."""

    @property
    def dimension(self) -> int:
        """The length of a vector, in numbers."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of unit length for each text, in their order. No text, no row.

        Raises:
            InvalidInput: something that is not text was given.
            ModelError: the model failed, or answered vectors that cannot be used.
        """


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts as a list.

    Raises:
        InvalidInput: one string instead of several, an item that is not a string, or one that has no UTF-8.
    """
    if isinstance(texts, str):
        raise InvalidInput("embed takes a list of texts, not one text; put it in a list", field="texts")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(f"text {index} is {type(text).__name__}, not a string", field="texts", index=index)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"text {index} holds half a surrogate pair", field="texts", index=index) from None
    return list(texts)


def unit_vectors(raw: Any, count: int, dimension: int, model: str) -> Vectors:
    """What a model answered, at unit length, once it is certain that it can be used.

    Args:
        raw: rows of numbers, as an array or as lists.
        count: the rows that there must be.
        dimension: the numbers that must be in each.
        model: whose answer it is, for the error.

    Raises:
        ModelError: rows missing or too many, a wrong dimension, NaN, infinity, or a vector of zeros.
    """
    import numpy

    if len(raw) != count:
        raise ModelError(f"{model} answered {len(raw)} vectors for {count} texts", model=model)
    lengths = {len(row) for row in raw} - {dimension}
    if lengths:
        found = min(lengths)
        raise ModelError(f"{model} answered a vector of {found} numbers, not of {dimension}", model=model)
    vectors = numpy.asarray(raw, dtype=numpy.float64).reshape(count, dimension)
    norms = numpy.linalg.norm(vectors, axis=1, keepdims=True)
    for index, norm in enumerate(norms[:, 0]):
        if not numpy.isfinite(norm):
            raise ModelError(f"{model} answered NaN or infinity in the vector of text {index}", model=model)
        if norm == 0:
            raise ModelError(f"{model} answered a vector of zeros for text {index}", model=model)
    unit: Vectors = (vectors / norms).astype(numpy.float32)
    return unit


def batches(lengths: Sequence[int], most_items: int, most_cells: int) -> Iterator[list[int]]:
    """The indices of items of these lengths in batches of like length, shortest first.

    A batch is padded to its longest item, so like lengths waste least; and its items times that length, the cells that
    are computed and held in memory at once, stay within ``most_cells`` (an item that is longer goes alone).
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == most_items or (len(batch) + 1) * lengths[index] > most_cells):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
