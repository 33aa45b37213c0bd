"""Small bundles of every model, and what to feed them: trained for an epoch on real digits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aeonnx import checkpoint
from aeonnx.exporting import ExportOptions, export
from aeonnx.io.images import png
from aeonnx.io.pixels import to_pixels
from aeonnx.training import TrainOptions, train

__all__ = ["BUNDLES", "make"]

_PIXELS = {"io": ("uint8",)}
BUNDLES: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ae": ({}, {"prior": "fitted"}),
    "sae": ({"recipe": {"pretrain_epochs": 1}}, {}),
    "dae": ({}, {"precisions": ("fp16", "int8"), **_PIXELS}),
    "sdae": ({"recipe": {"pretrain_epochs": 1}, "hidden": (200,), "latent_size": 100}, {}),
    "vae": ({}, _PIXELS),
    "dae-conv": ({"arch": "conv"}, {}),
    "vae-conv": ({"arch": "conv"}, {"static_batch": 4}),
}
"""Options of training and of export by name; the name starts with the model's."""


def make(folder: Path) -> dict[str, Path]:
    """Train and export into `folder`: `<name>/` for each bundle, and `noisy.png`, a digit to clean.

    Bundles that are there already are taken as they are.

    Returns:
        Folders of the bundles by name.
    """
    made = {}
    for name, (learned, exported) in BUNDLES.items():
        made[name] = folder / name
        if made[name].exists():
            continue
        model, run = name.split("-")[0], folder / "runs" / name
        train(TrainOptions(model, run, epochs=1, device="cpu", force=True, **learned))
        export(ExportOptions(model, made[name], run, **exported))
    if not (folder / "noisy.png").exists():
        (folder / "noisy.png").write_bytes(png(_noisy(folder / "runs" / "dae")))
    return made


def _noisy(run: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A test digit with salt and pepper."""
    examples = checkpoint.load(run, "dae").examples
    assert examples is not None, "a run keeps some"
    pixels = to_pixels(examples.test[:1].numpy())
    drawn = np.random.default_rng(0).random(pixels.shape)
    return np.where(drawn < 0.1, 0, np.where(drawn > 0.9, 255, pixels)).astype(np.uint8)
