"""How much arithmetic a graph asks for."""

from __future__ import annotations

from math import prod

from onnx import ModelProto, NodeProto

from aeonnx.export.shapes import infer_at

__all__ = ["macs"]


def macs(model: ModelProto, rows: int = 1) -> int | None:
    """Multiply-adds of one row in the operators that nearly all time goes to.

    These are Gemm, MatMul, Conv and ConvTranspose. A convolution counts all products with its
    kernel, those with the padding and those that a transposed one crops included.

    Args:
        model: a graph; one with a dynamic batch is counted for one row.
        rows: those of the batch that the graph is fixed to.

    Returns:
        None if a shape depends on values, so that there is no such number.
    """
    shapes = {name: sizes for name, (_, sizes) in infer_at(model, 1).items()}
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
    if node.op_type == "Conv":  # kernel [out, in / groups, ...], whole for each output
        return prod(output) * prod(right[1:])
    if node.op_type == "ConvTranspose":  # kernel [in, out / groups, ...], whole for each input
        return prod(left) * prod(right[1:])
    across = any(item.name == "transA" and item.i for item in node.attribute)
    return prod(output) * left[0 if across else -1]


def _known(sizes: list[int | None] | None) -> list[int] | None:
    known = [size for size in sizes or () if size is not None]
    return None if sizes is None or len(known) < len(sizes) else known
