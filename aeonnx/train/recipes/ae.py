"""`ae`: mean squared error between image and reconstruction."""

from __future__ import annotations

import torch
from torch import Tensor

from aeonnx.models.ae import Autoencoder
from aeonnx.train import losses
from aeonnx.train.recipes._registry import Picture, Recipe, register

__all__: list[str] = []


def _loss(model: Autoencoder, x: Tensor, _: torch.Generator) -> dict[str, Tensor]:
    return {"loss": losses.mse(model(x), x)}


def _metrics(model: Autoencoder, x: Tensor, _: torch.Generator) -> dict[str, Tensor]:
    reconstruction = model(x)
    return {"mse": losses.mse(reconstruction, x), "psnr": losses.psnr(reconstruction, x)}


def _picture(model: Autoencoder, x: Tensor, _: torch.Generator) -> Picture:
    return Picture("reconstructions", torch.cat([x, model(x)]), columns=len(x))


@register("ae")
def recipe() -> Recipe:
    """The recipe; it takes no options."""
    return Recipe(_loss, _metrics, _picture)
