"""Counts, selects and repeats rows of a part's inputs, and finds the sizes of its axes."""

from __future__ import annotations

from collections.abc import Mapping
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
    shape_at,
    shape_of_rows,
    solve_rows,
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


def sizes_of(part: Interface, inputs: Mapping[str, Array]) -> dict[str, int]:
    """The size of each axis, that of rows included, from arrays of as many axes as the specs.

    Raises:
        ValueError: the inputs disagree, or an axis may not have its size.
    """
    return solve_rows(part, {name: value.shape for name, value in inputs.items()})


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
