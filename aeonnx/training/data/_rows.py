"""Images as rows of a numpy array, which may be memory-mapped."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aeonnx.errors import DataError
from aeonnx.io.arrays import check_dtype, check_range, image_shape, to_values
from aeonnx.training.data._files import LARGEST
from aeonnx.training.data._set import Images, InMemory, chunks
from aeonnx.training.data._split import Places

__all__ = ["Rows", "images_of", "rows_of"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of an array, converted to images on demand.

    Args:
        array: [M, ...] of uint8 or any float dtype.
        places: int64 [N], indices of the rows.
        shape: [C, H, W] of an image, with as many values as a row.
    """

    array: Array
    places: Places
    shape: tuple[int, int, int]

    @property
    def dtype(self) -> type[np.uint8] | type[np.float32]:
        """Dtype of the images that `read` returns."""
        return np.uint8 if self.array.dtype == np.uint8 else np.float32

    @property
    def nbytes(self) -> int:
        """Size in bytes of all images that `read` can return."""
        return len(self) * prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def in_memory(self) -> bool:
        """False."""
        return False

    def __len__(self) -> int:
        return len(self.places)

    def read(self, places: Tensor) -> Tensor:
        """The rows at the indices `places` as images: uint8 or float32 [n, C, H, W]."""
        pixels = to_values(self.array[self.places[places.numpy()]])
        return torch.from_numpy(pixels.reshape(len(places), *self.shape))


def rows_of(array: Array, where: str) -> Rows:
    """Check that an array contains images, and wrap all of its rows.

    Args:
        array: [N, H, W], [N, C, H, W], or vectors [N, D], which become images of shape [1, 1, D].
        where: description of the array for messages.

    Raises:
        ImageError: the rank, dtype or range is invalid, a value is NaN, or there are no images.
        DataError: the images are larger than `LARGEST`.
    """
    shape = image_shape(array.shape, where)
    if max(shape[1:]) > LARGEST and array.ndim > 2:
        raise DataError(
            f"{where}: expected images of at most {LARGEST}x{LARGEST} pixels, got "
            f"{list(array.shape)}: resize them first"
        )
    check_dtype(array.dtype, where)
    rows = Rows(array, np.arange(len(array), dtype=np.int64), shape)
    if rows.dtype is np.float32:
        _check_range(rows, where)
    return rows


def images_of(rows: Rows, places: Places, *, in_memory: bool) -> Images:
    """The rows at `places`, copied into memory or left in the array."""
    chosen = Rows(rows.array, rows.places[places], rows.shape)
    if not in_memory:
        return chosen
    tensor = torch.empty(len(chosen), *chosen.shape, dtype=chosen.read(torch.tensor([0])).dtype)
    for chunk in chunks(chosen):  # converting float64 at once would need three times the memory
        tensor[chunk] = chosen.read(chunk)
    return InMemory(tensor)


def _check_range(rows: Rows, where: str) -> None:
    lowest, highest = float("inf"), float("-inf")
    for places in chunks(rows):
        pixels = rows.read(places).numpy()
        lowest = float(np.minimum(lowest, pixels.min()))  # NaN stays NaN
        highest = float(np.maximum(highest, pixels.max()))
    check_range(lowest, highest, where)
