"""Models from elsewhere that several test modules export, as `module:tests.modules:NAME`."""

from __future__ import annotations

import torch
from torch import nn

from aeonnx.bundle import TensorSpec
from aeonnx.models import Part, latent

__all__ = ["Rows"]


class Rows(nn.Module):
    """An encoder and a decoder of rows, which are no images."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.decoder = nn.Linear(8, 2), nn.Linear(2, 8)

    def parts(self) -> dict[str, Part]:
        x, y = (TensorSpec(name, ("batch", 8), kind="vector") for name in "xy")
        z = latent("z", 2, "latent")
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (y,)),
        }
