"""`dae`: mean squared error between the clean image and what the model makes of a corrupted one.

Vincent et al. 2008, section 2.3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aeonnx.models.ae import Autoencoder
from aeonnx.train import losses
from aeonnx.train.corruption import Corruption
from aeonnx.train.recipes._registry import Picture, Recipe, register

__all__: list[str] = []


@register("dae")
def recipe(corruption: str = "gaussian", corruption_level: float = 0.5) -> Recipe:
    """The recipe.

    Args:
        corruption: see `Corruption.kind`.
        corruption_level: see `Corruption.level`.

    Raises:
        UnknownNameError: there is no such corruption.
        UsageError: the level is out of range.
    """
    corrupt = Corruption(corruption, corruption_level)

    def loss(model: Autoencoder, x: Tensor, noise: torch.Generator) -> dict[str, Tensor]:
        return {"loss": losses.mse(model(corrupt(x, noise)), x)}

    def metrics(model: Autoencoder, x: Tensor, noise: torch.Generator) -> dict[str, Tensor]:
        x_tilde = corrupt(x, noise)
        denoised = model(x_tilde)
        return {
            "mse": losses.mse(denoised, x),
            "psnr": losses.psnr(denoised, x),
            "psnr_corrupted": losses.psnr(x_tilde, x),
        }

    def picture(model: Autoencoder, x: Tensor, noise: torch.Generator) -> Picture:
        x_tilde = corrupt(x, noise)
        return Picture("denoised", torch.cat([x, x_tilde, model(x_tilde)]), columns=len(x))

    return Recipe(loss, metrics, picture)
