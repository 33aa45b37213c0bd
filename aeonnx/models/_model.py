"""The base class of all models: a module that lists the parts that it can be exported as."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from aeonnx.bundle import TensorSpec

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
    """

    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    percentiles: tuple[str, ...] = ()


class Model(nn.Module, ABC):
    """A network that is exported in parts.

    `prior` names the distribution of `z` that the decoder was trained on, such as
    "standard-normal"; None if training imposes no distribution on `z`.
    """

    prior: str | None = None

    @abstractmethod
    def parts(self) -> dict[str, Part]:
        """The parts by name, including "encoder" and "decoder"; their modules share weights."""
