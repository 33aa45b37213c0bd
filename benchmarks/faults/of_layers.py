"""Faults in convolutions, matrix products, recurrent layers and pooling."""

from __future__ import annotations

import numpy as np

from aeonnx.runtime.session import Array
from faults.graphs import Graph, attribute, set_attribute
from faults.kinds import fault, sized


@fault("padding on one side", "(0, 2) for (1, 1)", "onnx/onnx 388")
def padding(graph: Graph) -> bool:
    return _shifted(graph, "Conv")


@fault("transposed convolution cropped on one side", "(0, 2) for (1, 1)", "onnx/keras-onnx 555")
def cropping(graph: Graph) -> bool:
    return _shifted(graph, "ConvTranspose")


def _shifted(graph: Graph, op_type: str) -> bool:
    """Move one place of padding to the other side; returns whether the node was padded on both."""
    for node in graph.nodes(op_type):
        pads = attribute(node, "pads", [])
        if pads and min(pads) > 0:
            half = len(pads) // 2
            set_attribute(node, "pads", [p - 1 for p in pads[:half]] + [p + 1 for p in pads[half:]])
            return True
    return False


@fault("output padding filled with zeros", "output_padding 1 as zeros", "pytorch/pytorch 104206")
def output_padding(graph: Graph) -> bool:
    for node in graph.nodes("ConvTranspose"):
        more = attribute(node, "output_padding", [])
        if any(more):
            set_attribute(node, "output_padding", [0] * len(more))
            short = graph.wrapped(node)
            pads = graph.store(np.array([0] * (len(more) + 4) + list(more)))
            graph.wrap(node, graph.emit("Pad", short, pads))
            return True
    return False


@fault("dilation lost", "1 for 2", "onnx/tensorflow-onnx 1728")
def dilation(graph: Graph) -> bool:
    for node in graph.nodes("Conv"):
        steps = attribute(node, "dilations", [])
        if any(step > 1 for step in steps):
            pads = attribute(node, "pads")
            set_attribute(node, "pads", [p // s for p, s in zip(pads, [*steps, *steps])])  # noqa: B905
            set_attribute(node, "dilations", [1] * len(steps))
            return True
    return False


@fault(
    "groups in another order", "channels of a group apart instead of together", "Tencent/ncnn 1581"
)
def groups(graph: Graph) -> bool:
    for node, place, kernel in graph.weights("Conv"):
        count = attribute(node, "group", 1)
        if count > 1:
            apart = kernel.reshape(count, -1, *kernel.shape[1:]).swapaxes(0, 1)
            graph.give(node, place, apart.reshape(kernel.shape))
            return True
    return False


@sized("bias lost", "0 for the bias", "microsoft/MMdnn 792")
def bias(graph: Graph, size: float) -> bool:
    for node in graph.nodes("Conv", "ConvTranspose", "Gemm"):
        values = graph.constant(node.input[2]) if len(node.input) > 2 else None
        if values is not None and values.any():
            graph.give(node, 2, values * (1 - size))
            return True
    for node in graph.nodes("Add"):
        for place in (0, 1):
            values = graph.constant(node.input[place])
            source = graph.producer(node.input[1 - place])
            if values is not None and source is not None and source.op_type == "MatMul":
                graph.give(node, place, values * (1 - size))
                return True
    return False


@fault("kernel flipped", "convolution for correlation", "")
def flipped(graph: Graph) -> bool:
    for node, place, kernel in graph.weights("Conv", "ConvTranspose"):
        if kernel.shape[-1] > 1:
            graph.give(node, place, kernel[..., ::-1, ::-1])
            return True
    return False


@fault(
    "weight transposed",
    "a square matrix, or height and width of a kernel",
    "microsoft/onnxruntime 32228",
)
def transposed(graph: Graph) -> bool:
    for node, place, values in graph.weights():
        if values.shape[-1] == values.shape[-2] > 1:
            graph.give(node, place, values.swapaxes(-1, -2))
            return True
    return False


@sized("one weight wrong", "by 0.5", "")
def one_weight(graph: Graph, size: float) -> bool:
    node, place, values = max(graph.weights(), key=lambda item: item[2].size)
    wrong = values.copy()
    wrong.flat[values.size // 3] += 0.5 * size
    graph.give(node, place, wrong)
    return True


@sized(
    "weights of one layer for another", "a layer of the same shape", "NVIDIA/Model-Optimizer 2092"
)
def shared(graph: Graph, size: float) -> bool:
    found: dict[tuple[int, ...], Array] = {}
    for node, place, values in graph.weights():
        other = found.setdefault(values.shape, values)
        if not np.array_equal(other, values):
            graph.give(node, place, values + size * (other - values))
            return True
    return False


@sized("tied weights untied", "one of the two as before training", "pytorch/pytorch 108342")
def untied(graph: Graph, size: float) -> bool:
    found: list[Array] = []
    for node, place, values in graph.weights():
        if any(np.array_equal(values, other.T) or np.array_equal(values, other) for other in found):
            stale = np.random.default_rng(0).normal(0, values.std(), values.shape)
            graph.give(node, place, values + size * (stale - values))
            return True
        if values.ndim == 2:
            found.append(values)
    return False


@sized("last tile wrong", "0 for the last 3 columns of a product", "ROCm/composable_kernel 546")
def last_tile(graph: Graph, size: float) -> bool:
    for node in graph.nodes("MatMul", "Gemm", "Conv", "ConvTranspose"):
        shape = graph.shape(node.output[0])
        if shape and shape[-1]:
            mask = np.ones(shape[-1], np.float32)
            mask[-3:] -= size
            product = graph.wrapped(node)
            graph.wrap(node, graph.emit("Mul", product, graph.store(mask)))
            return True
    return False


def _in_other_order(values: Array, axis: int, order: tuple[int, ...]) -> Array:
    blocks = np.split(values, len(order), axis)
    return np.concatenate([blocks[place] for place in order], axis)


@fault(
    "gates in another order",
    "i, f, o, c for i, o, f, c; r, z, h for z, r, h",
    "CrispStrobe/CrispASR 106",
)
def gates(graph: Graph) -> bool:
    for node in graph.nodes("LSTM", "GRU"):
        order = (0, 2, 1, 3) if node.op_type == "LSTM" else (1, 0, 2)
        for place in (1, 2):
            values = graph.constant(node.input[place])
            assert values is not None
            graph.give(node, place, _in_other_order(values, 1, order))
        both = graph.constant(node.input[3])
        assert both is not None
        halves = [_in_other_order(half, 1, order) for half in np.split(both, 2, 1)]
        graph.give(node, 3, np.concatenate(halves, 1))
        return True
    return False


@sized("recurrent bias lost", "0 for the second half of the bias", "")
def recurrent_bias(graph: Graph, size: float) -> bool:
    for node in graph.nodes("LSTM", "GRU"):
        both = graph.constant(node.input[3])
        assert both is not None
        wrong = both.copy()
        wrong[:, both.shape[1] // 2 :] *= 1 - size
        graph.give(node, 3, wrong)
        return True
    return False


@fault("reset gate before the product", "linear_before_reset 0 for 1", "microsoft/onnxscript 2852")
def reset(graph: Graph) -> bool:
    for node in graph.nodes("GRU"):
        set_attribute(node, "linear_before_reset", 1 - attribute(node, "linear_before_reset", 0))
        return True
    return False


@fault(
    "directions swapped",
    "weights of the backward pass in the forward pass",
    "pytorch/pytorch 10838",
)
def directions(graph: Graph) -> bool:
    for node in graph.nodes("LSTM", "GRU", "RNN"):
        if attribute(node, "direction") == b"bidirectional":
            for place in (1, 2, 3):
                values = graph.constant(node.input[place])
                assert values is not None
                graph.give(node, place, values[::-1])
            return True
    return False


@fault("pooling rounds its size down", "ceil_mode 0 for 1", "pytorch/pytorch 71549")
def ceil_mode(graph: Graph) -> bool:
    for node in graph.nodes("MaxPool", "AveragePool"):
        if attribute(node, "ceil_mode", 0):
            set_attribute(node, "ceil_mode", 0)
            return True
    return False


@fault("padding counted in the average", "count_include_pad 1 for 0", "pytorch/pytorch 13934")
def count_include_pad(graph: Graph) -> bool:
    for node in graph.nodes("AveragePool"):
        if any(attribute(node, "pads", [])):
            set_attribute(node, "count_include_pad", 1 - attribute(node, "count_include_pad", 0))
            return True
    return False
