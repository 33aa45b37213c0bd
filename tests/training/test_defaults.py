"""The defaults of every model learn something on the digits that come with the installation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aeonnx import checkpoint
from aeonnx.training import TrainOptions, train


def test_denoising_by_default_is_better_than_nothing(run_of: Callable[..., Path]) -> None:
    """After an epoch already; `dae` fell to black images, 9.3 dB, and never came back."""
    training = checkpoint.load(run_of("dae"), "dae").training
    assert training is not None
    assert training.metrics["psnr"] > training.metrics["psnr_corrupted"]
    assert training.metrics["psnr"] > 12


@pytest.mark.shortened(2)
@pytest.mark.parametrize(
    ("model", "recipe"), [("ae", {}), ("sae", {"pretrain_epochs": 1}), ("vae", {})]
)
def test_reconstruction_by_default_is_better_than_nothing(
    tmp_path: Path, model: str, recipe: dict[str, str | float]
) -> None:
    trained = train(TrainOptions(model, tmp_path, epochs=3, recipe=recipe, device="cpu"))
    assert trained.warnings == ()
