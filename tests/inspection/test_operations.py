"""Multiply-adds of graphs whose count is known, and of real parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

import aeonnx as package
from aeonnx.exporting.macs import macs
from aeonnx.exporting.profiled import shapes_of_run

Maker = Callable[..., Path]


def graph(text: str, **weights: tuple[int, ...]) -> ModelProto:
    """A model of nodes in onnx's own text, with weights of these shapes."""
    model: ModelProto = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18]>\n{text}')
    model.graph.initializer.extend(
        numpy_helper.from_array(np.zeros(shape, np.float32), name)
        for name, shape in weights.items()
    )
    return model


GEMM = "g (float[batch, 5] x) => (float[batch, 3] y) { y = Gemm <transB = 1> (x, w) }"
ACROSS = "g (float[4, 5] x) => (float[5, 3] y) { y = Gemm <transA = 1> (x, w) }"
MATMUL = "g (float[batch, 7, 5] x) => (float[batch, 7, 3] y) { y = MatMul (x, w) }"
RESHAPED = """g (float[batch, 2, 5] x) => (float[batch, 6] y) {
    to = Constant <value_ints = [-1, 5]> ()
    back = Constant <value_ints = [-1, 6]> ()
    rows = Reshape (x, to)
    found = Gemm (rows, w)
    y = Reshape (found, back)
}"""
CONV = """g (float[batch, 4, 9, 8] x) => (float[batch, 6, 5, 4] y) {
    y = Conv <strides = [2, 2], pads = [1, 1, 1, 1], group = 2> (x, w)
}"""
UP = """g (float[batch, 4, 5, 6] x) => (float[batch, 3, 10, 12] y) {
    y = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1]> (x, w)
}"""
LSTM = """g (float[7, batch, 5] x) => (float[7, 2, batch, 3] y) {
    y = LSTM <direction = "bidirectional", hidden_size = 3> (x, w, r)
}"""
TWO = """g (float[batch, 5] x) => (float[batch, 2] y) {
    h = Gemm (x, w)
    r = Relu (h)
    y = MatMul (r, v)
}"""


@pytest.mark.parametrize(
    ("text", "weights", "expected"),
    [
        (GEMM, {"w": (3, 5)}, 3 * 5),
        (ACROSS, {"w": (4, 3)}, 5 * 3 * 4),
        (MATMUL, {"w": (5, 3)}, 7 * 5 * 3),
        (RESHAPED, {"w": (5, 3)}, 2 * 5 * 3),
        (CONV, {"w": (6, 2, 3, 3)}, 6 * 5 * 4 * 2 * 3 * 3),
        (UP, {"w": (4, 3, 4, 4)}, 4 * 5 * 6 * 3 * 4 * 4),
        (LSTM, {"w": (2, 12, 5), "r": (2, 12, 3)}, 7 * 2 * 4 * 3 * (5 + 3)),
        (TWO, {"w": (5, 3), "v": (3, 2)}, 5 * 3 + 3 * 2),
    ],
    ids=[
        "gemm",
        "transposed",
        "matmul",
        "reshaped",
        "grouped-conv",
        "conv-transpose",
        "lstm",
        "two",
    ],
)
def test_known_graphs_are_counted_to_the_product(
    text: str, weights: dict[str, tuple[int, ...]], expected: int
) -> None:
    assert macs(graph(text, **weights)) == expected


def test_a_fixed_batch_is_counted_by_the_row() -> None:
    fixed = graph(GEMM.replace("batch", "4"), w=(3, 5))
    assert macs(fixed, rows=4) == 3 * 5


def test_shapes_that_depend_on_values_are_those_of_a_run(tmp_path: Path) -> None:
    """NonZero of a row with 3 numbers makes [2, 3]: 3 products of 2, for each of 3 columns."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 5])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("NonZero", ["x"], ["places"], "a"),
        helper.make_node("Cast", ["places"], ["numbers"], "b", to=TensorProto.FLOAT),
        helper.make_node("Gemm", ["numbers", "w"], ["y"], "c", transA=1),
    ]
    weight = numpy_helper.from_array(np.zeros((2, 3), np.float32), "w")
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], [weight]), opset_imports=opset, ir_version=8
    )
    assert macs(model) is None
    path = tmp_path / "g.onnx"
    path.write_bytes(model.SerializeToString())
    row = np.array([[1, 0, 1, 0, 1]], np.float32)
    assert macs(model, of_run=lambda: shapes_of_run(model, path, {"x": row})) == 3 * 2 * 3


def test_an_export_counts_its_parts(bundle_of: Maker) -> None:
    bundle = package.load(bundle_of())
    count = {part: bundle.variant(part).macs for part in bundle.manifest.parts}
    half = 784 * 400 + 400 * 20
    assert count["decoder"] == count["sampler"] == half
    assert count["encoder"] == half + 400 * 20  # mu and logvar
