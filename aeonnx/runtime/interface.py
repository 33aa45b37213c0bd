"""Counts, selects and repeats rows of a part's inputs, and finds the sizes of its axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.bundle import (
    BATCH,
    Axis,
    Golden,
    Interface,
    Shape,
    TensorSpec,
    Variant,
    batch_of,
    has_rows,
    shape_at,
    solve,
)

__all__ = [
    "Array",
    "Interface",
    "batch_of",
    "golden_shape",
    "has_rows",
    "is_sized",
    "rows_in",
    "select_rows",
    "shape_of_rows",
    "sizes_of",
    "stored_sizes",
    "tile_rows",
]

Array = npt.NDArray[Any]


def rows_in(part: Interface, inputs: Mapping[str, Array]) -> int:
    """Number of rows of the inputs: their size along the batch axis."""
    return next(len(inputs[spec.name]) for spec in part.inputs if has_rows(part, spec))


def is_sized(part: Interface) -> bool:
    """Whether a part has dynamic axes other than that of rows."""
    return bool(part.axes.keys() - {BATCH})


def shape_of_rows(part: Interface, spec: TensorSpec) -> Shape:
    """The shape of a tensor for any number of rows, also for a graph with a fixed one."""
    rows = spec in part.outputs or has_rows(part, spec)
    return (BATCH, *spec.shape[1:]) if rows else spec.shape


def sizes_of(part: Interface, inputs: Mapping[str, Array]) -> dict[str, int]:
    """The size of each axis, that of rows included, from arrays of as many axes as the specs.

    Raises:
        ValueError: the inputs disagree, or an axis may not have its size.
    """
    return _solved(part, {name: value.shape for name, value in inputs.items()})


def stored_sizes(part: Interface, golden: Golden) -> dict[str, int]:
    """The size of each axis, that of rows included, of golden vectors."""
    return _solved(part, {name: tensor.shape for name, tensor in golden.inputs.items()})


def _solved(part: Interface, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    declared = {spec.name: (shape_of_rows(part, spec), shapes[spec.name]) for spec in part.inputs}
    return solve(declared, {BATCH: Axis(), **part.axes})


def golden_shape(variant: Variant, spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a row of a tensor at the size of the golden vectors."""
    return shape_at(spec.shape[1:], stored_sizes(variant, variant.golden[0]))


def select_rows(
    part: Interface, inputs: Mapping[str, Array], rows: slice | Array
) -> dict[str, Array]:
    """Selected rows of all inputs; those without a batch axis, such as a seed, stay as they are."""
    return {
        spec.name: inputs[spec.name][rows] if has_rows(part, spec) else inputs[spec.name]
        for spec in part.inputs
    }


def tile_rows(part: Interface, inputs: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """`rows` rows, made by repeating the rows of the inputs in order."""
    return select_rows(part, inputs, np.arange(rows) % rows_in(part, inputs))
