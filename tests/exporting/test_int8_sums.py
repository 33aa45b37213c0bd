"""int8 graphs give the same numbers on every CPU: no pair of products overflows int16."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from aeonnx.exporting.passes.int8 import dynamic_int8, static_int8

X = np.ones((1, 64), np.float32)
IMAGE = np.ones((1, 16, 6, 6), np.float32)


def model(kind: str) -> tuple[ModelProto, np.ndarray]:
    """A layer whose weights are all 1, so that all products have one sign, and its input."""
    shapes = {"Gemm": ((64, 8), X), "Conv": ((4, 16, 3, 3), IMAGE)}
    shape, x = shapes[kind]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", "w"], ["y"], "layer")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *x.shape[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones(shape, np.float32), "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made), x


def run(graph: ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


MAKERS: dict[str, Callable[[ModelProto, np.ndarray], ModelProto]] = {
    "dynamic": lambda graph, _: dynamic_int8(graph)([]),
    "static": lambda graph, x: static_int8(graph, lambda: iter([{"x": x}]))([]),
}


@pytest.mark.parametrize("kind", ["Gemm", "Conv"])
@pytest.mark.parametrize("maker", list(MAKERS))
def test_the_largest_sums_are_right(maker: str, kind: str) -> None:
    """uint8 255 and int8 127, twice, are 64,770; int16 holds 32,767."""
    graph, x = model(kind)
    quantised = MAKERS[maker](graph, x)
    right, found = run(graph, x), run(quantised, x)
    np.testing.assert_allclose(found, right, rtol=0.02)
    weights = [
        numpy_helper.to_array(item)
        for item in quantised.graph.initializer
        if item.data_type == TensorProto.INT8 and len(item.dims) > 1
    ]
    assert weights
    for values in weights:
        assert 2 * 255 * np.abs(values.astype(int)).max() <= np.iinfo(np.int16).max


def shared(last: str) -> tuple[ModelProto, np.ndarray]:
    """Two layers of the same weights: a Conv, and one of another type or a Conv too."""
    random = np.random.default_rng(0)
    channels = 8 if last == "Conv" else 3
    weights = random.normal(size=(8, channels, 2, 2)).astype(np.float32)
    # Of unlike channels, so that scales along the other axis would be off.
    weights *= np.geomspace(0.2, 1, channels, dtype=np.float32)[None, :, None, None]
    x = random.random((2, channels, 12, 12), np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["h"], "first", strides=[2, 2]),
            helper.make_node(last, ["h", "w"], ["y"], "last", strides=[2, 2]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *x.shape[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made), x


@pytest.mark.parametrize(("last", "tensors"), [("ConvTranspose", 2), ("Conv", 1)])
@pytest.mark.parametrize("maker", list(MAKERS))
def test_layers_that_share_weights_have_the_scales_of_their_own_channels(
    maker: str, last: str, tensors: int
) -> None:
    graph, x = shared(last)
    quantised = MAKERS[maker](graph, x)
    right, found = run(graph, x), run(quantised, x)
    off = np.abs(found - right).max(axis=(0, 2, 3)) / np.abs(right).max(axis=(0, 2, 3))
    assert off.max() < 0.1
    copies = {item.name for item in quantised.graph.initializer if len(item.dims) == 4}
    assert len(copies) == tensors
