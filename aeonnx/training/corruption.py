"""Corruption of the inputs that a denoising autoencoder is trained on; exported graphs have none.

Vincent et al. 2010, "Stacked denoising autoencoders", section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from aeonnx.catalog.ranges import CorruptionKind, Level, allowed_by
from aeonnx.training.random import Noise

__all__ = ["CORRUPTIONS", "Corruption"]


def _gaussian(x: Tensor, level: float, normal: Tensor) -> Tensor:
    return (x + level * normal).clamp(0, 1)


def _masking(x: Tensor, level: float, uniform: Tensor) -> Tensor:
    return x * (uniform >= level)


def _salt_pepper(x: Tensor, level: float, uniform: Tensor) -> Tensor:
    return torch.where(uniform < level, (uniform < level / 2).to(x.dtype), x)


CORRUPTIONS: dict[str, tuple[Callable[..., Tensor], Callable[[Tensor, float, Tensor], Tensor]]] = {
    "gaussian": (Noise.normal, _gaussian),
    "masking": (Noise.uniform, _masking),
    "salt-pepper": (Noise.uniform, _salt_pepper),
}
"""By kind: the function that draws the noise, and (x, level, noise) -> corrupted x."""


@dataclass(frozen=True)
class Corruption:
    """A kind of noise and its level.

    Args:
        kind: "gaussian" adds N(0, level^2) and clips to [0, 1]; "masking" sets a fraction `level`
            of the values to 0; "salt-pepper" sets a fraction `level` to 0 or 1, equally often.
        level: standard deviation, or fraction of the values, in (0, 1].

    Raises:
        UnknownNameError: there is no such kind.
        UsageError: the level is out of range.
    """

    kind: str
    level: float

    def __post_init__(self) -> None:
        for name, value, hint in (
            ("corruption", self.kind, CorruptionKind),
            ("corruption level", self.level, Level),
        ):
            allowed_by(hint).check(name, value)

    def __str__(self) -> str:
        return f"{self.kind} {self.level:g}"

    def draw(self, noise: Noise, *shape: int) -> Tensor:
        """The random numbers for one batch of values of `shape`: float32 [rows, *shape]."""
        return CORRUPTIONS[self.kind][0](noise, *shape)

    def __call__(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Corrupt images or features: x -> x_tilde, of the same shape and range.

        Args:
            x: images or features [N, ...]; in [0, 1] unless the kind is "masking".
            drawn: random numbers from `draw`, of the shape of `x`.
        """
        return CORRUPTIONS[self.kind][1](x, self.level, drawn)
