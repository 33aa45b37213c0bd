"""The layers with weights of a graph: those that quantisation makes smaller."""

from __future__ import annotations

import math
from collections.abc import Iterable

from onnx import ModelProto

__all__ = ["CONVOLUTIONS", "WEIGHTED", "share_of_weights", "weighted"]

CONVOLUTIONS = ("Conv", "ConvTranspose")
WEIGHTED = (*CONVOLUTIONS, "Gemm", "MatMul")
_MATRIX = 2  # axes


def weighted(graph: ModelProto) -> list[str]:
    """Names of the layers with constant weights, in order."""
    return [*_weights(graph)]


def share_of_weights(graph: ModelProto, layers: Iterable[str]) -> float:
    """The share of the weights of all layers that these layers have."""
    weights = {name: math.prod(shape) for name, shape in _weights(graph).items()}
    return float(sum(weights[name] for name in layers) / sum(weights.values()))


def _weights(graph: ModelProto) -> dict[str, tuple[int, ...]]:
    """The shape of the weights of each layer.

    A MatMul by a stack of matrices, as of codebooks, is no layer: onnxruntime has no int8 kernel
    for one with a scale per channel.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}
    return {
        node.name: shapes[node.input[1]]
        for node in graph.graph.node
        if node.op_type in WEIGHTED
        and node.input[1] in shapes
        and not (node.op_type == "MatMul" and len(shapes[node.input[1]]) > _MATRIX)
    }
