"""What every model is: a module that says which parts it can be split into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from aeonnx.bundle import TensorSpec

__all__ = ["Model", "Part"]


@dataclass(frozen=True)
class Part:
    """One separately exported graph.

    Args:
        module: takes the inputs in order as positional tensors; returns the output, or a tuple of
            the outputs in order. Deterministic in eval mode.
        inputs: what it takes.
        outputs: what it gives; the first is the answer of the part's verb.
        percentiles: names of outputs, one number per row, whose percentiles over training images
            the manifest shall carry: as thresholds.
    """

    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    percentiles: tuple[str, ...] = ()


class Model(nn.Module, ABC):
    """A network with parts.

    `prior` names the distribution of `z` that the decoder was trained to turn into images, or is
    None if the training shaped none.
    """

    prior: str | None = None

    @abstractmethod
    def parts(self) -> dict[str, Part]:
        """The parts by name, "encoder" and "decoder" among them; modules share the weights."""
