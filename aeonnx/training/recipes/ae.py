"""`ae`: mean squared error between image and reconstruction.

Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks".
"""

from __future__ import annotations

from aeonnx.models import ModelConfig
from aeonnx.models.ae import Autoencoder
from aeonnx.training.recipes._reconstruction import OBJECTIVE, loss, metrics
from aeonnx.training.recipes._registry import Batch, Picture, Recipe, Stage, register

__all__: list[str] = []


def _pictures(model: Autoencoder, batch: Batch) -> list[Picture]:
    return [Picture.of_rows("reconstructions", batch.x, model(batch.x))]


@register("ae")
def recipe(_: ModelConfig) -> Recipe:
    """Make the recipe; it has no options."""
    return Recipe((Stage("train", OBJECTIVE, loss, metrics),), _pictures)
