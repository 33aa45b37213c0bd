"""The interface of a graph: its tensors, its axes, and which inputs have an axis of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from aeonnx.bundle.axes import BATCH, Axis, Shape, solve
from aeonnx.bundle.tensors import TensorSpec

__all__ = ["Interface", "batch_of", "has_rows", "shape_of_rows", "solve_rows"]


class Interface(Protocol):
    """Anything with input and output specs: a part or a variant of one."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def axes(self) -> Mapping[str, Axis]: ...


def batch_of(part: Interface) -> int | None:
    """The fixed batch size of a graph; None if its batch axis is dynamic."""
    size = part.outputs[0].shape[0]
    return None if size == BATCH else int(size)


def has_rows(part: Interface, spec: TensorSpec) -> bool:
    """Whether an input has a batch axis."""
    return spec.shape[0] == part.outputs[0].shape[0] and spec.kind != "seed"


def shape_of_rows(part: Interface, spec: TensorSpec) -> Shape:
    """The shape of a tensor for any number of rows, also for a graph with a fixed one."""
    rows = spec in part.outputs or has_rows(part, spec)
    return (BATCH, *spec.shape[1:]) if rows else spec.shape


def solve_rows(part: Interface, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The size of each axis, that of rows included, from the shapes of inputs by name.

    Raises:
        ValueError: see `solve`.
    """
    declared = {spec.name: (shape_of_rows(part, spec), shapes[spec.name]) for spec in part.inputs}
    return solve(declared, {BATCH: Axis(), **part.axes})
