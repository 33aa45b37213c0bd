"""The class of seeded faults, and the registry that decorators add them to."""

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
        name: a few words.
        occurred: the size in which it occurred, in words.
        source: a public report, or the class of faults that it belongs to.
        scale: meaning of a size below 1: "value", that share of the wrong value; "effect", that
            share of the fault's effect on the outputs; "none", there is no smaller size.
        change: makes the fault in a graph; returns False if it does not apply there.
    """

    name: str
    occurred: str
    source: str
    scale: str
    change: Sized

    def apply(self, right: ModelProto, size: float = 1.0) -> ModelProto | None:
        """The graph with the fault; None if it does not apply.

        Args:
            right: the correct graph; not changed.
            size: size of the fault, in units of the size in which it occurred.
        """
        wrong = copy.deepcopy(right)
        if not self.change(Graph(wrong), size):
            return None
        return _blended(right, wrong, size) if self.scale == "effect" and size != 1 else wrong


FAULTS: dict[str, Fault] = {}


def sized(name: str, occurred: str, source: str) -> Callable[[Sized], Sized]:
    """Register a fault whose wrong value can be scaled towards the right one."""

    def add(change: Sized) -> Sized:
        FAULTS[name] = Fault(name, occurred, source, "value", change)
        return change

    return add


def fault(name: str, occurred: str, source: str, scale: str = "effect") -> Callable[[Whole], Whole]:
    """Register a fault without a scalable value: sizes below 1 scale its effect on the outputs."""

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
