"""Count the multiply-accumulate operations (MACs) of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType

from onnx import ModelProto, NodeProto

from aeonnx.bundle import BATCH
from aeonnx.exporting.shapes import infer_at

__all__ = ["macs"]


def macs(
    model: ModelProto, rows: int = 1, sizes: Mapping[str, int] = MappingProxyType({})
) -> int | None:
    """Multiply-accumulates per row in Gemm, MatMul, Conv and ConvTranspose.

    These operators take nearly all of the time. A convolution counts all products with its kernel,
    including those with padding and those that a transposed convolution crops.

    Args:
        model: a graph; a dynamic batch is counted as one row.
        rows: fixed batch size of the graph; 1 for a dynamic batch.
        sizes: of the other dynamic axes.

    Returns:
        The count; None if it is undefined, because a shape depends on values.
    """
    shapes = {name: sizes for name, (_, sizes) in infer_at(model, {**sizes, BATCH: 1}).items()}
    shapes |= {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Gemm", "MatMul", "Conv", "ConvTranspose"):
            names = (*node.input[:2], node.output[0])
            left, right, output = (_known(shapes.get(name)) for name in names)
            if left is None or right is None or output is None:
                return None
            total += _products(node, left, right, output)
    return total // rows


def _products(node: NodeProto, left: list[int], right: list[int], output: list[int]) -> int:
    if node.op_type == "Conv":  # kernel [out, in / groups, ...]; all of it per output
        return prod(output) * prod(right[1:])
    if node.op_type == "ConvTranspose":  # kernel [in, out / groups, ...]; all of it per input
        return prod(left) * prod(right[1:])
    across = any(item.name == "transA" and item.i for item in node.attribute)
    return prod(output) * left[0 if across else -1]


def _known(sizes: list[int | None] | None) -> list[int] | None:
    known = [size for size in sizes or () if size is not None]
    return None if sizes is None or len(known) < len(sizes) else known
