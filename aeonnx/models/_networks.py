"""The layers: an encoder and a mirrored decoder for each architecture.

Shapes: N images, C channels, H x W pixels. Encoders map [N, C, H, W] to [N, features] with no
final activation; decoders map [N, latent_size] to logits [N, C, H, W].

The activation between layers is SiLU, x * sigmoid(x) (Elfwing et al. 2018, "Sigmoid-weighted linear
units", equation 3): unlike a ReLU, a unit cannot die.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from aeonnx.errors import UnknownNameError

__all__ = ["ARCHS", "decoder_network", "encoder_network", "initialise"]

Shape = tuple[int, int, int]

_ACTIVATIONS = (nn.SiLU, nn.ReLU)  # between the layers of the models


def encoder_network(arch: str, shape: Shape, hidden: Sequence[int], features: int) -> nn.Module:
    """[N, C, H, W] -> [N, features].

    Raises:
        UnknownNameError: there is no such architecture.
    """
    return initialise(_arch(arch)[0](shape, hidden, features))


def decoder_network(arch: str, latent_size: int, hidden: Sequence[int], shape: Shape) -> nn.Module:
    """[N, latent_size] -> logits [N, C, H, W]; `hidden` in the encoder's order.

    Raises:
        UnknownNameError: there is no such architecture.
    """
    return initialise(_arch(arch)[1](latent_size, tuple(reversed(hidden)), shape))


def _mlp_encoder(shape: Shape, hidden: Sequence[int], features: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *_linear_stack([math.prod(shape), *hidden, features]))


def _mlp_decoder(latent_size: int, hidden: Sequence[int], shape: Shape) -> nn.Module:
    layers = _linear_stack([latent_size, *hidden, math.prod(shape)])
    return nn.Sequential(*layers, nn.Unflatten(1, shape))


def _linear_stack(widths: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(widths):
        layers += [nn.Linear(size_in, size_out), nn.SiLU()]
    return layers[:-1]


def _conv_encoder(shape: Shape, hidden: Sequence[int], features: int) -> nn.Module:
    """Each layer halves height and width (rounded up): kernel 3, stride 2, padding 1."""
    layers: list[nn.Module] = []
    for channels_in, channels_out in pairwise([shape[0], *hidden]):
        layers += [
            # BatchNorm subtracts the mean, so a bias before it would have no effect.
            nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.SiLU(),
        ]
    height, width = _halvings(shape, len(hidden))[-1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(hidden[-1] * height * width, features))


def _conv_decoder(latent_size: int, hidden: Sequence[int], shape: Shape) -> nn.Module:
    sizes = _halvings(shape, len(hidden))[::-1]
    height, width = sizes[0]
    layers: list[nn.Module] = [
        nn.Linear(latent_size, hidden[0] * height * width),
        nn.SiLU(),
        nn.Unflatten(1, (hidden[0], height, width)),
    ]
    channels = [*hidden, shape[0]]
    for i, (channels_in, channels_out) in enumerate(pairwise(channels)):
        last = i == len(hidden) - 1
        # A transposed convolution maps size n to 2 n - 1: output_padding adds the missing 1 where
        # the encoder's input had an even size.
        padding = [sizes[i + 1][axis] - (2 * sizes[i][axis] - 1) for axis in (0, 1)]
        layers.append(
            nn.ConvTranspose2d(
                channels_in,
                channels_out,
                3,
                stride=2,
                padding=1,
                output_padding=(padding[0], padding[1]),
                bias=last,
            )
        )
        if not last:
            layers += [nn.BatchNorm2d(channels_out), nn.SiLU()]
    return nn.Sequential(*layers)


def _halvings(shape: Shape, times: int) -> list[tuple[int, int]]:
    """(H, W) of the image and after each halving."""
    sizes = [shape[1:]]
    for _ in range(times):
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def initialise(network: nn.Module) -> nn.Module:
    """Redraw the weights so that layers preserve the variance of their inputs; set biases to 0.

    He et al. 2015, "Delving deep into rectifiers", section 2.2: N(0, 2 / fan_in), and N(0, 1 /
    fan_in) for a layer that no activation follows. torch's own default has a sixth of that
    variance, with which deep narrow networks learn little more than principal components.
    """
    gain = 1.0
    for layer in reversed(list(network.modules())):
        if isinstance(layer, _ACTIVATIONS):
            gain = math.sqrt(2)
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution's weight is [in, out, ...], others are [out, in, ...].
            transposed = isinstance(layer, nn.ConvTranspose2d)
            fan_in = layer.weight[:, 0].numel() if transposed else layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=gain / math.sqrt(fan_in))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


ARCHS = {"mlp": (_mlp_encoder, _mlp_decoder), "conv": (_conv_encoder, _conv_decoder)}
"""Functions that build encoder and decoder, by the value of `--arch`."""


def _arch(arch: str) -> tuple[Callable[..., nn.Module], Callable[..., nn.Module]]:
    if arch not in ARCHS:
        raise UnknownNameError("architecture", arch, ARCHS)
    return ARCHS[arch]
