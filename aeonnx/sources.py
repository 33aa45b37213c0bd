"""Images and arrays on disk, batch by batch, in constant memory. numpy; pillow when used."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx import images
from aeonnx.errors import ImageError

__all__ = ["Source", "open_array", "open_images", "read_images", "slices"]

Array = npt.NDArray[Any]

_AT_ONCE = 1024


@dataclass(frozen=True)
class Source:
    """Rows that are read when they are asked for.

    Args:
        names: of the rows: files, or numbers from 0.
        batches: makes an iterator of them, at most so many at a time.
    """

    names: Sequence[str]
    batches: Callable[[int], Iterator[Array]]


def open_images(path: Path, shape: Sequence[int]) -> Source:
    """Images for a part that takes `shape`.

    Args:
        path: an image file, a folder of them (sorted by name), or a .npy array.
        shape: [C, H, W].

    Returns:
        uint8 [n, C, H, W] from images; from .npy, the array as it is.

    Raises:
        ImageError: a file is missing, is not an image, or has another size; of a folder's images
            this is found out when they are read.
    """
    if path.suffix.lower() == ".npy":
        return open_array(path)
    if not path.is_dir():
        pixels = images.read_image(path, shape)[None]
        return Source((path.name,), lambda _: iter([pixels]))
    paths = images.paths_in(path)

    def batches(size: int) -> Iterator[Array]:
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(paths), size):
                part = paths[start : start + size]
                yield np.stack(list(pool.map(lambda file: images.read_image(file, shape), part)))

    return Source([file.name for file in paths], batches)


def read_images(path: Path, shape: Sequence[int]) -> Array:
    """All rows of `open_images` at once."""
    return np.concatenate(list(open_images(path, shape).batches(_AT_ONCE)))


def open_array(path: Path) -> Source:
    """The rows of a .npy array; objects (pickles) are refused.

    Raises:
        ImageError: the file is missing, is not a .npy array, or has no rows.
    """
    mapped = images.read_array(path, mapped=True)
    if mapped.ndim == 0:
        raise ImageError(f"{path} holds a single number: expected an array of rows")
    if not isinstance(mapped, np.memmap) or not mapped.flags.c_contiguous:
        return Source(_Numbers(len(mapped)), lambda size: slices(mapped, size))
    row = math.prod(mapped.shape[1:])
    start, shape, dtype = mapped.offset, mapped.shape, mapped.dtype

    def batches(size: int) -> Iterator[Array]:
        # Mapped pages would count as the process's memory.
        for first in range(0, shape[0], size):
            rows = min(size, shape[0] - first)
            place = start + first * row * dtype.itemsize
            flat = np.fromfile(path, dtype, rows * row, offset=place)
            yield flat.reshape(rows, *shape[1:])

    return Source(_Numbers(shape[0]), batches)


def slices(array: Array, size: int) -> Iterator[Array]:
    """An array in pieces of at most `size` rows."""
    return (array[first : first + size] for first in range(0, len(array), size))


class _Numbers(Sequence[str]):
    """0, 1, ... as texts: the names of rows, without a list of millions."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        found = range(self._count)[index]
        return [str(each) for each in found] if isinstance(index, slice) else str(found)
