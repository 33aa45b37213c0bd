"""What a seeded fault is, and the list that all of them add themselves to."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, compose, helper, numpy_helper

from faults.graphs import Graph

__all__ = ["FAULTS", "Fault", "fault", "sized"]

Whole = Callable[[Graph], bool]
Sized = Callable[[Graph, float], bool]


@dataclass(frozen=True)
class Fault:
    """One kind of wrong graph.

    Args:
        name: in a few words.
        occurred: the size in which it occurred, in words.
        source: a public report, or of what the fault is a case.
        scale: what a size below 1 is: "value", that share of the wrong value; "effect", that share
            of what the fault does to the outputs; "none", there is no smaller one.
        change: makes it in a graph; False where it has no place there.
    """

    name: str
    occurred: str
    source: str
    scale: str
    change: Sized

    def apply(self, right: ModelProto, size: float = 1.0) -> ModelProto | None:
        """The graph with the fault, None if it has no place in it.

        Args:
            right: is not changed.
            size: in units of the size in which it occurred.
        """
        wrong = copy.deepcopy(right)
        if not self.change(Graph(wrong), size):
            return None
        return _blended(right, wrong, size) if self.scale == "effect" and size != 1 else wrong


FAULTS: dict[str, Fault] = {}


def sized(name: str, occurred: str, source: str) -> Callable[[Sized], Sized]:
    """Decorate a fault whose wrong value can be nearer to the right one."""

    def add(change: Sized) -> Sized:
        FAULTS[name] = Fault(name, occurred, source, "value", change)
        return change

    return add


def fault(name: str, occurred: str, source: str, scale: str = "effect") -> Callable[[Whole], Whole]:
    """Decorate a fault that is there or not: smaller is a share of what it does to the outputs."""

    def add(change: Whole) -> Whole:
        FAULTS[name] = Fault(name, occurred, source, scale, lambda graph, _: change(graph))
        return change

    return add


def _blended(right: ModelProto, wrong: ModelProto, size: float) -> ModelProto:
    """A graph that gives right + size * (wrong - right), both run side by side."""
    blended = copy.deepcopy(right)
    inputs = {value.name for value in right.graph.input}
    outputs = [value.name for value in right.graph.output]
    for prefix, model in (("right_", right), ("wrong_", wrong)):
        part = compose.add_prefix_graph(model.graph, prefix, rename_inputs=False)
        if prefix == "right_":
            del blended.graph.node[:], blended.graph.initializer[:]
        blended.graph.node.extend(part.node)
        blended.graph.initializer.extend(part.initializer)
    share = numpy_helper.from_array(np.asarray(size, np.float32), "share")
    blended.graph.initializer.append(share)
    for name in outputs:
        assert name not in inputs
        ends = (f"right_{name}", f"wrong_{name}")
        blended.graph.node.extend(_between(*ends, "share", name))
    return blended


def _between(right: str, wrong: str, share: str, name: str) -> list[NodeProto]:
    return [
        helper.make_node("Sub", [wrong, right], [f"{name}_difference"]),
        helper.make_node("Mul", [f"{name}_difference", share], [f"{name}_part"]),
        helper.make_node("Add", [right, f"{name}_part"], [name]),
    ]
