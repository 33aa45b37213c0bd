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
from aeonnx.training import TrainOptions, load_data
from aeonnx.training.data import DataSet, Split, with_normal
from aeonnx.training.data._set import InMemory
from aeonnx.training.engine.distributed import Ranks
from aeonnx.training.engine.plan import make_plan
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


def test_the_scale_is_that_of_normal_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    normal = np.stack([rng.normal(20, 1, 900), np.full(900, 7.0), np.zeros(900)], 1)
    fault = np.stack([np.full(100, 1000.0), np.full(100, 9.0), np.ones(100)], 1)
    rows = rng.permutation(np.concatenate([normal, fault])).astype(np.float32)
    path = write_csv(tmp_path / "x.csv", ["heat", "mode", "state"], rows)
    every = loaded(path, label_column="state")
    assert every.scale is not None
    assert every.scale.scale[0] > 100
    assert every.notes == ()
    data = with_normal(every, "0", classifies=False)
    assert data.scale is not None
    kept = read(data).astype(np.float64)
    np.testing.assert_allclose(data.scale.centre, kept.mean(0), rtol=1e-6)
    np.testing.assert_allclose(data.scale.scale, [kept[:, 0].std(), 1], rtol=1e-5)
    assert [f"{path}: column mode has one value alone" in note for note in data.notes] == [True]


@pytest.mark.parametrize("scaler", ["standard", "robust", "none"])
@pytest.mark.parametrize("window", [None, 8])
def test_a_constant_column_may_begin_with_a_missing_value(
    tmp_path: Path, scaler: str, window: int | None
) -> None:
    x = sensors(100)
    x[:, 3] = 0.1
    x[:5, 3] = np.nan
    data = loaded(write_csv(tmp_path / "x.csv", SENSORS, x), scaler=scaler, window=window)
    assert data.scale is not None
    fill, centre, scale = (float(part[3]) for part in vars(data.scale).values())
    assert (fill, centre, scale) == (np.float32(0.1), 0 if scaler == "none" else np.float32(0.1), 1)


@pytest.mark.parametrize(
    ("column", "noted"),
    [
        (2.4e9 + np.arange(400.0) % 20, True),  # a meter that counts watt hours
        (1.7e9 + np.arange(400.0), True),  # seconds since 1970
        (12_345_678.12 + np.arange(400.0), False),
        (20 + np.arange(400.0) % 7, False),
        (np.full(400, 2.4e9 + 1), False),
    ],
)
def test_values_that_float32_rounds_are_noted(
    tmp_path: Path, column: np.ndarray, noted: bool
) -> None:
    rows = [f"{value!r},{place}" for place, value in enumerate(column.tolist())]
    (tmp_path / "x.csv").write_text("\n".join(["meter,load", *rows]))
    notes = loaded(tmp_path / "x.csv").notes
    text = "column meter: float32, in which the model computes, rounds its values by up to"
    assert any(text in note for note in notes) == noted
    assert any("one value alone" in note for note in notes) == (column.min() == column.max())


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    states = ["running", "", "fault", "NA", "running", " ", "?"] * 20
    rows = [f"{x},{state}" for x, state in zip(sensors(140)[:, 0], states, strict=True)]
    (tmp_path / "x.csv").write_text("\n".join(["temperature,state", *rows]))
    data = loaded(tmp_path / "x.csv", label_column="state")
    assert data.classes == ("fault", "running")
    assert data.train_images + data.test_images == 60
    assert data.notes == (f"{tmp_path / 'x.csv'}: left out 80 rows without a label in state",)
    numbers = np.stack([sensors(140)[:, 0], np.arange(140) % 3], 1)
    numbers[::4, 1] = np.nan
    np.savez(tmp_path / "x.npz", x_train=numbers[:100], x_test=numbers[100:])
    data = loaded(tmp_path / "x.npz", label_column="1")
    assert (data.train_images, data.test_images, data.classes) == (75, 30, ("0", "1", "2"))
    np.testing.assert_array_equal(read(data, "test")[:, 0], numbers[100:][numbers[100:, 1] >= 0, 0])
    (tmp_path / "y.csv").write_text("temperature,state\n1,\n2,NA\n3,\n")
    with pytest.raises(DataError, match="--label-column state: expected labels, got none"):
        loaded(tmp_path / "y.csv", label_column="state")


def test_held_out_windows_share_no_step_with_those_trained_on(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(400.0)[:, None])
    options = {"data": str(tmp_path / "x.npy"), "window": 16, "step": 4, "patience": 2}
    plan = make_plan(TrainOptions("ae", tmp_path / "run", batch_size=8, **options), Ranks())
    images = plan.data.train.images
    trained, held_out = (
        {*images.read(places).flatten().tolist()} for places in (plan.train_places, plan.held_out)
    )
    assert len(plan.held_out) == round(0.1 * len(images))
    assert not trained & held_out
    assert max(trained) + 4 >= min(held_out)


def test_odd_rows_at_which_the_network_overflows_are_found(tmp_path: Path) -> None:
    x = np.concatenate([sensors(200), np.full((3, 4), -3.4028235e38, np.float32)])
    state = np.repeat([0, 1], [200, 3])[:, None]
    path = write_csv(
        tmp_path / "x.csv", [*SENSORS, "state"], np.concatenate([x, state], 1).astype(np.float32)
    )
    trained = aeonnx.train(
        "ae", tmp_path / "run", data=path, label_column="state", normal="0", **SMALL
    )
    assert trained.training.metrics["auroc"] == 1
