"""Where the rows are in what a part takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from aeonnx.manifest import BATCH, TensorSpec
from aeonnx.runtime.session import Array

__all__ = ["Interface", "batch_of", "has_rows", "repeated", "rows_in", "taken"]


class Interface(Protocol):
    """Anything with inputs and outputs: a part or a variant of one."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...


def batch_of(part: Interface) -> int | None:
    """The batch size that a graph is fixed to; None if it takes any."""
    size = part.outputs[0].shape[0]
    return None if size == BATCH else int(size)


def rows_in(part: Interface, inputs: Mapping[str, Array]) -> int:
    """How many rows the inputs have along the batch axis."""
    return next(len(inputs[spec.name]) for spec in part.inputs if has_rows(part, spec))


def taken(part: Interface, inputs: Mapping[str, Array], rows: slice | Array) -> dict[str, Array]:
    """Some rows of the inputs; those without a batch axis, such as a seed, stay whole."""
    return {
        spec.name: inputs[spec.name][rows] if has_rows(part, spec) else inputs[spec.name]
        for spec in part.inputs
    }


def repeated(part: Interface, inputs: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """`rows` rows of the inputs: those that there are, over and over."""
    return taken(part, inputs, np.arange(rows) % rows_in(part, inputs))


def has_rows(part: Interface, spec: TensorSpec) -> bool:
    """Whether an input has a batch axis."""
    # Of a graph that is fixed to one row, a seed looks like an index: rows come last.
    lone = spec.shape == (1,) and spec.name != part.inputs[-1].name
    return spec.shape[0] == part.outputs[0].shape[0] and not lone
