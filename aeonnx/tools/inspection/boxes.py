"""A graph as boxes to draw: one for each node, and one for each long run of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aeonnx.tools.inspection.graph import Graph, Node, Value, count_ops

__all__ = ["FAMILIES", "OTHER", "Box", "boxes_of", "node_boxes"]

FAMILIES = {
    "weights": ("Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"),
    "convolution": ("Conv", "ConvTranspose", "ConvInteger", "QLinearConv"),
    "activation": ("Relu", "LeakyRelu", "Elu", "Gelu", "Sigmoid", "Softmax", "Softplus", "Tanh"),
    "shape": ("Concat", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Transpose"),
    "type": ("Cast", "DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"),
    "bits": ("BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Mod"),
}
"""Operator types that are drawn in the same colour."""
OTHER = "other"

_FOLD = 16  # so many consecutive nodes without weights, or more, are folded into one box
_TOLD = 4  # operator types that a folded box names

Weights = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Box:
    """One box of a drawing.

    Args:
        family: key of `FAMILIES`, "other", "run" for folded nodes, "end" for an input or output.
        lines: its text.
        hint: its tooltip.
        takes: names of the input tensors, initializers included.
        gives: the output tensors.
    """

    family: str
    lines: tuple[str, ...]
    hint: str
    takes: tuple[str, ...]
    gives: tuple[Value, ...]


def boxes_of(graph: Graph) -> tuple[list[Box], dict[str, list[Box]]]:
    """The boxes of a graph and, by title of a folded box, the boxes inside it.

    Both are in topological order, which ONNX requires of the file.
    """
    weights = _weights(graph)
    stored = {item.name for item in graph.initializers}
    boxes: list[Box] = []
    folded: dict[str, list[Box]] = {}
    for run in _runs(graph.nodes, weights):
        inside = [_node_box(node, weights) for node in run]
        if len(run) == 1:
            boxes += inside
            continue
        title = f"nodes {run[0].index} to {run[-1].index}"
        taken, given = _border(run, graph, stored)
        boxes.append(_run_box(title, run, taken, given))
        folded[title] = _between(taken, inside, given)
    return _between(graph.inputs, boxes, graph.outputs), folded


def node_boxes(graph: Graph) -> list[Box]:
    """A box for each node."""
    weights = _weights(graph)
    return [_node_box(node, weights) for node in graph.nodes]


def _weights(graph: Graph) -> Weights:
    return {item.name: item.shape for item in graph.initializers if item.parameters}


def _runs(nodes: Sequence[Node], weights: Weights) -> Iterable[list[Node]]:
    """Single nodes, and runs of many nodes without weights.

    A run is an interval of a topological order, so no path leaves it and comes back: drawn as one
    box, it creates no cycle.
    """
    run: list[Node] = []
    for node in [*nodes, None]:
        if node is not None and not any(len(weights.get(i.name, ())) > 1 for i in node.inputs):
            run.append(node)
            continue
        yield from [run] if len(run) >= _FOLD else [[single] for single in run]
        run = []
        if node is not None:
            yield [node]


def _border(run: Sequence[Node], graph: Graph, stored: set[str]) -> tuple[list[Value], list[Value]]:
    """Inputs of a run from outside, and those of its outputs that are used outside."""
    made = {value.name: value for node in run for value in node.outputs if value.name}
    taken = {value.name: value for node in run for value in node.inputs if value.name}
    inside = {node.index for node in run}
    used = {value.name for value in graph.outputs}
    used |= {
        value.name for node in graph.nodes if node.index not in inside for value in node.inputs
    }
    return (
        [value for name, value in taken.items() if name not in made and name not in stored],
        [value for name, value in made.items() if name in used],
    )


def _node_box(node: Node, weights: Weights) -> Box:
    family = next((name for name, ops in FAMILIES.items() if node.op in ops), OTHER)
    shapes = [weights[value.name] for value in node.inputs if weights.get(value.name)]
    sizes = " + ".join("x".join(str(size) for size in shape) for shape in shapes)
    facts = [f"{node.index}: {node.name or node.op}"]
    facts += [f"{name} = {value}" for name, value in node.attributes.items()]
    return Box(
        family,
        (node.op, sizes) if sizes else (node.op,),
        "\n".join(facts),
        tuple(value.name for value in node.inputs),
        tuple(value for value in node.outputs if value.name),
    )


def _run_box(title: str, run: Sequence[Node], taken: Sequence[Value], given: list[Value]) -> Box:
    counts = count_ops(run)
    names = [f"{op} {count}" for op, count in counts.items()]
    lines = (title, *names[:_TOLD], *["..."] * (len(names) > _TOLD))
    return Box("run", lines, ", ".join(names), tuple(value.name for value in taken), tuple(given))


def _between(taken: Iterable[Value], boxes: list[Box], given: Iterable[Value]) -> list[Box]:
    sources = [Box("end", (value.name,), "input", (), (value,)) for value in taken]
    sinks = [Box("end", (value.name,), "output", (value.name,), ()) for value in given]
    return [*sources, *boxes, *sinks]
