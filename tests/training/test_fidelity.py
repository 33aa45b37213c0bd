"""Measures of generated images: Frechet distance, precision and recall."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

import aeonnx as library
from aeonnx.errors import CheckpointError, InputError, UsageError
from aeonnx.training.fidelity import fidelity, frechet_distance, precision_recall

Maker = Callable[..., Path]
Cli = Callable[..., Result]


def cloud(seed: int, n: int, d: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ (scale * rng.standard_normal((d, d))) + shift


@given(st.integers(0, 99), st.integers(1, 8), st.floats(0.1, 10), st.floats(-5, 5))
def test_the_frechet_distance_is_that_of_the_definition(
    seed: int, d: int, scale: float, shift: float
) -> None:
    a, b = cloud(seed, 60, d), cloud(seed + 1, 40, d, scale, shift)
    first, second = (np.atleast_2d(np.cov(x.T)) for x in (a, b))
    between = np.square(a.mean(0) - b.mean(0)).sum()
    expected = between + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * np.trace(first))


def test_fewer_images_than_features_give_a_finite_distance() -> None:
    a, b = cloud(0, 20, 50), cloud(1, 30, 50)
    assert 0 < frechet_distance(a, b) < np.inf


def test_precision_and_recall_tell_bad_images_from_missing_ones() -> None:
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.standard_normal((200, 4)) + 20 * kind for kind in range(2)])
    half = rng.standard_normal((200, 4))  # good, but of one kind alone
    precision, recall = precision_recall(real, half)
    assert precision > 0.9
    assert 0.4 < recall < 0.55
    spread = np.concatenate([half, half + 20, rng.standard_normal((400, 4)) + 500])
    precision, recall = precision_recall(real, spread)
    assert precision == pytest.approx(0.5, abs=0.05)
    assert recall > 0.9


@pytest.mark.parametrize(
    ("real", "generated"), [((9, 3), (9, 4)), ((3, 3), (9, 3)), ((9,), (9,)), ((9, 3), (0, 3))]
)
def test_other_shapes_are_refused(real: tuple[int, ...], generated: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected features \[n, d\] and \[m, d\] of 4 images or"):
        precision_recall(np.zeros(real), np.zeros(generated))


def test_a_better_model_generates_better_images(aeonnx: Cli, run_of: Maker, tmp_path: Path) -> None:
    judge = run_of("sdae")
    good = library.train("vae", tmp_path / "good", epochs=3, features=judge, device="cpu")
    told = aeonnx(
        "train", "-m", "vae", "--epochs", 1, "--lr", "1e-5", "--features", judge, "-o", "bad",
        "--device", "cpu", "--json",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    bad = json.loads(told.stdout)["training"]["metrics"]
    found = good.training.metrics
    assert found["frechet_distance_real"] < found["frechet_distance"] < bad["frechet_distance"]
    assert found["frechet_distance_real"] == pytest.approx(bad["frechet_distance_real"])
    assert found["precision"] > bad["precision"]
    assert 0 < found["recall"] <= 1
    # The same numbers are in the record that a bundle carries.
    bundle = library.export("vae", tmp_path / "b", checkpoint=tmp_path / "good", parts="decoder")
    assert bundle.manifest.training.metrics == found


def test_labels_are_those_of_the_test_images(run_of: Maker, tmp_path: Path) -> None:
    given = {"epochs": 6, "conditional": True, "device": "cpu"}
    found = library.train("vae", tmp_path / "run", features=run_of("sdae"), **given)
    metrics = found.training.metrics
    assert metrics["frechet_distance"] < 20 * metrics["frechet_distance_real"]
    assert metrics["recall"] > 0.05


def test_other_runs_are_refused(run_of: Maker, tmp_path: Path) -> None:
    def train(model: str = "vae", **more: object) -> None:
        library.train(model, tmp_path / "run", epochs=1, device="cpu", **more)

    with pytest.raises(UsageError, match="ae is trained without a prior to draw them from: leave"):
        train("ae", features=run_of("sdae"))
    with pytest.raises(CheckpointError, match="vae"):
        train(features=run_of("vae"))
    with pytest.raises(CheckpointError, match="nowhere"):
        train(features=tmp_path / "nowhere")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8))
    with pytest.raises(
        UsageError,
        match=r"expected a classifier of images \[1, 8, 8\], got one of \[1, 28, 28\]: train sdae",
    ):
        train(features=run_of("sdae"), data=tmp_path / "x.npy")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_fidelity_is_all_three() -> None:
    a, b = cloud(0, 50, 3), cloud(1, 60, 3)
    found = fidelity(a, b)
    assert found.frechet_distance == frechet_distance(a, b)
    assert (found.precision, found.recall) == precision_recall(a, b)
