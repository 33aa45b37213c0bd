"""Measure what the quantisation of each single layer loses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx.helper
from onnx import ModelProto, NodeProto, TensorProto

from aeonnx.exporting.passes.layers import CONVOLUTIONS, weighted
from aeonnx.exporting.passes.tensors import tensors_of
from aeonnx.runtime.session import Array

__all__ = ["layer_losses"]

_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")
_MEANS = ("noise", "square", "mean")
_NO_SPREAD = 1e-6  # share of the mean square below which the variance is rounding
_AXES_ARE_INPUT = 18  # opset since when ReduceMean has its axes as an input


def layer_losses(
    quantised: ModelProto, original: ModelProto, batches: Iterable[Mapping[str, Array]]
) -> dict[str, float]:
    """How much of each layer's output is lost if the layer alone is quantised: 0 to 1.

    The loss of a channel is its mean squared error over its variance, at most 1; that of a layer
    is the mean of its channels. So one channel with large values does not hide what it costs the
    others, which share its range.

    Each layer runs twice in one graph, on the same float32 input: as it is, and with its input and
    weights quantised. Errors of earlier layers do not count.

    Args:
        quantised: by QuantizeLinear and DequantizeLinear around layers that keep their names.
        original: the float32 graph.
        batches: inputs to run it on, at least one.

    Returns:
        The losses by name of the layer, of those that are quantised.
    """
    both = ModelProto()
    both.CopyFrom(original)
    known = {tensor.name for tensor in original.graph.initializer}
    both.graph.initializer.extend(
        tensor for tensor in quantised.graph.initializer if tensor.name not in known
    )
    made_by = {name: node for node in quantised.graph.node for name in node.output}
    by_name = {node.name: node for node in quantised.graph.node}
    layers = [name for name in weighted(original) if _is_quantised(by_name.get(name), made_by)]
    nodes: list[NodeProto] = []
    for node in original.graph.node:
        nodes.append(node)
        if node.name in layers:  # right after it, so that its tensors are freed
            nodes += _compared(node, original, quantised)
    del both.graph.node[:]
    both.graph.node.extend(nodes)
    wanted = [f"{mean}:{name}" for name in layers for mean in _MEANS]
    run = tensors_of(both, wanted, optimised=False)
    found = [run(batch) for batch in batches]
    losses = {}
    for name in layers:
        noise, square, mean = (
            np.mean([means[f"{kind}:{name}"] for means in found], axis=0, dtype=np.float64)
            for kind in _MEANS
        )
        spread = np.maximum(square - mean**2, _NO_SPREAD * square)
        lost = np.divide(noise, spread, out=np.where(noise > 0, 1.0, 0.0), where=spread > 0)
        losses[name] = float(np.minimum(lost, 1.0).mean())
    return losses


def _is_quantised(layer: NodeProto | None, made_by: Mapping[str, NodeProto]) -> bool:
    source = made_by.get(layer.input[0]) if layer is not None else None
    return source is not None and source.op_type in _CONVERSIONS


def _activated(output: str, original: ModelProto, made_by: Mapping[str, NodeProto]) -> str:
    """The output of a layer, or of the Relu or Clip behind it that the quantizer left out."""
    for node in original.graph.node:
        if output in node.input[:1] and node.op_type in ("Relu", "Clip"):
            return output if node.output[0] in made_by else node.output[0]
    return output


def _compared(node: NodeProto, original: ModelProto, quantised: ModelProto) -> list[NodeProto]:
    """A copy of a quantised layer that reads tensors of the float32 graph, and its errors.

    Args:
        node: the layer in the float32 graph.
        original: the float32 graph.
        quantised: the quantised graph.
    """
    made_by = {name: item for item in quantised.graph.node for name in item.output}
    read_by = {item.input[0]: item for item in quantised.graph.node if item.op_type in _CONVERSIONS}
    layer = next(item for item in quantised.graph.node if item.name == node.name)
    nodes: list[NodeProto] = []
    renamed: dict[str, str] = {}

    def copy(item: NodeProto) -> str:
        for name in item.input:
            source = made_by.get(name)
            if source is not None and source.op_type in _CONVERSIONS and name not in renamed:
                copy(source)
        copied = NodeProto()
        copied.CopyFrom(item)
        copied.input[:] = [renamed.get(name, name) for name in item.input]
        copied.output[:] = [f"{node.name}:{name}" for name in item.output]
        copied.name = f"{node.name}:{item.name}"
        renamed.update(zip(item.output, copied.output, strict=True))
        nodes.append(copied)
        result: str = copied.output[0]
        return result

    result = copy(layer)
    conversion = read_by.get(layer.output[0])
    if conversion is not None:  # its output is quantised, too
        copy(conversion)
        result = copy(read_by[conversion.output[0]])
    exact, name = _activated(node.output[0], original, made_by), node.name
    nodes += [
        onnx.helper.make_node("Sub", [exact, result], [f"difference:{name}"]),
        onnx.helper.make_node("Mul", [f"difference:{name}"] * 2, [f"squared-difference:{name}"]),
        onnx.helper.make_node("Mul", [exact, exact], [f"squared:{name}"]),
    ]
    for mean, source in zip(
        _MEANS, (f"squared-difference:{name}", f"squared:{name}", exact), strict=True
    ):
        nodes += _channel_mean(source, f"{mean}:{name}", node, original)
    return nodes


def _channel_mean(
    source: str, output: str, layer: NodeProto, original: ModelProto
) -> list[NodeProto]:
    """The mean of a layer's output, or of a tensor like it, over all axes but the channels."""
    weights = next(item for item in original.graph.initializer if item.name == layer.input[1])
    nodes, axes = [], [0]
    if layer.op_type in CONVOLUTIONS:  # [N, C, ...]
        axes += range(2, len(weights.dims))
    elif layer.op_type == "MatMul":  # [..., C]
        shape = onnx.helper.make_tensor(
            f"{output}.shape", TensorProto.INT64, [2], [-1, weights.dims[-1]]
        )
        nodes = [
            onnx.helper.make_node("Constant", [], [shape.name], value=shape),
            onnx.helper.make_node("Reshape", [source, shape.name], [f"{output}.rows"]),
        ]
        source = f"{output}.rows"
    opset = next(item.version for item in original.opset_import if not item.domain)
    if opset < _AXES_ARE_INPUT:
        return [
            *nodes,
            onnx.helper.make_node("ReduceMean", [source], [output], axes=axes, keepdims=0),
        ]
    over = onnx.helper.make_tensor(f"{output}.axes", TensorProto.INT64, [len(axes)], axes)
    return [
        *nodes,
        onnx.helper.make_node("Constant", [], [over.name], value=over),
        onnx.helper.make_node("ReduceMean", [source, over.name], [output], keepdims=0),
    ]
