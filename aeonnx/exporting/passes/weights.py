"""Weights in int8, activations in float32: a quarter of the size where activations do not quantise.

Weights are symmetric, per channel: w = scale[channel] * q, q in [-127, 127], scale = max |w| / 127.
A DequantizeLinear of the standard domain turns them to float32 in front of the layer.
"""

from __future__ import annotations

import math

import numpy as np
import onnx.helper
import onnx.numpy_helper
from onnx import ModelProto, NodeProto, TensorProto

from aeonnx.runtime.session import Array

__all__ = ["with_int8_weights", "with_weights_per_axis"]

_FEWEST = 256  # weights: the scales and the node of a smaller tensor take more than they save
_RECURRENT = ("LSTM", "GRU", "RNN")


def with_int8_weights(graph: ModelProto) -> ModelProto:
    """A copy whose large weights are int8, under the same names once they are float32 again.

    The weights are those of Conv, ConvTranspose, Gemm, MatMul, LSTM, GRU, RNN, and the table of a
    Gather along its first axis.

    Args:
        graph: in float32, opset 13 or later; not changed.
    """
    copied = ModelProto()
    copied.CopyFrom(graph)
    axes: dict[str, int] = {}
    weights = {
        tensor.name: tensor
        for tensor in copied.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and math.prod(tensor.dims) >= _FEWEST
    }
    for node in copied.graph.node:
        for name, axis in _axes(node, weights):
            axes.setdefault(name, axis)
    nodes: list[NodeProto] = []
    for name, axis in axes.items():
        values, scale = _quantised(onnx.numpy_helper.to_array(weights[name]), axis)
        weights[name].CopyFrom(onnx.numpy_helper.from_array(values, f"{name}.int8"))
        copied.graph.initializer.append(onnx.numpy_helper.from_array(scale, f"{name}.scale"))
        inputs = [f"{name}.int8", f"{name}.scale"]
        nodes.append(
            onnx.helper.make_node("DequantizeLinear", inputs, [name], f"{name}.float", axis=axis)
        )
    nodes += copied.graph.node
    del copied.graph.node[:]
    copied.graph.node.extend(nodes)
    return copied


def with_weights_per_axis(graph: ModelProto) -> ModelProto:
    """A copy in which weights that layers read along several axes are a tensor for each axis.

    A Conv and a ConvTranspose can share their weights, and need scales along different axes, of
    which onnxruntime's quantizer gives a tensor one.

    Args:
        graph: in float32; not changed.
    """
    copied = ModelProto()
    copied.CopyFrom(graph)
    weights = {tensor.name: tensor for tensor in copied.graph.initializer}
    first: dict[str, int] = {}
    for node in copied.graph.node:
        for name, axis in _axes(node, weights):
            if first.setdefault(name, axis) == axis:
                continue
            own = f"{name}.axis{axis}"
            if own not in weights:
                weights[own] = copied.graph.initializer.add()
                weights[own].CopyFrom(weights[name])
                weights[own].name = own
            node.input[[*node.input].index(name)] = own
    return copied


def _axes(node: NodeProto, weights: dict[str, TensorProto]) -> list[tuple[str, int]]:
    """The weights that a node reads, each with the axis of its channels."""
    given = {item.name: item.i for item in node.attribute}
    places: dict[int, int] = {}  # index of the input -> axis
    if node.op_type == "Conv":
        places = {1: 0}
    elif node.op_type == "ConvTranspose":
        places = {1: 1}
    elif node.op_type == "Gemm":
        places = {1: 0 if given.get("transB") else 1}
    elif node.op_type == "MatMul":
        places = {0: -2, 1: -1}
    elif node.op_type in _RECURRENT:
        places = {1: 1, 2: 1}
    elif node.op_type == "Gather" and not given.get("axis"):
        places = {0: 0}
    found = []
    for place, axis in places.items():
        tensor = weights.get(node.input[place])
        if tensor is not None and len(tensor.dims) >= 2:
            found.append((tensor.name, axis % len(tensor.dims)))
    return found


def _quantised(weights: Array, axis: int) -> tuple[Array, Array]:
    """int8 weights of the same shape, and float32 scales of the channels on an axis."""
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scale = np.abs(weights).max(axis=others, keepdims=True).astype(np.float32) / np.float32(127)
    scale[scale == 0] = 1.0
    values = np.rint(weights / scale).clip(-127, 127).astype(np.int8)
    return values, scale.reshape(-1)
