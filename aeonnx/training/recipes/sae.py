"""`sae`: each autoencoder alone on the output of the previous ones, then all together.

Bengio et al. 2007, "Greedy layer-wise training of deep networks", section 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aeonnx.catalog.ranges import Count
from aeonnx.models import ModelConfig
from aeonnx.models.sae import SERIES, StackedAutoencoder
from aeonnx.training import losses
from aeonnx.training.recipes._reconstruction import OBJECTIVE, loss, metrics
from aeonnx.training.recipes._registry import Batch, Picture, Recipe, Stage, register

__all__: list[str] = []


def _pretrain(number: int, epochs: int) -> Stage:
    """The stage that trains autoencoder `number`, from 1, on the output of the previous ones."""

    def terms(model: StackedAutoencoder, batch: Batch) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            x = model.upto(number - 1)(batch.x)
        return model.autoencoders[number - 1](x), x

    def own_loss(model: StackedAutoencoder, batch: Batch) -> dict[str, Tensor]:
        return {"loss": losses.mse(*terms(model, batch))}

    def own_metrics(model: StackedAutoencoder, batch: Batch) -> dict[str, Tensor]:
        return {"mse": losses.mse(*terms(model, batch))}

    def trained(model: StackedAutoencoder) -> Sequence[nn.Module]:
        return (model.autoencoders[number - 1],)

    return Stage(
        name=f"pretrain {number}",
        objective=OBJECTIVE,
        loss=own_loss,
        metrics=own_metrics,
        trained=trained,
        epochs=epochs,
        steps=0,
    )


def _pictures(model: StackedAutoencoder, batch: Batch) -> list[Picture]:
    """A row of images, then one row per autoencoder: its reconstruction of the row above."""
    rows = [batch.x, *(model.upto(count)(batch.x) for count in range(1, SERIES + 1))]
    return [Picture.of_rows("reconstructions", *rows)]


@register("sae")
def recipe(_: ModelConfig, *, pretrain_epochs: Count = 10) -> Recipe:
    """Make the recipe.

    Args:
        pretrain_epochs: epochs of pretraining for each layer or autoencoder.
    """
    stages = [_pretrain(number, pretrain_epochs) for number in range(1, SERIES + 1)]
    finetune = Stage("finetune", OBJECTIVE, loss, metrics)
    return Recipe((*stages, finetune), _pictures)
