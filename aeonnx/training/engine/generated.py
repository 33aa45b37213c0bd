"""Measure images that a model generates beside real ones, by the features of a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aeonnx import catalog, checkpoint
from aeonnx.errors import CheckpointError, UsageError
from aeonnx.models import Model, call, primary_output
from aeonnx.training.engine.loader import BatchLoader
from aeonnx.training.engine.plan import Plan, evenly_spaced
from aeonnx.training.fidelity import fidelity, frechet_distance
from aeonnx.training.random import Noise

__all__ = ["Features", "features_of", "generated_metrics"]

Features = Callable[[Tensor], npt.NDArray[np.float32]]
"""Images [n, C, H, W] in [0, 1] -> features [n, d]."""

_MOST = 10_000  # images of each kind: distances between all pairs are computed
_LEAST = 4  # that `precision_recall` needs


def features_of(run: Path, plan: Plan, model: Model, device: torch.device) -> Features:
    """The features of a trained classifier: the latents of its encoder.

    Args:
        run: folder of its run.
        plan: plan of the run of the model whose images are measured.
        model: that model.
        device: to compute on.

    Raises:
        CheckpointError: the run is missing, damaged, or of a model that does not classify.
        UsageError: the model generates nothing, or the classifier takes other images.
    """
    if not model.prior:
        raise UsageError(
            f"--features measures generated images, and {plan.config.model} is trained without a "
            "prior to draw them from: leave it out"
        )
    (name,) = (name for name, known in catalog.models().items() if known.classifies)
    try:
        judge = checkpoint.load(run, name)
    except CheckpointError as error:
        raise CheckpointError(
            f"--features {run}: expected a finished run of {name}, as `aeonnx train -m {name} -o "
            f"{run}` makes one: {error}"
        ) from error
    part = judge.model.parts()["encoder"]
    taken, shape = part.inputs[0].shape[1:], plan.config.input_shape
    if taken != shape:
        raise UsageError(
            f"--features {run}: expected a classifier of images {list(shape)}, got one of "
            f"{list(taken)}: train {name} on the same data"
        )
    encoder = part.module.to(device).eval()

    def features(x: Tensor) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = primary_output(encoder(x)).float().cpu().numpy()
        return found

    return features


@torch.no_grad()
def generated_metrics(
    model: Model,
    features: Features,
    train: BatchLoader,
    test: BatchLoader,
    generator: torch.Generator,
) -> dict[str, float]:
    """Metrics of as many generated images as there are test images, 10,000 at most.

    A model that takes labels generates images of the labels of the test images.

    Args:
        model: the trained model, in eval mode.
        features: see `features_of`.
        train: loader of the training images.
        test: loader of the test images.
        generator: of the latents, on the model's device.

    Returns:
        `frechet_distance`, `precision` and `recall` of generated beside test images, see
        `fidelity`; and `frechet_distance_real`, that of as many training images, which a perfect
        model would reach. {} for fewer than 4 test images.
    """
    places = evenly_spaced(len(test), _MOST)
    if min(len(places), len(train)) < _LEAST:
        return {}
    decoder = model.parts()["decoder"]
    real, drawn = [], []
    for loaded in test.batches(torch.split(places, test.at_once)):
        shape = [int(size) for size in decoder.inputs[0].shape[1:]]
        z = Noise(generator, len(loaded.x)).normal(*shape)
        real.append(features(loaded.x))
        drawn.append(features(primary_output(call(decoder, z, loaded.labels))))
    others = evenly_spaced(len(train), len(places))
    learned = [features(part.x) for part in train.batches(torch.split(others, train.at_once))]
    tested = np.concatenate(real)
    found = fidelity(tested, np.concatenate(drawn))
    return {
        **asdict(found),
        "frechet_distance_real": frechet_distance(tested, np.concatenate(learned)),
    }
