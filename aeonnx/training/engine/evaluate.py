"""Evaluate loss terms or metrics without training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aeonnx.models import Model
from aeonnx.training.engine.loader import BatchLoader, Loaded
from aeonnx.training.random import Noise
from aeonnx.training.recipes import Batch, Stage

__all__ = ["batch_of", "evaluate"]


@torch.no_grad()
def evaluate(
    model: Model,
    stage: Stage,
    terms: Callable[[Model, Batch], dict[str, Tensor]],
    loader: BatchLoader,
    places: Tensor,
    generator: torch.Generator,
) -> dict[str, float]:
    """Means of loss terms or metrics over the images at the indices `places`.

    Args:
        model: the model, in eval mode.
        stage: stage whose `draw` makes the noise of the batches.
        terms: `stage.loss` or `stage.metrics`.
        loader: loader of the images.
        places: int64 [n], indices of the images.
        generator: generator of the noise, on the model's device.
    """
    sums: dict[str, Tensor] = {}
    for loaded in loader.batches(torch.split(places, loader.at_once)):
        for name, value in terms(model, batch_of(stage, loaded, generator)).items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value * len(loaded.x)
    return {name: float(value) / len(places) for name, value in sums.items()}


def batch_of(stage: Stage, loaded: Loaded, generator: torch.Generator) -> Batch:
    """A batch for evaluation: progress 1, not divided among processes."""
    x, labels, noisy = loaded
    noise = stage.draw(Noise(generator, len(x)), tuple(x.shape[1:]))
    return Batch(x, labels, noise, torch.ones((), device=x.device), noisy)
