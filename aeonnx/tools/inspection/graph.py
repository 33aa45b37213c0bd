"""Reads a graph file: nodes, shapes and parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.checker
import onnx.helper
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto

from aeonnx._util import files
from aeonnx._util.text import printable
from aeonnx.bundle import Variant, manifest
from aeonnx.bundle.graph_bytes import check_graph
from aeonnx.errors import IntegrityError, UnknownNameError
from aeonnx.exporting.shapes import ONNX_ERRORS, Shape, infer_shapes

__all__ = ["Graph", "Initializer", "Node", "Value", "read_graph", "summarize"]

_COUNTERS = ("int64", "uint64", "bool")  # dtypes of shapes and indices, not of weights
_SHOWN = 8  # values that are shown of an attribute's list


@dataclass(frozen=True)
class Value:
    """An input or output of a node.

    Args:
        name: empty for an optional input that is left out.
        dtype: numpy's name of the element type; None if it cannot be inferred.
        shape: see `infer_shapes`; None if not even the rank can be inferred.
    """

    name: str
    dtype: str | None = None
    shape: Shape | None = None

    def __str__(self) -> str:
        """Such as "z float32 [batch, 20]"; "-" if it is left out."""
        if not self.name:
            return "-"
        shape = "?" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.name} {self.dtype or '?'} {shape}"


@dataclass(frozen=True)
class Initializer:
    """A tensor that is stored in the file.

    Args:
        name: its name in the graph.
        dtype: numpy's name of the element type.
        shape: its shape.
        parameters: number of weights; 0 if its values are shapes, indices or counters.
        bytes: size of its values in bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    parameters: int
    bytes: int


@dataclass(frozen=True)
class Node:
    """One operation.

    Args:
        index: its position in the file, from 0; the order of nodes is topological.
        op: operator type, such as "Gemm".
        name: name of the node; may be empty.
        inputs: in order, initializers included.
        outputs: in order.
        attributes: values as short texts, by name.
    """

    index: int
    op: str
    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    attributes: dict[str, str]


@dataclass(frozen=True)
class Graph:
    """The contents of a graph file.

    Args:
        inputs: in order, without initializers.
        outputs: in order.
        nodes: in the order of the file.
        initializers: in the order of the file.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    initializers: tuple[Initializer, ...]

    @property
    def parameters(self) -> int:
        """Number of weights in all initializers."""
        return sum(item.parameters for item in self.initializers)

    @property
    def bytes(self) -> int:
        """Size of all initializers in bytes."""
        return sum(item.bytes for item in self.initializers)

    @property
    def ops(self) -> dict[str, int]:
        """Number of nodes of each operator type, the most frequent first, then by name."""
        counts = Counter(node.op for node in self.nodes)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def to_json(self) -> dict[str, Any]:
        """The totals, then all fields."""
        totals = {"parameters": self.parameters, "bytes": self.bytes, "ops": self.ops}
        return {**totals, **asdict(self)}


def read_graph(folder: Path, part: str, variant: str = "fp32") -> Graph:
    """Read the graph of a part.

    Args:
        folder: the bundle's folder.
        part: name of the part.
        variant: name of the variant, such as "fp32" or "int8".

    Raises:
        BundleError: there is no bundle at `folder`, or its manifest is damaged.
        UnknownNameError: it has no such part or variant.
        IntegrityError: the file is missing or differs from what the manifest records.
    """
    contents = manifest.read(folder)
    if part not in contents.parts:
        raise UnknownNameError("part", part, contents.parts)
    if variant not in contents.parts[part]:
        raise UnknownNameError(f"variant of {part}", variant, contents.parts[part])
    return summarize(folder, contents.parts[part][variant])


def summarize(folder: Path, entry: Variant) -> Graph:
    """Read the graph of a manifest's entry.

    Raises:
        IntegrityError: the file is missing, differs from what the manifest records, or is no valid
            graph.
        GraphError: the graph has content that is not allowed in a bundle.
    """
    path = folder / entry.file
    data = files.read_verified(path, entry.sha256, entry.bytes)
    check_graph(data, str(path))
    try:
        # Does not read external data: a bundle has none.
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model)
        return _read(model)
    except (DecodeError, *ONNX_ERRORS) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise IntegrityError(
            f"{path} is not a valid ONNX graph: {reason}. Export the bundle again."
        ) from error


def _read(model: ModelProto) -> Graph:
    """Raises ValueError where the graph has what the checker accepts and no graph may have."""
    graph = model.graph
    _make_printable(graph)
    initializers = tuple(_initializer(tensor) for tensor in graph.initializer)
    values = {item.name: Value(item.name, item.dtype, item.shape) for item in initializers}
    stored = set(values)  # older files list initializers as inputs too
    values = {name: Value(name, *found) for name, found in infer_shapes(model).items()} | values
    return Graph(
        tuple(_value(values, item.name) for item in graph.input if item.name not in stored),
        tuple(_value(values, item.name) for item in graph.output),
        tuple(_nodes(graph, values)),
        initializers,
    )


def _make_printable(graph: GraphProto) -> None:
    """Escape control characters in all names: they could steer a terminal or break the page.

    Raises:
        ValueError: a name is not UTF-8.
    """
    for item in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        item.name = _name(item.name)
    for node in graph.node:
        node.name, node.op_type = _name(node.name), _name(node.op_type)
        node.input[:] = map(_name, node.input)
        node.output[:] = map(_name, node.output)
        for attribute in node.attribute:
            attribute.name = _name(attribute.name)


def _name(text: str | bytes) -> str:
    if isinstance(text, bytes):  # protobuf's answer to what is not UTF-8
        raise ValueError(f"the name {text!r} is not UTF-8")
    return printable(text)


def _value(values: dict[str, Value], name: str) -> Value:
    return values.get(name, Value(name))


def _nodes(graph: GraphProto, values: dict[str, Value]) -> Iterable[Node]:
    for index, node in enumerate(graph.node):
        yield Node(
            index,
            node.op_type,
            node.name,
            tuple(_value(values, name) for name in node.input),
            tuple(_value(values, name) for name in node.output),
            {item.name: _short(item) for item in node.attribute},
        )


def _initializer(tensor: TensorProto) -> Initializer:
    dtype = _dtype(tensor)
    count = prod(tensor.dims)
    weights = 0 if dtype.name in _COUNTERS else count
    return Initializer(tensor.name, dtype.name, tuple(tensor.dims), weights, count * dtype.itemsize)


def _dtype(tensor: TensorProto) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError:
        raise ValueError(f"{tensor.name}: onnx has no element type {tensor.data_type}") from None
    return dtype


def _short(attribute: AttributeProto) -> str:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return printable(value.decode(errors="replace"))
    if isinstance(value, TensorProto):
        return f"{_dtype(value).name} {list(value.dims)}"
    if isinstance(value, GraphProto):
        return f"a graph of {len(value.node)} nodes"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    items = list(value) if hasattr(value, "__iter__") else [type(value).__name__]
    more = ", ..." if len(items) > _SHOWN else ""
    return f"[{', '.join(str(item) for item in items[:_SHOWN])}{more}]"
