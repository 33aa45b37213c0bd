"""Real rows, the wines that scikit-learn ships, and a time series of four sensors."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result
from sklearn.datasets import load_wine

import aeonnx
from aeonnx.cli import cli
from tests.support import Shared

Floats = npt.NDArray[np.float32]

SENSORS = ("temperature [°C]", "pressure [Pa]", "vibration (g)", "humidity")
NAMES = ("temperature", "pressure", "vibration", "humidity")
UNITS = ("°C", "Pa", "g", "")


def sensors(steps: int = 800, seed: int = 0) -> Floats:
    """Readings [T, 4] that follow one load, in units whose sizes differ by eight orders."""
    rng, time = np.random.default_rng(seed), np.arange(steps)
    load = 0.5 + 0.4 * np.sin(2 * np.pi * time / 96) + 0.05 * rng.standard_normal(steps)
    noise = rng.standard_normal((4, steps))
    columns = (
        20 + 30 * load + 0.5 * noise[0],
        101325 + 400 * load + 20 * noise[1],
        0.002 * load + 0.0001 * noise[2],
        60 - 10 * load + noise[3],
    )
    return np.stack(columns, 1).astype(np.float32)


def write_csv(path: Path, head: Sequence[str], rows: Floats) -> Path:
    """A .csv in which NaN is an empty value."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([["" if np.isnan(v) else f"{v:.9g}" for v in row] for row in rows])
    return path


def wines() -> tuple[Floats, npt.NDArray[np.int64], list[str]]:
    """Measurements [178, 13], kinds [178], and names of the columns."""
    data = load_wine()
    return data.data.astype(np.float32), data.target, list(data.feature_names)


@pytest.fixture
def aeonnx_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `aeonnx ARGUMENTS` in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli, [*map(str, arguments)])


@pytest.fixture(scope="session")
def rows_run(shared: Shared) -> Path:
    """A run on the first kind of wine, with a tenth of the values missing; not to be changed."""

    def fill(folder: Path) -> None:
        x, kinds, names = wines()
        folder.mkdir()
        known = x[kinds == 0]
        gone = np.random.default_rng(0).random(known.shape) < 0.1
        path = write_csv(folder / "wine.csv", names, np.where(gone, np.nan, known))
        aeonnx.train("ae", folder / "run", data=path, epochs=400, device="cpu")

    return shared("tables-rows", fill) / "run"


@pytest.fixture(scope="session")
def rows_bundle(shared: Shared, rows_run: Path) -> Path:
    """The bundle of `rows_run`; not to be changed."""
    return shared(
        "tables-rows-bundle", lambda folder: aeonnx.export("ae", folder, checkpoint=rows_run)
    )


@pytest.fixture(scope="session")
def windows_bundle(shared: Shared) -> Path:
    """Windows of 16 steps of the sensors, with a 1-d convolution; not to be changed."""

    def fill(folder: Path) -> None:
        folder.mkdir()
        path = write_csv(folder / "sensors.csv", SENSORS, sensors())
        run = folder / "run"
        more = {"arch": "conv", "hidden": (8, 16), "window": 16, "step": 2}
        aeonnx.train("ae", run, data=path, epochs=80, device="cpu", **more)
        aeonnx.export("ae", folder / "bundle", checkpoint=run)

    return shared("tables-windows", fill) / "bundle"
