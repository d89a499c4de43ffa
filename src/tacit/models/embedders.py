"""Which embedder a name means."""

from __future__ import annotations

import re
from typing import Any

from tacit.errors import InvalidInput
from tacit.models.embedding import Embedder

_SERVER = re.compile(r"openai:(?P<model>.+?)@(?P<url>https?://.+)")
_LIBRARY = re.compile(r"sentence-transformers:(?P<name>.+)")
_HASHING = re.compile(r"hashing:1:(?P<dimension>[1-9]\d{0,4})")

_PLAIN = frozenset({"minilm", "hashing", "none"})
NAMES = "minilm, hashing, none, openai:MODEL@URL or sentence-transformers:NAME"


def is_embedder(name: str) -> bool:
    """Whether a name means an embedder, or ``none``."""
    return name in _PLAIN or bool(_SERVER.fullmatch(name) or _LIBRARY.fullmatch(name))


def is_server(name: str) -> bool:
    """Whether a name means an embedder that is asked over a network."""
    return bool(_SERVER.fullmatch(name))


def open_embedder(name: str, key: str | None = None, **options: Any) -> Embedder | None:
    """The embedder that a setting names; None for ``none``.

    Args:
        name: ``minilm`` (comes with Tacit), ``hashing`` (no model), ``none``, ``openai:MODEL@URL`` (any server that
            speaks the OpenAI wire; the URL is what comes before ``/embeddings``) or ``sentence-transformers:NAME``
            (if that library is installed).
        key: the API key of a server that wants one.
        options: of ``EmbeddingServer``, such as ``attempts``; nothing for the others.

    Raises:
        InvalidInput: no embedder has that name.
        ModelError: the library that it needs is not installed.
    """
    if name == "none":
        return None
    if name == "minilm":
        from tacit.models.minilm import MiniLM

        return MiniLM()
    if name == "hashing":
        from tacit.models.hashing import HashingEmbedder

        return HashingEmbedder()
    if server := _SERVER.fullmatch(name):
        from tacit.models.embedding_server import EmbeddingServer

        return EmbeddingServer(server["url"], server["model"], key, **options)
    if library := _LIBRARY.fullmatch(name):
        from tacit.models.sentence_transformers import SentenceTransformerEmbedder

        return SentenceTransformerEmbedder(library["name"])
    raise InvalidInput(f"there is no embedder {name!r}; there are {NAMES}", field="embedder")


def embedder_by(fingerprint: str) -> Embedder | None:
    """The embedder of a fingerprint, if it is one that comes with Tacit: it goes on answering for the vectors that it
    made while another one catches up. None for all others: a store must not say to which server texts are sent.
    """
    if hashing := _HASHING.fullmatch(fingerprint):
        from tacit.models.hashing import HashingEmbedder

        return HashingEmbedder(int(hashing["dimension"]))
    if fingerprint.startswith("all-MiniLM-L6-v2:"):
        from tacit.models.minilm import MiniLM

        model = MiniLM()
        return model if model.fingerprint == fingerprint else None
    return None
