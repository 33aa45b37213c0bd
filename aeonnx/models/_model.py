"""The base class of all models: a module that lists the parts that it can be exported as."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from aeonnx.bundle import BATCH, Axis, TensorSpec, axes_of

__all__ = ["Model", "Part"]


@dataclass(frozen=True)
class Part:
    """A piece of a model that is exported as a graph of its own.

    Args:
        module: accepts the inputs in order as positional tensors; returns the output, or a tuple of
            the outputs in order. Deterministic in eval mode.
        inputs: specs of its inputs.
        outputs: specs of its outputs; the first is the part's primary output.
        percentiles: names of outputs, one number per row, whose percentiles over training images
            the manifest records as thresholds.
        axes: which sizes the dynamic axes may have, by name; an axis that is not named here may
            have any size by which the tensors' shapes can be computed.
        sizes: usual sizes of the dynamic axes, by name: of the inputs on which the part is traced,
            compared in full and timed. Others are chosen.
        ensemble: number of orientations of each image that the result is the mean over.
    """

    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    percentiles: tuple[str, ...] = ()
    axes: Mapping[str, Axis] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    ensemble: int = 1

    def __post_init__(self) -> None:
        if not all(isinstance(spec, TensorSpec) for spec in (*self.inputs, *self.outputs)):
            return  # refused where a model's declarations are checked
        multiples: dict[str, int] = {}
        for size in axes_of([spec.shape for spec in (*self.inputs, *self.outputs)]):
            multiples[size.axis] = math.lcm(multiples.get(size.axis, 1), size.divisor)
        missing = {
            name: Axis(multiple, min=multiple, margin=0 if name == BATCH else None)
            for name, multiple in multiples.items()
            if name not in self.axes
        }
        object.__setattr__(self, "axes", {**self.axes, **missing})


class Model(nn.Module, ABC):
    """A network that is exported in parts.

    `prior` names the distribution of `z` that the decoder was trained on, such as
    "standard-normal"; None if training imposes no distribution on `z`.
    """

    prior: str | None = None

    @abstractmethod
    def parts(self) -> dict[str, Part]:
        """The parts by name; their modules share weights."""
