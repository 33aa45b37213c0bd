"""Bias correction: subtract the mean shift caused by quantised layers from the last bias.

Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction", section
4.2, with calibration inputs instead of assumed distributions.
"""

from __future__ import annotations

import numpy as np
import onnx.numpy_helper
from onnx import ModelProto, NodeProto, TensorProto

from aeonnx.exporting.passes.tensors import Batches, tensors_of
from aeonnx.runtime.session import Array

__all__ = ["with_corrected_bias"]


def with_corrected_bias(
    quantised: ModelProto, original: ModelProto, node: str, batches: Batches
) -> ModelProto:
    """Adjust a layer's bias so that the mean of its output equals that in the original graph.

    The graph is returned unchanged if the layer has no bias of its own.

    Args:
        quantised: changed in place. The layer is float32 in it, and its tensors have the names that
            they have in `original`.
        original: the float32 graph.
        node: name of the layer in the original: Gemm, Conv or ConvTranspose.
        batches: calibration inputs.

    Returns:
        `quantised`.
    """
    layer = next(item for item in original.graph.node if item.name == node)
    bias = _own_bias(layer, original, quantised)
    made = {name for item in quantised.graph.node for name in item.output}
    if bias is None or layer.output[0] not in made:
        return quantised
    means = [_channel_mean(graph, layer.output[0], batches) for graph in (quantised, original)]
    value = onnx.numpy_helper.to_array(bias).astype(np.float64) - (means[0] - means[1])
    bias.CopyFrom(onnx.numpy_helper.from_array(value.astype(np.float32), bias.name))
    return quantised


def _own_bias(layer: NodeProto, original: ModelProto, quantised: ModelProto) -> TensorProto | None:
    """The layer's bias in the quantised graph; None unless it is float32 [C] and used only here."""
    if len(layer.input) < 3 or any(item.name == "beta" and item.f != 1 for item in layer.attribute):
        return None
    name = layer.input[2]
    for graph in (original, quantised):
        if sum(name in item.input for item in graph.graph.node) != 1:
            return None
    return next(
        (
            item
            for item in quantised.graph.initializer
            if item.name == name and item.data_type == TensorProto.FLOAT and len(item.dims) == 1
        ),
        None,
    )


def _channel_mean(graph: ModelProto, name: str, batches: Batches) -> Array:
    """Mean of a tensor [N, C, ...] over all axes but the channels: float64 [C]."""
    run = tensors_of(graph, [name], optimised=True)
    total, rows = np.zeros(()), 0
    for inputs in batches():
        value = run(inputs)[name].astype(np.float64)
        total = total + value.reshape(*value.shape[:2], -1).mean(2).sum(0)
        rows += len(value)
    mean: Array = total / rows
    return mean
