"""The embedder that comes with Tacit: all-MiniLM-L6-v2 in eight-bit integers, on the processor, without a download."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec

from tacit.errors import ModelError
from tacit.models.embedding import batches, checked_texts, unit_vectors
from tacit.stores.forking import GATE, FreshLock

if TYPE_CHECKING:
    from tacit.models.embedding import Vectors

DIMENSION = 384
LONGEST = 256
"""Tokens of a text that are read, its two marks included; about 200 words of English."""
LONGEST_CHARACTERS = 10_000
"""Characters of a text that are looked at; so many hold 256 tokens unless nearly all of them are white space."""
BATCH_TEXTS = 64
BATCH_TOKENS = 512
"""Texts times the longest of them in one run of the model. What the model holds in memory grows with it."""

_STRANGE, _FAMILIAR = 0.4, 0.6
"""The share of a text's letters that stand in whole words of the vocabulary: what is below the first is in no language
that the model knows, what is above the second is."""
_UNKNOWN = "[UNK]"


class MiniLM:
    """all-MiniLM-L6-v2. A text is read up to its 256th token (or its 10,000th character, should that come first);
    **what comes after that has no part in its vector**.

    Made for English; other languages get a vector too, of little meaning. The same text has the same vector alone and
    in any batch. The model is loaded by the first call of ``embed``, in a tenth of a second.

    Args:
        threads: processor threads that one call uses, a batch on each; a single short text takes one.
    """

    dimension = DIMENSION

    def __init__(self, threads: int = 2) -> None:
        self._threads = threads
        self._lock = FreshLock()  # at most one thread loads the model
        self._loaded: _Model | None = None
        self.fingerprint = _fingerprint()

    def __repr__(self) -> str:
        return f"MiniLM(threads={self._threads})"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of unit length for each text, in their order.

        Raises:
            InvalidInput: something that is not text was given.
            ModelError: onnxruntime, tokenizers or numpy is not installed, or the model's files are damaged.
        """
        wanted = checked_texts(texts)
        return unit_vectors(self._model().embed(wanted, self._threads), len(wanted), DIMENSION, "all-MiniLM-L6-v2")

    def familiarity(self, text: str) -> float:
        """How far the model knows the language of a text, 0 … 1: by the share of its letters that stand in words which
        the model's vocabulary has as a whole. Of questions in English these are two thirds to all, of such in other
        languages, or in none, seldom more than a half. 1 as long as the model is not loaded."""
        return 1.0 if self._loaded is None else self._loaded.familiarity(text)

    def _model(self) -> _Model:
        if self._loaded is None:
            with GATE.entered(), self._lock:  # a child would wait for ever for an import that has only begun
                if self._loaded is None:
                    self._loaded = _Model()
        return self._loaded


class _Model:
    """The tokenizer and the graph. Neither keeps threads of its own: those would not survive a fork, and a forked
    process would wait for them for ever when it ends. (onnxruntime's telemetry keeps one, unless it is off.)"""

    def __init__(self) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else importing onnxruntime reports to its maker
        try:
            import numpy
            import onnxruntime
            import tokenizers
        except ImportError as error:
            text = f"the embedder needs {error.name}: pip install {error.name}"
            raise ModelError(text, missing=error.name) from error
        from tacit_minilm import folder

        self._numpy = numpy
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder() / "tokenizer.json"))
            self._session = onnxruntime.InferenceSession(
                str(folder() / "model.int8.onnx"), _options(onnxruntime), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise classes of their own, without a common root
            raise ModelError(f"the files of the embedder cannot be read, install Tacit again: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)

    def embed(self, texts: list[str], threads: int) -> Any:
        tokens = [self._tokens(text) for text in texts]
        made = list(batches([len(ids) for ids in tokens], BATCH_TEXTS, BATCH_TOKENS))
        vectors = self._numpy.empty((len(texts), DIMENSION), dtype=self._numpy.float32)
        with ThreadPoolExecutor(threads, thread_name_prefix="tacit-embed") as pool:  # it starts no more than it needs
            run = pool.map if len(made) > 1 else map
            found = run(self._run, [[tokens[index] for index in batch] for batch in made])
            for batch, rows in zip(made, found, strict=True):
                vectors[batch] = rows
        return vectors

    def _tokens(self, text: str) -> list[int]:
        with GATE.entered():
            ids: list[int] = self._tokenizer.encode(text[:LONGEST_CHARACTERS]).ids
            return ids

    def familiarity(self, text: str) -> float:
        with GATE.entered():
            read = self._tokenizer.encode(text[:LONGEST_CHARACTERS], add_special_tokens=False)
        words: dict[int | None, list[tuple[str, int]]] = {}
        for word, token, (start, end) in zip(read.word_ids, read.tokens, read.offsets, strict=True):
            if any(map(str.isalnum, text[start:end])):
                words.setdefault(word, []).append((token, end - start))
        letters = sum(size for pieces in words.values() for _, size in pieces)
        alone = [pieces[0] for pieces in words.values() if len(pieces) == 1]
        whole = sum(size for token, size in alone if token != _UNKNOWN and (size > 1 or token.isascii()))
        return min(1.0, max(0.0, (whole / letters - _STRANGE) / (_FAMILIAR - _STRANGE))) if letters else 0.0

    def _run(self, tokens: list[list[int]]) -> Any:
        """The vectors of one batch, whose last text is its longest."""
        padded = self._numpy.zeros((len(tokens), len(tokens[-1])), dtype=self._numpy.int64)
        present = self._numpy.zeros_like(padded)
        for row, ids in enumerate(tokens):
            padded[row, : len(ids)] = ids
            present[row, : len(ids)] = 1
        with GATE.entered():  # the session has locks of its own
            return self._session.run(None, {"input_ids": padded, "attention_mask": present})[0]


def _options(onnxruntime: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it would keep a plan of memory for each shape of a batch that ever came
    options.log_severity_level = 3  # errors; its warnings go to standard error past every logger
    return options


def _fingerprint() -> str:
    """Of the files as they were made; a test compares them with what lies there."""
    from tacit_minilm import folder

    made = msgspec.json.decode((folder() / "provenance.json").read_bytes())["sha256"]
    return f"all-MiniLM-L6-v2:{made['model.int8.onnx'][:16]}:{made['tokenizer.json'][:16]}"
