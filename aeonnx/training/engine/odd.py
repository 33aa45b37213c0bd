"""Whether a model tells odd images from normal ones: metrics of its scorer."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aeonnx.bundle import rank_of
from aeonnx.models import Model, call
from aeonnx.training.data import Odd, read_mask
from aeonnx.training.engine.loader import BatchLoader

__all__ = ["odd_metrics"]

Floats = npt.NDArray[np.float32]

_SCORER = "scorer"
_PERCENTILES = (95, 99)


@torch.no_grad()
def odd_metrics(
    model: Model, normal: BatchLoader, images: BatchLoader, odd: Odd
) -> dict[str, float]:
    """Metrics of the scores of normal and of odd test images.

    There are none, {}, for a model without a scorer, or with one that takes the label.

    Returns:
        `auroc` and `aupr`, the areas under the ROC curve and under the curve of precision and
        recall (average precision), from 0 to 1; `false_alarms_p95` and `_p99`, the shares of normal
        images above thresholds that come from the other half of them; `found_p99`, the share of odd
        images above p99; and `pixel_auroc` if there are masks, over the pixels of all images that
        have one and of all normal images.

    Args:
        model: the model, in eval mode.
        normal: loader of the normal test images.
        images: loader of the odd images.
        odd: the odd images and their masks.
    """
    scorer = model.parts().get(_SCORER)
    if scorer is None or not len(images):
        return {}
    if len(scorer.inputs) > 1:  # it takes the label, and odd images have none that it knows
        return {}
    names = [spec.name for spec in scorer.outputs]
    if "error" not in names:
        return {}
    from sklearn.metrics import average_precision_score, roc_auc_score

    usual, found = (np.concatenate([*_scored(model, each, "error")]) for each in (normal, images))
    if not np.isfinite(usual).all():  # the weights diverged, which training says
        return {"auroc": math.nan}
    found = _ranked(found)
    truth = np.repeat([0, 1], [len(usual), len(found)])
    scores = np.concatenate([usual, found])
    metrics = {
        "auroc": float(roc_auc_score(truth, scores)),
        "aupr": float(average_precision_score(truth, scores)),
    }
    kept, fresh = usual[::2], usual[1::2]
    if len(fresh):
        limits = {p: np.sort(kept)[rank_of(len(kept), p) - 1] for p in _PERCENTILES}
        for p, limit in limits.items():
            metrics[f"false_alarms_p{p}"] = float((fresh > limit).mean())
        metrics["found_p99"] = float((found > limits[99]).mean())
    if any(odd.masks) and "map" in names:
        metrics |= _of_pixels(model, normal, images, odd)
    return metrics


def _of_pixels(
    model: Model, normal: BatchLoader, images: BatchLoader, odd: Odd
) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    maps = _ranked(np.concatenate([*_scored(model, images, "map")]))
    masked = [place for place, mask in enumerate(odd.masks) if mask is not None]
    masks = [read_mask(mask, maps.shape[1:]) for mask in odd.masks if mask is not None]
    usual = np.concatenate([*_scored(model, normal, "map")])
    truth = np.concatenate([np.stack(masks).ravel(), np.zeros(usual.size, bool)])
    if truth.all() or not truth.any():
        return {}
    errors = np.concatenate([maps[masked].ravel(), usual.ravel()])
    return {"pixel_auroc": float(roc_auc_score(truth, errors))}


def _ranked(errors: Floats) -> Floats:
    """Errors that can be sorted: the network overflows at values that are far from normal."""
    most = float(np.finfo(np.float32).max)
    found: Floats = np.nan_to_num(errors, nan=most, posinf=most)
    return found


def _scored(model: Model, loader: BatchLoader, name: str) -> Iterator[Floats]:
    """An output of the scorer for all images, batch by batch."""
    part = model.parts()[_SCORER]
    place = next(i for i, spec in enumerate(part.outputs) if spec.name == name)
    every: Tensor = torch.arange(len(loader))
    for loaded in loader.batches(torch.split(every, loader.at_once)):
        found = call(part, loaded.x, loaded.labels)
        output = found[place] if isinstance(found, tuple) else found
        yield output.float().cpu().numpy()
