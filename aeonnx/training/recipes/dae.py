"""`dae`: the clean image from a corrupted one, with cross-entropy or absolute error.

Networks with a latent minimise cross-entropy, as in Vincent et al. 2008, "Extracting and composing
robust features with denoising autoencoders", section 2.3, with pixels as Bernoulli means. With
squared error instead, the gradient vanishes where the sigmoid saturates, and a few large steps at
the beginning can leave a black image for good. The U-Net has no sigmoid, and minimises the absolute
error, as in Zhang et al. 2021, "Plug-and-play image restoration with deep denoiser prior", section
3.3, which is robust against the few crops with the strongest noise.
"""

from __future__ import annotations

from dataclasses import replace

import torch.nn.functional as F  # noqa: N812  # the name that all torch code uses
from torch import Tensor

from aeonnx.catalog.ranges import CorruptionKind, LevelsOrAuto
from aeonnx.models import ModelConfig
from aeonnx.models.ae import Autoencoder
from aeonnx.models.dae import Denoiser
from aeonnx.training import losses
from aeonnx.training.corruption import Corruption
from aeonnx.training.random import Noise
from aeonnx.training.recipes._registry import Batch, Picture, Recipe, Shape, Stage, register

__all__: list[str] = []

Model = Autoencoder | Denoiser

_LEVEL, _LEVELS = 0.5, "0.02-0.3"  # of "auto": for images with a latent, and for photographs


@register("dae")
def recipe(
    config: ModelConfig,
    *,
    corruption: CorruptionKind = "gaussian",
    corruption_level: LevelsOrAuto = "auto",
) -> Recipe:
    """Make the recipe.

    Args:
        config: configuration of the model.
        corruption: noise that corrupts the images. See `Corruption.kind`.
        corruption_level: standard deviation of gaussian noise, or fraction of the pixels that
            other noise changes; auto is 0.5, and 0.02-0.3 with --arch unet. See `Corruption.level`.
    """
    photos = config.arch == "unet"
    if corruption_level == "auto":
        corruption_level = _LEVELS if photos else _LEVEL
    corrupt = Corruption(corruption, corruption_level)

    def draw(noise: Noise, shape: Shape) -> tuple[Tensor, ...]:
        return corrupt.draw(noise, *shape)

    def cross_entropy(model: Autoencoder, batch: Batch) -> dict[str, Tensor]:
        z = model.encoder(corrupt(batch.x, *batch.noise))
        whole = losses.bernoulli(model.decoder.logits(z), batch.x)
        return {"loss": whole / batch.x[0].numel()}  # the sum over pixels would overflow in fp16

    def absolute_error(model: Denoiser, batch: Batch) -> dict[str, Tensor]:
        return {"loss": F.l1_loss(model(corrupt(batch.x, *batch.noise)), batch.x)}

    def metrics(model: Model, batch: Batch) -> dict[str, Tensor]:
        x_tilde = corrupt(batch.x, *batch.noise)
        denoised = model(x_tilde).clamp(0, 1)
        return {
            "psnr": losses.psnr(denoised, batch.x),
            "mse": losses.mse(denoised, batch.x),
            "psnr_corrupted": losses.psnr(x_tilde, batch.x),
        }

    def pictures(model: Model, batch: Batch) -> list[Picture]:
        x_tilde = corrupt(batch.x, *batch.noise)
        return [Picture.of_rows("denoised", x_tilde, model(x_tilde).clamp(0, 1), batch.x)]

    stage = Stage(
        name="train",
        objective="cross-entropy of pixels",
        loss=cross_entropy,
        metrics=metrics,
        draw=draw,
        corruption=str(corrupt),
    )
    if not photos:
        return Recipe((stage,), pictures)
    absolute = replace(
        stage, objective="absolute error of pixels", loss=absolute_error, steps=10_000
    )
    return Recipe((absolute,), pictures, batch_size=16, lr=1e-3, ema=0.999)
