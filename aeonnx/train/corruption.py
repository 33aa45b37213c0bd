"""Corruption of images, from which a denoising autoencoder learns. It is in no graph.

Vincent et al. 2010, "Stacked denoising autoencoders", section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from aeonnx.errors import UnknownNameError, UsageError

__all__ = ["CORRUPTIONS", "Corruption"]


def _gaussian(x: Tensor, level: float, noise: torch.Generator) -> Tensor:
    return (x + level * torch.randn(x.shape, generator=noise, device=x.device)).clamp_(0, 1)


def _masking(x: Tensor, level: float, noise: torch.Generator) -> Tensor:
    return x * (torch.rand(x.shape, generator=noise, device=x.device) >= level)


def _salt_pepper(x: Tensor, level: float, noise: torch.Generator) -> Tensor:
    draw = torch.rand(x.shape, generator=noise, device=x.device)
    return torch.where(draw < level, (draw < level / 2).to(x.dtype), x)


CORRUPTIONS: dict[str, Callable[[Tensor, float, torch.Generator], Tensor]] = {
    "gaussian": _gaussian,
    "masking": _masking,
    "salt-pepper": _salt_pepper,
}


@dataclass(frozen=True)
class Corruption:
    """A kind of noise and how much of it.

    Args:
        kind: "gaussian" adds N(0, level^2) and clips to [0, 1]; "masking" sets a fraction `level`
            of the pixels to 0; "salt-pepper" sets a fraction `level` to 0 or 1, equally often.
        level: standard deviation, or fraction of the pixels, in (0, 1].

    Raises:
        UnknownNameError: there is no such kind.
        UsageError: the level is out of range.
    """

    kind: str
    level: float

    def __post_init__(self) -> None:
        if self.kind not in CORRUPTIONS:
            raise UnknownNameError("corruption", self.kind, CORRUPTIONS)
        if not 0 < self.level <= 1:
            raise UsageError(f"corruption level: expected above 0 and up to 1, got {self.level}")

    def __call__(self, x: Tensor, noise: torch.Generator) -> Tensor:
        """x_tilde: x [N, C, H, W] in [0, 1], corrupted; same shape and range.

        Args:
            x: images.
            noise: generator on the device of `x`.
        """
        return CORRUPTIONS[self.kind](x, self.level, noise)
