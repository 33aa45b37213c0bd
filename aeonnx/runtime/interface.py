"""Counts, selects and repeats rows of a part's inputs, and finds the sizes of its axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.bundle import (
    BATCH,
    Golden,
    Interface,
    TensorSpec,
    Variant,
    batch_of,
    has_rows,
    scaled,
    shape_at,
    shape_of_rows,
    solve_rows,
)

__all__ = [
    "Array",
    "Interface",
    "batch_of",
    "fits",
    "golden_shape",
    "has_rows",
    "is_sized",
    "row_shape",
    "rows_in",
    "select_rows",
    "several_rows",
    "shape_of_rows",
    "sizes_of",
    "stored_sizes",
    "tile_rows",
]

Array = npt.NDArray[Any]


def rows_in(part: Interface, inputs: Mapping[str, Array]) -> int:
    """Number of rows of the inputs: their size along the batch axis."""
    return next(len(inputs[spec.name]) for spec in part.inputs if has_rows(part, spec))


def fits(spec: TensorSpec, value: Array) -> bool:
    """Whether an array has as many axes as an input, and its numbers where they do not vary."""
    return value.ndim == len(spec.shape) and all(
        isinstance(size, str) or size == given
        for size, given in zip(spec.shape, value.shape, strict=True)
    )


def several_rows(values: Iterable[Any]) -> bool:
    """Whether one of some inputs, which are not checked, has more rows than one."""
    return any(
        hasattr(value, "__len__") and getattr(value, "ndim", 1) and len(value) > 1
        for value in values
    )


def is_sized(part: Interface) -> bool:
    """Whether a part has dynamic axes other than that of rows."""
    return bool(part.axes.keys() - {BATCH})


def sizes_of(part: Interface, inputs: Mapping[str, Array]) -> dict[str, int]:
    """The size of each axis, that of rows included, from arrays of as many axes as the specs.

    Raises:
        ValueError: the inputs disagree, or an axis may not have its size.
    """
    return solve_rows(part, {name: value.shape for name, value in inputs.items()})


def row_shape(spec: TensorSpec, first: TensorSpec, value: Array) -> tuple[int, ...]:
    """The shape of a row of a further input at the sizes of the first.

    Args:
        spec: the further input; axes that the first input does not fix get the size 1.
        first: the first input.
        value: an array of its shape.
    """
    known: dict[str, int] = {}
    for size, given in zip(first.shape, value.shape, strict=True):
        axis = scaled(size)
        there = axis.solve(given) if axis else None
        if axis and there is not None:
            known[axis.axis] = there
    sizes = [(size, scaled(size)) for size in spec.shape[1:]]
    return tuple(
        int(size) if axis is None else axis.at(known[axis.axis]) if axis.axis in known else 1
        for size, axis in sizes
    )


def stored_sizes(part: Interface, golden: Golden) -> dict[str, int]:
    """The size of each axis, that of rows included, of golden vectors."""
    return solve_rows(part, {name: tensor.shape for name, tensor in golden.inputs.items()})


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
