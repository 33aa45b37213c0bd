"""The programs in examples/ run as their first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Maker = Callable[..., Path]

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(folder: Path, name: str, *arguments: object) -> str:
    """Run an example in `folder`; what it prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_train_and_generate(tmp_path: Path) -> None:
    assert "decoder: decoder." in run(tmp_path, "train", "--epochs", 1, "vae")
    run(tmp_path, "generate", "vae/bundle", "grid.png")
    with Image.open(tmp_path / "grid.png") as grid:
        assert np.asarray(grid).std() > 10


def test_a_module_of_ones_own(tmp_path: Path) -> None:
    said = run(tmp_path, "your_own_module", "mine")
    assert "comparisons with torch passed" in said
    assert "latents: float32 [2, 32]" in said


def test_clean_scans(denoiser: Path, tmp_path: Path) -> None:
    (tmp_path / "noisy").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = rng.integers(0, 256, (28, 28)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noisy" / f"{i}.png")
    assert "3 pictures" in run(tmp_path, "clean_scans", denoiser, "noisy", "clean")
    with Image.open(tmp_path / "before-after.png") as sheet:
        assert sheet.size[0] > 2 * 28
    assert {path.name for path in (tmp_path / "clean").iterdir()} == {"0.png", "1.png", "2.png"}


def test_only_sevens(tmp_path: Path) -> None:
    run(tmp_path, "only_sevens", "--epochs", 1, "sevens.png")
    with Image.open(tmp_path / "sevens.png") as row:
        assert row.size == (8 * 28, 28)
        assert np.asarray(row).std() > 10


def test_find_defects(bundle_of: Maker, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    images = np.zeros((3, 28, 28), np.uint8)
    images[1] = np.random.default_rng(0).integers(0, 256, (28, 28))  # noise is no digit
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "parts" / f"{number}.png")
    lines = run(tmp_path, "find_defects", bundle_of(), "parts").splitlines()
    assert " of 3 are odd, above " in lines[0]
    assert lines[1].startswith("1.png: ")
