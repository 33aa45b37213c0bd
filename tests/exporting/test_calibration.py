"""Reduced precision of models of signals and vectors, measured on arrays of rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from torch import Tensor, nn

from aeonnx import load
from aeonnx.bundle import Axis, TensorSpec
from aeonnx.models import Part
from aeonnx.runtime import verify

_TIME = {"time": Axis(4, min=8)}


class Signals(nn.Module):
    """x [n, 1, time] -> z [n, 2, time/4] -> reconstruction."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encode = nn.Sequential(nn.Conv1d(1, 64, 8, 4, 2), nn.Tanh(), nn.Conv1d(64, 2, 9, 1, 4))
        self.decode = nn.Sequential(nn.Conv1d(2, 64, 9, 1, 4), nn.ConvTranspose1d(64, 1, 4, 4))

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", 1, "time"), range=(-1.0, 1.0), kind="signal", rate=100.0)
        z = TensorSpec("z", ("batch", 2, "time/4"), kind="latent")
        made = TensorSpec("reconstruction", ("batch", 1, "time"), kind="signal", rate=100.0)
        return {
            "encoder": Part(self.encode, (x,), (z,), axes=_TIME, sizes={"time": 64}),
            "decoder": Part(self.decode, (z,), (made,), axes=_TIME, sizes={"time": 64}),
        }


class Table(nn.Module):
    """x [n, 6], without a range -> z [n, 3]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return made

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", 6), kind="vector")
        return {"encoder": Part(self, (x,), (TensorSpec("z", ("batch", 3), kind="latent"),))}


def signals() -> nn.Module:
    return Signals()


def table() -> nn.Module:
    return Table()


@pytest.fixture
def rows(tmp_path: Path) -> dict[str, Path]:
    """Files of rows by name of the factory: signals are longer than the usual size."""
    rng, time = np.random.default_rng(0), np.arange(100) / 10
    sounds = np.stack([np.sin(time * f) / 2 for f in rng.uniform(0.5, 5, 48)])[:, None]
    found = {"signals": sounds.astype(np.float32), "table": rng.normal(size=(48, 6))}
    for name, values in found.items():
        np.save(tmp_path / f"{name}.npy", values)
    return {name: tmp_path / f"{name}.npy" for name in found}


@pytest.mark.shortened(1)
@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("factory", ["signals", "table"])
def test_rows_are_measured(
    aeonnx: Callable[..., Result], rows: dict[str, Path], factory: str
) -> None:
    done = aeonnx(
        "export", "--from", f"module:{__name__}:{factory}", "-m", "m", "-o", "b",
        "--precision", "fp16", "--precision", "int8", "--calibration", rows[factory],
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    bundle = load("b")
    assert verify(bundle).passed
    for part, variants in bundle.manifest.parts.items():
        for precision in ("fp16", "int8"):
            assert variants[precision].bytes < variants["fp32"].bytes, part
            (quality, *_) = next(iter((variants[precision].quality or {}).values()))
            assert quality.images == 48


@pytest.mark.parametrize(
    ("factory", "values", "text"),
    [
        ("table", np.zeros((4, 7), "f4"), "a .npy or .npz array of floats [n, 6], got float32 [4"),
        ("table", np.zeros((4, 6), "i4"), "expected rows of x, a .npy or .npz array of floats [n"),
        ("signals", np.zeros((4, 1, 63), "f4"), "expected rows of at least [1, 64], got [1, 63]"),
        (
            "signals",
            np.full((4, 1, 80), 2, "f4"),
            "x: expected float32 [batch, 1, time] in [-1, 1], got values from 2",
        ),
        ("signals", None, "is a picture (PNG): expected rows of x"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    aeonnx: Callable[..., Result], tmp_path: Path, factory: str, values: np.ndarray, text: str
) -> None:
    if values is None:
        from aeonnx.io.images import write_grid

        write_grid(tmp_path / "rows.npy.png", np.zeros((1, 1, 8, 8), np.float32))
        (tmp_path / "rows.npy.png").rename(tmp_path / "rows.npy")
    else:
        np.save(tmp_path / "rows.npy", values)
    result = aeonnx(
        "export", "--from", f"module:{__name__}:{factory}", "-m", "m", "-o", "b",
        "--precision", "int8", "--calibration", "rows.npy",
    )  # fmt: skip
    assert result.exit_code == 1
    assert text in result.stderr, result.stderr
    assert not Path("b").exists()


class Unlike(Table):
    """Its encoder does not take what it says."""

    def parts(self) -> dict[str, Part]:
        z = TensorSpec("z", ("batch", 64), kind="latent")
        x = TensorSpec("x", ("batch", 5), range=(0.0, 1.0), kind="vector")
        made = TensorSpec("y", ("batch", 3), kind="vector")
        return {
            "encoder": Part(self.layers[0], (x,), (z,)),
            "decoder": Part(self.layers[2], (z,), (made,)),
        }


def unlike() -> nn.Module:
    return Unlike()


def test_the_encoder_that_makes_the_latents_of_rows_is_checked(
    aeonnx: Callable[..., Result], tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((100, 5), np.float32))
    source = ("--from", f"module:{__name__}:unlike", "--part", "decoder", "--precision", "fp16")
    done = aeonnx("export", *source, "--calibration", "rows.npy", "-o", "b")
    assert done.exit_code == 1
    assert "Error: encoder: its module, called at batch 2, raised RuntimeError: " in done.stderr
    assert not (tmp_path / "b").exists()
