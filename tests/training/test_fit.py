"""Training through the public function: what it leaves, what it refuses, what it depends on."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

from aeonnx import checkpoint
from aeonnx.checkpoint import states
from aeonnx.errors import DataError, MissingExtraError, OutputError, SetupError, UsageError
from aeonnx.training import Epoch, TrainOptions, resolve_device, train
from tests.support import Quiet, weights

FAST: dict[str, dict[str, str | float]] = {
    "sae": {"pretrain_epochs": 1},
    "sdae": {"pretrain_epochs": 1},
}
"""Recipe options that keep pretraining short."""
SIZES: dict[tuple[str, str], dict[str, object]] = {
    ("dae", "conv"): {"hidden": (8, 16)},
    ("sae", "conv"): {"hidden": (4, 8)},
    ("sdae", "mlp"): {"hidden": (200,), "latent_size": 100},
}
"""Smaller networks than the default, of those that learn slowest."""


@pytest.fixture
def options(digits: Path, tmp_path: Path) -> TrainOptions:
    return TrainOptions("ae", tmp_path / "run", data=str(digits), epochs=2, device="cpu")


def of(options: TrainOptions, model: str, **changes: object) -> TrainOptions:
    return replace(options, model=model, recipe=FAST.get(model, {}), **changes)


@pytest.mark.usefixtures("drawn")
@pytest.mark.shortened(4)
@pytest.mark.parametrize(
    ("model", "arch"),
    [(m, a) for m in ("ae", "dae", "sae", "vae") for a in ("mlp", "conv")] + [("sdae", "mlp")],
)
def test_training_learns_and_leaves_everything(
    options: TrainOptions, model: str, arch: str
) -> None:
    small = SIZES.get((model, arch), {})
    trained = train(of(options, model, arch=arch, epochs=4, batch_size=40, **small))
    text = (trained.output / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    last_stage = [line for line in lines if line["stage"] == lines[-1]["stage"]]
    assert [line["epoch"] for line in last_stage] == [1, 2, 3, 4]
    assert last_stage[-1]["train"]["loss"] < 0.95 * last_stage[0]["train"]["loss"]
    assert lines[-1]["test"] == trained.training.metrics
    assert all(line["images_per_s"] > 0 and line["skipped"] == 0 for line in lines)
    assert all(path.stat().st_size for path in trained.files)
    pictures = {path.stem for path in trained.files if path.suffix == ".png"}
    assert pictures >= {"loss", "latents", "interpolation"}
    assert pictures & {"reconstructions", "denoised"}
    for name in pictures:
        with Image.open(trained.output / f"{name}.png") as picture:
            assert min(picture.size) >= 80
    loaded = checkpoint.load(trained.output, model)
    assert loaded.training == trained.training
    assert loaded.examples is not None
    assert loaded.examples.test.shape == (64, 1, 28, 28)
    assert loaded.examples.train.shape == (400, 1, 28, 28)  # all there are


def test_the_record_names_stages_with_losses_and_corruption(options: TrainOptions) -> None:
    recipe: dict[str, str | float] = {
        "pretrain_epochs": 1,
        "corruption": "gaussian",
        "corruption_level": 0.3,
        "dropout": 0.2,
        "denoising": 0.5,
    }
    sdae = replace(options, model="sdae", hidden=(50,), latent_size=20, recipe=recipe)
    record = train(sdae).training
    assert [(stage.name, stage.corruption, stage.epochs) for stage in record.stages] == [
        ("pretrain 1", "gaussian 0.3", 1),
        ("pretrain 2", "masking 0.3", 1),
        ("finetune", "gaussian 0.3; features: masking 0.2", 2),
    ]
    assert [stage.objective for stage in record.stages] == [
        "cross-entropy of pixels",
        "squared error of features",
        "cross-entropy of labels + 0.5 x cross-entropy of pixels",
    ]
    assert record.data == "digits.npz"
    assert (record.train_images, record.test_images, record.data_split) == (400, 100, "given")
    assert record.optimizer["schedule"] == "cosine"
    assert set(record.metrics) >= {"error", "cross_entropy", "psnr"}


@pytest.mark.parametrize("model", ["sae", pytest.param("sdae", marks=pytest.mark.slow)])
def test_pretraining_teaches_one_layer_after_the_other(options: TrainOptions, model: str) -> None:
    after: dict[str, dict[str, torch.Tensor]] = {}

    class Listener(Quiet):
        def finished_epoch(self, epoch: Epoch) -> None:
            saved = states.newest(options.output)
            assert saved is not None
            after[epoch.stage] = saved.tensors

    train(of(options, model, epochs=1, ema=0.0, save_seconds=0.0, batch_size=200), Listener())
    names = [name for name in after["pretrain 1"] if name.startswith("model.")]
    changed = [
        {name for name in names if not torch.equal(before[name], now[name])}
        for before, now in itertools.pairwise(after.values())
    ]

    def of_layer(number: int) -> set[str]:
        parts = {"sae": [f"autoencoders.{number}."]}
        kinds = parts.get(model, [f"encoders.{number}.", f"decoders.{number}."])
        return {name for name in names if name.removeprefix("model.").startswith(tuple(kinds))}

    assert changed[0] == of_layer(1)
    assert changed[1] == of_layer(2)
    assert changed[2] == set(names)


def test_same_seed_same_weights_other_seed_others(options: TrainOptions, tmp_path: Path) -> None:
    vae = replace(options, model="vae")
    train(replace(vae, output=tmp_path / "a"))
    torch.rand(3)  # the caller's own random numbers change nothing
    train(replace(vae, output=tmp_path / "b"))
    train(replace(vae, output=tmp_path / "c", seed=1))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_training_leaves_the_callers_random_state_alone(options: TrainOptions) -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    train(options)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.shortened(1)
@pytest.mark.parametrize("model", ["dae", "sdae", "vae"])
def test_streamed_and_resident_images_give_the_same_weights(
    options: TrainOptions, tmp_path: Path, model: str
) -> None:
    small = of(options, model, hidden=(30,), latent_size=10)
    train(replace(small, output=tmp_path / "resident"))
    train(replace(small, output=tmp_path / "streamed", stream=True, workers=2))
    train(replace(small, output=tmp_path / "alone", stream=True, workers=0))
    assert weights(tmp_path / "resident") == weights(tmp_path / "streamed")
    assert weights(tmp_path / "resident") == weights(tmp_path / "alone")


def test_an_existing_checkpoint_is_kept(options: TrainOptions, tmp_path: Path) -> None:
    train(options)
    before = weights(tmp_path / "run")
    with pytest.raises(OutputError, match="holds a checkpoint already: pass --resume .* --force"):
        train(replace(options, seed=9))
    assert weights(tmp_path / "run") == before
    train(replace(options, seed=9, force=True))
    assert weights(tmp_path / "run") != before


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"epochs": -1}, "epochs: expected 1 or more, got -1"),
        ({"epochs": 0}, "epochs: expected 1 or more, got 0"),
        ({"batch_size": 0}, "batch size: expected 1 or more, got 0"),
        ({"lr": -0.1}, "learning rate: expected a number above 0"),
        ({"lr": 0.0}, "learning rate: expected a number above 0"),
        ({"lr": float("nan")}, "learning rate: expected a number above 0, got nan"),
        ({"seed": -1}, "seed: expected 0 or more"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin'. Did you mean 'cosine'"),
        ({"precision": "fp8"}, "unknown precision 'fp8'.*Known: bf16, fp16, fp32"),
        ({"device": "gpu"}, "unknown device 'gpu'.*Known: auto, cpu, cuda"),
        ({"weight_decay": -1.0}, "weight decay: expected a number 0 or more"),
        ({"clip": 0.0}, "clip: expected a number above 0"),
        ({"ema": 1.0}, "ema: expected a number 0 or more and below 1"),
        ({"patience": 0}, "patience: expected 1 or more"),
        ({"held_out": 0.2}, "--held-out serves early stopping: give --patience too"),
        ({"held_out": 1.0, "patience": 2}, "held-out share: expected a number above 0 and below"),
        ({"workers": -1}, "workers: expected 0 or more"),
        ({"latent_size": 0}, "sizes of ae: expected sizes above 0"),
        ({"hidden": (5, 0)}, "sizes of ae: expected sizes above 0"),
        ({"recipe": {"beta": 1.0}}, "ae takes no --beta"),
        ({"model": "aee"}, "unknown model 'aee'. Did you mean"),
        ({"arch": "cnn"}, "unknown architecture of ae 'cnn'"),
    ],
)
def test_options_out_of_range_are_refused(
    options: TrainOptions, tmp_path: Path, change: dict[str, float], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        train(replace(options, **change))
    assert not (tmp_path / "run").exists()


def test_a_classifier_needs_labels_of_two_classes(options: TrainOptions, tmp_path: Path) -> None:
    images = np.zeros((20, 8, 8), np.uint8)
    np.save(tmp_path / "bare.npy", images)
    with pytest.raises(DataError, match=r"sdae learns from labels, and bare\.npy has none: use a"):
        train(of(options, "sdae", data=str(tmp_path / "bare.npy")))
    np.savez(tmp_path / "one.npz", x=images, y=np.full(20, 7))
    with pytest.raises(DataError, match=r"one\.npz has only one \('7'\): expected two or more"):
        train(of(options, "sdae", data=str(tmp_path / "one.npz")))


def test_a_latent_as_large_as_the_input_is_warned_of(options: TrainOptions, tmp_path: Path) -> None:
    said: list[str] = []

    class Listener(Quiet):
        def warned(self, text: str) -> None:
            said.append(text)

    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).random((50, 12)))
    vectors = replace(options, data=str(tmp_path / "vectors.npy"), hidden=(12,), latent_size=12)
    train(vectors, Listener())
    assert said[0] == (
        "the latent (12 numbers) is not smaller than the input (12): the model may learn to copy; "
        "--latent sets it"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what happens without a GPU")
def test_cuda_that_is_not_there_is_no_silent_cpu_run(aeonnx: Callable[..., Result]) -> None:
    with pytest.raises(SetupError, match="torch sees no CUDA GPU"):
        resolve_device("cuda")
    result = aeonnx("train", "-m", "vae", "--device", "cuda", "-o", "run")
    assert result.exit_code == 4
    assert "--device cuda was asked for, but this torch sees no CUDA GPU" in result.output
    assert not Path("run").exists()


def test_a_listener_sees_every_epoch(options: TrainOptions) -> None:
    seen: list[object] = []

    class Listener(Quiet):
        def started(self, device: str, epochs: int, images: int, done: int, unit: str) -> None:
            seen.append((device, epochs, images, done, unit))

        def advanced(self, images: int) -> None:
            seen.append(images)

        def finished_epoch(self, epoch: Epoch) -> None:
            seen.append(epoch.epoch)

    train(replace(options, batch_size=300), Listener())
    assert seen == [("cpu", 2, 400, 0, "image"), 300, 100, 1, 300, 100, 2]


def test_early_stopping_keeps_the_best_epoch(options: TrainOptions) -> None:
    """A learning rate that is too high makes later epochs worse."""
    wild = replace(options, model="vae", epochs=40, lr=0.02, ema=0.0, patience=2, batch_size=50)
    trained = train(wild)
    losses = [epoch.held_out for epoch in trained.epochs]
    assert len(losses) < 40
    best = min(range(len(losses)), key=lambda place: losses[place] or math.inf)
    assert best == len(losses) - 3
    assert trained.training.metrics == trained.epochs[best].test
    assert trained.training.optimizer["patience"] == 2
    assert trained.training.optimizer["held_out"] == 0.1


def test_early_stopping_writes_the_weights_of_the_best_epoch(
    options: TrainOptions, tmp_path: Path
) -> None:
    wild = replace(
        options, model="ae", epochs=40, lr=0.02, ema=0.0, patience=2, schedule="constant"
    )
    stopped = train(wild)
    losses = [epoch.held_out for epoch in stopped.epochs]
    best = min(range(len(losses)), key=lambda place: losses[place] or math.inf)
    assert best == len(losses) - 3 < 37
    ended_there = train(replace(wild, epochs=best + 1, output=tmp_path / "there"))
    kept, there = (
        checkpoint.load(trained.output, "ae").model.state_dict()
        for trained in (stopped, ended_there)
    )
    assert all(torch.equal(value, there[key]) for key, value in kept.items())


def test_an_average_of_weights_is_what_is_kept(options: TrainOptions, tmp_path: Path) -> None:
    noisy = replace(options, model="vae", epochs=4, lr=0.01, batch_size=20, schedule="constant")
    noisy = replace(noisy, hidden=(100,))
    raw = train(replace(noisy, ema=0.0, output=tmp_path / "raw"))
    averaged = train(replace(noisy, ema=0.95, output=tmp_path / "averaged"))
    assert averaged.epochs[-1].train == raw.epochs[-1].train  # it learns the same, and keeps more
    assert averaged.training.metrics["negative_elbo"] < raw.training.metrics["negative_elbo"]


@pytest.mark.shortened(1)
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("arch", ["conv", "mlp"])
def test_lower_precision_learns_about_the_same(
    options: TrainOptions, tmp_path: Path, precision: str, arch: str
) -> None:
    dae = replace(options, model="dae", arch=arch, epochs=3, batch_size=40, lr=1e-3)
    full = train(replace(dae, output=tmp_path / "full")).training.metrics["mse"]
    trained = train(replace(dae, output=tmp_path / "low", precision=precision))
    assert trained.training.optimizer["precision"] == precision
    assert trained.training.metrics["mse"] == pytest.approx(full, rel=0.05)
    assert trained.training.metrics["mse"] != full


def test_tensorboard_that_is_not_there_is_named(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "aeonnx._util.optional.find_spec",
        lambda name: None if name == "tensorboard" else find_spec(name),
    )
    with pytest.raises(
        MissingExtraError, match=r"--tensorboard needs tensorboard.*aeonnx\[tensorboard"
    ):
        train(replace(options, tensorboard=True))
    assert not (tmp_path / "run").exists()
