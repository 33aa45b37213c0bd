"""Training on tables and time series."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from sklearn.preprocessing import RobustScaler, StandardScaler

import aeonnx
from aeonnx.checkpoint import load
from aeonnx.errors import DataError, UsageError
from aeonnx.training import load_data
from aeonnx.training.data import DataSet, Split
from aeonnx.training.data._set import InMemory
from aeonnx.training.options import TableOptions
from tests.support import Cut, CutAfter, weights
from tests.tables.conftest import NAMES, SENSORS, UNITS, sensors, wines, write_csv

SMALL: dict[str, Any] = {"epochs": 1, "device": "cpu", "hidden": (8,)}


def loaded(path: Path, **options: Any) -> DataSet:
    return load_data(str(path), Path(), table=TableOptions(**options))


def read(data: DataSet, part: str = "train") -> Any:
    images = getattr(data, part).images
    return images.read(torch.arange(len(images))).numpy()


def test_rows_are_split_and_keep_their_units(tmp_path: Path) -> None:
    x = sensors(100)
    data = loaded(write_csv(tmp_path / "x.csv", SENSORS, x))
    assert data.columns is not None
    assert data.columns.names == NAMES
    assert data.columns.units == UNITS
    assert not data.columns.missing
    assert (data.train_images, data.test_images) == (90, 10)
    both = np.concatenate([read(data), read(data, "test")])
    np.testing.assert_array_equal(np.sort(both, 0), np.sort(x, 0))


def test_windows_of_training_and_test_share_no_step(tmp_path: Path) -> None:
    x = sensors(200)
    np.save(tmp_path / "x.npy", x)
    data = loaded(tmp_path / "x.npy", window=16, step=3)
    train, test = read(data), read(data, "test")
    assert data.split == "the last tenth of the series"
    assert train.shape[1:] == test.shape[1:] == (4, 16)
    np.testing.assert_array_equal(train[2], x[6:22].T)
    np.testing.assert_array_equal(test[0], x[180:196].T)
    assert train[-1, 0, -1] in x[:180, 0]
    assert len(train) == (180 - 16) // 3 + 1
    assert len(read(loaded(tmp_path / "x.npy", window=16))) == (180 - 16) // 4 + 1


@pytest.mark.parametrize("scaler", ["standard", "robust", "none"])
def test_scalers_are_those_of_scikit_learn(tmp_path: Path, scaler: str) -> None:
    x = sensors(300)
    x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    np.save(tmp_path / "x.npy", x)
    data = loaded(tmp_path / "x.npy", scaler=scaler)
    train = read(data).astype(np.float64)
    assert data.scale is not None
    fill, centre, scale = (part.numpy() for part in vars(data.scale).values())
    if scaler == "none":
        np.testing.assert_array_equal(centre, 0)
        np.testing.assert_array_equal(scale, 1)
        np.testing.assert_allclose(fill, np.nanmean(train, 0), rtol=1e-6)
        return
    if scaler == "standard":
        expected = StandardScaler().fit(train)
        np.testing.assert_allclose(centre, expected.mean_, rtol=1e-6)
    else:
        expected = RobustScaler().fit(train)
        np.testing.assert_allclose(centre, expected.center_, rtol=1e-6)
    np.testing.assert_allclose(scale, expected.scale_, rtol=1e-6)
    np.testing.assert_array_equal(fill, centre)


@pytest.mark.usefixtures("drawn")
def test_the_model_learns_what_columns_have_in_common(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", SENSORS, sensors(2000))
    trained = aeonnx.train("ae", tmp_path / "run", data=path, epochs=30, device="cpu")
    metrics = trained.training.metrics
    assert metrics["mse"] < 0.1 * metrics["mse_constant"]
    assert trained.warnings == ()
    assert {file.name for file in trained.files} >= {"loss.png", "reconstructions.png"}


@pytest.mark.shortened(2)
@pytest.mark.parametrize("arch", ["mlp", "conv", "lstm"])
def test_windows_are_learned_by_each_architecture(tmp_path: Path, arch: str) -> None:
    np.save(tmp_path / "x.npy", sensors(1200))
    more = {"window": 12, "step": 2, "arch": arch, "epochs": 20, "hidden": (16,), "lr": 5e-3}
    trained = aeonnx.train("ae", tmp_path / "run", data=tmp_path / "x.npy", device="cpu", **more)
    metrics = trained.training.metrics
    assert metrics["mse"] < 0.6 * metrics["mse_constant"]
    assert load(tmp_path / "run", "ae").config.arch == arch


def test_a_model_that_learned_nothing_says_so(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((300, 6)))
    trained = aeonnx.train("ae", tmp_path / "run", data=tmp_path / "x.npy", lr=0.5, **SMALL)
    assert "worse than doing nothing: on test rows the mean squared error" in trained.warnings[0]


@pytest.mark.shortened(1)
@pytest.mark.parametrize("options", [{}, {"window": 8, "arch": "lstm", "hidden": (4,)}])
def test_a_resumed_run_ends_at_the_same_weights(tmp_path: Path, options: dict[str, Any]) -> None:
    x = sensors(300)
    x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    path = write_csv(tmp_path / "x.csv", SENSORS, x)
    given = {**SMALL, "epochs": 3, "data": path, "scaler": "robust", **options}
    aeonnx.train("ae", tmp_path / "whole", **given)
    with pytest.raises(Cut):
        aeonnx.train("ae", tmp_path / "cut", listener=CutAfter(5), save_seconds=0.0, **given)
    aeonnx.train(output=tmp_path / "cut", resume=True, device="cpu")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    with pytest.raises(UsageError, match="--scaler was robust, is none"):
        aeonnx.train(output=tmp_path / "cut", resume=True, scaler="none", device="cpu")


def test_rows_of_odd_classes_are_found(tmp_path: Path) -> None:
    x, kinds, names = wines()
    rows = np.concatenate([x, kinds[:, None]], 1).astype(np.float32)
    path = write_csv(tmp_path / "wine.csv", [*names, "kind"], rows)
    given = {**SMALL, "epochs": 60, "lr": 1e-2, "data": path, "label_column": "kind", "normal": "0"}
    trained = aeonnx.train("ae", tmp_path / "run", **given)
    assert trained.training.metrics["auroc"] > 0.9, trained.training.metrics
    columns = load(tmp_path / "run", "ae").config.columns
    assert columns is not None
    assert columns.names == tuple(names)
    np.savez(tmp_path / "wine.npz", x=x, y=kinds)
    given = {**given, "data": tmp_path / "wine.npz", "label_column": None}
    again = aeonnx.train("ae", tmp_path / "again", **given)
    assert again.training.metrics["auroc"] == pytest.approx(trained.training.metrics["auroc"])


def test_labels_that_are_numbers_keep_their_digits(tmp_path: Path) -> None:
    lots = np.repeat(["12345678901234567890", "12345678901234567891", "007", "7"], 30)
    rows = [f"{x},{lot}" for x, lot in zip(sensors(120)[:, 0], lots, strict=True)]
    (tmp_path / "x.csv").write_text("\n".join(["temperature,lot", *rows]))
    data = loaded(tmp_path / "x.csv", label_column="lot")
    assert data.classes == ("007", "12345678901234567890", "12345678901234567891", "7")


def test_columns_are_chosen_by_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", SENSORS, sensors(100))
    data = loaded(path, columns="humidity, temperature")
    assert data.columns is not None
    assert data.columns.names == ("humidity", "temperature")
    assert data.columns.units == ("", "°C")
    assert sorted(read(data)[:, 1])[:3] == sorted(read(loaded(path))[:, 0])[:3]


def cases() -> dict[str, tuple[Any, dict[str, Any], str]]:
    x = sensors(40)
    holes, empty, endless, same = x.copy(), x.copy(), x.copy(), x.copy()
    holes[3:5, 2] = np.nan
    empty[:, 3] = np.nan
    endless[7, 1] = np.inf
    return {
        "missing, refused": (
            holes,
            {"missing": "refuse"},
            "missing values in columns: vibration 2: give --missing impute to fill them in",
        ),
        "a column without values": (
            empty,
            {},
            "humidity: no value in the training rows. To leave out, name the other columns: "
            "--columns temperature,pressure,vibration",
        ),
        "infinity": (
            endless,
            {},
            "column pressure: expected finite numbers, got inf in row 7: leave the value empty",
        ),
        "a long window": (
            same,
            {"window": 30},
            "expected 60 rows or more, so that windows of 30 fit into the training and the test "
            "rows, got 40: give a smaller --window",
        ),
        "labels and windows": (
            same,
            {"window": 5, "label_column": "humidity"},
            "labels are those of single rows, and a window has many",
        ),
        "no such label": (
            same,
            {"label_column": "kind"},
            "--label-column kind: expected one of temperature, pressure, vibration, humidity",
        ),
        "no such column": (
            same,
            {"columns": "speed"},
            "expected the column speed, got the columns",
        ),
        "one row": (x[:1], {}, "expected 2 rows or more of 1 column or more, got [1, 4]"),
    }


@pytest.mark.parametrize("name", list(cases()))
def test_bad_tables_are_refused(tmp_path: Path, name: str) -> None:
    rows, options, expected = cases()[name]
    path = write_csv(tmp_path / "x.csv", SENSORS, rows)
    with pytest.raises(DataError) as caught:
        aeonnx.train("ae", tmp_path / "run", data=path, **SMALL, **options)
    assert expected in str(caught.value)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_column_of_one_value_is_noted(tmp_path: Path) -> None:
    x = sensors(60)
    x[:, 0] = 21.7
    data = loaded(write_csv(tmp_path / "x.csv", SENSORS, x))
    assert data.notes[0].endswith(
        "column temperature has one value alone, and so no scale: another value counts by its "
        "difference in the column's own unit, and a small one is not odd"
    )
    assert data.scale is not None
    assert data.scale.scale[0] == 1
    assert data.scale.centre[0] == np.float32(21.7)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-m", "vae", "--window", 8), "vae takes no --window, which are for tables: train ae"),
        (("-m", "ae", "--window", 8), "--window: for tables, that is .csv and .parquet files and"),
        (("-m", "ae", "--step", 8), "--step is the distance between windows: give their --window"),
        (("-m", "ae", "--arch", "lstm"), "--arch lstm is not for images: expected mlp or conv"),
        (("-m", "ae", "--scaler", "minmax"), "unknown scaler 'minmax'"),
        (("-m", "ae", "--window", 0), "window: expected 1 or more, got 0"),
        (("-m", "vae", "--data", "x.csv"), "x.csv is a table, and this model learns from images"),
        (("-m", "ae", "--data", "x.csv", "--arch", "lstm"), "--arch lstm is for time series: give"),
        (("-m", "ae", "--data", "x.csv", "--columns", "a,,b"), "--columns: expected names with"),
        (("-m", "ae", "--data", "text.csv"), "column site: expected numbers, got 'north' in row 0"),
        (
            ("-m", "ae", "--data", "text.csv", "--label-column", "nope"),
            "text.csv: --label-column nope: expected one of t, site",
        ),
        (("-m", "ae", "--data", "y.csv"), "y.csv does not exist: expected a folder of images"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    aeonnx_cli: Callable[..., Result], arguments: tuple[Any, ...], expected: str
) -> None:
    write_csv(Path("x.csv"), SENSORS, sensors(40))
    Path("text.csv").write_text("t,site\n1,north\n2,south\n")
    result = aeonnx_cli("train", *arguments, "-o", "run", "--epochs", 1)
    assert result.exit_code in (1, 2)
    assert expected in result.output
    assert not Path("run", "config.json").exists()


def test_the_command_says_what_it_did(aeonnx_cli: Callable[..., Result]) -> None:
    write_csv(Path("x.csv"), SENSORS, sensors(200))
    result = aeonnx_cli(
        "train", "-m", "ae", "--data", "x.csv", "--epochs", 1, "--json", "--window", 8
    )
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)["training"]
    assert re.search(r"Training ae on x.csv: \d+ windows, 1 epoch, .*\n.* windows/s", result.stderr)
    assert record["data_split"] == "the last tenth of the series"
    assert record["stages"][0]["objective"] == "mean squared error of standardised values"


def test_what_is_trained_on_has_its_name() -> None:
    shapes = {"image": (1, 28, 28), "row": (4,), "window": (4, 8)}
    for unit, shape in shapes.items():
        images = InMemory(torch.zeros(2, *shape))
        assert Split(images, None).unit == unit
        assert Split(images, None, endless=True).unit == "crop"
