"""Counts, selects and repeats rows of a part's inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aeonnx.bundle import Interface, batch_of, has_rows
from aeonnx.runtime.session import Array

__all__ = ["Interface", "batch_of", "has_rows", "rows_in", "select_rows", "tile_rows"]


def rows_in(part: Interface, inputs: Mapping[str, Array]) -> int:
    """Number of rows of the inputs: their size along the batch axis."""
    return next(len(inputs[spec.name]) for spec in part.inputs if has_rows(part, spec))


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
