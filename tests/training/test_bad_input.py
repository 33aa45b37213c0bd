"""What `aeonnx train` says of data and options that it cannot use: the text and the exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

Cli = Callable[..., Result]
FAST = ("--epochs", 1, "--hidden", 8, "--latent", 2, "--device", "cpu")


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (30, 9, 7), dtype=np.uint8)


@pytest.fixture
def folder(images: np.ndarray, tmp_path: Path) -> Path:
    """30 good pictures in `scans`."""
    path = tmp_path / "scans"
    path.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(path / f"{number:02d}.png")
    return path


def fails(result: Result, code: int, *texts: str) -> None:
    assert result.exit_code == code, result.output
    for text in texts:
        assert text in result.output
    assert not Path("runs").exists()


def test_corrupt_and_odd_sized_images_are_named(aeonnx: Cli, folder: Path) -> None:
    (folder / "05.png").write_bytes((folder / "05.png").read_bytes()[:40])
    Image.new("L", (7, 10)).save(folder / "06.png")
    result = aeonnx("train", "-m", "ae", "--data", "scans", *FAST)
    fails(result, 1, "05.png", "06.png", "expected 7x9", "got 7x10", "--skip-bad")
    result = aeonnx("train", "-m", "ae", "--data", "scans", "--skip-bad", *FAST)
    assert result.exit_code == 0, result.output
    assert "Warning: left out: " in result.stderr
    assert "05.png" in result.stderr
    assert "06.png" in result.stderr


def test_empty_data(aeonnx: Cli, images: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    fails(aeonnx("train", "-m", "ae", "--data", "nothing", *FAST), 1, "nothing holds no image")
    np.save("none.npy", images[:0])
    fails(aeonnx("train", "-m", "ae", "--data", "none.npy", *FAST), 1, "none.npy")


def test_labels_missing_or_of_one_class(aeonnx: Cli, images: np.ndarray, folder: Path) -> None:
    text = "sdae learns from labels, and scans has none"
    fails(aeonnx("train", "-m", "sdae", "--data", folder, *FAST), 1, text)
    np.savez("one.npz", x=images, y=np.zeros(30, np.int64))
    text = "one.npz has only one ('0'): expected two or more"
    fails(aeonnx("train", "-m", "sdae", "--data", "one.npz", *FAST), 1, text)


@pytest.mark.parametrize("value", [-0.1, 1.01, 255.0, float("nan"), float("inf")])
def test_floats_outside_of_the_range(aeonnx: Cli, images: np.ndarray, value: float) -> None:
    floats = images.astype(np.float32) / 255
    floats[3, 2, 1] = value
    np.save("x.npy", floats)
    fails(aeonnx("train", "-m", "ae", "--data", "x.npy", *FAST), 1, "x.npy", "[0, 1]")


def test_a_latent_as_large_as_the_input_is_warned_of(aeonnx: Cli, folder: Path) -> None:
    options = ("--epochs", 1, "--hidden", 8, "--latent", 64, "--device", "cpu")
    result = aeonnx("train", "-m", "ae", "--data", folder, *options)
    assert result.exit_code == 0, result.output
    assert "Warning: the latent (64 numbers) is not smaller than the input (63)" in result.stderr


def test_default_widths_follow_the_latent(aeonnx: Cli, folder: Path) -> None:
    options = ("--epochs", 1, "--latent", 40, "--device", "cpu")
    result = aeonnx("train", "-m", "ae", "--data", folder, *options)
    assert result.exit_code == 0, result.output
    assert json.loads(Path("runs/ae/config.json").read_text())["model"]["hidden"] == [128, 64, 40]
    assert "comes before the latent" not in result.stderr


def test_a_layer_narrower_than_the_latent_is_warned_of(aeonnx: Cli, folder: Path) -> None:
    options = ("--epochs", 1, "--hidden", "30,8", "--latent", 20, "--device", "cpu")
    result = aeonnx("train", "-m", "ae", "--data", folder, *options)
    assert result.exit_code == 0, result.output
    assert (
        "Warning: a layer of 8 numbers comes before the latent (20), which thus has at most 8 "
        "degrees of freedom; --hidden sets the widths"
    ) in result.stderr


def test_a_model_worse_than_the_mean_image_is_warned_of(aeonnx: Cli, digits: Path) -> None:
    options = ("--epochs", 1, "--lr", 1e-7, "--device", "cpu", "--json")
    result = aeonnx("train", "-m", "ae", "--data", digits, *options)
    assert result.exit_code == 0, result.output
    (text,) = json.loads(result.stdout)["warnings"]
    assert re.fullmatch(
        r"this model is worse than doing nothing: on test images its reconstruction has a PSNR "
        r"of [\d.]+ dB, the mean training image [\d.]+ dB. Try more --epochs than 1, another --lr "
        r"than 1e-07, or a larger --latent than 3",
        text,
    )
    assert f"Warning: {text}" in result.stderr


def test_a_denoiser_worse_than_its_input_is_warned_of(aeonnx: Cli, folder: Path) -> None:
    options = ("--epochs", 1, "--lr", 1e-7, "--corruption-level", 0.01, "--device", "cpu")
    result = aeonnx("train", "-m", "dae", "--data", folder, *options)
    assert result.exit_code == 0, result.output
    assert re.search(
        r"its denoised output has a PSNR of [\d.]+ dB, its noisy input 39.8 dB", result.stderr
    )


def test_resuming_with_other_options_or_data(aeonnx: Cli, images: np.ndarray, folder: Path) -> None:
    run = ("train", "-m", "ae", "--data", folder)
    assert aeonnx(*run, *FAST).exit_code == 0
    result = aeonnx(*run, *FAST, "--resume", "--lr", 0.5, "--clip", 1)
    assert result.exit_code == 2
    assert "--lr was 0.003, is 0.5; --clip was none, is 1. Leave them out" in result.output
    Image.fromarray(255 - images[0]).save(folder / "00.png")
    result = aeonnx(*run, *FAST, "--resume")
    assert result.exit_code == 1
    assert "Error: the data set scans changed since runs/ae was trained on it" in result.output
    result = aeonnx(*run, *FAST)
    assert result.exit_code == 1
    assert "runs/ae holds a checkpoint already: pass --resume to go on from it" in result.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--hidden", "8,x"), "expected whole numbers such as 400,200, got '8,x'"),
        (("--hidden", "8,0"), "sizes of ae: expected sizes above 0"),
        (("--data", "mnits"), "unknown data set 'mnits'"),
        (("--data", "mnits"), "Did you mean 'mnist'"),
        (("--arch", "conf"), "unknown architecture of ae 'conf'. Did you mean 'conv'"),
        (("--beta", 2), "ae takes no --beta, it takes: no option of its own"),
        (("--precision", "fp64"), "unknown precision 'fp64'"),
    ],
)
def test_options_that_are_not_known(aeonnx: Cli, arguments: tuple[object, ...], text: str) -> None:
    fails(aeonnx("train", "-m", "ae", *arguments), 2, text)


def test_a_path_that_is_not_there(aeonnx: Cli) -> None:
    fails(aeonnx("train", "-m", "ae", "--data", "no/where"), 1, "no/where does not exist")
