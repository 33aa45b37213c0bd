"""`aeonnx score`: tables, verdicts, heat maps, the sheet of the worst, a watched folder."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

import aeonnx as library
from aeonnx.checkpoint import load
from aeonnx.io.sheet import Sheet
from tests.support import wait_for

Maker = Callable[..., Path]
Cli = Callable[..., Result]


@pytest.fixture
def pictures(run_of: Maker, tmp_path: Path) -> Any:
    """new/ with four digits and one of noise; their pixels, uint8 [5, 28, 28]."""
    test = load(run_of(), "vae").examples.test.numpy()[:4, 0]  # type: ignore[union-attr]
    noise = np.random.default_rng(0).integers(0, 256, (1, 28, 28), dtype=np.uint8)
    pixels = np.concatenate([test, noise])
    (tmp_path / "new").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "new" / f"{number}.png")
    return pixels


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_a_table_of_scores_percentiles_and_verdicts(
    aeonnx: Cli, bundle_of: Maker, pictures: Any
) -> None:
    bundle = library.load(bundle_of(), ["cpu"])
    expected = bundle.score(pictures[:, None])
    said = done(aeonnx("score", bundle_of(), "new", "-o", "scores.csv", "--provider", "cpu")).stdout
    rows = table(Path("scores.csv").read_text())
    assert [row["name"] for row in rows] == [f"{number}.png" for number in range(5)]
    np.testing.assert_allclose([float(row["score"]) for row in rows], expected.scores, rtol=1e-4)
    np.testing.assert_allclose(
        [float(row["percentile"]) for row in rows], expected.percentiles, rtol=1e-3
    )
    assert [row["verdict"] for row in rows] == [
        ("normal", "odd")[odd] for odd in expected.odd.tolist()
    ]
    assert rows[-1]["verdict"] == "odd"
    normal = bundle.variant("scorer").normal["error"]
    low, high = (100 * share for share in normal.false_alarms["p99"])
    assert said == (
        f"scores.csv: {expected.odd.sum()} of 5 above {expected.threshold:.4g} (p99); of normal "
        f"images, {low:.2g} % to {high:.2g} % are (95 % confidence, from {normal.rows:,} held-out "
        "images)\n"
    )
    assert table(done(aeonnx("score", bundle_of(), "new", "-o", "-")).stdout) == rows
    done(aeonnx("score", bundle_of(), "new", "-o", "scores.npy"))
    np.testing.assert_allclose(np.load("scores.npy"), expected.scores, rtol=1e-5)


def test_json_and_lines_say_the_same(aeonnx: Cli, bundle_of: Maker, pictures: Any) -> None:
    limit = float(library.load(bundle_of(), ["cpu"]).score(pictures[:, None]).scores.max()) + 1
    document = json.loads(
        done(aeonnx("score", bundle_of(), "new", "--json", "--threshold", limit)).stdout
    )
    assert document["threshold"] == pytest.approx(limit)
    assert {row["verdict"] for row in document["rows"]} == {"normal"}
    *lines, last = done(aeonnx("score", bundle_of(), "new")).stdout.splitlines()
    for row, line in zip(document["rows"], lines, strict=True):
        name, score, percentile, sign, _ = line.split()
        assert name == row["name"]
        assert float(score) == pytest.approx(row["score"], rel=1e-3)
        assert (float(percentile), sign) == (pytest.approx(row["percentile"], abs=0.01), "%")
    assert " of 5 above " in last


def test_heat_maps_show_where_the_error_is(aeonnx: Cli, bundle_of: Maker, tmp_path: Path) -> None:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[3:6, 20:24] = 255  # a spot that no digit has
    (tmp_path / "new" / "below").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "new" / "below" / "spot.png")
    done(aeonnx("score", bundle_of(), "new", "--recursive", "--heatmaps", "heat"))
    with Image.open(tmp_path / "heat" / "below" / "spot.png") as picture:
        assert picture.size == (28, 28)
        heat = np.asarray(picture).astype(int)
    saturation = heat.max(2) - heat.min(2)
    assert saturation[3:6, 20:24].mean() > 1.5 * saturation.mean()


def test_the_sheet_begins_with_the_worst(aeonnx: Cli, bundle_of: Maker, pictures: Any) -> None:
    done(aeonnx("score", bundle_of(), "new", "--sheet", "worst.png"))
    with Image.open("worst.png") as picture:
        sheet = np.asarray(picture)
    worst = np.repeat(np.repeat(pictures[-1], 4, axis=0), 4, axis=1)
    assert (sheet[56:168, 8:120, 0] == worst).all()
    # Four pairs beside each other, one below.
    assert sheet.shape[:2] == (24 + 2 * (32 + 112 + 8), 4 * 2 * 120 + 7 * 8)


def test_names_fit_above_their_pictures_in_a_sheet() -> None:
    image = np.zeros((96, 96, 1), np.uint8)
    sheet = Sheet()
    for _ in range(14):
        sheet.add("a-folder/with-a-long-name/and-a-picture-of-it-0001.png", image, image, "0.5")
    with Image.open(BytesIO(sheet.png())) as picture:
        shown = np.asarray(picture.convert("L"))
    left, cell = 8, 2 * (96 + 8)
    assert shown.shape == (24 + 3 * (32 + 96 + 8), 4 * cell + 7 * 8)
    text = shown[24:40] < 128
    assert text[:, left + cell - 40 : left + cell - 8].any()  # the end of the name is there
    for column in range(4):
        start = left + column * (cell + 16)
        assert not text[:, start + cell - 8 : start + cell + 16].any()


def test_arrays_outside_of_the_range_are_scored(aeonnx: Cli, bundle_of: Maker) -> None:
    np.save("x.npy", np.full((2, 1, 28, 28), 7.5, np.float32))
    rows = table(done(aeonnx("score", bundle_of(), "x.npy", "-o", "-")).stdout)
    assert [(row["name"], row["percentile"], row["verdict"]) for row in rows] == [
        ("0", "100", "odd"),
        ("1", "100", "odd"),
    ]
    refused = aeonnx("encode", bundle_of(), "x.npy", "-o", "z.npy")
    assert refused.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 2, "expected IMAGES to score, or a folder with --watch, and not both"),
        (("new", "--watch", "new"), 2, "expected IMAGES to score, or a folder with --watch"),
        (("--watch", "new", "-o", "x.csv"), 2, "leave out -o, --heatmaps and --sheet"),
        (("--watch", "nowhere"), 1, "nowhere cannot be read"),
        (("new", "-o", "x.txt"), 2, "x.txt: expected a name that ends in .csv or .npy"),
        (("new", "--sheet", "x.jpg"), 2, "x.jpg: expected a name that ends in .png"),
        (("new", "--threshold", "p90"), 2, "threshold: expected p95, p99 or a number, got 'p90'"),
        (("new", "-o", "-", "--json"), 2, "--json"),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_wrong_options_are_refused(
    aeonnx: Cli, bundle_of: Maker, arguments: tuple[str, ...], code: int, text: str
) -> None:
    told = aeonnx("score", bundle_of(), *arguments)
    assert (told.exit_code, text in told.output) == (code, True), told.output


@pytest.mark.usefixtures("pictures")
def test_nothing_is_replaced_unasked_and_nothing_is_left_half(
    aeonnx: Cli, bundle_of: Maker, tmp_path: Path
) -> None:
    for option, name in (("-o", "a.csv"), ("--sheet", "a.png")):
        Path(name).write_text("mine")
        assert aeonnx("score", bundle_of(), "new", option, name).exit_code == 1
        assert Path(name).read_text() == "mine"
        done(aeonnx("score", bundle_of(), "new", option, name, "--force"))
    (tmp_path / "new" / "bad.png").write_bytes(b"no picture")
    refused = aeonnx("score", bundle_of(), "new", "-o", "b.csv", "--heatmaps", "h")
    assert refused.exit_code == 1
    assert "new/bad.png is not a readable PNG" in refused.stderr
    assert refused.stderr.endswith(". --skip-bad goes on without such pictures\n")
    assert not Path("b.csv").exists()
    assert not Path("h").exists()
    assert "Skipped 1" in done(aeonnx("score", bundle_of(), "new", "--skip-bad")).output


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_row_of_an_array_that_is_not_finite_is_named(
    aeonnx: Cli, bundle_of: Maker, value: float
) -> None:
    x = np.zeros((1500, 1, 28, 28), np.float32)
    x[1300, 0, 5, 6] = value
    np.save("x.npy", x)
    refused = aeonnx("score", bundle_of(), "x.npy", "--skip-bad", "-o", "a.csv")
    assert (refused.exit_code, refused.stderr) == (
        1,
        f"Error: x.npy: expected finite numbers, got {value:g} in row 1300: remove the row, or "
        "replace the value\n",
    )
    assert not Path("a.csv").exists()


def test_bundles_that_say_nothing_about_normal_images(
    aeonnx: Cli, bundle_copy: Path, pictures: Any
) -> None:
    path = bundle_copy / "manifest.json"
    document = json.loads(path.read_text())
    document["parts"]["scorer"]["fp32"]["normal"] = {}
    path.write_text(json.dumps(document))
    found = library.load(bundle_copy, ["cpu"]).score(pictures[:, None])
    assert all(map(math.isnan, found.percentiles))
    rows = table(done(aeonnx("score", bundle_copy, "new", "-o", "-")).stdout)
    assert {row["percentile"] for row in rows} == {""}
    document["parts"]["scorer"]["fp32"]["percentiles"] = {}
    path.write_text(json.dumps(document))
    told = aeonnx("score", bundle_copy, "new")
    assert told.exit_code == 1
    assert (
        "threshold p99: the manifest says nothing about the scores of normal images: give a "
        "number, or export again with --calibration IMAGES"
    ) in told.output
    assert done(aeonnx("score", bundle_copy, "new", "--threshold", "0.5")).exit_code == 0


@pytest.mark.usefixtures("pictures")
def test_a_watched_folder_is_scored_as_pictures_come(bundle_of: Maker, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    arguments = ["score", str(bundle_of()), "--watch", "new", "--json", "--provider", "cpu"]
    with lines.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "aeonnx", *arguments], cwd=tmp_path, stdout=out
        )
        try:
            wait_for(lambda: len(lines.read_text().splitlines()) == 5)
            shutil.copy(tmp_path / "new" / "4.png", tmp_path / "arriving")
            os.replace(tmp_path / "arriving", tmp_path / "new" / "late.png")
            wait_for(lambda: len(lines.read_text().splitlines()) == 6)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["name"] for row in found] == [*(f"{n}.png" for n in range(5)), "late.png"]
    assert found[-1]["verdict"] == "odd"
    assert process.returncode == 130
