"""`ae`: mean squared error between image and reconstruction.

Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks".
"""

from __future__ import annotations

import torch
from torch import Tensor

from aeonnx.models import ModelConfig
from aeonnx.models.ae import Autoencoder, ColumnsAutoencoder
from aeonnx.training.random import Noise
from aeonnx.training.recipes._reconstruction import OBJECTIVE, loss, metrics
from aeonnx.training.recipes._registry import Batch, Picture, Recipe, Shape, Stage, register

__all__: list[str] = []


def _pictures(model: Autoencoder, batch: Batch) -> list[Picture]:
    return [Picture.of_rows("reconstructions", batch.x, model(batch.x))]


_HIDDEN = 0.2
"""Share of the values of rows that training hides, as in Vincent et al. 2008: the model learns how
columns depend on one another, and so to do without missing values. In `benchmarks/odd.py` it finds
odd rows better, too."""


def _hide(noise: Noise, shape: Shape) -> tuple[Tensor, ...]:
    return (noise.uniform(*shape),)


def _columns_loss(model: ColumnsAutoencoder, batch: Batch) -> dict[str, Tensor]:
    rows, constant = _standardized(model, batch.x)
    shown = torch.where(batch.noise[0] < _HIDDEN, constant, rows)
    return {"loss": _error(model(shown), rows, batch.x)}


def _columns_metrics(model: ColumnsAutoencoder, batch: Batch) -> dict[str, Tensor]:
    rows, constant = _standardized(model, batch.x)
    return {
        "mse": _error(model(rows), rows, batch.x),
        "mse_constant": _error(constant, rows, batch.x),
    }


def _standardized(model: ColumnsAutoencoder, x: Tensor) -> tuple[Tensor, Tensor]:
    """Standardised rows, and what stands for a missing value of each column, beside them."""
    scale = model.encoder.scale
    rows = model.encoder.standardized(x)
    return rows, scale.along(scale.constant, rows)


def _error(found: Tensor, rows: Tensor, x: Tensor) -> Tensor:
    """Mean squared error of the standardised values that are not missing in x."""
    there = ~torch.isnan(x)
    return ((rows - found).square() * there).sum() / there.sum().clamp(min=1)


def _no_pictures(_: ColumnsAutoencoder, __: Batch) -> list[Picture]:
    return []


@register("ae")
def recipe(config: ModelConfig) -> Recipe:
    """Make the recipe; it has no options."""
    if config.columns is not None:
        objective = "mean squared error of standardised values"
        stage = Stage(
            "train",
            objective,
            _columns_loss,
            _columns_metrics,
            draw=_hide,
            corruption=f"masking {_HIDDEN:g}",
        )
        return Recipe((stage,), _no_pictures, lr=1e-3, ema=0.999)
    return Recipe((Stage("train", OBJECTIVE, loss, metrics),), _pictures)
