"""`sdae`: denoising autoencoders layer by layer, then all layers and a classifier with labels.

Vincent et al. 2010, "Stacked denoising autoencoders", sections 3.6 and 6. Fine-tuning differs from
the paper in two ways: it keeps a denoising loss, so that decoder and denoiser match the fine-tuned
encoder; and it applies dropout to the features (Srivastava et al. 2014, "Dropout", section 6.1.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aeonnx.catalog.ranges import Count, FeatureCorruptionKind, Levels, Share, Weight
from aeonnx.models import ModelConfig
from aeonnx.models.sdae import StackedDenoisingAutoencoder
from aeonnx.training import losses
from aeonnx.training.corruption import Corruption
from aeonnx.training.random import Noise
from aeonnx.training.recipes._registry import Batch, Picture, Recipe, Shape, Stage, register

__all__: list[str] = []

Model = StackedDenoisingAutoencoder


def _pretrain(layer: int, width: int, corrupt: Corruption, epochs: int) -> Stage:
    """The stage that trains f_layer and g_layer (from 1) on corrupted features of the layer below.

    Args:
        layer: number of the layer, from 1.
        width: number of these features; for layer 1, of pixels.
        corrupt: their corruption.
        epochs: epochs of the stage.
    """
    first = layer == 1

    def draw(noise: Noise, _: Shape) -> tuple[Tensor, ...]:
        return corrupt.draw(noise, width)

    def loss(model: Model, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            h = model.features(batch.x, layer - 1)
        h_tilde = corrupt(h, *batch.noise)
        output = model.decoders[layer - 1](model.encoders[layer - 1](h_tilde))
        return {"loss": losses.bernoulli(output, h) if first else losses.squared_error(output, h)}

    def metrics(model: Model, batch: Batch) -> dict[str, Tensor]:
        return {"denoising_loss": loss(model, batch)["loss"]}

    def trained(model: Model) -> Sequence[nn.Module]:
        return (model.encoders[layer - 1], model.decoders[layer - 1])

    return Stage(
        name=f"pretrain {layer}",
        objective="cross-entropy of pixels" if first else "squared error of features",
        loss=loss,
        metrics=metrics,
        draw=draw,
        trained=trained,
        corruption=str(corrupt),
        epochs=epochs,
        steps=0,
    )


def _finetune(config: ModelConfig, corrupt: Corruption, dropout: float, denoising: float) -> Stage:
    def draw(noise: Noise, shape: Shape) -> tuple[Tensor, ...]:
        kept = (noise.uniform(width) for width in (*config.hidden, config.latent_size))
        return (*corrupt.draw(noise, *shape), *kept)

    def loss(model: Model, batch: Batch) -> dict[str, Tensor]:
        draws = batch.noise[corrupt.draws :]
        h = corrupt(batch.x, *batch.noise[: corrupt.draws]).flatten(1)
        for encoder, drawn in zip(model.encoders, draws, strict=True):
            h = encoder(h) * (drawn >= dropout) / (1 - dropout)
        classification = nn.functional.cross_entropy(model.head(h), batch.labels)
        if not denoising:
            return {"loss": classification}
        pixel_loss = losses.bernoulli(model.unrolled().logits(h), batch.x) / batch.x[0].numel()
        return {
            "loss": classification + denoising * pixel_loss,
            "classification_loss": classification,
            "denoising_loss": pixel_loss,
        }

    def metrics(model: Model, batch: Batch) -> dict[str, Tensor]:
        logits, _ = model.parts()["classifier"].module(batch.x)
        wrong = (logits.argmax(1) != batch.labels).float().mean()
        x_tilde = corrupt(batch.x, *batch.noise[: corrupt.draws])
        denoised = model.parts()["denoiser"].module(x_tilde)
        return {
            "error": wrong,
            "cross_entropy": nn.functional.cross_entropy(logits, batch.labels),
            "psnr": losses.psnr(denoised, batch.x),
            "psnr_corrupted": losses.psnr(x_tilde, batch.x),
        }

    def trained(model: Model) -> Sequence[nn.Module]:
        return (model,) if denoising else (model.encoders, model.head)

    return Stage(
        name="finetune",
        objective=f"cross-entropy of labels + {denoising:g} x cross-entropy of pixels",
        loss=loss,
        metrics=metrics,
        draw=draw,
        trained=trained,
        corruption=f"{corrupt}; features: masking {dropout:g}",
        epochs=40,
        steps=4000,
    )


@register("sdae")
def recipe(
    config: ModelConfig,
    *,
    corruption: FeatureCorruptionKind = "masking",
    corruption_level: Levels = 0.25,
    pretrain_epochs: Count = 15,
    dropout: Share = 0.4,
    denoising: Weight = 1.0,
) -> Recipe:
    """Make the recipe.

    Args:
        config: configuration of the model.
        corruption: noise that corrupts the images. See `Corruption.kind`. Features of hidden layers
            are not in [0, 1], so their corruption is always masking, at the same level.
        corruption_level: standard deviation of gaussian noise, or fraction of the pixels that
            other noise changes. See `Corruption.level`.
        pretrain_epochs: epochs of pretraining for each layer.
        dropout: fraction of the features that fine-tuning sets to 0 at random.
        denoising: weight of the denoising loss in fine-tuning. With 0, fine-tuning leaves the
            pretrained decoder unchanged.
    """
    corrupt, mask = (
        Corruption(corruption, corruption_level),
        Corruption("masking", corruption_level),
    )
    below = (math.prod(config.input_shape), *config.hidden)
    pretrain = [
        _pretrain(layer, width, corrupt if layer == 1 else mask, pretrain_epochs)
        for layer, width in enumerate(below, start=1)
    ]

    def corrupted(batch: Batch) -> Tensor:
        return corrupt(batch.x, *batch.noise[: corrupt.draws])

    def pictures(model: Model, batch: Batch) -> list[Picture]:
        x_tilde = corrupted(batch)
        denoised = model.parts()["denoiser"].module(x_tilde)
        return [Picture.of_rows("denoised", x_tilde, denoised, batch.x)]

    finetune = _finetune(config, corrupt, dropout, denoising)
    return Recipe((*pretrain, finetune), pictures, lr=1e-3, ema=0.999, given=corrupted)
