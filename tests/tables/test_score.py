"""`aeonnx score` on tables and time series."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

import aeonnx
from aeonnx.errors import InputError
from aeonnx.io.readers import Reading
from aeonnx.runtime import watching
from aeonnx.runtime.watching import watched
from tests.support import wait_for
from tests.tables.conftest import NAMES, SENSORS, Floats, sensors, wines, write_csv

Run = Callable[..., Result]


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def test_a_table_is_scored_row_by_row(aeonnx_cli: Run, rows_bundle: Path) -> None:
    x, _, names = wines()
    order = np.random.default_rng(0).permutation(len(names))
    head = ["kind", *(names[place] for place in order)]
    rows = np.concatenate([np.ones((len(x), 1)), x[:, order]], 1)
    write_csv(Path("wine.csv"), head, rows.astype(np.float32))
    done(aeonnx_cli("score", rows_bundle, "wine.csv", "-o", "scores.csv"))
    with Path("scores.csv").open() as file:
        table = list(csv.DictReader(file))
    found = aeonnx.load(rows_bundle, ["cpu"]).score(x)
    assert [row["name"] for row in table] == [*map(str, range(len(x)))]
    np.testing.assert_allclose([float(row["score"]) for row in table], found.scores, rtol=1e-4)
    errors = [[float(row[f"error.{name}"]) for name in names] for row in table]
    np.testing.assert_allclose(errors, found.columns, rtol=1e-3, atol=1e-6)
    odd = [row["verdict"] == "odd" for row in table]
    assert np.mean(odd[:59]) < 0.1 < np.mean(odd[59:])


def test_a_fault_is_found_in_its_column(aeonnx_cli: Run, windows_bundle: Path) -> None:
    x = sensors(160, seed=7)
    x[64:80, 2] *= 6
    write_csv(Path("x.csv"), SENSORS, x)
    text = done(aeonnx_cli("score", windows_bundle, "x.csv")).stdout
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["0-15", "16-31", "32-47"]
    assert "odd  vibration (" in next(line for line in lines if line.startswith("64-79"))
    assert "of 10 above" in lines[-1]
    assert "from 33 held-out rows only: p99 needs 99 or more)" in lines[-1]
    document = json.loads(
        done(aeonnx_cli("score", windows_bundle, "x.csv", "--step", 4, "--json")).stdout
    )
    assert len(document["rows"]) == (160 - 16) // 4 + 1
    row = next(row for row in document["rows"] if row["name"] == "64-79")
    assert max(row["columns"], key=row["columns"].get) == "vibration"
    assert [*row["columns"]] == list(NAMES)


DEPENDENT = ("temperature", "pressure", "vibration", "constant")


def dependent(rows: int, seed: int) -> Floats:
    """Readings of which the pressure follows from the temperature, and one never changes."""
    rng = np.random.default_rng(seed)
    temperature = rng.normal(60, 5, rows)
    pressure = 1e5 + 2000 * (temperature - 60) + rng.normal(0, 500, rows)
    columns = (temperature, pressure, rng.exponential(0.002, rows), np.full(rows, 7.0))
    return np.stack(columns, 1).astype(np.float32)


@pytest.fixture(scope="module", params=["impute", None], ids=["impute", "default"])
def dependent_bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("dependent")
    path = write_csv(folder / "x.csv", DEPENDENT, dependent(2000, 0))
    aeonnx.train("ae", folder / "run", data=path, missing=request.param, device="cpu")
    aeonnx.export("ae", folder / "bundle", checkpoint=folder / "run")
    return folder / "bundle"


@pytest.mark.parametrize("deviations", [6, 20])
@pytest.mark.parametrize(("place", "spread"), [(0, 5), (1, 1e4)])
def test_a_fault_is_found_in_its_column_though_others_follow_from_it(
    aeonnx_cli: Run, dependent_bundle: Path, place: int, spread: float, deviations: int
) -> None:
    x = dependent(200, 9)
    x[100:, place] += deviations * spread
    write_csv(Path("x.csv"), DEPENDENT, x)
    done(aeonnx_cli("score", dependent_bundle, "x.csv", "-o", "s.csv"))
    with Path("s.csv").open() as file:
        table = list(csv.DictReader(file))
    odd = [row for row in table[100:] if row["verdict"] == "odd"]
    assert len(odd) > 95
    assert np.mean([row["column"] == DEPENDENT[place] for row in odd]) > 0.9
    assert all((row["column"] == "") == (row["verdict"] == "normal") for row in table)
    document = json.loads(done(aeonnx_cli("score", dependent_bundle, "x.csv", "--json")).stdout)
    assert [row["column"] or "" for row in document["rows"]] == [row["column"] for row in table]
    lines = done(aeonnx_cli("score", dependent_bundle, "x.csv")).stdout.splitlines()
    assert f"  odd  {table[150]['column']} (" in lines[150]
    bundle = aeonnx.load(dependent_bundle, ["cpu"])
    if not bundle.inputs("scorer")[0].missing:
        return
    x[:, place] = np.nan  # what is not there is not odd
    found = bundle.score(x, threshold=0)
    assert found.odd.all()
    assert DEPENDENT[place] not in {found.column(row) for row in range(len(x))}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("value", [-3.4028235e38, 3e38, 1e25])
def test_a_value_for_no_data_is_odd_in_its_column(
    aeonnx_cli: Run, dependent_bundle: Path, place: int, value: float
) -> None:
    """Some programs write the lowest float for a missing value. The network overflows."""
    x = dependent(4, 9)
    x[1, place] = value
    write_csv(Path("x.csv"), DEPENDENT, x)
    done(aeonnx_cli("score", dependent_bundle, "x.csv", "-o", "s.csv"))
    with Path("s.csv").open() as file:
        row = list(csv.DictReader(file))[1]
    assert (row["verdict"], row["percentile"], row["column"]) == ("odd", "100", DEPENDENT[place])
    document = done(aeonnx_cli("score", dependent_bundle, "x.csv", "--json")).stdout
    assert "NaN" not in document
    assert "Infinity" not in document
    row = json.loads(document)["rows"][1]
    assert (row["verdict"], row["column"]) == ("odd", DEPENDENT[place])
    line = done(aeonnx_cli("score", dependent_bundle, "x.csv")).stdout.splitlines()[1]
    assert f"odd  {DEPENDENT[place]}" in line
    assert "nan" not in line


@pytest.mark.parametrize("form", ["csv", "npy", "npz", "parquet", "headless"])
def test_all_files_give_the_same_windows(aeonnx_cli: Run, windows_bundle: Path, form: str) -> None:
    x = sensors(50, seed=3)
    name = f"x.{'csv' if form == 'headless' else form}"
    if form == "csv":
        write_csv(Path(name), SENSORS, x)
    elif form == "npy":
        np.save(name, x)
    elif form == "npz":
        np.savez(name, x=x)
    elif form == "headless":
        Path(name).write_text("\n".join(",".join(f"{v:.9g}" for v in row) for row in x))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        columns = {key: x[:, place] for place, key in enumerate(SENSORS)}
        parquet.write_table(pyarrow.table(columns), name)
    done(aeonnx_cli("score", windows_bundle, name, "-o", "s.npy", "--step", 2))
    windows = np.stack([x[first : first + 16].T for first in range(0, 35, 2)])
    expected = aeonnx.load(windows_bundle, ["cpu"]).score(windows).scores
    np.testing.assert_allclose(np.load("s.npy"), expected, rtol=1e-5)
    np.save("w.npy", windows)
    done(aeonnx_cli("score", windows_bundle, "w.npy", "-o", "w.scores.npy"))
    np.testing.assert_array_equal(np.load("w.scores.npy"), np.load("s.npy"))
    done(aeonnx_cli("encode", windows_bundle, name, "-o", "z.npy", "--step", 2))
    assert len(np.load("z.npy")) == len(windows)


@pytest.mark.parametrize(
    ("rows", "options", "left"),
    [
        (50, (), "rows 48 to 49"),
        (49, (), "row 48"),
        (48, (), None),
        (50, ("--step", 4), "rows 48 to 49"),
        (50, ("--step", 2), None),
        (50, ("--step", 30), "rows 46 to 49"),
    ],
)
def test_rows_at_the_end_that_fill_no_window_are_named(
    aeonnx_cli: Run, windows_bundle: Path, rows: int, options: tuple[Any, ...], left: str | None
) -> None:
    write_csv(Path("x.csv"), SENSORS, sensors(rows))
    line = f"x.csv: left out {left} at the end, too few for one more window of 16"
    told = done(aeonnx_cli("score", windows_bundle, "x.csv", *options)).stderr
    assert (line in told) == (left is not None)
    assert ("left out" in told) == (left is not None)
    np.save("y.npy", sensors(17))
    told = done(aeonnx_cli("encode", windows_bundle, "x.csv", "y.npy", "-o", "z.npy")).stderr
    assert "y.npy: left out row 16 at the end, too few for one more window of 16" in told


def test_a_data_frame_is_read_by_its_columns(rows_bundle: Path) -> None:
    pandas = pytest.importorskip("pandas")
    x, _, names = wines()
    frame = pandas.DataFrame(x, columns=names)[[*reversed(names)]]
    frame["kind"] = "wine"
    bundle = aeonnx.load(rows_bundle, ["cpu"])
    np.testing.assert_array_equal(bundle.score(frame).scores, bundle.score(x).scores)
    with pytest.raises(InputError, match="a data frame without the column alcohol"):
        bundle.score(frame.drop(columns="alcohol"))


def test_a_series_is_no_batch_of_windows(windows_bundle: Path) -> None:
    pandas = pytest.importorskip("pandas")
    bundle, x = aeonnx.load(windows_bundle, ["cpu"]), sensors(50, seed=3)
    for value in (x, pandas.DataFrame(x, columns=NAMES)):
        with pytest.raises(InputError) as caught:
            bundle.score(value)
        assert str(caught.value).endswith(
            "expected float32 [batch, 4, 16], got float32 [50, 4]: 3 axes, not 2 (it is a series, "
            "make windows of it: numpy.lib.stride_tricks.sliding_window_view(value, 16, 0)[::16])"
        )
        windows = np.lib.stride_tricks.sliding_window_view(value, 16, 0)[::16]
        assert len(bundle.score(windows)) == 3


def refused() -> dict[str, tuple[Any, tuple[Any, ...], str]]:
    x = sensors(40)
    hole, endless = x.copy(), x.copy()
    hole[5, 1] = np.nan
    endless[6, 0] = np.inf
    return {
        "without a column": (x[:, 1:], (), "expected the column temperature, got the columns"),
        "a missing value": (
            hole,
            (),
            "column pressure: expected finite numbers, got no value in row 5: remove the row, or "
            "train with --missing impute",
        ),
        "infinity": (endless, (), "column temperature: expected finite numbers, got inf in row 6"),
        "too short": (x[:10], (), "expected 16 rows or more, the length of a window, got 10"),
        "a bad step": (x, ("--step", 0), "'--step': 0 is not in the range"),
        "heat maps": (x, ("--heatmaps", "h"), "--heatmaps"),
        "resized": (x, ("--resize", "fit"), "--resize: score of this bundle runs on signals"),
    }


@pytest.mark.parametrize("name", list(refused()))
def test_bad_tables_are_refused(aeonnx_cli: Run, windows_bundle: Path, name: str) -> None:
    rows, options, expected = refused()[name]
    write_csv(Path("x.csv"), SENSORS[-rows.shape[1] :], rows)
    result = aeonnx_cli("score", windows_bundle, "x.csv", "-o", "s.csv", *options)
    assert result.exit_code in (1, 2), result.output
    assert expected in result.output
    assert not Path("s.csv").exists()


def test_other_columns_without_names_are_refused(aeonnx_cli: Run, rows_bundle: Path) -> None:
    np.save("x.npy", wines()[0][:, 1:])
    result = aeonnx_cli("score", rows_bundle, "x.npy")
    assert result.exit_code == 1
    assert "x.npy: expected 13 columns (alcohol, malic_acid," in result.output
    assert result.output.rstrip().endswith("got 12")
    np.save("x.npy", np.full((2, 13), np.nan, np.float32))
    result = aeonnx_cli("score", rows_bundle, "x.npy")
    assert "x.npy: row 0 has no value in any column of the model: remove it" in result.output
    Path("x.txt").write_text("1,2")
    result = aeonnx_cli("score", rows_bundle, "x.txt")
    assert "x.txt: expected a table, .csv or .parquet, or an array [T, 13]" in result.output


def test_images_take_no_step(aeonnx_cli: Run, bundle_of: Callable[..., Path]) -> None:
    np.save("x.npy", np.zeros((2, 28, 28), np.uint8))
    result = aeonnx_cli("score", bundle_of(), "x.npy", "--step", 3)
    assert result.exit_code == 2
    assert "--step is for windows of a time series, and score of this bundle takes none" in (
        result.output
    )


def test_a_growing_table_is_scored_by_its_new_rows(rows_bundle: Path, tmp_path: Path) -> None:
    x, kinds, names = wines()
    (tmp_path / "logs").mkdir()
    log = write_csv(tmp_path / "logs" / "a.csv", names, x[:3])
    (tmp_path / "logs" / "notes.txt").write_text("no table")
    lines = tmp_path / "lines"
    arguments = ["score", str(rows_bundle), "--watch", "logs", "--json", "--provider", "cpu"]
    with lines.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "aeonnx", *arguments], cwd=tmp_path, stdout=out
        )
        try:
            wait_for(lambda: len(lines.read_text().splitlines()) == 3)
            with log.open("a") as file:
                csv.writer(file).writerows(x[kinds == 2][:2].tolist())
            wait_for(lambda: len(lines.read_text().splitlines()) == 5)
            np.save(tmp_path / "logs" / "b.npy", x[:1])
            wait_for(lambda: len(lines.read_text().splitlines()) == 6)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    expected = [*(f"a.csv:{row}" for row in range(5)), "b.npy:0"]
    assert [row["name"] for row in found] == expected
    assert [row["verdict"] for row in found[3:5]] == ["odd", "odd"]
    assert found[5]["score"] == pytest.approx(found[0]["score"], rel=1e-4)
    assert list(found[0]["columns"]) == names


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watched folder is looked at ten times a second."""
    monkeypatch.setattr(watching, "_SECONDS", 0.1)


@pytest.mark.usefixtures("often")
def test_a_watched_table_that_is_replaced_or_half_written(
    rows_bundle: Path, tmp_path: Path
) -> None:
    x, _, names = wines()
    log = tmp_path / "logs" / "a.csv"
    log.parent.mkdir()
    write_csv(log, names, x[:2])
    looks = watched(aeonnx.load(rows_bundle, ["cpu"]), log.parent, "p99", Reading(), until=60)
    assert next(looks).names == ("a.csv:0", "a.csv:1")
    write_csv(log, names, x[10:14])  # another file, and a larger one
    assert next(looks).names == ("a.csv:0", "a.csv:1", "a.csv:2", "a.csv:3")
    line = ",".join(f"{value:.9g}" for value in x[20])

    def append(text: str) -> None:
        with log.open("a") as file:
            file.write(text)

    append(line[:-2])
    threading.Timer(0.4, append, [line[-2:] + "\n"]).start()
    seen = next(looks)
    assert seen.names == ("a.csv:4",)
    assert seen.scored is not None
    expected = aeonnx.load(rows_bundle, ["cpu"]).score(x[20:21]).scores
    np.testing.assert_allclose(seen.scored.scores, expected, rtol=1e-4)
    append(line)  # it never ends, and is whole
    assert next(looks).names == ("a.csv:5",)


@pytest.fixture(scope="module")
def strict_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of sensors without missing values."""
    folder = tmp_path_factory.mktemp("strict")
    path = write_csv(folder / "x.csv", SENSORS, sensors(300))
    aeonnx.train("ae", folder / "run", data=path, epochs=20, device="cpu")
    aeonnx.export("ae", folder / "bundle", checkpoint=folder / "run")
    return folder / "bundle"


def test_bad_rows_are_skipped_if_asked(aeonnx_cli: Run, strict_bundle: Path) -> None:
    x = sensors(8, seed=3)
    x[2, 1], x[5, 0] = np.nan, np.inf
    write_csv(Path("x.csv"), SENSORS, x)
    told = aeonnx_cli("score", strict_bundle, "x.csv", "-o", "s.npy")
    assert told.exit_code == 1
    assert "column pressure: expected finite numbers, got no value in row 2" in told.output
    told = done(aeonnx_cli("score", strict_bundle, "x.csv", "-o", "s.csv", "--skip-bad"))
    assert "Skipped 2" in told.output
    with Path("s.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["0", "1", "3", "4", "6", "7"]
    write_csv(Path("y.csv"), SENSORS, x[2:3])
    told = aeonnx_cli("score", strict_bundle, "y.csv", "--skip-bad")
    assert told.exit_code == 1
    assert "in row 0" in told.output


@pytest.mark.usefixtures("often")
def test_a_bad_row_of_a_watched_table_is_named_once(strict_bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "a.csv"
    log.parent.mkdir()
    x = sensors(6, seed=3)
    x[1, 1] = np.nan
    write_csv(log, SENSORS, x[:3])
    looks = watched(aeonnx.load(strict_bundle, ["cpu"]), log.parent, "p99", Reading(), until=60)
    seen = next(looks)
    assert seen.names == ("a.csv:0", "a.csv:2")
    assert len(seen.problems) == 1
    assert "column pressure: expected finite numbers, got no value in row 1" in seen.problems[0]
    with log.open("a", newline="") as file:
        csv.writer(file).writerows(x[3:].tolist())
    seen = next(looks)
    assert (seen.names, seen.problems) == (("a.csv:3", "a.csv:4", "a.csv:5"), ())
    expected = aeonnx.load(strict_bundle, ["cpu"]).score(x[3:]).scores
    assert seen.scored is not None
    np.testing.assert_allclose(seen.scored.scores, expected, rtol=1e-3)


def test_windows_with_a_bad_row_are_skipped(aeonnx_cli: Run, windows_bundle: Path) -> None:
    x = sensors(64, seed=3)
    x[20, 2] = np.inf
    write_csv(Path("x.csv"), SENSORS, x)
    done(aeonnx_cli("score", windows_bundle, "x.csv", "-o", "s.csv", "--skip-bad"))
    with Path("s.csv").open() as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert names == ["0-15", "32-47", "48-63"]


@pytest.fixture(scope="module")
def imputing_windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of windows of sensors with missing values."""
    folder = tmp_path_factory.mktemp("imputing")
    path = write_csv(folder / "x.csv", SENSORS, sensors(300))
    more = {"window": 8, "missing": "impute", "epochs": 3, "device": "cpu"}
    aeonnx.train("ae", folder / "run", data=path, **more)
    aeonnx.export("ae", folder / "bundle", checkpoint=folder / "run")
    return folder / "bundle"


@pytest.mark.usefixtures("often")
def test_windows_without_any_value_are_named(
    aeonnx_cli: Run, imputing_windows: Path, tmp_path: Path
) -> None:
    x = sensors(40, seed=3)
    x[14:26] = np.nan  # a window and parts of its neighbours
    x[2, 1] = np.nan
    write_csv(Path("x.csv"), SENSORS, x)
    text = "x.csv: rows 16 to 23 have no value in any column of the model: remove them"
    told = aeonnx_cli("score", imputing_windows, "x.csv")
    assert told.exit_code == 1
    assert text in told.output
    told = done(aeonnx_cli("score", imputing_windows, "x.csv", "-o", "s.csv", "--skip-bad"))
    with Path("s.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["0-7", "8-15", "24-31", "32-39"]
    log = tmp_path / "logs" / "x.csv"
    log.parent.mkdir()
    write_csv(log, SENSORS, x[:24])
    looks = watched(aeonnx.load(imputing_windows, ["cpu"]), log.parent, "p99", Reading(), until=60)
    seen = next(looks)
    assert seen.names == ("x.csv:0-7", "x.csv:8-15")
    assert [text in problem for problem in seen.problems] == [True]
    with log.open("a", newline="") as file:
        lines = [["" if np.isnan(v) else f"{v:.9g}" for v in row] for row in x[24:]]
        csv.writer(file).writerows(lines)
    seen = next(looks)
    assert (seen.names, seen.problems) == (("x.csv:24-31", "x.csv:32-39"), ())


@pytest.mark.usefixtures("often")
def test_a_table_that_grows_all_the_time_is_scored(rows_bundle: Path, tmp_path: Path) -> None:
    x, _, names = wines()
    log = tmp_path / "logs" / "a.csv"
    log.parent.mkdir()
    write_csv(log, names, x[:1])
    stopped = threading.Event()

    def write() -> None:
        for place in range(1, 150):
            line = ",".join(f"{value:.9g}" for value in x[place])
            with log.open("a") as file:
                file.write(line[:9])
                file.flush()
                stopped.wait(0.02)
                file.write(f"{line[9:]}\n")
            if stopped.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        bundle = aeonnx.load(rows_bundle, ["cpu"])
        looks = watched(bundle, log.parent, "p99", Reading(), until=60)
        first = next(looks)
        assert writer.is_alive()
        more = next(looks)
        assert writer.is_alive()
    finally:
        stopped.set()
        writer.join()
    rest = list(looks)
    assert not [problem for seen in (first, more, *rest) for problem in seen.problems]
    found = [name for seen in (first, more, *rest) for name in seen.names]
    assert found == [f"a.csv:{row}" for row in range(len(found))]
    assert len(found) == len(log.read_text().splitlines()) - 1
    scores = [seen.scored.scores for seen in (first, more, *rest) if seen.scored is not None]
    np.testing.assert_allclose(
        np.concatenate(scores), bundle.score(x[: len(found)]).scores, rtol=1e-4
    )


def test_columns_that_were_chosen_by_their_places_are_found(aeonnx_cli: Run) -> None:
    x = sensors(200)
    np.save("x.npy", x)
    for columns in ("3,0", "1,2,3"):
        aeonnx.train("ae", "run", data="x.npy", columns=columns, epochs=1, device="cpu", force=True)
        aeonnx.export("ae", "b", checkpoint="run", parts="scorer", force=True)
        done(aeonnx_cli("score", "b", "x.npy", "-o", "s.npy", "--force"))
        chosen = x[:, [int(each) for each in columns.split(",")]]
        expected = aeonnx.load("b", ["cpu"]).score(chosen).scores
        np.testing.assert_allclose(np.load("s.npy"), expected, rtol=1e-4)
    np.save("y.npy", chosen)  # these columns alone, in the order of the model
    done(aeonnx_cli("score", "b", "y.npy", "-o", "s.npy", "--force"))
    np.testing.assert_allclose(np.load("s.npy"), expected, rtol=1e-4)
