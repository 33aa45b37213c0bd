"""Changing ONNX graphs: find nodes and constants, put others in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from aeonnx.runtime.session import Array

__all__ = ["LAYERS", "Graph"]

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class Graph:
    """A graph that is changed in place.

    Args:
        model: is not copied.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self._added = 0
        self._pending: list[NodeProto] = []
        self._shapes = _shapes(model)

    def nodes(self, *ops: str) -> list[NodeProto]:
        """Those of some operators, or all, in the order in which they run."""
        return [node for node in self.model.graph.node if not ops or node.op_type in ops]

    def producer(self, name: str) -> NodeProto | None:
        """The node that a value comes from; None for inputs and stored weights."""
        return next((node for node in self.nodes() if name in node.output), None)

    def consumers(self, name: str) -> list[NodeProto]:
        """The nodes that take a value."""
        return [node for node in self.nodes() if name in node.input]

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """The sizes of a value as they are known before it runs; None for one that is not."""
        return self._shapes.get(name)

    def constant(self, name: str) -> Array | None:
        """The values of a stored weight, or of what is made from stored weights alone."""
        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                return np.asarray(numpy_helper.to_array(tensor))
        node = self.producer(name)
        if node is None or len(node.output) > 1:
            return None
        inputs = {item: self.constant(item) for item in node.input if item}
        if any(value is None for value in inputs.values()):
            return None
        return np.asarray(ReferenceEvaluator(node).run(None, inputs)[0])

    def weights(self, *ops: str) -> Iterator[tuple[NodeProto, int, Array]]:
        """(node, place among its inputs, values) of the matrices and kernels of layers."""
        for node in self.nodes(*(ops or LAYERS)):
            for place in (1, 0) if node.op_type == "MatMul" else (1,):
                values = self.constant(node.input[place])
                if values is not None:
                    yield node, place, values

    def give(self, node: NodeProto, place: int, values: Array) -> None:
        """Let one input of a node be a constant."""
        node.input[place] = self.store(values)

    def store(self, values: Array | float) -> str:
        """The name of a new constant, float32 unless it is of whole numbers."""
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        name = self._name()
        self.model.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def emit(self, op: str, *inputs: str, **attributes: Any) -> str:
        """A new node; the name of what it gives. Call it within `replace` or `wrap` alone."""
        name = self._name()
        self._pending.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def replace(self, node: NodeProto, result: str, place: int = 0) -> None:
        """Let what was emitted since the last call stand for an output of a node."""
        right = node.output[place]
        node.output[place] = self._name()
        self._place(node, right, result)

    def wrapped(self, node: NodeProto, place: int = 0) -> str:
        """The name of a node's output, for what is emitted next and then given to `wrap`."""
        self._right = node.output[place]
        node.output[place] = self._name()
        return node.output[place]

    def wrap(self, node: NodeProto, result: str) -> None:
        """Let `result`, emitted from what `wrapped` gave, stand for that output."""
        self._place(node, self._right, result)

    def _place(self, node: NodeProto, name: str, result: str) -> None:
        self._pending.append(helper.make_node("Identity", [result], [name], name=self._name()))
        at = list(self.model.graph.node).index(node) + 1
        for offset, new in enumerate(self._pending):
            self.model.graph.node.insert(at + offset, new)
        self._pending = []

    def _name(self) -> str:
        self._added += 1
        return f"fault_{self._added}"


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """The value of an attribute."""
    return next(
        (helper.get_attribute_value(item) for item in node.attribute if item.name == name), default
    )


def set_attribute(node: NodeProto, name: str, value: float | str | Sequence[int]) -> None:
    """Give an attribute another value."""
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def _shapes(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        value.name: tuple(
            size.dim_value if size.HasField("dim_value") else None
            for size in value.type.tensor_type.shape.dim
        )
        for value in [*inferred.value_info, *inferred.input, *inferred.output]
        if value.type.tensor_type.HasField("shape")
    }
