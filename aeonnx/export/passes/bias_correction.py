"""Bias correction: the mean shift that quantised layers bring about, taken from the last bias.

Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction", section
4.2, with calibration inputs in place of assumed distributions.
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
"""(rows at once) -> inputs as they occur in use, by name, batch by batch."""


def with_corrected_bias(
    quantised: ModelProto, original: ModelProto, node: str, batches: Batches
) -> ModelProto:
    """The quantised graph, with the mean of a layer's output as in the original; or as it is.

    It is as it is where the layer has no bias of its own.

    Args:
        quantised: changed in place. The layer is in float32 in it, under the same tensors' names.
        original: in float32.
        node: name of the layer in the original: Gemm, Conv or ConvTranspose.
        batches: of calibration inputs.
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
    """The graph as a function that gives tensors inside of it, by name.

    Args:
        graph: not changed.
        names: what it shall give.
        optimised: as it will run, and not node by node.
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
    """The bias of a layer in the quantised graph, if it is a float32 vector of that layer alone."""
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
    """Mean of a tensor [N, C, ...] over all but its channels: float64 [C]."""
    run = tensors_of(graph, [name], optimised=True)
    total, rows = np.zeros(()), 0
    for inputs in batches():
        value = run(inputs)[name].astype(np.float64)
        total = total + value.reshape(*value.shape[:2], -1).mean(2).sum(0)
        rows += len(value)
    mean: Array = total / rows
    return mean
