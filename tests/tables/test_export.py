"""Graphs of tables: raw values in and out, missing values, and a gate for each column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import aeonnx
from aeonnx.bundle import manifest
from aeonnx.checkpoint import load
from aeonnx.errors import ImageError, InputError, ParityError
from tests.tables.conftest import NAMES, SENSORS, UNITS, sensors, wines, write_csv

Maker = Callable[..., Path]


def test_the_manifest_names_columns_and_units(windows_bundle: Path) -> None:
    parts = manifest.read(windows_bundle).parts
    x = parts["encoder"]["fp32"].inputs[0]
    assert (x.kind, x.shape, x.names, x.units) == ("signal", ("batch", 4, 16), NAMES, UNITS)
    assert x.range is None
    assert not x.missing
    assert parts["decoder"]["fp32"].outputs[0].names == NAMES


def test_graphs_take_raw_values_and_nan(rows_run: Path, rows_bundle: Path) -> None:
    x, _, names = wines()
    x[::3, 4] = np.nan
    bundle, model = aeonnx.load(rows_bundle, ["cpu"]), load(rows_run, "ae").model
    spec = bundle.inputs("scorer")[0]
    assert (spec.kind, spec.missing, spec.names) == ("vector", True, tuple(names))
    found = bundle.run("scorer", x=x)
    with torch.no_grad():
        whole, error, places = model.double().parts()["scorer"].module(torch.from_numpy(x).double())
    np.testing.assert_allclose(found["reconstruction"], whole, rtol=1e-3)
    np.testing.assert_allclose(found["error"], error, rtol=1e-3)
    np.testing.assert_allclose(found["map"], places, rtol=1e-2, atol=1e-4)
    there = ~np.isnan(x)
    np.testing.assert_array_equal(found["map"][~there], 0)
    np.testing.assert_allclose(found["error"], found["map"].sum(1) / there.sum(1), rtol=1e-5)


def test_missing_values_are_filled_in_from_the_others(rows_bundle: Path) -> None:
    """Better than the mean of the column, since columns depend on one another."""
    x = wines()[0][wines()[1] == 0]
    bundle = aeonnx.load(rows_bundle, ["cpu"])
    filled, mean = [], []
    for column in range(x.shape[1]):
        holes = x.copy()
        holes[:, column] = np.nan
        spread = x[:, column].std()
        off = (bundle.reconstruct(holes)[:, column] - x[:, column]) / spread
        filled.append(np.square(off).mean())
        mean.append(1.0)
    assert np.mean(filled) < 0.9 * np.mean(mean)


def test_values_that_no_graph_takes_are_refused(rows_bundle: Path, windows_bundle: Path) -> None:
    bundle, x = aeonnx.load(rows_bundle, ["cpu"]), wines()[0][:5]
    x[2, 3] = np.inf
    with pytest.raises(
        InputError, match="got inf in column alcalinity_of_ash of row 2: NaN stands"
    ):
        bundle.score(x)
    x[2] = np.nan
    with pytest.raises(InputError, match="got no value in row 2, where all are missing: remove it"):
        bundle.score(x)
    whole = sensors(16).T[None].copy()
    whole[0, 1, 3] = np.nan
    with pytest.raises(InputError) as caught:
        aeonnx.load(windows_bundle, ["cpu"]).score(whole)
    assert "got nan in column pressure of row 0: remove the row, or train with" in str(caught.value)


def test_golden_rows_without_any_value_run_again(rows_bundle: Path) -> None:
    """They are edge inputs of the gate: graphs fill in every value, and only a score is refused."""
    bundle = aeonnx.load(rows_bundle, ["cpu"])
    bundle.warmup((24,))
    assert np.isfinite(bundle.reconstruct(np.full((2, 13), np.nan, np.float32))).all()


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_reduced_precision_keeps_every_column(
    tmp_path: Path, rows_run: Path, precision: str
) -> None:
    made = aeonnx.export(
        "ae", tmp_path / "b", checkpoint=rows_run, precisions=precision, parts="decoder"
    )
    variant = made.manifest.parts["decoder"][precision]
    assert variant.quality is not None
    assert variant.quality["reconstruction"][0].metric == "snr"
    bundle, z = aeonnx.load(tmp_path / "b", ["cpu"]), np.random.default_rng(0).random((200, 6))
    z = z.astype(np.float32)
    plain = bundle.decode(z)
    found = aeonnx.load(tmp_path / "b", ["cpu"], precision=precision).decode(z)
    off = np.sqrt(np.square(found - plain).mean(0)) / plain.std(0)
    assert off.max() < 0.3


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "npy"])
@pytest.mark.parametrize("kind", ["rows", "windows"])
def test_calibration_reads_the_tables_that_are_scored(
    tmp_path: Path, rows_run: Path, windows_bundle: Path, kind: str, form: str
) -> None:
    if kind == "rows":
        run, x, names = rows_run, wines()[0][:40], wines()[2]
    else:
        run, x, names = windows_bundle.parent / "run", sensors(170, seed=5), list(SENSORS)
    path = tmp_path / f"x.{form}"
    if form == "npy":
        np.save(path, x)
    elif form == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        columns = {name: x[:, place] for place, name in enumerate(names)}
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns), path)
    else:
        write_csv(path, names[::-1], x[:, ::-1])  # columns are found by their names
    if form == "tsv":
        path.write_text(path.read_text(encoding="utf-8").replace(",", "\t"), encoding="utf-8")
    made = aeonnx.export(
        "ae", tmp_path / "b", checkpoint=run, parts="scorer", score="error", calibration=path
    )
    normal = made.manifest.parts["scorer"]["fp32"].normal["error"]
    windows = [x[first : first + 16].T for first in range(0, 170 - 15, 16)]
    taken = x if kind == "rows" else np.stack(windows)
    assert normal.rows == len(taken)
    scores = aeonnx.load(tmp_path / "b", ["cpu"]).score(taken).scores
    assert normal.percentile(float(scores.max()) * 1.01) == 100
    assert normal.percentile(float(scores.min()) * 0.99) == 0


def test_a_table_of_other_columns_is_no_calibration(tmp_path: Path, rows_run: Path) -> None:
    path = write_csv(tmp_path / "x.csv", SENSORS, sensors(40))
    with pytest.raises(ImageError, match=r"x\.csv: expected the columns alcohol, malic_acid, "):
        aeonnx.export("ae", tmp_path / "b", checkpoint=rows_run, calibration=path)
    assert not (tmp_path / "b").exists()


def test_an_error_of_a_small_column_is_seen_beside_a_large_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_run: Path
) -> None:
    """1e-4 of the smallest column is less than the noise floor of the largest one, proline."""
    from aeonnx.exporting.verify import compare as module

    whole = module.compare_runs
    column = wines()[2].index("nonflavanoid_phenols")

    def shaken(name, part, graph, reference, rows, **more):  # type: ignore[no-untyped-def]
        def run(inputs):  # type: ignore[no-untyped-def]
            found = graph(inputs)
            if "reconstruction" in found:
                found["reconstruction"][:, column] *= 1 + 1e-5
            return found

        return whole(name, part, run, reference, rows, **more)

    monkeypatch.setattr(module, "compare_runs", shaken)
    with pytest.raises(ParityError) as caught:
        aeonnx.export("ae", tmp_path / "b", checkpoint=rows_run, parts="reconstructor")
    assert "reconstruction: column nonflavanoid_phenols: on real inputs off by" in str(caught.value)
    assert "real inputs: max" not in str(caught.value)
    assert not (tmp_path / "b").exists()


def test_combined_weighs_columns_by_their_usual_errors(rows_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    aeonnx.export("ae", folder, checkpoint=rows_run, parts=["encoder", "scorer"], score="combined")
    bundle, examples = aeonnx.load(folder, ["cpu"]), load(rows_run, "ae").examples
    assert examples is not None
    train, x = examples.train.numpy(), wines()[0]
    x[::3, 4] = np.nan
    z, map_of = bundle.encode(train).astype(np.float64), bundle.run("scorer", x=train)["map"]
    usual = map_of.sum(0) / (~np.isnan(train)).sum(0)
    errors = bundle.run("scorer", x=x)["map"] / np.maximum(usual, 1e-3 * usual.mean())
    relative = errors.sum(1) / (~np.isnan(x)).sum(1)
    off = bundle.encode(x) - z.mean(0)
    variances, axes = np.linalg.eigh(np.cov(z.T, bias=True))
    distance = np.square(off @ axes) / np.maximum(variances, 1e-3 * variances.mean())
    expected = 0.5 * (distance.mean(1) + relative)
    np.testing.assert_allclose(bundle.score(x).scores, expected, rtol=1e-3)
