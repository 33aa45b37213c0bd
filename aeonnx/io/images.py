"""Encodes images as pictures, one or many in a grid. numpy; pillow when used."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx._util import files
from aeonnx.errors import UsageError
from aeonnx.io.pixels import to_pixels

__all__ = [
    "FORMATS",
    "enlarged",
    "grid",
    "grid_size",
    "picture",
    "png",
    "require_suffix",
    "write_grid",
]

Array = npt.NDArray[Any]

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "png": ("PNG", {}),
    "tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "webp": ("WEBP", {"lossless": True, "exact": True}),
}
_GAP = 2  # pixels between the images of a grid


def grid(images: Array, columns: int | None = None, scale: int = 1) -> Array:
    """Arrange images in a grid of `columns` per row, on mid-grey.

    Args:
        images: float32 in [0, 1] or uint8, [n, C, H, W] with C of 1 to 4.
        columns: images per row; None for an about square grid.
        scale: integer factor by which each pixel is enlarged.

    Returns:
        uint8 [H', W'] or [H', W', C]; a single image has no border.
    """
    if images.dtype != np.uint8:
        images = to_pixels(images)
    n, channels, height, width = images.shape
    columns, gap = _columns(n, columns), _gap(n)
    shape = (*grid_size(n, images.shape[1:], columns), channels)
    picture = np.full(shape, 128, np.uint8)
    for index, image in enumerate(images):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        picture[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    return picture[:, :, 0] if channels == 1 else picture


def grid_size(count: int, shape: Sequence[int], columns: int | None = None) -> tuple[int, int]:
    """Height and width of a `grid` of `count` images [C, H, W] at scale 1."""
    columns, gap = _columns(count, columns), _gap(count)
    rows = -(-count // columns)
    return rows * (shape[1] + gap) + gap, columns * (shape[2] + gap) + gap


def _columns(count: int, columns: int | None) -> int:
    return min(count, columns or math.ceil(math.sqrt(count)))


def _gap(count: int) -> int:
    return 0 if count == 1 else _GAP


def png(images: Array, columns: int | None = None, scale: int = 1) -> bytes:
    """Images as one PNG, see `grid`."""
    return picture(images, "png", columns, scale)


def picture(images: Array, form: str, columns: int | None = None, scale: int = 1) -> bytes:
    """Images as one picture, see `grid`.

    Args:
        images: see `grid`; with C of 1 or 3 for "jpg".
        form: "png", "tif" or "webp" (lossless), or "jpg" (quality 95, no chroma subsampling).
        columns: see `grid`.
        scale: see `grid`.
    """
    from PIL import Image

    kind, options = FORMATS[form]
    buffer = io.BytesIO()
    Image.fromarray(grid(images, columns, scale)).save(buffer, kind, **options)
    return buffer.getvalue()


def enlarged(image: Array, least: int) -> Array:
    """An image [H, W, ...] whose larger side has `least` pixels or more: each is repeated."""
    factor = max(1, -(-least // max(image.shape[:2])))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def write_grid(
    path: Path, images: Array, *, columns: int | None = None, scale: int = 1, force: bool = False
) -> None:
    """Write images as one PNG, see `grid`.

    Raises:
        OutputError: the file exists and `force` is not set, or cannot be written.
    """
    files.refuse_existing(path, force=force)
    files.write_atomic(path, png(images, columns, scale))


def require_suffix(path: Path, suffixes: Sequence[str], expected: str) -> None:
    """Check the suffix of a path.

    Args:
        path: the path.
        suffixes: accepted suffixes, in lower case.
        expected: these suffixes in words, for the message.

    Raises:
        UsageError: it has another suffix.
    """
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: expected a name that ends in {expected}")
