"""The interface of a graph: its tensors, its axes, and which inputs have an axis of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from aeonnx.bundle.axes import BATCH, Axis
from aeonnx.bundle.tensors import TensorSpec

__all__ = ["Interface", "batch_of", "has_rows"]


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
