"""Loss and metrics that the recipes of plain autoencoders share."""

from __future__ import annotations

from torch import Tensor, nn

from aeonnx.training import losses
from aeonnx.training.recipes._registry import Batch

__all__ = ["OBJECTIVE", "loss", "metrics"]

OBJECTIVE = "mean squared error"


def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Mean squared error between image and reconstruction, over images, channels and pixels."""
    return {"loss": losses.mse(model(batch.x), batch.x)}


def metrics(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """`mse`, the same as the loss, and `psnr` in dB, mean over images."""
    reconstruction = model(batch.x)
    return {
        "mse": losses.mse(reconstruction, batch.x),
        "psnr": losses.psnr(reconstruction, batch.x),
    }
