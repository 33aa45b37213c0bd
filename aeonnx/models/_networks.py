"""The layers: an encoder and a mirrored decoder for each architecture.

Encoders map rows [N, ...] to [N, features] with no final activation; decoders map [N, latent_size]
to rows [N, ...], of images the logits. A row is an image [C, H, W] of C channels and H x W pixels,
a vector [D] of D columns, or a window [D, W] of W steps.

The activation between layers is SiLU, x * sigmoid(x) (Elfwing et al. 2018, "Sigmoid-weighted linear
units", equation 3): unlike a ReLU, a unit cannot die.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from aeonnx.errors import UnknownNameError

__all__ = ["ARCHS", "decoder_network", "encoder_network", "initialise"]

Shape = tuple[int, ...]

_ACTIVATIONS = (nn.SiLU, nn.ReLU)  # between the layers of the models
_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
_CONVOLUTIONS: dict[int, tuple[Any, Any, Any]] = {
    1: (nn.Conv1d, nn.BatchNorm1d, nn.ConvTranspose1d),
    2: (nn.Conv2d, nn.BatchNorm2d, nn.ConvTranspose2d),
}
"""Convolution, normalisation and transposed convolution, by the number of axes that they cover."""


def encoder_network(arch: str, shape: Shape, hidden: Sequence[int], features: int) -> nn.Module:
    """[N, *shape] -> [N, features].

    Raises:
        UnknownNameError: there is no such architecture.
    """
    return initialise(_arch(arch)[0](shape, hidden, features))


def decoder_network(arch: str, latent_size: int, hidden: Sequence[int], shape: Shape) -> nn.Module:
    """[N, latent_size] -> [N, *shape]; `hidden` in the encoder's order.

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
    """Each layer halves all sizes but that of channels, rounded up: kernel 3, stride 2, padding 1.

    1-d convolutions for windows, 2-d ones for images.
    """
    conv, norm, _ = _CONVOLUTIONS[len(shape) - 1]
    layers: list[nn.Module] = []
    for channels_in, channels_out in pairwise([shape[0], *hidden]):
        layers += [
            # BatchNorm subtracts the mean, so a bias before it would have no effect.
            conv(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
            norm(channels_out),
            nn.SiLU(),
        ]
    places = math.prod(_halvings(shape, len(hidden))[-1])
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(hidden[-1] * places, features))


def _conv_decoder(latent_size: int, hidden: Sequence[int], shape: Shape) -> nn.Module:
    _, norm, transposed = _CONVOLUTIONS[len(shape) - 1]
    sizes = _halvings(shape, len(hidden))[::-1]
    layers: list[nn.Module] = [
        nn.Linear(latent_size, hidden[0] * math.prod(sizes[0])),
        nn.SiLU(),
        nn.Unflatten(1, (hidden[0], *sizes[0])),
    ]
    channels = [*hidden, shape[0]]
    for i, (channels_in, channels_out) in enumerate(pairwise(channels)):
        last = i == len(hidden) - 1
        # A transposed convolution maps size n to 2 n - 1: output_padding adds the missing 1 where
        # the encoder's input had an even size.
        more = tuple(big - (2 * small - 1) for small, big in zip(*sizes[i : i + 2], strict=True))
        layers.append(
            transposed(
                channels_in, channels_out, 3, stride=2, padding=1, output_padding=more, bias=last
            )
        )
        if not last:
            layers += [norm(channels_out), nn.SiLU()]
    return nn.Sequential(*layers)


def _halvings(shape: Shape, times: int) -> list[Shape]:
    """(H, W) of the image, or (W,) of the window, and after each halving."""
    sizes = [shape[1:]]
    for _ in range(times):
        sizes.append(tuple(-(-size // 2) for size in sizes[-1]))
    return sizes


class _LastState(nn.Module):
    """Windows [N, D, W] -> the state of the last layer after the last step, [N, units].

    Hochreiter & Schmidhuber 1997, "Long short-term memory".
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.layers = _recurrent(widths)

    def forward(self, x: Tensor) -> Tensor:
        h = x.transpose(1, 2)
        for layer in self.layers:
            h, _ = layer(h)
        return h[:, -1]


class _Unrolled(nn.Module):
    """Latents [N, latent_size] -> windows [N, D, W]: the latent is the input of every step.

    Srivastava et al. 2015, "Unsupervised learning of video representations using LSTMs", section
    2.2, with the latent instead of the previous value.
    """

    def __init__(self, widths: Sequence[int], shape: Shape) -> None:
        super().__init__()
        self.columns, self.steps = shape
        self.layers = _recurrent(widths)
        self.output = nn.Linear(widths[-1], self.columns)

    def forward(self, z: Tensor) -> Tensor:
        h = z[:, None].expand(-1, self.steps, -1)
        for layer in self.layers:
            h, _ = layer(h)
        found: Tensor = self.output(h).transpose(1, 2)
        return found


def _recurrent(widths: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(
        nn.LSTM(size_in, size_out, batch_first=True) for size_in, size_out in pairwise(widths)
    )


def _lstm_encoder(shape: Shape, hidden: Sequence[int], features: int) -> nn.Module:
    return nn.Sequential(_LastState([shape[0], *hidden]), nn.Linear(hidden[-1], features))


def _lstm_decoder(latent_size: int, hidden: Sequence[int], shape: Shape) -> nn.Module:
    return _Unrolled([latent_size, *hidden], shape)


def initialise(network: nn.Module) -> nn.Module:
    """Redraw the weights so that layers preserve the variance of their inputs; set biases to 0.

    He et al. 2015, "Delving deep into rectifiers", section 2.2: N(0, 2 / fan_in), and N(0, 1 /
    fan_in) for the layers after the last activation. torch's own default has a sixth of that
    variance, with which deep narrow networks learn little more than principal components.
    """
    gain = 1.0
    for layer in reversed(list(network.modules())):
        if isinstance(layer, _ACTIVATIONS):
            gain = math.sqrt(2)
        if isinstance(layer, _WEIGHTED):
            # A transposed convolution's weight is [in, out, ...], others are [out, in, ...].
            transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d)
            fan_in = layer.weight[:, 0].numel() if transposed else layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=gain / math.sqrt(fan_in))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


ARCHS = {
    "mlp": (_mlp_encoder, _mlp_decoder),
    "conv": (_conv_encoder, _conv_decoder),
    "lstm": (_lstm_encoder, _lstm_decoder),
}
"""Functions that build encoder and decoder, by the value of `--arch`."""


def _arch(arch: str) -> tuple[Callable[..., nn.Module], Callable[..., nn.Module]]:
    if arch not in ARCHS:
        raise UnknownNameError("architecture", arch, ARCHS)
    return ARCHS[arch]
