"""Images as rows of a numpy array, which may be a file mapped into memory."""

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
from aeonnx.train.data._files import LARGEST
from aeonnx.train.data._set import Images, InMemory, chunks
from aeonnx.train.data._split import Places

__all__ = ["Rows", "images_of", "rows_of"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of an array, turned into images when they are read.

    Args:
        array: [M, ...] of uint8 or any floats.
        places: int64 [N], which rows.
        shape: [C, H, W] of an image, as many pixels as a row has.
    """

    array: Array
    places: Places
    shape: tuple[int, int, int]

    @property
    def dtype(self) -> type[np.uint8] | type[np.float32]:
        """What `read` gives."""
        return np.uint8 if self.array.dtype == np.uint8 else np.float32

    @property
    def nbytes(self) -> int:
        """Size of all rows as `read` gives them."""
        return len(self) * prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def in_memory(self) -> bool:
        """False."""
        return False

    def __len__(self) -> int:
        return len(self.places)

    def read(self, places: Tensor) -> Tensor:
        """The rows at `places` as images: uint8 or float32 [n, C, H, W]."""
        pixels = to_values(self.array[self.places[places.numpy()]])
        return torch.from_numpy(pixels.reshape(len(places), *self.shape))


def rows_of(array: Array, where: str) -> Rows:
    """All rows of an array, checked to be images.

    Args:
        array: [N, H, W], [N, C, H, W], or vectors [N, D], which become images of shape [1, 1, D].
        where: what to call the array in an error.

    Raises:
        ImageError: another rank, dtype or range, NaN, or no images.
        DataError: images that are too large.
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
    """Some of the rows, copied into memory or left where they are."""
    chosen = Rows(rows.array, rows.places[places], rows.shape)
    if not in_memory:
        return chosen
    tensor = torch.empty(len(chosen), *chosen.shape, dtype=chosen.read(torch.tensor([0])).dtype)
    for chunk in chunks(chosen):  # an array of float64 as a whole would need thrice the memory
        tensor[chunk] = chosen.read(chunk)
    return InMemory(tensor)


def _check_range(rows: Rows, where: str) -> None:
    lowest, highest = float("inf"), float("-inf")
    for places in chunks(rows):
        pixels = rows.read(places).numpy()
        lowest = float(np.minimum(lowest, pixels.min()))  # NaN stays NaN
        highest = float(np.maximum(highest, pixels.max()))
    check_range(lowest, highest, where)
