"""A residual U-Net for images of any size: the network of `--arch unet`.

Ronneberger et al. 2015, "U-Net: Convolutional networks for biomedical image segmentation", with
residual blocks, one addition instead of each concatenation, and no biases, as in Zhang et al. 2021,
"Plug-and-play image restoration with deep denoiser prior", section 3. Without biases, the network
times a factor is the network of the image times that factor, so that it denoises levels of noise
that it was not trained on (Mohan et al. 2020, "Robust and interpretable blind image denoising via
bias-free convolutional neural networks"). It works on blocks of 2x2 pixels, as in Zhang et al.
2018, "FFDNet", section 3.1: a quarter of the work for the same channels. The blocks are transformed
by cosines over rows, columns and colours (for colours as in Yu and Sapiro 2011, "DCT image
denoising: a simple and effective image denoising algorithm"): pixels are nearly alike, and their
mean and their differences, each in a channel of its own, are what a network learns faster from.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812  # the name that all torch code uses
from torch import Tensor, nn

from aeonnx._util.cosines import cosines
from aeonnx.models._networks import initialise

__all__ = ["UNet", "multiple_of"]

_BLOCK = 2  # pixels per side that become channels before the first layer


def multiple_of(hidden: Sequence[int]) -> int:
    """Height and width must be multiples of this, for that many levels."""
    return _BLOCK << (len(hidden) - 1)


class UNet(nn.Module):
    """x [N, C, H, W] -> x minus the noise that the network finds in it, of the same shape.

    Args:
        channels: C of the images.
        hidden: channels of each level, from the image downwards; each level has half the height and
            width of the one above.
    """

    blocks: Tensor

    def __init__(self, channels: int, hidden: Sequence[int]) -> None:
        super().__init__()
        inside = channels * _BLOCK**2
        self.register_buffer("blocks", _transform_of_blocks(channels), persistent=False)
        self.head = _conv(inside, hidden[0])
        self.encoders = nn.ModuleList(_Residual(width) for width in hidden[:-1])
        self.down = nn.ModuleList(
            nn.Conv2d(above, below, 2, stride=2, bias=False) for above, below in pairwise(hidden)
        )
        self.bottom = nn.Sequential(_Residual(hidden[-1]), _Residual(hidden[-1]))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 2, stride=2, bias=False)
            for above, below in pairwise(hidden)
        )
        self.decoders = nn.ModuleList(_Residual(width) for width in hidden[:-1])
        self.tail = _conv(hidden[0], inside)
        initialise(self)
        # Additions make the variance grow from block to block. So each block begins as the
        # identity, and the network too: it finds no noise.
        for module in self.modules():
            if isinstance(module, _Residual):
                nn.init.zeros_(module.last.weight)
        nn.init.zeros_(self.tail.weight)

    def forward(self, x: Tensor) -> Tensor:
        # Convolutions in this memory format are faster, and those below keep it.
        h = self.head(F.conv2d(x, self.blocks, stride=_BLOCK)).contiguous(
            memory_format=torch.channels_last
        )
        kept = []
        for encoder, down in zip(self.encoders, self.down, strict=True):
            h = encoder(h)
            kept.append(h)
            h = down(h)
        h = self.bottom(h)
        for level in reversed(range(len(kept))):
            h = self.decoders[level](self.up[level](h) + kept[level])
        return x - F.conv_transpose2d(self.tail(h), self.blocks, stride=_BLOCK)


class _Residual(nn.Module):
    """h -> h + conv(relu(conv(h))), [N, width, H, W]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_conv(width, width), nn.ReLU())
        self.last = _conv(width, width)

    def forward(self, h: Tensor) -> Tensor:
        added: Tensor = self.last(self.first(h))
        return h + added


def _transform_of_blocks(channels: int) -> Tensor:
    """Weights of a convolution that transforms each block: [channels * 2 * 2, channels, 2, 2]."""
    pixels, colours = torch.from_numpy(cosines(_BLOCK)), torch.from_numpy(cosines(channels))
    found = torch.einsum("kc,uy,vx->kuvcyx", colours, pixels, pixels)
    return found.reshape(-1, channels, _BLOCK, _BLOCK).float()


def _conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
