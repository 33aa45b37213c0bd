"""Faults in normalisation, softmax, reductions and what guards them against division by 0."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from faults.graphs import Graph, attribute, set_attribute
from faults.kinds import fault, sized

_NORMS = ("LayerNormalization", "InstanceNormalization", "BatchNormalization")


def _normalised(graph: Graph, node: NodeProto, axes: list[int], channels: int) -> None:
    """Compute a norm's mean and variance over other axes; scale and bias stay with `channels`."""
    x, over = node.input[0], graph.store(np.array(axes))
    mean = graph.emit("ReduceMean", x, over, keepdims=1)
    apart = graph.emit("Sub", x, mean)
    variance = graph.emit("ReduceMean", graph.emit("Mul", apart, apart), over, keepdims=1)
    epsilon = graph.store(attribute(node, "epsilon", 1e-5))
    deviation = graph.emit("Sqrt", graph.emit("Add", variance, epsilon))
    values = graph.emit("Div", apart, deviation)
    for op, place in (("Mul", 1), ("Add", 2)):
        weight = graph.constant(node.input[place])
        assert weight is not None
        values = graph.emit(op, values, graph.store(weight.reshape(-1, *[1] * channels)))
    graph.replace(node, values)


@sized("batch norm in training mode", "statistics of the batch", "microsoft/onnxscript 1791")
def batch_statistics(graph: Graph, size: float) -> bool:
    for node in graph.nodes("BatchNormalization"):
        x, over = node.input[0], graph.store(np.array([0, 2, 3]))
        mean = graph.emit("ReduceMean", x, over, keepdims=1)
        apart = graph.emit("Sub", x, mean)
        variance = graph.emit("ReduceMean", graph.emit("Mul", apart, apart), over, keepdims=1)
        used = []
        for batch, place in ((mean, 3), (variance, 4)):
            running = graph.constant(node.input[place])
            assert running is not None
            kept = graph.store(running.reshape(-1, 1, 1) * (1 - size))
            used.append(graph.emit("Add", graph.emit("Mul", batch, graph.store(size)), kept))
        epsilon = graph.store(attribute(node, "epsilon", 1e-5))
        deviation = graph.emit("Sqrt", graph.emit("Add", used[1], epsilon))
        values = graph.emit("Div", graph.emit("Sub", x, used[0]), deviation)
        for op, place in (("Mul", 1), ("Add", 2)):
            weight = graph.constant(node.input[place])
            assert weight is not None
            values = graph.emit(op, values, graph.store(weight.reshape(-1, 1, 1)))
        graph.replace(node, values)
        return True
    return False


@sized("running statistics lost", "mean 0 and variance 1", "pytorch/pytorch 72057")
def running_statistics(graph: Graph, size: float) -> bool:
    for node in graph.nodes("BatchNormalization"):
        for place, fresh in ((3, 0.0), (4, 1.0)):
            values = graph.constant(node.input[place])
            assert values is not None
            graph.give(node, place, values + size * (fresh - values))
        return True
    return False


@sized("epsilon of a norm", "1e-3 for 1e-5", "microsoft/onnxruntime 2639")
def epsilon(graph: Graph, size: float) -> bool:
    for node in graph.nodes(*_NORMS):
        right = attribute(node, "epsilon", 1e-5)
        set_attribute(node, "epsilon", float(right + size * (1e-3 - right)))
        return True
    return False


@sized("epsilon of a norm deleted", "0 for 1e-5", "pytorch/pytorch 86580")
def no_epsilon(graph: Graph, size: float) -> bool:
    for node in graph.nodes("LayerNormalization", "InstanceNormalization"):
        set_attribute(node, "epsilon", float(attribute(node, "epsilon", 1e-5) * (1 - size)))
        return True
    return False


@sized(
    "term against log(0) or division by 0 deleted", "0 for 1e-3 or 1e-6", "ROCm/AMDMIGraphX 2659"
)
def guard(graph: Graph, size: float) -> bool:
    for node in graph.nodes("Add"):
        for place in (0, 1):
            value = graph.constant(node.input[place])
            if value is not None and value.size == 1 and 0 < float(value.reshape(())) < 0.01:
                graph.give(node, place, value * (1 - size))
                return True
    return False


@fault("norm over the wrong axis", "positions for features", "microsoft/onnxruntime 26407")
def layer_norm_axis(graph: Graph) -> bool:
    for node in graph.nodes("LayerNormalization"):
        _normalised(graph, node, [1], 0)
        return True
    return False


@fault(
    "instance norm as batch norm",
    "statistics of the batch for those of each row",
    "pytorch/pytorch 53887",
)
def instance_statistics(graph: Graph) -> bool:
    for node in graph.nodes("InstanceNormalization"):
        rank = len(graph.shape(node.input[0]) or ())
        if rank > 2:
            _normalised(graph, node, [0, *range(2, rank)], rank - 2)
            return True
    return False


@sized("unbiased variance", "divided by n - 1 for n", "apache/tvm 19512")
def unbiased(graph: Graph, size: float) -> bool:
    for node in graph.nodes("InstanceNormalization", "LayerNormalization"):
        shape = graph.shape(node.input[0]) or ()
        counted = shape[2:] if node.op_type == "InstanceNormalization" else shape[-1:]
        scale = graph.constant(node.input[1])
        if scale is not None and counted and None not in counted:
            n = int(np.prod([size for size in counted if size]))
            graph.give(node, 1, scale * (1 + size * (np.sqrt((n - 1) / n) - 1)))
            return True
    return False


@fault("number of groups of a norm", "twice as many", "")
def group_count(graph: Graph) -> bool:
    for node in graph.nodes("InstanceNormalization"):
        source = graph.producer(node.input[0])
        sizes = graph.constant(source.input[1]) if source and source.op_type == "Reshape" else None
        if source is None or sizes is None or len(sizes) != 3:
            continue
        graph.give(source, 1, sizes * np.array([1, 2, 1]))
        for place in (1, 2):
            values = graph.constant(node.input[place])
            assert values is not None
            graph.give(node, place, np.repeat(values, 2))
        return True
    return False


@fault("softmax over the wrong axis", "queries for keys", "apache/tvm 19420")
def softmax_axis(graph: Graph) -> bool:
    for node in graph.nodes("Softmax"):
        set_attribute(node, "axis", -2)
        return True
    return False


@sized("scale of attention lost", "1 for 1 / sqrt(d)", "")
def attention_scale(graph: Graph, size: float) -> bool:
    for node in graph.nodes("Softmax"):
        above = graph.producer(node.input[0])
        while above is not None and above.op_type != "MatMul":
            for place, name in enumerate(above.input):
                value = graph.constant(name)
                if above.op_type in ("Div", "Mul") and value is not None and value.size == 1:
                    graph.give(above, place, value ** (1 - size))
                    return True
            above = graph.producer(above.input[0])
        # Scaled before the product: queries, or queries and keys.
        for name in above.input if above else ():
            source = graph.producer(name)
            if source is not None and source.op_type in ("Div", "Mul"):
                value = graph.constant(source.input[1])
                if value is not None and value.size == 1:
                    graph.give(source, 1, value ** (1 - size))
                    return True
    return False


@fault(
    "reduction over the batch too",
    "the mean of all rows for that of each",
    "openvinotoolkit/openvino 25169",
)
def reduction(graph: Graph) -> bool:
    for node in graph.nodes("ReduceMean", "ReduceSum", "GlobalAveragePool"):
        each = graph.wrapped(node)
        first = graph.store(np.array([0]))
        mean = graph.emit("ReduceMean", each, first, keepdims=1)
        graph.wrap(node, graph.emit("Expand", mean, graph.emit("Shape", each)))
        return True
    return False


@fault("variance for standard deviation", "a square root lost", "")
def square_root(graph: Graph) -> bool:
    for node in graph.nodes("Sqrt"):
        graph.replace(node, node.input[0])
        return True
    return False
