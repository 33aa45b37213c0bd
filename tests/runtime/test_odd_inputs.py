"""Pictures of any size with further inputs of theirs: in Python, and in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import Result
from PIL import Image
from torch import Tensor, nn

import aeonnx as library
from aeonnx.bundle import Axis, TensorSpec
from aeonnx.errors import InputError
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part

Array = npt.NDArray[Any]
Cli = Callable[..., Result]
SIZED = ("batch", 1, "height", "width")


class Filled(nn.Module):
    """A model whose results are known: a mask of 1 makes grey of what was there."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 1, 1)
        nn.init.dirac_(self.one.weight)
        nn.init.zeros_(self.one.bias)
        self.small = nn.Conv2d(1, 4, 8, 8)
        self.large = nn.ConvTranspose2d(4, 1, 8, 8)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = self.one(x) * (1 - mask) + mask * 0.5
        return found

    def parts(self) -> dict[str, Part]:
        x, y, mask = (
            TensorSpec(name, SIZED, range=(0.0, 1.0), kind="image") for name in ("x", "y", "mask")
        )
        z = TensorSpec("z", ("batch", 4, "height/8", "width/8"), kind="latent")
        noise = TensorSpec("noise", z.shape, kind="latent")
        level = TensorSpec("level", ("batch",), kind="other")
        axes = {name: Axis(8, min=16, max=4096) for name in ("height", "width")}
        return {
            "denoiser": Part(self, (x, mask), (y,), axes=axes),
            "encoder": Part(self.small, (x,), (z,), axes=axes),
            "decoder": Part(Noised(self.large), (z, noise, level), (y,), axes=axes),
        }


class Noised(nn.Module):
    def __init__(self, large: nn.Module) -> None:
        super().__init__()
        self.large = large

    def forward(self, z: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        found: Tensor = torch.sigmoid(self.large(z + noise * level[:, None, None, None]))
        return found


def filled() -> nn.Module:
    torch.manual_seed(0)
    return Filled()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("filled") / "b"
    export(ExportOptions("filled", found, from_source=f"module:{__name__}:filled"))
    return found


@pytest.fixture
def bundle(folder: Path) -> library.Bundle:
    return library.load(folder, ["cpu"])


def pixels(height: int = 97, width: int = 151, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def filled_by(x: Array, mask: Array) -> Array:
    """What the denoiser makes, [n, 1, H, W]."""
    return (x * (1.0 - mask) + mask * 0.5).astype(np.float32)


def test_images_of_pillow_may_have_any_size(bundle: library.Bundle) -> None:
    rows = pixels()[None, None]
    image = Image.fromarray(rows[0, 0])
    given: dict[str, Any] = {"noise": np.zeros((1, 4, 13, 19), np.float32), "level": 0}
    np.testing.assert_array_equal(bundle.encode(image), bundle.encode(rows))
    np.testing.assert_array_equal(
        bundle.reconstruct(image, **given), bundle.reconstruct(rows, **given)
    )
    colour = Image.fromarray(np.repeat(rows[0, 0][..., None], 3, axis=2))
    np.testing.assert_array_equal(bundle.encode([image, colour]), bundle.encode([rows[0], rows[0]]))


def test_images_of_several_sizes_are_no_array(bundle: library.Bundle) -> None:
    images = [Image.fromarray(pixels()), Image.fromarray(pixels(80, 64))]
    with pytest.raises(
        InputError,
        match=r"encoder: x: expected .*, got images of 151x97 and 64x80 pixels: pass images of one "
        "size together, and others one by one",
    ):
        bundle.encode(images)
