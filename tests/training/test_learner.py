"""What a step does with numbers that are not: toy recipes whose loss breaks on purpose."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from aeonnx import checkpoint
from aeonnx.errors import TrainingError
from aeonnx.models import ModelConfig
from aeonnx.models.ae import Autoencoder
from aeonnx.training import TrainOptions, losses, train
from aeonnx.training.recipes import Batch, Recipe, Stage, _registry
from tests.support import Command, weights

Breaks = Callable[..., None]


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Breaks:
    """Make the loss of `ae` something else at some steps of 30 (numbered from 0)."""

    def register(at: set[int], how: Callable[[Tensor], Tensor]) -> None:
        def loss(model: Autoencoder, batch: Batch) -> dict[str, Tensor]:
            value = losses.mse(model(batch.x), batch.x)
            return {"loss": how(value) if round(float(batch.progress) * 30) in at else value}

        def metrics(model: Autoencoder, batch: Batch) -> dict[str, Tensor]:
            return {"mse": losses.mse(model(batch.x), batch.x)}

        def recipe(_: ModelConfig) -> Recipe:
            return Recipe((Stage("train", "mean squared error", loss, metrics),), lambda *_: [])

        monkeypatch.setitem(_registry._RECIPES, "ae", recipe)

    return register


@pytest.fixture
def options(digits: Path, tmp_path: Path) -> TrainOptions:
    """Three epochs of ten steps."""
    return TrainOptions(
        "ae", tmp_path / "run", data=str(digits), epochs=3, batch_size=40, device="cpu"
    )


def nan(value: Tensor) -> Tensor:
    return value * float("nan")


def infinite(value: Tensor) -> Tensor:
    return value + float("inf")


def steep(value: Tensor) -> Tensor:
    """A loss of finite value whose gradient is not."""
    return value + torch.where(value > 0, 0 * value, value).sqrt()


@pytest.mark.shortened(2)
@pytest.mark.parametrize("how", [nan, infinite, steep])
@pytest.mark.parametrize("arch", ["mlp", "conv"])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_step_that_is_not_a_number_changes_nothing(
    options: TrainOptions, breaks: Breaks, how: Callable[..., Tensor], arch: str, ema: float
) -> None:
    breaks({3, 4, 17, 29}, how)
    trained = train(replace(options, arch=arch, ema=ema))
    assert [epoch.skipped for epoch in trained.epochs] == [2, 1, 1]
    model = checkpoint.load(trained.output, "ae").model
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())
    mse = [epoch.train["loss"] for epoch in trained.epochs]
    assert all(after < before for before, after in itertools.pairwise(mse))


def test_running_statistics_of_a_skipped_step_are_those_before(
    options: TrainOptions, breaks: Breaks, tmp_path: Path
) -> None:
    """The last step is left out: weights and statistics are as after the step before."""
    breaks(set(range(26, 30)), nan)
    skipped = train(replace(options, arch="conv", hidden=(4, 8)))
    breaks(set(range(26, 30)), infinite)
    same = train(replace(options, arch="conv", hidden=(4, 8), output=tmp_path / "same"))
    assert [epoch.skipped for epoch in skipped.epochs] == [0, 0, 4]
    first = checkpoint.load(skipped.output, "ae").model.state_dict()
    second = checkpoint.load(same.output, "ae").model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    counts = {int(value) for name, value in first.items() if name.endswith("tracked")}
    assert counts == {26}


def test_five_in_a_row_stop_and_keep_the_last_good_checkpoint(
    options: TrainOptions, breaks: Breaks
) -> None:
    breaks(set(range(15, 30)), nan)
    with pytest.raises(
        TrainingError,
        match=r"NaN or infinite in 5 steps in a row, up to epoch 2 of 'train': try a lower --lr "
        r"than 0\.003, --clip 1, or --precision fp32\. The last good checkpoint",
    ):
        train(replace(options, save_seconds=0.0))
    good = checkpoint.load(options.output, "ae")
    assert good.training is not None
    assert good.training.epochs == 1


def test_an_existing_checkpoint_outlives_a_failed_run(options: TrainOptions) -> None:
    train(options)
    before = weights(options.output)
    with pytest.raises(TrainingError, match="try a lower --lr"):
        train(replace(options, model="vae", lr=1e30, force=True))
    assert weights(options.output) == before


def test_weights_spoiled_by_the_last_step_are_not_saved(options: TrainOptions) -> None:
    """One step an epoch: its loss is finite, and only the test sees what it did."""
    wild = replace(options, model="vae", epochs=1, batch_size=400, lr=1e30, ema=0.0)
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf) in epoch 1 of 'train'"):
        train(wild)
    assert not (options.output / "config.json").exists()


def test_clipping_limits_what_one_step_does(options: TrainOptions, tmp_path: Path) -> None:
    free = train(replace(options, output=tmp_path / "free"))
    tight = train(replace(options, clip=1e-12, output=tmp_path / "tight"))
    assert tight.epochs[-1].train["loss"] > free.epochs[-1].train["loss"]


@pytest.mark.parametrize("model", [pytest.param("ae", marks=pytest.mark.slow), "vae"])
def test_a_compiled_step_learns_the_same(
    command: Command, options: TrainOptions, tmp_path: Path, model: str
) -> None:
    """Compiled in a process of its own, as by people: what torch.compile keeps is the process's."""
    small = replace(options, model=model, hidden=(16,), latent_size=4, batch_size=100)
    plain = train(small)
    flags = ("--hidden", 16, "--latent", 4, "--batch-size", 100, "--epochs", 3, "--device", "cpu")
    process = command(
        "train", "-m", model, "--data", small.data, *flags, "--compile", "-o", "compiled"
    )
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    lines = (tmp_path / "compiled/metrics.jsonl").read_text().splitlines()
    for one, line in zip(plain.epochs, lines, strict=True):
        assert json.loads(line)["train"]["loss"] == pytest.approx(one.train["loss"], rel=1e-4)
