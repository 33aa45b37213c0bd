from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import Result
from PIL import Image

from aeonnx import checkpoint
from aeonnx.errors import OutputError, SetupError, TrainingError, UsageError
from aeonnx.train import DataSet, Epoch, TrainOptions, resolve_device, train
from aeonnx.train import fit as fit_module


@pytest.fixture(autouse=True)
def small_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred real digits, so that an epoch takes no time."""
    full = fit_module.load_data("mnist-sample", Path())

    def load(name: str, root: Path) -> DataSet:
        if name != "mnist-sample":
            return real(name, root)
        return DataSet(name, full.train[::10], full.test[::10])

    real = fit_module.load_data
    monkeypatch.setattr(fit_module, "load_data", load)


def weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


@pytest.mark.parametrize("arch", ["mlp", "conv"])
@pytest.mark.parametrize("model", ["ae", "dae", "vae"])
def test_training_learns_and_leaves_everything(tmp_path: Path, model: str, arch: str) -> None:
    run = tmp_path / "run"
    trained = train(TrainOptions(model, run, arch=arch, epochs=4, batch_size=40, device="cpu"))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["train"]["loss"] < 0.9 * lines[0]["train"]["loss"]
    assert lines[-1]["test"] == trained.training.metrics
    assert all(line["images_per_s"] > 0 for line in lines)
    assert all(path.stat().st_size for path in trained.files)
    pictures = [path for path in trained.files if path.suffix == ".png"]
    assert len(pictures) == 2
    for path in pictures:
        with Image.open(path) as picture:
            assert min(picture.size) >= 80
    loaded = checkpoint.load(run, model)
    assert loaded.training == trained.training
    assert loaded.examples is not None
    assert loaded.examples.shape == (64, 1, 28, 28)


def test_same_seed_same_weights_other_seed_others(tmp_path: Path) -> None:
    options = TrainOptions("vae", tmp_path / "a", epochs=2, device="cpu")
    train(options)
    torch.rand(3)  # the caller's own random numbers change nothing
    train(replace(options, output=tmp_path / "b"))
    train(replace(options, output=tmp_path / "c", seed=1))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_training_leaves_the_callers_random_state_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    train(TrainOptions("ae", tmp_path / "a", epochs=1, device="cpu"))
    assert torch.equal(torch.rand(4), expected)


def test_every_image_is_seen_once_an_epoch_in_another_order(tmp_path: Path) -> None:
    run = fit_module._Run(TrainOptions("ae", tmp_path, epochs=1, device="cpu"))
    orders = [
        torch.randperm(400, generator=run._random(fit_module._ORDER, epoch)) for epoch in (1, 2)
    ]
    for order in orders:
        assert sorted(order.tolist()) == list(range(400))
    assert not torch.equal(*orders)


def test_an_existing_checkpoint_is_kept(tmp_path: Path) -> None:
    options = TrainOptions("ae", tmp_path / "run", epochs=1, device="cpu")
    train(options)
    before = weights(tmp_path / "run")
    with pytest.raises(OutputError, match="holds a checkpoint already: pass --force"):
        train(replace(options, seed=9))
    assert weights(tmp_path / "run") == before
    train(replace(options, seed=9, force=True))
    assert weights(tmp_path / "run") != before


def test_a_loss_that_is_not_a_number_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    options = TrainOptions("ae", tmp_path / "run", epochs=1, device="cpu")
    train(options)
    before = weights(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch \d+: try a lower --lr"):
        train(replace(options, model="vae", lr=1e30, epochs=5, force=True))
    assert weights(tmp_path / "run") == before


def test_weights_spoiled_by_the_last_step_are_not_saved(tmp_path: Path) -> None:
    """One step an epoch: its loss is finite, and only the test sees what it did."""
    options = TrainOptions("vae", tmp_path / "run", epochs=1, batch_size=400, device="cpu")
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf) in epoch 1"):
        train(replace(options, lr=1e30))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"epochs": -1}, "epochs: expected 1 or more, got -1"),
        ({"epochs": 0}, "epochs: expected 1 or more, got 0"),
        ({"batch_size": 0}, "batch size: expected 1 or more, got 0"),
        ({"lr": -0.1}, "learning rate: expected a number above 0"),
        ({"lr": 0.0}, "learning rate: expected a number above 0"),
        ({"seed": -1}, "seed: expected 0 or more"),
    ],
)
def test_options_out_of_range_are_refused(
    tmp_path: Path, change: dict[str, float], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        train(replace(TrainOptions("ae", tmp_path / "run", device="cpu"), **change))
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what happens without a GPU")
def test_cuda_that_is_not_there_is_no_silent_cpu_run(aeonnx: Callable[..., Result]) -> None:
    with pytest.raises(SetupError, match="torch sees no CUDA GPU"):
        resolve_device("cuda")
    result = aeonnx("train", "-m", "vae", "--device", "cuda", "-o", "run")
    assert result.exit_code == 4
    assert "--device cuda was asked for, but this torch sees no CUDA GPU" in result.output
    assert not Path("run").exists()


def test_a_listener_sees_every_epoch(tmp_path: Path) -> None:
    seen: list[object] = []

    class Listener:
        def started(self, device: str, epochs: int, images: int) -> None:
            seen.append((device, epochs, images))

        def advanced(self, images: int) -> None:
            seen.append(images)

        def finished_epoch(self, epoch: Epoch) -> None:
            seen.append(epoch.epoch)

    train(TrainOptions("ae", tmp_path, epochs=2, batch_size=300, device="cpu"), Listener())
    assert seen == [("cpu", 2, 400), 300, 100, 1, 300, 100, 2]


def test_ctrl_c_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    """A real process and a real signal, after it has written a checkpoint."""
    code = (
        "from aeonnx.train import fit; fit._SAVE_SECONDS = 0.0\nfrom aeonnx.cli import main; main()"
    )
    arguments = ["train", "-m", "vae", "--epochs", "100000", "-o", "run", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    config = tmp_path / "run/config.json"
    deadline = time.monotonic() + 60
    while not config.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Error: stopped in epoch" in errors
    assert "run holds the checkpoint of epoch" in errors
    loaded = checkpoint.load(tmp_path / "run", "vae")
    assert loaded.training is not None
    assert loaded.training.epochs >= 1
