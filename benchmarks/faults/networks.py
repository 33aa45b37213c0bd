"""Eight small autoencoders with seeded weights, each exported as one verified graph.

Together they cover the operators of autoencoders. The weights are drawn so that every layer affects
the outputs: variances kept from layer to layer, biases and running statistics away from 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import onnx
import torch
import torch.nn.functional as F  # noqa: N812
from onnx import ModelProto
from torch import Tensor, nn

from aeonnx import models
from aeonnx.bundle import TensorSpec
from aeonnx.exporting.capture.graph import build_graph
from aeonnx.exporting.opsets import DEFAULT_OPSET
from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = ["NETWORKS", "Subject", "subject"]

_DIGITS = ("batch", 1, 28, 28)


@dataclass(frozen=True, eq=False)
class Subject:
    """A network that faults are put into.

    Args:
        network: its name.
        part: the original part.
        graph: the correct graph.
        real: real inputs, by name; empty without any.
    """

    network: str
    part: Part
    graph: ModelProto
    real: dict[str, Array]


class Photographs(nn.Module):
    """3 x 32 x 32: GELU, a dilated and a grouped convolution, padding by reflection, BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.dilated = nn.Conv2d(16, 16, 3, padding=2, dilation=2)
        self.grouped = nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=4)
        self.reflected = nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect")
        self.narrow = nn.Linear(16 * 64, 32)
        self.widen = nn.Linear(32, 16 * 64)
        self.up = nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1)
        self.up_norm = nn.BatchNorm2d(8)
        self.last = nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # The norm follows the activation, so it cannot be folded into the convolution.
        hidden = self.norm(F.gelu(self.first(x)))
        hidden = hidden + F.gelu(self.dilated(hidden))
        hidden = self.reflected(F.gelu(self.grouped(hidden)))
        hidden = self.widen(F.gelu(self.narrow(F.gelu(hidden).flatten(1))))
        hidden = self.up_norm(F.gelu(self.up(hidden.unflatten(1, (16, 8, 8)))))
        return torch.sigmoid(self.last(hidden))


class Skips(nn.Module):
    """A U-Net: pooling with a rounded-up size, four ways to resize, skip connections."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 8, 3, padding=1)
        self.third = nn.Conv2d(8, 7, 3, padding=1)
        self.norm = nn.BatchNorm2d(7)
        self.slopes = nn.PReLU(7)
        self.fourth = nn.Conv2d(15, 6, 3, padding=1)
        self.fifth = nn.Conv2d(12, 4, 3, padding=1)
        self.last = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = F.leaky_relu(self.first(x), 0.01)
        small = F.avg_pool2d(first, 3, stride=2, padding=1, count_include_pad=False)  # 14
        second = F.relu6(12 * self.second(small))
        tiny = F.max_pool2d(second, 3, stride=2, ceil_mode=True)  # 7
        deep = self.norm(self.slopes(self.third(tiny)))
        deep = F.interpolate(deep, size=(11, 11), mode="nearest")
        deep = F.interpolate(deep, scale_factor=2, mode="bicubic", align_corners=False)
        deep = F.interpolate(deep, size=(14, 14), mode="bilinear", align_corners=False)
        up = F.hardswish(self.fourth(torch.cat([deep, second], 1)))
        up = F.interpolate(up, size=(28, 28), mode="bilinear", align_corners=True)
        up = F.leaky_relu(self.fifth(torch.cat([up, first], 1)), 0.01)
        return torch.sigmoid(self.last(up))


class Norms(nn.Module):
    """On the logarithm of its input: GroupNorm, InstanceNorm, ELU, softplus, hard sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.groups = nn.GroupNorm(2, 8)
        self.second = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.instance = nn.InstanceNorm2d(16, affine=True)
        self.narrow = nn.Linear(16 * 49, 24)
        self.gate = nn.Linear(16, 16)
        self.widen = nn.Linear(24, 16 * 49)
        self.up_norm = nn.GroupNorm(4, 16)
        self.up = nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1)
        self.last = nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.elu(self.groups(self.first(torch.log(x + 1e-3))))
        hidden = F.silu(self.instance(self.second(hidden)))
        weight = F.hardsigmoid(self.gate(hidden.mean((2, 3))))
        hidden = hidden * weight[:, :, None, None]
        hidden = F.softplus(self.narrow(hidden.flatten(1)), beta=2.0)
        hidden = self.up_norm(self.widen(hidden).unflatten(1, (16, 7, 7)))
        hidden = F.elu(self.up(F.silu(hidden)))
        return torch.sigmoid(self.last(hidden))


class Attention(nn.Module):
    """49 patches of 4 x 4: attention with a bias by position, LayerNorm, tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(16, 16, bias=False)
        self.places = nn.Parameter(torch.zeros(49, 16))
        self.norm = nn.LayerNorm(16)
        self.queries = nn.Linear(16, 48)
        self.join = nn.Linear(16, 16)
        self.bias = nn.Parameter(torch.zeros(169, 2))
        self.second_norm = nn.LayerNorm(16)
        self.widen = nn.Linear(16, 32)
        self.narrow = nn.Linear(32, 16)
        self.last_norm = nn.LayerNorm(16)
        y, x = torch.meshgrid(torch.arange(7), torch.arange(7), indexing="ij")
        y, x = y.flatten(), x.flatten()
        offsets = (y[:, None] - y + 6) * 13 + (x[:, None] - x + 6)
        self.register_buffer("offsets", offsets)  # [49, 49], 0 to 168

    def forward(self, x: Tensor) -> Tensor:
        patches = x.reshape(-1, 7, 4, 7, 4).permute(0, 1, 3, 2, 4).reshape(-1, 49, 16)
        hidden = self.embed(patches) + self.places
        q, k, v = (
            part.reshape(-1, 49, 2, 8).transpose(1, 2)
            for part in self.queries(self.norm(hidden)).split(16, dim=-1)
        )
        scores = q @ k.transpose(-1, -2) / math.sqrt(8)
        scores = scores + self.bias[self.offsets].permute(2, 0, 1)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, 49, 16)
        hidden = hidden + self.join(mixed)
        hidden = hidden + self.narrow(F.gelu(self.widen(self.second_norm(hidden))))
        patches = F.linear(self.last_norm(hidden), self.embed.weight.t())
        rows = patches.reshape(-1, 7, 7, 4, 4).permute(0, 1, 3, 2, 4).reshape(-1, 1, 28, 28)
        return torch.sigmoid(rows)


class Sequence(nn.Module):
    """28 rows of 28: a bidirectional LSTM as encoder, and a GRU as decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.LSTM(28, 16, batch_first=True, bidirectional=True)
        self.narrow = nn.Linear(32, 12)
        self.decode = nn.GRU(12, 24, batch_first=True)
        self.last = nn.Linear(24, 28)

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = self.encode(x[:, 0])
        hidden, _ = self.decode(torch.tanh(self.narrow(hidden)))
        return torch.sigmoid(self.last(hidden))[:, None]


class Levels(nn.Module):
    """From [-1, 1] to [-1, 1]: pixels as levels, looked up in an embedding; tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(65, 4)
        self.first = nn.Conv2d(5, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.narrow = nn.Linear(8 * 196, 16)
        self.widen = nn.Linear(16, 8 * 196)
        self.last = nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        level = (x[:, 0] * 128).to(torch.int64)  # a power of 2: exact in every precision
        pairs = torch.div(level, 4, rounding_mode="floor") + 32
        looked_up = self.table(pairs).permute(0, 3, 1, 2)
        hidden = torch.tanh(self.first(torch.cat([x, looked_up], 1)))
        # The brightness in bytes, as a share of the energy: sums that overflow fp16.
        bytes_ = x * 127.5
        energy = bytes_.square().sum((1, 2, 3), keepdim=True)
        hidden = hidden + bytes_.mean((1, 2, 3), keepdim=True) / torch.sqrt(energy / 784 + 1e-6)
        hidden = torch.tanh(self.narrow(F.selu(self.second(hidden)).flatten(1)))
        return torch.tanh(self.last(self.widen(hidden).unflatten(1, (8, 14, 14))))


def _image(shape: tuple[str | int, ...], low: float = 0.0) -> Callable[[str], TensorSpec]:
    return lambda name: TensorSpec(name, shape, range=(low, 1.0), description="images")


def _whole(build: Callable[[], nn.Module], spec: Callable[[str], TensorSpec]) -> Callable[[], Part]:
    return lambda: Part(_drawn(build()), (spec("x"),), (spec("reconstruction"),))


def _built_in(arch: str, part: str) -> Callable[[], Part]:
    def make() -> Part:
        hidden = {"mlp": (64,), "conv": (8, 16)}[arch]
        config = models.configure("vae", arch, (1, 28, 28), hidden=hidden, latent_size=8)
        model = models.build(config)
        _drawn(model)
        return model.parts()[part]

    return make


NETWORKS: dict[str, Callable[[], Part]] = {
    "vae-mlp": _built_in("mlp", "encoder"),
    "vae-conv": _built_in("conv", "decoder"),
    "photographs": _whole(Photographs, _image(("batch", 3, 32, 32))),
    "skips": _whole(Skips, _image(_DIGITS)),
    "norms": _whole(Norms, _image(_DIGITS)),
    "attention": _whole(Attention, _image(_DIGITS)),
    "sequence": _whole(Sequence, _image(_DIGITS)),
    "levels": _whole(Levels, _image(_DIGITS, -1.0)),
}
"""Name -> a function that returns the part to export, the same at each call."""


def subject(network: str, real: Callable[[Part], dict[str, Array]] | None = None) -> Subject:
    """Build a network and export it.

    Args:
        network: one of `NETWORKS`.
        real: returns real inputs; None for none.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        part = NETWORKS[network]()
    part.module.eval().requires_grad_(False)
    graph = onnx.load_from_string(build_graph(part, DEFAULT_OPSET, {}).data)
    return Subject(network, part, graph, {} if real is None else real(part))


@torch.no_grad()
def _drawn(module: nn.Module) -> nn.Module:
    """Draw weights of variance 2 / fan in; other parameters vary about their usual values."""
    for name, value in module.named_parameters():
        if value.ndim > 1 and not name.startswith(("places", "bias")):
            fan_in = math.prod(value.shape[1:])
            value.normal_(0.0, math.sqrt(2 / fan_in))
        elif name.endswith("weight"):
            value.uniform_(0.5, 1.5)  # of norms
        else:
            value.normal_(0.0, 0.3)
    for name, value in module.named_buffers():
        if name.endswith("running_mean"):
            value.normal_(0.3, 0.5)
        elif name.endswith("running_var"):
            value.uniform_(0.3, 3.0)
    return module
