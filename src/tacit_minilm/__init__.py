"""The files of the embedder all-MiniLM-L6-v2 in eight-bit integers; MODEL_CARD.md says what they are."""

from __future__ import annotations

from pathlib import Path

__all__ = ["folder"]


def folder() -> Path:
    """Where ``model.int8.onnx``, ``tokenizer.json`` and ``provenance.json`` lie."""
    return Path(__file__).parent
