"""Random networks, each a deterministic function of its seed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aeonnx.bundle import TensorSpec
from aeonnx.models import Part

__all__ = ["random_part"]

Shape = tuple[int, ...]
Layer = tuple[nn.Module, Shape]
"""A layer and the shape of its output, without the batch axis."""

_ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU,
    nn.GELU,
    nn.SiLU,
    nn.ELU,
    nn.LeakyReLU,
    nn.Softplus,
    nn.Tanh,
    nn.Hardswish,
    nn.PReLU,
    nn.Mish,
)
_RANGES = ((0.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), None)
_LARGEST = 4096  # most elements of a row between layers


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class _First(nn.Module):
    """The output of a recurrent layer, without its state."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.inner(x)[0]
        return outputs


class _Attention(nn.Module):
    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.all = nn.Linear(features, 3 * features)
        self.join = nn.Linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.all(x).tensor_split(3, dim=2)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.join(mixed)


class _OverTime(nn.Module):
    """Wraps a layer for [time, features] into one for [features, time]."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.inner(x.transpose(1, 2)).transpose(1, 2)
        return outputs


class _Mean(nn.Module):
    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.axes)


def random_part(seed: int) -> Part:
    """A part with one input and one output."""
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        shape = _input_shape(rng)
        range_ = _RANGES[rng.integers(len(_RANGES))]
        spec = TensorSpec("x", ("batch", *shape), range=range_)
        layers: list[nn.Module] = []
        for _ in range(rng.integers(2, 8)):
            layer, shape = _layer(rng, shape)
            layers.append(layer)
            if rng.random() < 0.6:
                layers.append(_activation(rng))
        last, output_range = _last(rng)
        module = nn.Sequential(*layers, *last)
        _draw(module, rng)
    output = TensorSpec("y", ("batch", *shape), range=output_range)
    return Part(module.eval().requires_grad_(False), (spec,), (output,))


def _input_shape(rng: np.random.Generator) -> Shape:
    kind = rng.integers(3)
    if kind == 0:
        return int(rng.choice([1, 3])), int(rng.integers(6, 25)), int(rng.integers(6, 25))
    if kind == 1:
        return int(rng.integers(5, 33)), int(rng.integers(2, 17))
    return (int(rng.integers(2, 400)),)


def _activation(rng: np.random.Generator) -> nn.Module:
    return _ACTIVATIONS[rng.integers(len(_ACTIVATIONS))]()


def _last(rng: np.random.Generator) -> tuple[list[nn.Module], tuple[float, float] | None]:
    kind = rng.integers(3)
    if kind == 0:
        return [nn.Sigmoid()], (0.0, 1.0)
    return ([nn.Tanh()], (-1.0, 1.0)) if kind == 1 else ([], None)


def _layer(rng: np.random.Generator, shape: Shape) -> Layer:
    by_rank = {1: _vector_layer, 2: _sequence_layer, 3: _image_layer}
    while True:
        layer, after = by_rank[len(shape)](rng, shape)
        if min(after) > 0 and math.prod(after) <= _LARGEST:
            return layer, after


def _vector_layer(rng: np.random.Generator, shape: Shape) -> Layer:
    (size,) = shape
    width = int(rng.integers(1, 129))
    kind = rng.integers(6)
    if kind == 0:
        return nn.LayerNorm(size), shape
    if kind == 1:
        return nn.BatchNorm1d(size), shape
    if kind == 2:
        inner = nn.Sequential(nn.Linear(size, width), _activation(rng), nn.Linear(width, size))
        return _Residual(inner), shape
    if kind == 3 and size % 4 == 0:
        return nn.Unflatten(1, (4, size // 4)), (4, size // 4)
    return nn.Linear(size, width, bias=bool(rng.integers(2))), (width,)


def _sequence_layer(rng: np.random.Generator, shape: Shape) -> Layer:
    length, size = shape
    width = int(rng.integers(1, 25))
    kind = rng.integers(8)
    if kind == 0:
        return nn.LayerNorm(size), shape
    if kind == 1:
        return _First(nn.LSTM(size, width, batch_first=True)), (length, width)
    if kind == 2:
        return _First(nn.GRU(size, width, batch_first=True)), (length, width)
    if kind == 3:
        heads = 2 if size % 2 == 0 else 1
        return _Attention(size, heads), shape
    if kind == 4:
        return _OverTime(nn.Conv1d(size, width, 3, padding=1)), (length, width)
    if kind == 5:
        return nn.Flatten(), (length * size,)
    if kind == 6:
        return _Mean((1,)), (size,)
    return nn.Linear(size, width), (length, width)


def _image_layer(rng: np.random.Generator, shape: Shape) -> Layer:
    channels, height, width = shape
    kind = rng.integers(10)
    if kind < 3:
        return _convolution(rng, shape)
    if kind == 3:
        more = int(rng.integers(1, 13))
        layer = nn.ConvTranspose2d(channels, more, 4, stride=2, padding=1)
        return layer, (more, 2 * height, 2 * width)
    if kind == 4 and min(height, width) > 3:
        pool = nn.MaxPool2d(2) if rng.integers(2) else nn.AvgPool2d(2)
        return pool, (channels, height // 2, width // 2)
    if kind == 5:
        return _image_norm(rng, channels), shape
    if kind == 6:
        inner = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), _activation(rng))
        return _Residual(inner), shape
    if kind == 7:
        if rng.integers(2):
            # Other factors round to other pixels in onnxruntime than in torch (onnxruntime 28085).
            return nn.Upsample(scale_factor=2, mode="nearest"), (channels, 2 * height, 2 * width)
        size = (height + 3, 2 * width)
        return nn.Upsample(size=size, mode="bilinear"), (channels, *size)
    if kind == 8:
        return nn.Flatten(), (math.prod(shape),)
    return _Mean((2, 3)), (channels,)


def _convolution(rng: np.random.Generator, shape: Shape) -> Layer:
    channels, height, width = shape
    groups = channels if rng.random() < 0.2 else 1
    more = groups * int(rng.integers(1, 3)) if groups > 1 else int(rng.integers(1, 17))
    kernel, stride = int(rng.choice([1, 3, 5])), int(rng.choice([1, 1, 2]))
    dilation = 2 if kernel == 3 and min(height, width) > 5 and rng.random() < 0.3 else 1
    padding = dilation * (kernel - 1) // 2
    reflect = 0 < padding < min(height, width) and rng.random() < 0.2
    layer = nn.Conv2d(
        channels,
        more,
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bool(rng.integers(2)),
        padding_mode="reflect" if reflect else "zeros",
    )
    return layer, (more, -(-height // stride), -(-width // stride))


def _image_norm(rng: np.random.Generator, channels: int) -> nn.Module:
    kind = rng.integers(3)
    if kind == 0:
        return nn.BatchNorm2d(channels)
    if kind == 1:
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.GroupNorm(2 if channels % 2 == 0 else 1, channels)


@torch.no_grad()
def _draw(module: nn.Module, rng: np.random.Generator) -> None:
    """Draw weights of the scale of trained networks, and running statistics other than 0 and 1."""
    gain = float(rng.choice([1.0, 1.0, 2.0, 4.0]))
    for name, value in module.named_parameters():
        if value.ndim > 1:
            value.mul_(gain)
        elif name.endswith("weight"):
            value.uniform_(0.5, 1.5)
    for name, value in module.named_buffers():
        if name.endswith("running_mean"):
            value.normal_(0.2, 0.5)
        elif name.endswith("running_var"):
            value.uniform_(0.3, 3.0)
