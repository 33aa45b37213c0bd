"""Whether a trained model is better than doing nothing, on images that it has not learned from."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from aeonnx.models import Model, primary_output
from aeonnx.train import losses
from aeonnx.train.engine.loader import BatchLoader
from aeonnx.train.engine.plan import Plan, spread

__all__ = ["worse_than_nothing"]

_IMAGES = 1000  # of each half, that are looked at


@torch.no_grad()
def worse_than_nothing(
    plan: Plan, model: Model, train: BatchLoader, test: BatchLoader, metrics: Mapping[str, float]
) -> str | None:
    """What is said of a model that is worse than doing nothing; None of one that is not.

    One that denoises is compared with its noisy input, any other with the mean training image.

    Args:
        plan: of the run.
        model: trained, in eval mode.
        train: training images.
        test: test images.
        metrics: of the model, on the test images.
    """
    if {"psnr", "psnr_corrupted"} <= metrics.keys():
        found, nothing = metrics["psnr"], metrics["psnr_corrupted"]
        what, instead = "what it denoises", "its noisy input"
    else:
        encoder, decoder = (model.parts()[name].module for name in ("encoder", "decoder"))
        x, _ = next(test.batches([spread(len(test), _IMAGES)]))
        learned, _ = next(
            train.batches([plan.train_places[spread(len(plan.train_places), _IMAGES)]])
        )
        found = float(losses.psnr(decoder(primary_output(encoder(x))), x))
        nothing = float(losses.psnr(learned.mean(0).expand_as(x), x))
        what, instead = "what it reconstructs", "the mean training image"
    if found >= nothing:
        return None
    return (
        f"this model is worse than doing nothing: on test images {what} has a PSNR of {found:.1f} "
        f"dB, {instead} {nothing:.1f} dB. Try more --epochs than {plan.epochs[-1]}, another --lr "
        f"than {plan.settings.lr:g}, or a larger --latent than {plan.config.latent_size}"
    )
