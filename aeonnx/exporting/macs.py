"""Count the multiply-accumulate operations (MACs) of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType

from onnx import ModelProto, NodeProto

from aeonnx.bundle import BATCH
from aeonnx.exporting.shapes import infer_at

__all__ = ["macs"]

_PRODUCTS = ("Gemm", "MatMul", "Conv", "ConvTranspose")
_RECURRENT = ("LSTM", "GRU", "RNN")

_Shapes = Mapping[str, Sequence[int | None] | None]


def macs(
    model: ModelProto,
    rows: int = 1,
    sizes: Mapping[str, int] = MappingProxyType({}),
    of_run: Callable[[], Mapping[str, list[int]]] | None = None,
) -> int | None:
    """Multiply-accumulates per row in matrix products, convolutions and recurrent layers.

    These operators take nearly all of the time. A convolution counts all products with its kernel,
    including those with padding and those that a transposed convolution crops.

    Args:
        model: a graph; a dynamic batch is counted as one row.
        rows: fixed batch size of the graph; 1 for a dynamic batch.
        sizes: of the other dynamic axes.
        of_run: returns the shapes that the tensors have in a run at these sizes, which is called
            if onnx cannot infer a shape; None to count no such graph.

    Returns:
        The count; None if a shape is unknown, because it depends on values.
    """
    inferred = infer_at(model, {**sizes, BATCH: 1})
    shapes: _Shapes = {
        **{name: shape for name, (_, shape) in inferred.items()},
        **{tensor.name: list(tensor.dims) for tensor in model.graph.initializer},
    }
    total = _total(model, shapes)
    if total is None and of_run is not None:
        total = _total(model, {**shapes, **of_run()})
    return None if total is None else total // rows


def _total(model: ModelProto, shapes: _Shapes) -> int | None:
    total = 0
    for node in model.graph.node:
        if node.op_type in (*_PRODUCTS, *_RECURRENT):
            third = node.input[2] if node.op_type in _RECURRENT else node.output[0]
            left, right, other = (_known(shapes.get(name)) for name in (*node.input[:2], third))
            if left is None or right is None or other is None:
                return None
            total += _products(node, left, right, other)
    return total


def _products(node: NodeProto, left: list[int], right: list[int], other: list[int]) -> int:
    """Of one node; `other` is the shape of its output, or of a recurrent layer's third input."""
    if node.op_type in _RECURRENT:  # sequence [length, rows, in]; all weights at each place
        return prod(left[:2]) * (prod(right) + prod(other))
    if node.op_type == "Conv":  # kernel [out, in / groups, ...]; all of it per output
        return prod(other) * prod(right[1:])
    if node.op_type == "ConvTranspose":  # kernel [in, out / groups, ...]; all of it per input
        return prod(left) * prod(right[1:])
    across = any(item.name == "transA" and item.i for item in node.attribute)
    return prod(other) * left[0 if across else -1]


def _known(sizes: Sequence[int | None] | None) -> list[int] | None:
    known = [size for size in sizes or () if size is not None]
    return None if sizes is None or len(known) < len(sizes) else known
