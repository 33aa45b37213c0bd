"""Models of colour pictures for the browser page. Their weights are random."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeonnx.bundle import Axis, TensorSpec
from aeonnx.models import Part

__all__ = ["colour_decoder", "colour_denoiser"]

RANGE = (-1.0, 1.0)


class ColourDenoiser(nn.Module):
    """A denoiser of RGB pictures of any size, in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        denoised: Tensor = (x + self.network(x)).clamp(*RANGE)
        return denoised

    def parts(self) -> dict[str, Part]:
        """The denoiser alone."""
        shape = ("batch", 3, "height", "width")
        x, y = (TensorSpec(name, shape, range=RANGE, kind="image") for name in ("x", "denoised"))
        axes = {name: Axis(min=4) for name in ("height", "width")}
        return {"denoiser": Part(self, (x,), (y,), axes=axes)}


class ColourDecoder(nn.Module):
    """A decoder of 6 numbers in [0, 10] to RGB images that are not square; nothing draws z."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(6, 3 * 12 * 20), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.network(z).reshape(-1, 3, 12, 20)
        return images

    def parts(self) -> dict[str, Part]:
        """The decoder alone."""
        z = TensorSpec("z", ("batch", 6), range=(0.0, 10.0), kind="vector")
        y = TensorSpec("image", ("batch", 3, 12, 20), range=RANGE, kind="image")
        return {"decoder": Part(self, (z,), (y,))}


def colour_denoiser() -> nn.Module:
    """A denoiser of pictures of any size."""
    torch.manual_seed(0)
    return ColourDenoiser()


def colour_decoder() -> nn.Module:
    """A decoder without a prior."""
    torch.manual_seed(0)
    return ColourDecoder()
