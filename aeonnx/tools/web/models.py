"""Trains and exports the two models that the page shows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from aeonnx import checkpoint
from aeonnx._util import files
from aeonnx.checkpoint import Checkpoint
from aeonnx.errors import AeonnxError, CheckpointError
from aeonnx.exporting import ExportOptions, export
from aeonnx.exporting import Listener as ExportListener
from aeonnx.io.images import png
from aeonnx.tools.web.site import DIGITS, SHOWN, DemoFiles, bundles_in, files_of
from aeonnx.training import Listener as TrainListener
from aeonnx.training import TrainOptions, train

__all__ = ["export_model", "train_model", "write_digits"]

_DIGITS = 10
_TRAINING: dict[str, dict[str, Any]] = {
    "vae": {"conditional": True},
    "dae": {"hidden": (512,), "latent_size": 128, "epochs": 20, "lr": 1e-3, "ema": 0.99},
}
_EXPORT: dict[str, dict[str, Any]] = {
    "vae": {"parts": ("encoder", *SHOWN["vae"])},
    "dae": {"parts": (*SHOWN["dae"],), "io": ("uint8",)},
}


def train_model(folder: Path, model: str, listener: TrainListener | None = None) -> None:
    """Train a model of `SHOWN` on 4,000 digits, unless the demo's folder has a run of it."""
    run = _run(folder, model)
    with suppress(CheckpointError):
        checkpoint.load(run, model)
        return
    train(TrainOptions(model, run, force=True, **_TRAINING[model]), listener)


def export_model(folder: Path, model: str, listener: ExportListener | None = None) -> None:
    """Export the parts and variants of a run that the page shows."""
    bundle = bundles_in(folder)[model]
    options = ExportOptions(model, bundle, _run(folder, model), force=True, **_EXPORT[model])
    export(options, listener)


def write_digits(folder: Path) -> DemoFiles:
    """Write the sample digits that the page starts from; returns all that it shows."""
    digits = folder / DIGITS
    files.write_atomic(digits, _strip(checkpoint.load(_run(folder, "dae"), "dae")))
    return files_of(bundles_in(folder), digits)


def _run(folder: Path, model: str) -> Path:
    return folder / f"{model}-run"


def _strip(loaded: Checkpoint) -> bytes:
    """PNG of test images, one below the other."""
    if loaded.examples is None:
        raise AeonnxError(
            "the run has no example images: delete its folder, and the demo trains it again"
        )
    test = loaded.examples.test.numpy()
    # They are sorted by label: take the middle of each tenth.
    chosen = test[len(test) // (2 * _DIGITS) :: len(test) // _DIGITS][:_DIGITS]
    return png(chosen.reshape(1, 1, -1, test.shape[-1]))
