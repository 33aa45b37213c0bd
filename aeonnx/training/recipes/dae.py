"""`dae`: cross-entropy between the clean image and the reconstruction of a corrupted one.

Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders",
section 2.3, with pixels as Bernoulli means, as in the paper. With squared error instead, the
gradient vanishes where the sigmoid saturates, and a few large steps at the beginning can leave a
black image for good.
"""

from __future__ import annotations

from torch import Tensor

from aeonnx.catalog.ranges import CorruptionKind, Level
from aeonnx.models import ModelConfig
from aeonnx.models.ae import Autoencoder
from aeonnx.training import losses
from aeonnx.training.corruption import Corruption
from aeonnx.training.random import Noise
from aeonnx.training.recipes._registry import Batch, Picture, Recipe, Stage, register

__all__: list[str] = []


@register("dae")
def recipe(
    config: ModelConfig, *, corruption: CorruptionKind = "gaussian", corruption_level: Level = 0.5
) -> Recipe:
    """Make the recipe.

    Args:
        config: configuration of the model.
        corruption: noise that corrupts the images. See `Corruption.kind`.
        corruption_level: standard deviation of gaussian noise, or fraction of the pixels that
            other noise changes. See `Corruption.level`.
    """
    corrupt = Corruption(corruption, corruption_level)

    def draw(noise: Noise) -> tuple[Tensor, ...]:
        return (corrupt.draw(noise, *config.input_shape),)

    def loss(model: Autoencoder, batch: Batch) -> dict[str, Tensor]:
        z = model.encoder(corrupt(batch.x, *batch.noise))
        whole = losses.bernoulli(model.decoder.logits(z), batch.x)
        return {"loss": whole / batch.x[0].numel()}  # the sum over pixels would overflow in fp16

    def metrics(model: Autoencoder, batch: Batch) -> dict[str, Tensor]:
        x_tilde = corrupt(batch.x, *batch.noise)
        denoised = model(x_tilde)
        return {
            "psnr": losses.psnr(denoised, batch.x),
            "mse": losses.mse(denoised, batch.x),
            "psnr_corrupted": losses.psnr(x_tilde, batch.x),
        }

    def pictures(model: Autoencoder, batch: Batch) -> list[Picture]:
        x_tilde = corrupt(batch.x, *batch.noise)
        return [Picture.of_rows("denoised", x_tilde, model(x_tilde), batch.x)]

    stage = Stage(
        name="train",
        objective="cross-entropy of pixels",
        loss=loss,
        metrics=metrics,
        draw=draw,
        corruption=str(corrupt),
    )
    return Recipe((stage,), pictures)
