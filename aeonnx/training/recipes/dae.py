"""`dae`: the clean image from a corrupted one, with cross-entropy or negative PSNR.

Networks with a latent minimise cross-entropy, as in Vincent et al. 2008, "Extracting and composing
robust features with denoising autoencoders", section 2.3, with pixels as Bernoulli means. With
squared error instead, the gradient vanishes where the sigmoid saturates, and a few large steps at
the beginning can leave a black image for good. The U-Net has no sigmoid, and maximises the PSNR of
each crop, so that it learns weak noise as well as strong.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from aeonnx.catalog.ranges import PAIRS, CorruptionKind, LevelsOrAuto
from aeonnx.errors import UsageError
from aeonnx.models import ModelConfig
from aeonnx.models.ae import Autoencoder
from aeonnx.models.dae import Denoiser
from aeonnx.training import losses
from aeonnx.training.corruption import Corruption
from aeonnx.training.random import Noise
from aeonnx.training.recipes._registry import Batch, Picture, Recipe, Shape, Stage, register

__all__: list[str] = []

Model = Autoencoder | Denoiser

# Of "auto": for images with a latent, and for photographs.
_LEVEL, _LEVELS = 0.5, {"jpeg": "0.1-0.9"}
_OTHER_LEVELS = "0.02-0.3"


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
        corruption: noise that corrupts the images; pairs comes with --pairs. See
            `Corruption.kind`.
        corruption_level: standard deviation of gaussian noise, that of white for poisson-gaussian,
            fraction of the pixels that masking and salt-pepper change, or 1 less a hundredth of
            the quality of jpeg; auto is 0.5, and with --arch unet 0.02-0.3, or 0.1-0.9 for jpeg.
            See `Corruption.level`.
    """
    photos = config.arch == "unet"
    if corruption_level == "auto":
        corruption_level = _LEVELS.get(corruption, _OTHER_LEVELS) if photos else _LEVEL
    corrupt = None if corruption == PAIRS else Corruption(corruption, corruption_level)
    unbounded = corrupt is not None and corrupt.unbounded
    if unbounded and not photos:
        raise UsageError(
            f"--corruption {corruption} makes values outside of [0, 1], which only --arch unet "
            "takes: add it, or choose gaussian, which is clipped"
        )

    def draw(noise: Noise, shape: Shape) -> tuple[Tensor, ...]:
        return corrupt.draw(noise, *shape) if corrupt else ()

    def corrupted(batch: Batch) -> Tensor:
        if corrupt:
            return corrupt(batch.x, *batch.noise)
        assert batch.noisy is not None  # noqa: S101  # the engine gives what the option asks for
        return batch.noisy

    def cross_entropy(model: Autoencoder, batch: Batch) -> dict[str, Tensor]:
        z = model.encoder(corrupted(batch))
        whole = losses.bernoulli(model.decoder.logits(z), batch.x)
        return {"loss": whole / batch.x[0].numel()}  # the sum over pixels would overflow in fp16

    def negative_psnr(model: Denoiser, batch: Batch) -> dict[str, Tensor]:
        return {"loss": losses.negative_psnr(model(corrupted(batch)), batch.x)}

    def metrics(model: Model, batch: Batch) -> dict[str, Tensor]:
        x_tilde = corrupted(batch)
        denoised = model(x_tilde).clamp(0, 1)
        return {
            "psnr": losses.psnr(denoised, batch.x),
            "mse": losses.mse(denoised, batch.x),
            "psnr_corrupted": losses.psnr(x_tilde, batch.x),
        }

    def pictures(model: Model, batch: Batch) -> list[Picture]:
        x_tilde = corrupted(batch)
        return [
            Picture.of_rows("denoised", x_tilde.clamp(0, 1), model(x_tilde).clamp(0, 1), batch.x)
        ]

    stage = Stage(
        name="train",
        objective="cross-entropy of pixels",
        loss=cross_entropy,
        metrics=metrics,
        draw=draw,
        corruption=str(corrupt or PAIRS),
    )
    if not photos:
        return Recipe((stage,), pictures, given=corrupted)
    decibels = replace(stage, objective="negative PSNR of crops", loss=negative_psnr, steps=20_000)
    # The norm of the logarithm's gradient grows as the error shrinks: clipped, the rate can be
    # twice as high.
    return Recipe(
        (decibels,),
        pictures,
        batch_size=8,
        lr=2e-3,
        clip=1.0,
        ema=0.999,
        given=corrupted,
        unbounded=unbounded,
    )
