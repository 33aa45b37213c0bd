"""Labels and features from a bundle, without torch."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from safetensors.numpy import load_file

import aeonnx as package
from aeonnx.errors import BundleError
from tests.support import examples_file

Cli = Callable[..., Result]
Maker = Callable[..., Path]


@pytest.fixture
def digits(run_of: Maker) -> np.ndarray:
    """64 test digits: six or seven of each, in order."""
    return load_file(examples_file(run_of("sdae")))["test"]


@pytest.fixture
def scans(digits: np.ndarray, tmp_path: Path) -> Path:
    """A folder with four digits as PNGs."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for place in (0, 20, 40, 60):
        Image.fromarray(digits[place, 0]).save(folder / f"scan-{place:02d}.png")
    return folder


def test_labels_are_those_of_the_largest_probabilities(
    bundle_of: Maker, digits: np.ndarray
) -> None:
    bundle = package.load(bundle_of("sdae"))
    found = bundle.classify(digits)
    assert bundle.manifest.classes == tuple("0123456789")
    assert found.probabilities.shape == (64, 10)
    assert found.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(found.indices, found.probabilities.argmax(1))
    assert found.labels == tuple(str(index) for index in found.indices)
    logits = bundle.run("classifier", x=digits)["logits"]
    np.testing.assert_array_equal(logits.argmax(1), found.indices)
    truth = np.linspace(0, 999, 64).astype(int) // 100
    assert (found.indices == truth).mean() > 0.5  # after one epoch on 4,000 digits


def test_classify_prints_a_line_per_image(aeonnx: Cli, bundle_of: Maker, scans: Path) -> None:
    result = aeonnx("classify", bundle_of("sdae"), scans)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[0] for line in lines] == [f"scan-{place:02d}.png" for place in (0, 20, 40, 60)]
    assert all(len(line) == 3 and 0 <= float(line[2]) <= 1 for line in lines)
    document = json.loads(aeonnx("classify", bundle_of("sdae"), scans, "--json").stdout)
    assert [entry["label"] for entry in document] == [line[1] for line in lines]
    assert set(document[0]["probabilities"]) == set("0123456789")


def test_classify_writes_a_table_or_an_array(
    aeonnx: Cli, bundle_of: Maker, scans: Path, tmp_path: Path
) -> None:
    bundle = bundle_of("sdae")
    assert aeonnx("classify", bundle, scans, "-o", "labels.csv").exit_code == 0
    with (tmp_path / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        "name",
        "label",
        "probability",
        *(f"p({digit})" for digit in range(10)),
    ]
    assert all(row[f"p({row['label']})"] == row["probability"] for row in rows)
    assert aeonnx("classify", bundle, scans, "-o", "p.npy").exit_code == 0
    probabilities = np.load(tmp_path / "p.npy")
    assert probabilities.shape == (4, 10)
    result = aeonnx("classify", bundle, scans, "-o", "labels.csv")
    assert result.exit_code == 1
    assert "labels.csv exists already: pass --force" in result.output
    result = aeonnx("classify", bundle, scans, "-o", "labels.txt")
    assert result.exit_code == 2
    assert "labels.txt: expected a name that ends in .csv or .npy" in result.output


def test_names_that_are_not_utf8_stay_as_they_are(
    aeonnx: Cli, bundle_of: Maker, scans: Path, tmp_path: Path
) -> None:
    (scans / "scan-00.png").rename(scans / os.fsdecode(b"caf\xe9.png"))
    result = aeonnx("classify", bundle_of("sdae"), scans, "-o", "labels.csv")
    assert result.exit_code == 0, result.output
    assert b"\ncaf\xe9.png," in (tmp_path / "labels.csv").read_bytes()


def test_features_come_with_names(aeonnx: Cli, bundle_of: Maker, scans: Path) -> None:
    result = aeonnx("encode", bundle_of("sdae"), scans, "-o", "features.npz")
    assert result.stdout == "features.npz: float32 [4, 100] on CPUExecutionProvider\n"
    with np.load("features.npz", allow_pickle=False) as archive:
        assert archive["features"].shape == (4, 100)
        assert archive["names"].tolist() == [f"scan-{place:02d}.png" for place in (0, 20, 40, 60)]
    with np.load("features.npz") as archive:
        np.save("alone.npy", archive["features"])
    assert aeonnx("decode", bundle_of("sdae"), "features.npz", "-o", "a.npy").exit_code == 0
    assert aeonnx("decode", bundle_of("sdae"), "alone.npy", "-o", "b.npy").exit_code == 0
    assert Path("a.npy").read_bytes() == Path("b.npy").read_bytes()


def test_rows_of_arrays_are_numbered(aeonnx: Cli, bundle_of: Maker, digits: np.ndarray) -> None:
    np.save("digits.npy", digits[:3])
    result = aeonnx("classify", bundle_of("sdae"), "digits.npy")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["0", "1", "2"]
    assert aeonnx("encode", bundle_of(), "digits.npy", "-o", "f.npz").exit_code == 0
    with np.load("f.npz") as archive:
        assert archive["names"].tolist() == ["0", "1", "2"]


def test_a_model_without_classes_says_so(bundle_of: Maker, digits: np.ndarray) -> None:
    with pytest.raises(BundleError, match="this vae learns no classes, .* use an sdae"):
        package.load(bundle_of()).classify(digits)
