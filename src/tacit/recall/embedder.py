"""An embedder, as far as recall and learning need one; how a text that it refuses is told from one that is away."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count
from typing import TYPE_CHECKING, Protocol, TypeAlias

from tacit.errors import ModelError
from tacit.stores.forking import GATE

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[numpy.float32]

_END_SECONDS = 10.0
"""So long the end of the program waits for an answer. A thread that is inside a model when the interpreter goes would
abort the process; one that waits for a server may be left behind."""
_numbers = count(1)
_asking: set[threading.Thread] = set()


class TextEmbedder(Protocol):
    """An embedder, as far as recall and learning need one; ``tacit.models.embedders`` has them."""

    @property
    def fingerprint(self) -> str:
        """Names the model; vectors of different models are never compared."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[numpy.float32]:
        """A vector of unit length for each text."""
        ...


def embed_each(embedder: TextEmbedder, texts: Sequence[str]) -> list[Vector | None]:
    """A vector for each text; None for one that the embedder refuses (as too long, say) while it takes others.

    Raises:
        ModelError: it takes nothing at all, so the fault is not that of a text.
    """
    try:
        return list(_embedded(embedder, texts))
    except ModelError:
        _try_any(embedder)
        found = _again(embedder, texts)
        _try_any(embedder)  # else it may have gone away meanwhile, and have refused nothing
        return found


def ask(embedder: TextEmbedder, texts: Sequence[str]) -> Future[list[Vector | None]]:
    """What :func:`embed_each` will say: asked for in a thread of its own, so that nobody has to wait for the answer."""
    answer: Future[list[Vector | None]] = Future()

    def work() -> None:
        _asking.add(threading.current_thread())
        try:
            answer.set_result(embed_each(embedder, texts))
        except BaseException as error:  # noqa: BLE001 - whoever waits hears of it, whatever it is
            answer.set_exception(error)
        finally:
            _asking.discard(threading.current_thread())

    threading.Thread(target=work, name="tacit-embed", daemon=True).start()
    return answer


@atexit.register
def _wait_for_answers() -> None:
    deadline = time.monotonic() + _END_SECONDS
    for thread in list(_asking):
        thread.join(max(0.0, deadline - time.monotonic()))


def _again(embedder: TextEmbedder, texts: Sequence[str]) -> list[Vector | None]:
    """The vectors of texts that were refused while it may have been away: not for good before it refuses them again."""
    try:
        return list(_embedded(embedder, texts))
    except ModelError:
        return _halves(embedder, texts)


def _embedded(embedder: TextEmbedder, texts: Sequence[str]) -> NDArray[numpy.float32]:
    """What an embedder says of texts, whoever wrote it, once it is certain that it can be used.

    Raises:
        ModelError: it failed, or there is not a vector for each text, or NaN, infinity or a vector of zeros.
    """
    with GATE.entered():  # a child would wait for ever for an import that has only begun
        import numpy

    vectors = embedder.embed(texts)
    if len(vectors) != len(texts) or vectors.ndim != 2:
        raise ModelError(f"{embedder.fingerprint} answered {len(vectors)} vectors for {len(texts)} texts")
    squares = numpy.einsum("ij,ij->i", vectors, vectors)
    if not (numpy.isfinite(squares) & (squares > 0)).all():
        raise ModelError(f"{embedder.fingerprint} answered NaN, infinity or a vector of zeros")
    return vectors


def _halves(embedder: TextEmbedder, texts: Sequence[str]) -> list[Vector | None]:
    """The vectors of texts of which at least one was refused."""
    if len(texts) == 1:
        return [None]
    found: list[Vector | None] = []
    for part in (texts[: len(texts) // 2], texts[len(texts) // 2 :]):
        found += _again(embedder, part)
    return found


def _try_any(embedder: TextEmbedder) -> None:
    """Embed a text that nobody can object to, and that no cache knows."""
    _embedded(embedder, [f"Is anybody there, for the {next(_numbers)}. time?"])
