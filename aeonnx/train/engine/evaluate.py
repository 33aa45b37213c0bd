"""Means over images that nothing is learned from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aeonnx.models import Model
from aeonnx.train.engine.loader import BatchLoader
from aeonnx.train.random import Noise
from aeonnx.train.recipes import Batch, Stage

__all__ = ["batch_of", "evaluate"]

_BATCH = 1000


@torch.no_grad()
def evaluate(
    model: Model,
    stage: Stage,
    terms: Callable[[Model, Batch], dict[str, Tensor]],
    loader: BatchLoader,
    places: Tensor,
    generator: torch.Generator,
) -> dict[str, float]:
    """Means over the images at `places` of what `terms` gives for batches of them.

    Args:
        model: in eval mode.
        stage: whose noise the batches get.
        terms: `stage.loss` or `stage.metrics`.
        feed: where the images are.
        places: int64 [n].
        generator: on the model's device.
    """
    sums: dict[str, Tensor] = {}
    for x, labels in loader.batches(torch.split(places, _BATCH)):
        for name, value in terms(model, batch_of(stage, x, labels, generator)).items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value * len(x)
    return {name: float(value) / len(places) for name, value in sums.items()}


def batch_of(stage: Stage, x: Tensor, labels: Tensor, generator: torch.Generator) -> Batch:
    """A batch as at the end of training, all of it this process's."""
    noise = stage.draw(Noise(generator, len(x)))
    return Batch(x, labels, noise, torch.ones((), device=x.device))
