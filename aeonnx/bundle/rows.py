"""Where the rows are in what a graph takes and gives."""

from __future__ import annotations

from typing import Protocol

from aeonnx.bundle.tensors import BATCH, TensorSpec

__all__ = ["Interface", "batch_of", "has_rows"]


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


def has_rows(part: Interface, spec: TensorSpec) -> bool:
    """Whether an input has a batch axis."""
    # Of a graph that is fixed to one row, a seed looks like an index: rows come last.
    lone = spec.shape == (1,) and spec.name != part.inputs[-1].name
    return spec.shape[0] == part.outputs[0].shape[0] and not lone
