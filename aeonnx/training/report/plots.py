"""Draw all pictures at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from aeonnx._util import files
from aeonnx.checkpoint.history import Epoch
from aeonnx.models import Model, call, primary_output
from aeonnx.training.engine.evaluate import batch_of
from aeonnx.training.engine.loader import BatchLoader
from aeonnx.training.engine.plan import Plan, evenly_spaced
from aeonnx.training.recipes import Picture
from aeonnx.training.report.columns import draw_columns
from aeonnx.training.report.pictures import (
    Curve,
    draw_images,
    draw_latents,
    draw_losses,
    interpolation,
    manifold,
)

__all__ = ["draw"]

_PICTURED = 10  # test images in the recipe's pictures
_SCATTERED = 2000  # test images in the plot of latents
_PLOTTED = 500  # test rows in the plot of columns


@torch.no_grad()
def draw(
    plan: Plan,
    model: Model,
    loader: BatchLoader,
    history: Sequence[Epoch],
    generator: torch.Generator,
) -> tuple[Path, ...]:
    """Draw losses, the recipe's pictures, and plots of the latents if the model has latents.

    Args:
        plan: plan of the run.
        model: the trained model, in eval mode.
        loader: loader of the test images.
        history: entries of all epochs.
        generator: generator of the pictures' noise, on the model's device.

    Returns:
        Paths of the PNG files in the run's folder. Files are written atomically; an existing file
        or link of that name is replaced.

    Raises:
        OutputError: writing fails, as when the disk is full.
    """
    stage = plan.recipe.stages[-1]
    loaded = next(loader.batches([evenly_spaced(len(loader), _PICTURED)]))
    shown = [*plan.recipe.pictures(model, batch_of(stage, loaded, generator))]
    scatter = None
    columns = plan.config.columns
    if {"encoder", "decoder"} <= model.parts().keys():
        more, *scatter = _latents(model, loader, loaded.x, loaded.labels, pictured=columns is None)
        shown += more
    classes = plan.data.classes
    with files.staging(plan.output) as folder:
        with files.output_errors(plan.output):
            drawn = [
                draw_losses(folder / "loss.png", _curves(history)),
                *(draw_images(folder / f"{picture.name}.png", picture) for picture in shown),
            ]
            if columns is not None:
                rows = next(loader.batches([evenly_spaced(len(loader), _PLOTTED)])).x
                whole = primary_output(model.parts()["reconstructor"].module(rows))
                path = folder / "reconstructions.png"
                drawn.append(draw_columns(path, columns, rows, whole))
            if scatter:
                z, kinds = scatter
                path = folder / "latents.png"
                drawn.append(draw_latents(path, z, kinds if classes else None, classes))
        files.commit(folder, plan.output, None)
    return tuple(plan.output / path.name for path in drawn)


def _latents(
    model: Model, loader: BatchLoader, x: Tensor, labels: Tensor, *, pictured: bool
) -> tuple[list[Picture], Tensor, Tensor]:
    """Pictures decoded from latents, the latents of test images [n, d], and their labels [n].

    There are no pictures unless `pictured`.
    """
    encoder, decoder = (model.parts()[name] for name in ("encoder", "decoder"))

    def decode(z: Tensor) -> Tensor:
        images: Tensor = decoder.module(z.to(x.device))
        return images.cpu()

    def encode(images: Tensor, kinds: Tensor) -> Tensor:
        return primary_output(call(encoder, images, kinds)).cpu()

    scattered = evenly_spaced(len(loader), _SCATTERED)
    encoded = [
        (encode(part.x, part.labels), part.labels.cpu())
        for part in loader.batches(torch.split(scattered, min(500, loader.at_once)))
    ]
    z, kinds = (torch.cat(values) for values in zip(*encoded, strict=True))
    if not pictured or len(decoder.inputs) > 1:  # between two labels there is nothing to decode
        return [], z, kinds
    shown = [interpolation(decode, encode(x, labels))] if len(x) > 1 else []
    if model.prior:
        shown.append(manifold(decode, z))
    return shown, z, kinds


def _curves(history: Sequence[Epoch]) -> list[Curve]:
    curves = []
    for name, group in groupby(history, key=lambda epoch: epoch.stage):
        epochs = list(group)
        metric = next(iter(epochs[0].test))
        curves.append(
            Curve(
                stage=name,
                train=tuple(epoch.train["loss"] for epoch in epochs),
                test=tuple(epoch.test[metric] for epoch in epochs),
                metric=metric,
            )
        )
    return curves
