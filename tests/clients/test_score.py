"""Every client scores what Python scores, and says what is odd."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import aeonnx
from aeonnx import checkpoint
from aeonnx.io.pixels import to_pixels
from aeonnx.runtime import Scored
from clients.proof.program import Program
from tests.clients.damaged import with_manifest
from tests.clients.gaps import measured

pytestmark = pytest.mark.clients

Copy = Callable[[str], Path]
HEAD = ["name", "score", "percentile", "verdict"]


@pytest.fixture(scope="module")
def digits(made: Path) -> npt.NDArray[np.uint8]:
    """Test digits, uint8 [n, 28, 28]."""
    examples = checkpoint.load(made / "runs" / "ae", "ae").examples
    assert examples is not None
    return to_pixels(examples.test[:, 0].numpy())


@pytest.fixture(scope="module")
def pictures(digits: npt.NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twelve digits, every third with a bright spot; the names need quotes in a table."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f'digit "{place}", new.png' for place in range(12)]
    for place, (path, digit) in enumerate(zip(paths, digits, strict=False)):
        pixels = np.array(digit)
        if place % 3 == 0:
            pixels[1:9, 1:9] = 255
        Image.fromarray(pixels).save(path)
    return paths


def pixels_in(paths: list[Path]) -> npt.NDArray[np.uint8]:
    return np.stack([np.asarray(Image.open(path)) for path in paths])[:, None]


def by_python(bundle: Path, x: npt.NDArray[Any], threshold: str | float = "p99") -> Scored:
    with aeonnx.load(bundle, providers=["cpu"], threads=1) as opened:
        return opened.score(x, threshold=threshold)


def table(text: str) -> list[list[str]]:
    """The rows below the head."""
    assert "\r" not in text
    head, *rows = csv.reader(text.splitlines())
    assert head == HEAD
    return rows


def agrees(rows: list[list[str]], names: list[str], expected: Scored) -> None:
    """A client says what Python says."""
    assert [row[0] for row in rows] == names
    scores = np.array([float(row[1]) for row in rows])
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-4)
    near = np.abs(expected.scores - expected.threshold) < 1e-4 * np.abs(expected.scores)
    assert not near.any(), "the verdict would be a matter of rounding"
    assert [row[3] for row in rows] == [("normal", "odd")[odd] for odd in expected.odd.tolist()]
    if np.isnan(expected.percentiles).all():
        assert {row[2] for row in rows} == {""}
        return
    shares = np.array([float(row[2]) for row in rows])
    np.testing.assert_allclose(shares, expected.percentiles, rtol=1e-3, atol=0.05)


@pytest.mark.parametrize("name", ["ae", "vae-conv"])  # any number of rows at once, and four
@pytest.mark.parametrize("threshold", [None, "p95", "0.06", "-1e-3"])
def test_pictures_are_scored(
    program: Program, made: Path, pictures: list[Path], name: str, threshold: str | None
) -> None:
    options = [] if threshold is None else ["--threshold", threshold]
    done = program("score", made / name, *pictures, *options)
    assert (done.returncode, done.stderr) == (0, "")
    expected = by_python(made / name, pixels_in(pictures), threshold or "p99")
    agrees(table(done.stdout), list(map(str, pictures)), expected)


def test_one_that_is_odd_is_found(
    program: Program, made: Path, digits: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    scores = by_python(made / "ae", digits[:, None]).scores
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(digits[scores.argmin()]).save(tmp_path / "digit.png")
    Image.fromarray(noise).save(tmp_path / "noise.png")
    done = program("score", made / "ae", tmp_path / "digit.png", tmp_path / "noise.png")
    (_, _, low, normal), (_, _, high, odd) = table(done.stdout)
    assert (normal, odd) == ("normal", "odd")
    assert float(low) < 50
    assert float(high) == 100


def test_an_array_beyond_the_range_is_scored(
    program: Program, made: Path, pictures: list[Path], tmp_path: Path
) -> None:
    x = pixels_in(pictures).astype(np.float64) / 255 * 3 - 1
    np.save(tmp_path / "x.npy", x)
    done = program("score", made / "ae", tmp_path / "x.npy")
    assert (done.returncode, done.stderr) == (0, "")
    rows = table(done.stdout)
    agrees(rows, [str(place) for place in range(len(x))], by_python(made / "ae", x))
    both = program("score", made / "ae", pictures[0], tmp_path / "x.npy")
    assert table(both.stdout)[1:] == [[f"{tmp_path / 'x.npy'}:{row[0]}", *row[1:]] for row in rows]


@pytest.mark.parametrize("size", [1e19, 3.4e38])
def test_rows_at_which_the_network_overflows_are_odd(
    program: Program, made: Path, tmp_path: Path, size: float
) -> None:
    x = np.full((4, 1, 28, 28), size, np.float32)
    x[1] *= -1
    x[2, 0, ::2] *= -1
    x[3] = 0
    np.save(tmp_path / "x.npy", x)
    done = program("score", made / "ae", tmp_path / "x.npy")
    assert (done.returncode, done.stderr) == (0, "")
    rows = table(done.stdout)
    assert [(float(share), verdict) for _, _, share, verdict in rows[:3]] == [(100, "odd")] * 3
    assert not {"nan", "-inf"} & {row[1] for row in rows}
    agrees(rows, ["0", "1", "2", "3"], by_python(made / "ae", x))


@pytest.mark.parametrize("kind", ["rows", "windows"])
def test_rows_with_gaps_are_scored(
    program: Program, gaps_in: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    x = measured(80)
    x[5] = 1e6
    if kind == "windows":
        x = x.reshape(-1, 8, 3).transpose(0, 2, 1)
    np.save(tmp_path / "x.npy", x)
    bundle = gaps_in(kind)
    done = program("score", bundle, tmp_path / "x.npy")
    assert (done.returncode, done.stderr) == (0, "")
    expected = by_python(bundle, x)
    assert expected.odd[0 if kind == "windows" else 5]
    agrees(table(done.stdout), [str(place) for place in range(len(x))], expected)
    x[3] = np.nan
    np.save(tmp_path / "x.npy", x)
    done = program("score", bundle, tmp_path / "x.npy")
    text = "expected a value in each row, got none in row 3: remove it\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"scorer: x: {text}")
    x[(1, *[0] * (x.ndim - 1))] = np.inf
    np.save(tmp_path / "x.npy", x)
    done = program("score", bundle, tmp_path / "x.npy")
    text = "Error: scorer: x: expected finite values, got NaN or infinity\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", text)


def test_labels_are_given(
    program: Program, conditional: Path, pictures: list[Path], made: Path
) -> None:
    bundle = conditional / "bundle"
    done = program("score", bundle, pictures[1], "--label", 3)
    assert (done.returncode, done.stderr) == (0, "")
    with aeonnx.load(bundle, providers=["cpu"], threads=1) as opened:
        expected = opened.score(pixels_in(pictures[1:2]), label=3)
    agrees(table(done.stdout), [str(pictures[1])], expected)
    done = program("score", bundle, pictures[1])
    assert done.returncode == 2
    assert done.stderr.startswith("Error: this scorer needs --label, 0 to 9")
    done = program("score", bundle, pictures[1], "--label", 10)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(
        r"Error: (--)?label: expected a whole number from 0 to 9, got 10\b", done.stderr
    )
    done = program("score", made / "ae", pictures[1], "--label", 3)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: this scorer takes no --label")


def test_a_table_is_written_whole_or_not_at_all(
    program: Program, made: Path, pictures: list[Path], tmp_path: Path
) -> None:
    target, broken = tmp_path / "scores.csv", tmp_path / "broken.png"
    broken.write_bytes(pictures[0].read_bytes()[:60])
    done = program("score", made / "ae", *pictures, broken, "-o", target)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {broken} is not a readable PNG, JPEG or BMP image: ")
    assert not target.exists()
    done = program("score", made / "ae", *pictures, "-o", target)
    assert (done.returncode, done.stderr) == (0, "")
    expected = by_python(made / "ae", pixels_in(pictures))
    agrees(table(target.read_text()), list(map(str, pictures)), expected)
    target.write_text("kept")
    done = program("score", made / "ae", pictures[0], "-o", target)
    assert (done.returncode, target.read_text()) == (1, "kept")
    assert done.stderr.startswith(f"Error: {target} exists already: pass --force to replace it")
    assert program("score", made / "ae", pictures[0], "-o", target, "--force").returncode == 0
    assert len(table(target.read_text())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.png", "scores.csv"]
    done = program("score", made / "ae", pictures[0], "-o", tmp_path / "scores.txt")
    assert done.returncode == 2
    expected_name = f"Error: {tmp_path / 'scores.txt'}: expected a name that ends in .csv"
    assert done.stderr.startswith(expected_name)


def _bare(document: dict[str, Any]) -> None:
    """A scorer of which the manifest says nothing about normal images."""
    scorer = document["parts"]["scorer"]["fp32"]
    scorer["percentiles"] = {}
    del scorer["normal"]


def test_without_percentiles_a_number_is_needed(
    program: Program, copy: Copy, pictures: list[Path]
) -> None:
    bundle = copy("ae")
    with_manifest(bundle, _bare)
    done = program("score", bundle, *pictures)
    text = (
        "Error: threshold p99: the manifest says nothing about the scores of normal images: give a "
        "number, or export again with --calibration IMAGES\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", text)
    done = program("score", bundle, *pictures, "--threshold", "often")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: threshold: expected a number, got often")
    done = program("score", bundle, *pictures, "--threshold", "0.06")
    assert done.returncode == 0, done.stderr
    agrees(
        table(done.stdout), list(map(str, pictures)), by_python(bundle, pixels_in(pictures), 0.06)
    )


@pytest.mark.parametrize("threshold", ["p98", "often", "nan", "inf", "P99"])
def test_a_threshold_that_is_none_is_refused(program: Program, made: Path, threshold: str) -> None:
    done = program("score", made / "ae", "nowhere.png", "--threshold", threshold)
    assert (done.returncode, done.stdout) == (2, "")
    said = f"Error: threshold: expected p95, p99 or a number, got {threshold}"
    assert done.stderr.startswith(said), done.stderr


@pytest.mark.parametrize(
    ("which", "kind", "text"),
    [
        ("outputs", "other", "expected an output of the kind score, got "),
        ("inputs", "latent", "expected "),
    ],
)
def test_a_part_that_cannot_score_is_refused(
    program: Program, copy: Copy, pictures: list[Path], which: str, kind: str, text: str
) -> None:
    bundle = copy("ae")

    def change(document: dict[str, Any]) -> None:
        for spec in document["parts"]["scorer"]["fp32"][which]:
            spec["kind"] = kind

    with_manifest(bundle, change)
    done = program("score", bundle, pictures[0], "--threshold", 1)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: this bundle's scorer cannot score: {text}")


def test_what_is_no_row_of_the_scorer_is_refused(
    program: Program,
    gaps_in: Callable[[str], Path],
    made: Path,
    pictures: list[Path],
    tmp_path: Path,
) -> None:
    done = program("score", gaps_in("rows"), pictures[0])
    assert done.returncode == 1
    assert "this scorer takes vector [batch, 3]: give a .npy file of rows" in done.stderr
    done = program("score", made / "ae", pictures[0].parent)
    assert done.returncode == 1
    assert str(pictures[0].parent) in done.stderr
    assert "name the pictures in it" in done.stderr
    np.save(tmp_path / "x.npy", np.zeros((3, 5), np.float32))
    done = program("score", made / "ae", tmp_path / "x.npy")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: scorer: x: expected float32 [batch, 1, 28, 28], got ")
    no_scorer = 'Error: this bundle has no part "scorer", it has: '
    assert program("score", made / "conditional", pictures[0]).stderr.startswith(no_scorer)
    assert program("score", made / "ae").returncode == 2
