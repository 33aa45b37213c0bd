from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aeonnx.errors import ImageError, OutputError, UsageError
from aeonnx.io import images, readers, writers

SHAPE = (1, 28, 28)


def picture(path: Path, size: tuple[int, int] = (28, 28), mode: str = "L") -> Path:
    Image.new(mode, size, 7).save(path)
    return path


def test_a_png_written_is_the_png_read(tmp_path: Path) -> None:
    digit = np.arange(784, dtype=np.uint8).reshape(1, 1, 28, 28)
    writers.write(tmp_path / "digit.png", digit)
    np.testing.assert_array_equal(readers.read_images(tmp_path / "digit.png", SHAPE), digit)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_are_kept_apart(tmp_path: Path, channels: int) -> None:
    shape = (channels, 5, 4)
    picture = np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8)
    writers.write(tmp_path / "x.png", picture)
    np.testing.assert_array_equal(readers.read_images(tmp_path / "x.png", shape), picture)


def test_a_folder_is_read_in_order_of_names(tmp_path: Path) -> None:
    for name, value in (("b", 2), ("a", 1), ("c", 3)):
        Image.new("L", (28, 28), value).save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    read = readers.read_images(tmp_path, SHAPE)
    assert read.shape == (3, 1, 28, 28)
    assert read[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_grid_puts_images_in_rows_with_gaps() -> None:
    values = np.linspace(0, 1, 6, dtype=np.float32).reshape(6, 1, 1, 1)
    grid = images.grid(values, columns=3)
    assert grid.shape == (2 * 3 + 2, 3 * 3 + 2)
    assert grid[2::3, 2::3].tolist() == [[0, 51, 102], [153, 204, 255]]
    assert grid[0, 0] == 128


def test_grid_enlarges_by_whole_factors() -> None:
    assert images.grid(np.zeros((1, 3, 2, 5), np.float32), scale=4).shape == (8, 20, 3)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"holds no image: expected files named \*\.png"):
        readers.read_images(tmp_path, SHAPE)


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    target = picture(tmp_path / "x.png")
    before = target.read_bytes()
    with pytest.raises(OutputError, match="exists already: pass --force"):
        writers.write(target, np.zeros((1, 1, 2, 2), np.float32))
    assert target.read_bytes() == before


@pytest.mark.parametrize("name", ["x.gif", "x.txt"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"expected \*\.png, \*\.jpg, \*\.webp or \*\.tif"):
        writers.write(tmp_path / name, np.zeros((1, 1, 2, 2), np.float32))
