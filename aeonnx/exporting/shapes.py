"""Dtypes and shapes of all tensors of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

import onnx.checker
import onnx.helper
import onnx.shape_inference
from onnx import ModelProto, ValueInfoProto

from aeonnx.bundle import BATCH, scaled

__all__ = ["ONNX_ERRORS", "Inferred", "Shape", "infer_at", "infer_shapes"]

Shape = tuple[int | str, ...]
Inferred = dict[str, tuple[str | None, list[int | None] | None]]

ONNX_ERRORS: tuple[type[Exception], ...] = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    *(RuntimeError, ValueError, IndexError, OverflowError, MemoryError),
)
"""What onnx raises on a damaged graph: its own errors, and C++'s as pybind translates them.

A UnicodeDecodeError (a ValueError) means that the message quotes a name that is not UTF-8.
"""

_UNKNOWN = "?"


def infer_shapes(
    model: ModelProto, sizes: Mapping[str, int] = MappingProxyType({})
) -> dict[str, tuple[str | None, Shape | None]]:
    """(numpy dtype name, shape) by tensor name; None where a dtype or shape is unknown.

    An axis of a shape is a size, "batch", "2*batch" and so on if it grows with the batch, or "?" if
    it cannot be inferred. onnx gives every axis after a Reshape a new name, so shapes are inferred
    at two batch sizes, and axes that differ grow with the batch.

    Args:
        model: the graph.
        sizes: of the other dynamic axes.
    """
    small, large = (infer_at(model, {**sizes, BATCH: batch}) for batch in (2, 3))
    found: dict[str, tuple[str | None, Shape | None]] = {}
    for name, (dtype, shape) in small.items():
        other = large.get(name, (None, None))[1]
        if shape is None or other is None or len(shape) != len(other):
            found[name] = dtype, None
        else:
            found[name] = dtype, tuple(map(_axis, shape, other))
    return found


def _axis(small: int | None, large: int | None) -> int | str:
    if small is None or large is None:
        return _UNKNOWN
    if small == large:
        return small
    factor = large - small
    if factor <= 0 or small != 2 * factor:
        return _UNKNOWN
    return BATCH if factor == 1 else f"{factor}*{BATCH}"


def infer_at(model: ModelProto, sizes: Mapping[str, int]) -> Inferred:
    """(numpy dtype name, shape) by tensor name at sizes of the axes; None for unknown sizes."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value in [*fixed.graph.input, *fixed.graph.output, *fixed.graph.value_info]:
        for axis in value.type.tensor_type.shape.dim:
            # protobuf gives bytes where a damaged name is not UTF-8.
            size = scaled(axis.dim_param) if isinstance(axis.dim_param, str) else None
            if size and size.axis in sizes:
                axis.dim_value = size.at(sizes[size.axis])
    with suppress(*ONNX_ERRORS):  # fall back to the shapes declared in the file
        fixed = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    graph = fixed.graph
    return {item.name: _typed(item) for item in [*graph.value_info, *graph.input, *graph.output]}


def _typed(value: ValueInfoProto) -> tuple[str | None, list[int | None] | None]:
    tensor = value.type.tensor_type
    if not tensor.elem_type:
        return None, None
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    except KeyError:  # the file is damaged: onnx has no such type
        return None, None
    if not tensor.HasField("shape"):
        return dtype, None
    axes = tensor.shape.dim
    return dtype, [axis.dim_value if axis.HasField("dim_value") else None for axis in axes]
