"""Dtypes and shapes of all tensors of a graph."""

from __future__ import annotations

from contextlib import suppress

import onnx.checker
import onnx.helper
import onnx.shape_inference
from onnx import ModelProto, ValueInfoProto

from aeonnx.bundle import BATCH

__all__ = ["ONNX_ERRORS", "Inferred", "Shape", "infer_at", "infer_shapes"]

Shape = tuple[int | str, ...]
Inferred = dict[str, tuple[str | None, list[int | None] | None]]

ONNX_ERRORS: tuple[type[Exception], ...] = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    *(RuntimeError, ValueError, IndexError, OverflowError, MemoryError),
)
"""What onnx raises on a damaged graph: its own errors, and C++'s as pybind translates them.

An error whose message is not UTF-8, since it repeats a name of the graph, is a UnicodeDecodeError.
"""

_UNKNOWN = "?"


def infer_shapes(model: ModelProto) -> dict[str, tuple[str | None, Shape | None]]:
    """numpy's name of the dtype, and the shape, by name of the tensor; None for unknown ones.

    A shape holds sizes, "batch", "2*batch" and so on for axes that grow with the batch, and "?"
    for what cannot be inferred. onnx gives every axis behind a Reshape a new name: instead, two
    batches tell which axes grow.
    """
    small, large = infer_at(model, 2), infer_at(model, 3)
    found: dict[str, tuple[str | None, Shape | None]] = {}
    for name, (dtype, sizes) in small.items():
        others = large.get(name, (None, None))[1]
        if sizes is None or others is None or len(sizes) != len(others):
            found[name] = dtype, None
        else:
            found[name] = dtype, tuple(map(_axis, sizes, others))
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


def infer_at(model: ModelProto, batch: int) -> Inferred:
    """The same where the batch has a size: sizes, or None for those that cannot be inferred."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value in [*fixed.graph.input, *fixed.graph.output, *fixed.graph.value_info]:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param == BATCH:
                axis.dim_value = batch
    with suppress(*ONNX_ERRORS):  # what the file itself says is left
        fixed = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    graph = fixed.graph
    return {item.name: _typed(item) for item in [*graph.value_info, *graph.input, *graph.output]}


def _typed(value: ValueInfoProto) -> tuple[str | None, list[int | None] | None]:
    tensor = value.type.tensor_type
    if not tensor.elem_type:
        return None, None
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    if not tensor.HasField("shape"):
        return dtype, None
    axes = tensor.shape.dim
    return dtype, [axis.dim_value if axis.HasField("dim_value") else None for axis in axes]
