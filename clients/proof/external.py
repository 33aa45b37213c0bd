"""Models from elsewhere for the clients: pictures of any size, signals, conditions.

Their weights are random: what is proven is that every language computes the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeonnx.bundle import Axis, TensorSpec
from aeonnx.models import Part

__all__ = ["FACTORIES", "any_size", "conditional", "generator", "signal"]

FACTORIES = ("any_size", "conditional", "generator", "signal")


class AnySize(nn.Module):
    """A denoiser of grey pictures of any size, x + f(x) with 5 convolutions, f of 2 strides."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        denoised: Tensor = (x + 0.1 * self.network(x)).clamp(0.0, 1.0)
        return denoised

    def parts(self) -> dict[str, Part]:
        """The denoiser alone: there is no latent."""
        shape = ("batch", 1, "height", "width")
        x = TensorSpec("x", shape, range=(0.0, 1.0), kind="image")
        y = TensorSpec("denoised", shape, range=(0.0, 1.0), kind="image")
        axes = {name: Axis(2, min=8) for name in ("height", "width")}
        return {"denoiser": Part(self, (x,), (y,), axes=axes)}


class _Conditional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Embedding(10, 6)
        self.network = nn.Sequential(nn.Linear(10, 32), nn.GELU(), nn.Linear(32, 3 * 8 * 8))

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        hidden = self.network(torch.cat([z, self.classes(label)], 1))
        return torch.tanh(hidden).reshape(-1, 3, 8, 8)


class Conditional(nn.Module):
    """A decoder of z [4] and a label to colour images in [-1, 1]."""

    prior = "standard-normal"

    def __init__(self) -> None:
        super().__init__()
        self.decoder = _Conditional()

    def parts(self) -> dict[str, Part]:
        """The decoder alone."""
        z = TensorSpec("z", ("batch", 4), kind="latent")
        label = TensorSpec("label", ("batch",), "int64", (0.0, 9.0), kind="label")
        y = TensorSpec("image", ("batch", 3, 8, 8), range=(-1.0, 1.0), kind="image")
        return {"decoder": Part(self.decoder, (z, label), (y,))}


class Generator(nn.Module):
    """A decoder of latents of any size and a label to grey images in [-1, 1]."""

    prior = "standard-normal"

    def __init__(self) -> None:
        super().__init__()
        self.up, self.label = nn.ConvTranspose2d(2, 1, 4, stride=4), nn.Embedding(10, 1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        return torch.tanh(self.up(z) + self.label(label)[:, :, None, None])

    def parts(self) -> dict[str, Part]:
        """The decoder alone."""
        z = TensorSpec("z", ("batch", 2, "height/4", "width/4"), kind="latent")
        label = TensorSpec("label", ("batch",), "int64", (0.0, 9.0), kind="label")
        shape = ("batch", 1, "height", "width")
        y = TensorSpec("image", shape, range=(-1.0, 1.0), kind="image")
        axes = {name: Axis(4, min=8, max=512) for name in ("height", "width")}
        sizes = {"height": 16, "width": 24}
        return {"decoder": Part(self, (z, label), (y,), axes=axes, sizes=sizes)}


class Signal(nn.Module):
    """An encoder of signals to 4 numbers per 16 samples, and its decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(1, 8, 8, stride=4, padding=2), nn.ELU(), nn.Conv1d(8, 4, 8, 4, padding=2)
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose1d(4, 8, 8, stride=4, padding=2),
            nn.ELU(),
            nn.ConvTranspose1d(8, 1, 8, stride=4, padding=2),
        )

    def parts(self) -> dict[str, Part]:
        """Encoder and decoder, for any number of frames."""
        x = TensorSpec("x", ("batch", 1, "16*frames"), range=(-1.0, 1.0), kind="signal", rate=16000)
        z = TensorSpec("z", ("batch", 4, "frames"), kind="latent")
        y = TensorSpec("y", ("batch", 1, "16*frames"), kind="signal", rate=16000)
        axes = {"frames": Axis(min=2)}
        return {
            "encoder": Part(self.encoder, (x,), (z,), axes=axes),
            "decoder": Part(self.decoder, (z,), (y,), axes=axes),
        }


def any_size() -> nn.Module:
    """A denoiser of pictures of any size."""
    torch.manual_seed(0)
    return AnySize()


def conditional() -> nn.Module:
    """A decoder with a label."""
    torch.manual_seed(0)
    return Conditional()


def generator() -> nn.Module:
    """A decoder of images of any size, with a label."""
    torch.manual_seed(0)
    return Generator()


def signal() -> nn.Module:
    """A codec of signals."""
    torch.manual_seed(0)
    return Signal()
