"""Which inputs and outputs of a graph have a batch axis."""

from __future__ import annotations

from typing import Protocol

from aeonnx.bundle.tensors import BATCH, TensorSpec

__all__ = ["Interface", "batch_of", "has_rows"]


class Interface(Protocol):
    """Anything with input and output specs: a part or a variant of one."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...


def batch_of(part: Interface) -> int | None:
    """The fixed batch size of a graph; None if its batch axis is dynamic."""
    size = part.outputs[0].shape[0]
    return None if size == BATCH else int(size)


def has_rows(part: Interface, spec: TensorSpec) -> bool:
    """Whether an input has a batch axis."""
    # With a fixed batch size of 1, a seed has the shape of an index: inputs with rows come last.
    lone = spec.shape == (1,) and spec.name != part.inputs[-1].name
    return spec.shape[0] == part.outputs[0].shape[0] and not lone
