"""Compare a trained model with a trivial baseline on test images."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from aeonnx.models import Model, call, primary_output
from aeonnx.training import losses
from aeonnx.training.engine.loader import BatchLoader
from aeonnx.training.engine.plan import Plan, evenly_spaced

__all__ = ["baseline_warning"]


@torch.no_grad()
def baseline_warning(
    plan: Plan, model: Model, train: BatchLoader, test: BatchLoader, metrics: Mapping[str, float]
) -> str | None:
    """A warning if the model's PSNR on test images is below that of a baseline; else None.

    The baseline of a denoising model is its noisy input, that of others the mean training image. Of
    rows of a table the errors are compared, and the baseline is one constant for each column.

    Args:
        plan: plan of the run.
        model: the trained model, in eval mode.
        train: loader of the training images.
        test: loader of the test images.
        metrics: metrics of the model on the test images.
    """
    if plan.config.columns is not None:
        return _of_columns(plan, metrics)
    if {"psnr", "psnr_corrupted"} <= metrics.keys():
        found, nothing = metrics["psnr"], metrics["psnr_corrupted"]
        what, instead = "its denoised output", "its noisy input"
    else:
        encoder, decoder = (model.parts()[name] for name in ("encoder", "decoder"))
        x, labels, _ = next(test.batches([evenly_spaced(len(test), test.at_once)]))
        places = plan.train_places[evenly_spaced(len(plan.train_places), train.at_once)]
        learned = next(train.batches([places])).x
        latent = primary_output(call(encoder, x, labels))
        found = float(losses.psnr(primary_output(call(decoder, latent, labels)), x))
        nothing = float(losses.psnr(learned.mean(0).expand_as(x), x))
        what, instead = "its reconstruction", "the mean training image"
    if found >= nothing:
        return None
    return (
        f"this model is worse than doing nothing: on test images {what} has a PSNR of {found:.1f} "
        f"dB, {instead} {nothing:.1f} dB. {_advice(plan)}"
    )


def _of_columns(plan: Plan, metrics: Mapping[str, float]) -> str | None:
    found, nothing = metrics["mse"], metrics["mse_constant"]
    if found <= nothing:
        return None
    return (
        "this model is worse than doing nothing: on test rows the mean squared error of its "
        f"reconstruction is {found:.3g}, that of one constant for each column {nothing:.3g}. "
        f"{_advice(plan)}"
    )


def _advice(plan: Plan) -> str:
    tries = [f"more --epochs than {plan.epochs[-1]}", f"another --lr than {plan.settings.lr:g}"]
    if plan.config.latent_size:
        tries.append(f"a larger --latent than {plan.config.latent_size}")
    return f"Try {', '.join(tries[:-1])}, or {tries[-1]}"
