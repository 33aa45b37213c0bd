"""Edit ONNX graphs: find nodes and constants, and replace them."""

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
        model: the model to edit; it is not copied.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self._added = 0
        self._pending: list[NodeProto] = []
        self._shapes = _shapes(model)

    def nodes(self, *ops: str) -> list[NodeProto]:
        """The nodes of some operators, or all nodes, in graph order."""
        return [node for node in self.model.graph.node if not ops or node.op_type in ops]

    def producer(self, name: str) -> NodeProto | None:
        """The node that outputs a value; None for inputs and initializers."""
        return next((node for node in self.nodes() if name in node.output), None)

    def consumers(self, name: str) -> list[NodeProto]:
        """The nodes that have a value as an input."""
        return [node for node in self.nodes() if name in node.input]

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """The inferred sizes of a value; None for a size that is unknown."""
        return self._shapes.get(name)

    def constant(self, name: str) -> Array | None:
        """The values of an initializer, or of a value computed from initializers only."""
        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                return np.asarray(numpy_helper.to_array(tensor))
        node = self.producer(name)
        if node is None or len(node.output) > 1:
            return None
        inputs = {}
        for item in node.input:
            if item:
                inputs[item] = self.constant(item)
                if inputs[item] is None:  # the others are not asked: paths multiply with depth
                    return None
        return np.asarray(ReferenceEvaluator(node).run(None, inputs)[0])

    def weights(self, *ops: str) -> Iterator[tuple[NodeProto, int, Array]]:
        """(node, index of the input, values) of the matrices and kernels of layers."""
        for node in self.nodes(*(ops or LAYERS)):
            for place in (1, 0) if node.op_type == "MatMul" else (1,):
                values = self.constant(node.input[place])
                if values is not None:
                    yield node, place, values

    def give(self, node: NodeProto, place: int, values: Array) -> None:
        """Replace an input of a node by a constant."""
        node.input[place] = self.store(values)

    def store(self, values: Array | float) -> str:
        """Add a constant, float32 unless its values are integers; returns its name."""
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        name = self._name()
        self.model.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def emit(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node for a later `replace` or `wrap`; returns the name of its output."""
        name = self._name()
        self._pending.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def replace(self, node: NodeProto, result: str, place: int = 0) -> None:
        """Replace an output of a node by a value that was emitted since the last call."""
        right = node.output[place]
        node.output[place] = self._name()
        self._place(node, right, result)

    def wrapped(self, node: NodeProto, place: int = 0) -> str:
        """The name of a node's output, for nodes that are emitted next and passed to `wrap`."""
        self._right = node.output[place]
        node.output[place] = self._name()
        return node.output[place]

    def wrap(self, node: NodeProto, result: str) -> None:
        """Replace that output by `result`, which was emitted from what `wrapped` returned."""
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
    """Set the value of an attribute."""
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
