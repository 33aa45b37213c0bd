"""The programs in examples/ run as their first lines say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Maker = Callable[..., Path]
Run = Callable[..., str]


def test_train_and_generate(run_example: Run, tmp_path: Path) -> None:
    assert "decoder: decoder." in run_example("train", "--epochs", 1, "vae")
    run_example("generate", "vae/bundle", "grid.png")
    with Image.open(tmp_path / "grid.png") as grid:
        assert np.asarray(grid).std() > 10


def test_a_module_of_ones_own(run_example: Run) -> None:
    said = run_example("your_own_module", "mine")
    assert "comparisons with torch passed" in said
    assert "latents: float32 [2, 32]" in said


def test_clean_scans(run_example: Run, denoiser: Path, tmp_path: Path) -> None:
    (tmp_path / "noisy").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = rng.integers(0, 256, (28, 28)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noisy" / f"{i}.png")
    assert "3 pictures" in run_example("clean_scans", denoiser, "noisy", "clean")
    with Image.open(tmp_path / "before-after.png") as sheet:
        assert sheet.size[0] > 2 * 28
    assert {path.name for path in (tmp_path / "clean").iterdir()} == {"0.png", "1.png", "2.png"}


def test_only_sevens(run_example: Run, tmp_path: Path) -> None:
    run_example("only_sevens", "--epochs", 1, "sevens.png")
    with Image.open(tmp_path / "sevens.png") as row:
        assert row.size == (8 * 28, 28)
        assert np.asarray(row).std() > 10


def test_find_defects(run_example: Run, bundle_of: Maker, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    images = np.zeros((3, 28, 28), np.uint8)
    images[1] = np.random.default_rng(0).integers(0, 256, (28, 28))  # noise is no digit
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "parts" / f"{number}.png")
    lines = run_example("find_defects", bundle_of(), "parts").splitlines()
    assert " of 3 are odd, above " in lines[0]
    assert lines[1].startswith("1.png: ")
