"""Faults in activation functions: lost, applied twice, approximated, or with other constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from onnx import NodeProto

from faults.graphs import Graph, attribute, set_attribute
from faults.kinds import fault, sized

_ALONE = (
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "HardSwish",
    "HardSigmoid",
    "Tanh",
    "Sigmoid",
)


@dataclass(frozen=True)
class _Activation:
    """An activation in a graph: the value before it, its last node, and how to make another."""

    before: str
    last: NodeProto
    again: Callable[[str], str]


def _activations(graph: Graph) -> list[_Activation]:
    """Activations of one node, x * sigmoid(x) and GELU by the error function, in graph order."""
    found = []
    for node in graph.nodes(*_ALONE, "Erf"):
        if node.op_type == "Erf":
            found += _gelu(graph, node)
            continue
        gated = [
            other
            for other in graph.consumers(node.output[0])
            if other.op_type == "Mul" and node.input[0] in other.input
        ]
        if node.op_type == "Sigmoid" and gated:
            found.append(_Activation(node.input[0], gated[0], lambda x: _silu(graph, x)))
        else:
            found.append(_Activation(node.input[0], node, _repeat(graph, node)))
    return found


def _repeat(graph: Graph, node: NodeProto) -> Callable[[str], str]:
    attributes = {item.name: attribute(node, item.name) for item in node.attribute}
    return lambda x: graph.emit(node.op_type, x, *node.input[1:], **attributes)


def _silu(graph: Graph, x: str) -> str:
    return graph.emit("Mul", x, graph.emit("Sigmoid", x))


def _gelu(graph: Graph, erf: NodeProto) -> list[_Activation]:
    scaled = graph.producer(erf.input[0])
    if scaled is None:
        return []
    x, last = scaled.input[0], erf
    while True:
        following = [
            node
            for node in graph.consumers(last.output[0])
            if node.op_type in ("Add", "Mul") and _is_of(graph, node, last.output[0], x)
        ]
        if not following:
            break
        last = following[0]

    def again(y: str) -> str:
        unit = graph.emit("Erf", graph.emit("Mul", y, graph.store(math.sqrt(0.5))))
        share = graph.emit("Mul", graph.emit("Add", unit, graph.store(1.0)), graph.store(0.5))
        return graph.emit("Mul", y, share)

    return [] if last is erf else [_Activation(x, last, again)]


def _is_of(graph: Graph, node: NodeProto, inner: str, x: str) -> bool:
    """Whether the other operand is a number, the activation's input, or a multiple of it."""
    other = next((name for name in node.input if name != inner), inner)
    number = graph.constant(other)
    if other == x or (number is not None and number.size == 1):
        return True
    source = graph.producer(other)
    return source is not None and source.op_type == "Mul" and x in source.input


@fault("activation lost", "a hidden one", "onnx/onnxmltools 217")
def lost(graph: Graph) -> bool:
    for found in _activations(graph)[:-1]:
        graph.replace(found.last, found.before)
        return True
    return False


@fault("activation applied twice", "a hidden one", "")
def twice(graph: Graph) -> bool:
    for found in _activations(graph)[:-1]:
        if found.last.op_type != "Relu":
            once = graph.wrapped(found.last)
            graph.wrap(found.last, found.again(once))
            return True
    return False


@fault("last activation lost", "logits for probabilities", "")
def last_lost(graph: Graph) -> bool:
    outputs = {value.name for value in graph.model.graph.output}
    for node in graph.nodes("Sigmoid", "Tanh", "Softmax"):
        ends = {
            node.output[0],
            *(name for n in graph.consumers(node.output[0]) for name in n.output),
        }
        if ends & outputs:
            graph.replace(node, node.input[0])
            return True
    return False


@fault("last activation applied twice", "sigmoid of a sigmoid", "")
def last_twice(graph: Graph) -> bool:
    outputs = {value.name for value in graph.model.graph.output}
    for node in graph.nodes("Sigmoid", "Tanh", "Softmax"):
        if node.output[0] in outputs:
            once = graph.wrapped(node)
            graph.wrap(node, _repeat(graph, node)(once))
            return True
    return False


@fault("GELU by tanh", "approximate tanh for none", "apache/tvm 18750")
def gelu_by_tanh(graph: Graph) -> bool:
    for node in graph.nodes("Erf"):
        x = graph.emit("Mul", node.input[0], graph.store(math.sqrt(2)))
        cube = graph.emit(
            "Mul", graph.emit("Mul", x, x), graph.emit("Mul", x, graph.store(0.044715))
        )
        inner = graph.emit("Mul", graph.emit("Add", x, cube), graph.store(math.sqrt(2 / math.pi)))
        graph.replace(node, graph.emit("Tanh", inner))
        return True
    return False


@sized("slope of leaky ReLU", "0.2 for 0.01", "NeuralNetworkVerification/Marabou 739")
def leaky_slope(graph: Graph, size: float) -> bool:
    for node in graph.nodes("LeakyRelu"):
        right = attribute(node, "alpha", 0.01)
        set_attribute(node, "alpha", float(right + size * (0.2 - right)))
        return True
    return False


@sized("alpha of ELU", "1.67 for 1", "")
def elu_alpha(graph: Graph, size: float) -> bool:
    for node in graph.nodes("Elu"):
        set_attribute(node, "alpha", float(attribute(node, "alpha", 1.0) + size * 0.67326))
        return True
    return False


@sized("slope of the hard sigmoid", "0.2 for 1/6", "PaddlePaddle/Paddle2ONNX 930")
def hard_sigmoid(graph: Graph, size: float) -> bool:
    for node in graph.nodes("HardSigmoid"):
        right = attribute(node, "alpha", 0.2)
        set_attribute(node, "alpha", float(right + size * (0.2 - right)))
        return abs(right - 0.2) > 1e-3
    return False


@sized("beta of softplus lost", "1 for 2", "")
def softplus_beta(graph: Graph, size: float) -> bool:
    for node in graph.nodes("Softplus"):
        before = graph.producer(node.input[0])
        after = graph.consumers(node.output[0])
        if before is None or before.op_type != "Mul" or not after or after[0].op_type != "Div":
            continue
        place = 0 if graph.constant(before.input[0]) is not None else 1
        right = graph.constant(before.input[place])
        if right is not None:
            # The condition on the threshold takes the same product.
            graph.give(before, place, right + size * (1 - right))
            graph.give(after[0], 1, right + size * (1 - right))
            return True
    return False


@fault("threshold of softplus", "2 for 20", "apache/tvm 20184")
def softplus_threshold(graph: Graph) -> bool:
    for node in graph.nodes("Greater"):
        threshold = graph.constant(node.input[1])
        if threshold is not None and threshold.size == 1 and float(threshold.reshape(())) == 20:
            graph.give(node, 1, threshold / 10)
            return True
    return False


@fault("upper bound of a clip lost", "ReLU for ReLU6", "Tencent/ncnn 1609")
def clip(graph: Graph) -> bool:
    for node in graph.nodes("Clip"):
        if len(node.input) > 2 and graph.constant(node.input[2]) is not None:
            del node.input[2:]
            return True
    return False


@fault(
    "slopes of PReLU along the wrong axis", "width for channels", "openvinotoolkit/openvino 36020"
)
def prelu_axis(graph: Graph) -> bool:
    for node in graph.nodes("PRelu"):
        slopes = graph.constant(node.input[1])
        shape = graph.shape(node.input[0])
        if slopes is not None and shape and slopes.size == shape[-1]:
            graph.give(node, 1, slopes.reshape(-1))
            return True
    return False
