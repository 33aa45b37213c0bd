"""Denoisers of images of any size, small: DnCNN, NAFNet, DRUNet, attention in windows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from aeonnx.bundle import Axis, TensorSpec
from aeonnx.models import Part
from benchmarks.zoo_models.entry import in_code

__all__ = ["MODELS"]


class Denoiser(nn.Module):
    """A network for images, and the multiple that their sizes must be of."""

    def __init__(self, network: nn.Module, multiple: int, least: int) -> None:
        super().__init__()
        self.network, self.multiple, self.least = network, multiple, least

    def parts(self) -> dict[str, Part]:
        shape = ("batch", 3, "height", "width")
        x = TensorSpec("x", shape, range=(0.0, 1.0), description="noisy images", kind="image")
        y = TensorSpec("denoised", shape, description="images", kind="image")
        axes = {name: Axis(self.multiple, min=self.least) for name in ("height", "width")}
        return {"denoiser": Part(self.network, (x,), (y,), axes=axes)}


class DnCNN(nn.Module):
    """Zhang et al. 2017, "Beyond a Gaussian denoiser": the image less the noise that is found."""

    def __init__(self, width: int = 16, depth: int = 5) -> None:
        super().__init__()
        middle: list[nn.Module] = []
        for _ in range(depth - 2):
            convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
            middle += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        first, last = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        self.steps = nn.Sequential(first, nn.ReLU(), *middle, last)

    def forward(self, x: Tensor) -> Tensor:
        noise: Tensor = self.steps(x)
        return x - noise


class NAFBlock(nn.Module):
    """Chen et al. 2022, "Simple baselines": products in place of activations."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.spread = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attend = nn.Conv2d(width, width, 1)
        self.last = nn.Conv2d(width, width, 1)
        self.scale = nn.Parameter(torch.full((1, width, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.spread(self.widen(self.norm(x))).chunk(2, dim=1)
        gated = first * second
        weighed = gated * self.attend(gated.mean((2, 3), keepdim=True))
        return x + self.scale * self.last(weighed)


class NAFNet(nn.Module):
    """Blocks at full size, at half of it, and at full size."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.before, self.after = NAFBlock(width), NAFBlock(width)
        self.down, self.middle = nn.Conv2d(width, 2 * width, 2, 2), NAFBlock(2 * width)
        self.up = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1), nn.PixelShuffle(2))
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        high = self.before(self.first(x))
        low = self.middle(self.down(high))
        return x + self.last(self.after(high + self.up(low)))


class Residual(nn.Module):
    """x + what two convolutions make of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.steps = nn.Sequential(first, nn.ReLU(), second)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.steps(x)
        return x + added


class DRUNet(nn.Module):
    """Zhang et al. 2021, "Plug-and-play image restoration": a U-Net of residual blocks."""

    def __init__(self, widths: tuple[int, ...] = (8, 16, 32, 32)) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, widths[0], 3, padding=1, bias=False)
        pairs = [*itertools.pairwise(widths)]
        self.down = nn.ModuleList(
            nn.Sequential(Residual(a), nn.Conv2d(a, b, 2, 2, bias=False)) for a, b in pairs
        )
        self.middle = Residual(widths[-1])
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(b, a, 2, 2, bias=False), Residual(a))
            for a, b in reversed(pairs)
        )
        self.last = nn.Conv2d(widths[0], 3, 3, padding=1, bias=False)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        level = sigma[:, None, None, None].expand(-1, 1, *x.shape[2:])
        kept = [self.first(torch.cat([x, level], 1))]
        for step in self.down:
            kept.append(step(kept[-1]))
        found = self.middle(kept[-1])
        for step in self.up:
            found = step(found + kept.pop())
        made: Tensor = self.last(found + kept.pop())
        return made


class Windows(nn.Module):
    """Attention in windows of 8 x 8 pixels: Liang et al. 2021, "SwinIR"."""

    def __init__(self, width: int = 16, side: int = 8) -> None:
        super().__init__()
        self.side = side
        self.first, self.last = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        self.norm = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        features = self.first(x)
        rows, columns = features.shape[2:]
        down, across = rows // self.side, columns // self.side
        grid = features.unflatten(3, (across, self.side)).unflatten(2, (down, self.side))
        # [N * windows, places, width], as SwinIR has them
        windows = grid.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(0, 2)
        q, k, v = self.qkv(self.norm(windows)).chunk(3, dim=-1)
        weights = (q @ k.transpose(1, 2) / q.shape[2] ** 0.5).softmax(-1)
        found = (windows + self.out(weights @ v)).unflatten(0, (-1, down, across))
        found = found.unflatten(3, (self.side, self.side)).permute(0, 5, 1, 3, 2, 4)
        image: Tensor = self.last(found.flatten(4, 5).flatten(2, 3))
        return x + image


class WithNoiseLevel(Denoiser):
    """A denoiser that is told the noise's standard deviation."""

    def parts(self) -> dict[str, Part]:
        part = super().parts()["denoiser"]
        sigma = TensorSpec("sigma", ("batch",), range=(0.0, 1.0), description="of the noise")
        inputs = (*part.inputs, sigma)
        return {"denoiser": Part(self.network, inputs, part.outputs, axes=part.axes)}


def _made(network: Callable[[], nn.Module], multiple: int, least: int, kind: Any = Denoiser) -> Any:
    torch.manual_seed(0)
    return kind(network(), multiple, least)


def dncnn() -> nn.Module:
    return _made(DnCNN, 1, 8)


def nafnet() -> nn.Module:
    return _made(NAFNet, 2, 8)


def drunet() -> nn.Module:
    return _made(DRUNet, 8, 16, WithNoiseLevel)


def windows() -> nn.Module:
    return _made(Windows, 8, 16)


MODELS = {
    name: in_code("denoiser", f"denoisers:{name}")
    for name in ("dncnn", "nafnet", "drunet", "windows")
}
