"""A model whose denoiser gives back its picture, to see what a program reads of a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part, image, latent

__all__ = ["make"]

_SIZE = (28, 28)


class _Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).mean(1, keepdim=True)


class _Flat(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(z)[:, :, None, None].expand(-1, self.channels, *_SIZE)


class _Same(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, 1)


class _Model(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.denoiser = _Mean(), _Flat(channels), _Same()
        self.channels = channels

    def parts(self) -> dict[str, Part]:
        shape = (self.channels, *_SIZE)
        x, z = image("x", shape, "a picture"), latent("z", 1, "its mean")
        y = image("reconstruction", shape, "the same picture")
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
            "denoiser": Part(self.denoiser, (x,), (y,)),
        }


def _of(channels: int) -> Callable[[], nn.Module]:
    return lambda: _Model(channels)


c1, c2, c3, c4 = map(_of, (1, 2, 3, 4))


def make(folder: Path) -> None:
    """Export `folder`/1 to `folder`/4: bundles for pictures of so many channels."""
    for channels in (1, 2, 3, 4):
        export(
            ExportOptions(
                "same",
                folder / str(channels),
                parts=("denoiser",),
                io=() if channels == 2 else ("uint8",),  # pixels of two channels are no format
                from_source=f"module:{__name__}:c{channels}",
            )
        )
