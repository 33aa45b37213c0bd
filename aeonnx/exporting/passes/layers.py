"""The layers with weights of a graph: those that quantisation makes smaller."""

from __future__ import annotations

import math
from collections.abc import Iterable

from onnx import ModelProto

__all__ = ["CONVOLUTIONS", "WEIGHTED", "share_of_weights", "weighted"]

CONVOLUTIONS = ("Conv", "ConvTranspose")
WEIGHTED = (*CONVOLUTIONS, "Gemm", "MatMul")


def weighted(graph: ModelProto) -> list[str]:
    """Names of the layers with constant weights, in order."""
    constants = {tensor.name for tensor in graph.graph.initializer}
    return [
        node.name
        for node in graph.graph.node
        if node.op_type in WEIGHTED and node.input[1] in constants
    ]


def share_of_weights(graph: ModelProto, layers: Iterable[str]) -> float:
    """The share of the weights of all layers that these layers have."""
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in graph.graph.initializer}
    weights = {
        node.name: sizes[node.input[1]]
        for node in graph.graph.node
        if node.op_type in WEIGHTED and node.input[1] in sizes
    }
    return float(sum(weights[name] for name in layers) / sum(weights.values()))
