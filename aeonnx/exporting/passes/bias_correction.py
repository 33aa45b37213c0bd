"""Bias correction: subtract the mean shift caused by quantised layers from the last bias.

Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction", section
4.2, with calibration inputs instead of assumed distributions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import onnx.numpy_helper
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from aeonnx.runtime.session import Array

__all__ = ["tensors_of", "with_corrected_bias"]

Batches = Callable[..., Iterable[Mapping[str, Array]]]
"""(rows per batch) -> batches of calibration inputs, each [rows, ...] by tensor name."""


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


def tensors_of(
    graph: ModelProto, names: Iterable[str], *, optimised: bool
) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """The graph as a function that returns intermediate tensors by name.

    Args:
        graph: not changed.
        names: of the tensors to return.
        optimised: apply onnxruntime's graph optimisations; otherwise nodes run as they are stored.
    """
    opened = ModelProto()
    opened.CopyFrom(graph)
    wanted = [*names]
    given = {value.name for value in opened.graph.output}
    opened.graph.output.extend(ValueInfoProto(name=name) for name in wanted if name not in given)
    options = ort.SessionOptions()
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(
        opened.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(wanted, session.run(wanted, dict(inputs)), strict=True))

    return run


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
