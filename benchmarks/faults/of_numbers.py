"""Faults in stored numbers: other precisions, quantisation, and frozen random draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto, numpy_helper

from aeonnx.runtime.session import Array
from faults.graphs import LAYERS, Graph
from faults.kinds import fault, sized

_LARGEST_HALF = 65504.0
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow", "ReduceSum", "ReduceMean", *LAYERS)


def _stored(graph: Graph, change: Callable[[Array], Array | None]) -> bool:
    """Change float32 initializers; those for which the change returns None stay as they are."""
    found = False
    for tensor in graph.model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            right = numpy_helper.to_array(tensor)
            wrong = change(right)
            if wrong is not None and not np.array_equal(wrong, right):
                name = tensor.name
                tensor.CopyFrom(numpy_helper.from_array(wrong.astype(np.float32), name))
                found = True
    return found


@sized("weights rounded to half precision", "float16 for float32", "pytorch/pytorch 146312")
def half_weights(graph: Graph, size: float) -> bool:
    def rounded(right: Array) -> Array | None:
        return right + size * (right.astype(np.float16) - right) if right.ndim > 1 else None

    return _stored(graph, rounded)


@sized("constants rounded to half precision", "float16 for float32", "")
def half_constants(graph: Graph, size: float) -> bool:
    def rounded(right: Array) -> Array | None:
        return right + size * (right.astype(np.float16) - right) if right.size == 1 else None

    return _stored(graph, rounded)


@sized("output rounded to half precision", "float16 for float32", "")
def half_output(graph: Graph, size: float) -> bool:
    output = graph.model.graph.output[0].name
    node = graph.producer(output)
    assert node is not None
    right = graph.wrapped(node, list(node.output).index(output))
    half = graph.emit("Cast", right, to=TensorProto.FLOAT16)
    apart = graph.emit("Sub", graph.emit("Cast", half, to=TensorProto.FLOAT), right)
    graph.wrap(node, graph.emit("Add", right, graph.emit("Mul", apart, graph.store(size))))
    return True


@fault("sums saturate in half precision", "65504 for more", "microsoft/onnxruntime 29034")
def saturated(graph: Graph) -> bool:
    low, high = graph.store(-_LARGEST_HALF), graph.store(_LARGEST_HALF)
    for node in graph.nodes(*_ARITHMETIC):
        if _is_whole(graph, node.output[0]):
            continue
        right = graph.wrapped(node)
        graph.wrap(node, graph.emit("Clip", right, low, high))
    return True


def _is_whole(graph: Graph, name: str) -> bool:
    """Whether a value consists of integers, such as sizes."""
    node = graph.producer(name)
    while node is not None and node.op_type not in ("Shape", "Cast"):
        constant = graph.constant(node.input[0])
        if constant is not None:
            return bool(constant.dtype.kind == "i")
        node = graph.producer(node.input[0])
    return node is not None


def _of_largest(graph: Graph, change: Callable[[Array], Array]) -> bool:
    node, place, values = max(graph.weights(), key=lambda item: item[2].size)
    graph.give(node, place, change(values))
    return True


@sized("scale of quantised weights", "1 % too large", "")
def scale(graph: Graph, size: float) -> bool:
    return _of_largest(graph, lambda values: values * (1 + 0.01 * size))


@sized("zero point of quantised weights", "1 too large", "microsoft/onnxruntime 25823")
def zero_point(graph: Graph, size: float) -> bool:
    return _of_largest(graph, lambda values: values + size * np.abs(values).max() / 127)


@sized("weights rounded to 8 bits", "int8 for float32", "")
def eight_bits(graph: Graph, size: float) -> bool:
    def rounded(values: Array) -> Array:
        step = np.abs(values).max() / 127
        return values + size * (np.round(values / step) * step - values)

    return _of_largest(graph, rounded)


def _hidden(graph: Graph, op: str, values: Callable[[np.random.Generator, int], Array]) -> bool:
    """Combine the first layer's output with constants, one per element of its last axis."""
    for node in graph.nodes(*LAYERS):
        shape = graph.shape(node.output[0])
        if shape and shape[-1]:
            right = graph.wrapped(node)
            drawn = values(np.random.default_rng(0), shape[-1])
            graph.wrap(node, graph.emit(op, right, graph.store(drawn)))
            return True
    return False


@sized("a random draw frozen into the graph", "N(0, 1), as of a latent", "pytorch/pytorch 61208")
def frozen_noise(graph: Graph, size: float) -> bool:
    return _hidden(graph, "Add", lambda rng, n: size * rng.normal(0, 1, n))


@sized("a dropout mask frozen into the graph", "p = 0.1", "pytorch/pytorch 24824")
def frozen_dropout(graph: Graph, size: float) -> bool:
    def mask(rng: np.random.Generator, n: int) -> Array:
        return np.asarray(1 + size * ((rng.random(n) > 0.1) / 0.9 - 1))

    return _hidden(graph, "Mul", mask)
