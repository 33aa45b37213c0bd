"""Reads input rows for a part from pictures and arrays, lazily and in constant memory.

Training reads the same files to bit-identical values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.errors import ImageError
from aeonnx.io import npy, npz
from aeonnx.io.arrays import (
    check_dtype,
    check_range,
    fits,
    names_of_images,
    names_of_latents,
    rows_shape,
    to_values,
)
from aeonnx.io.decode import kind_of
from aeonnx.io.folders import pictures_in
from aeonnx.io.pictures import ANY, Treatment, image_of, read_picture
from aeonnx.io.pixels import UNIT, Bounds, from_pixels
from aeonnx.io.stored import STDIN, Numbers, Stored, first_bytes, named, stored

__all__ = ["Reading", "Source", "open_images", "open_latents", "read_images", "read_rows"]

Array = npt.NDArray[Any]
Batches = Callable[[int], Iterator[Array]]

_AT_ONCE = 1024
_NAMED = 3  # most bad files that an error lists


@dataclass(frozen=True)
class Reading:
    """How sources are read.

    Args:
        how: how to convert pictures that do not fit the model.
        recursive: read folders at any depth.
        skip_bad: skip pictures that cannot be read, instead of raising.
        bounds: lowest and highest allowed value of floats in arrays.
    """

    how: Treatment = field(default_factory=Treatment)
    recursive: bool = False
    skip_bad: bool = False
    bounds: Bounds = UNIT


@dataclass(frozen=True)
class Source:
    """Rows that are read on demand.

    Args:
        names: names of the rows: files, or numbers from 0.
        batches: called with a batch size, returns an iterator over batches of at most so many rows.
        outputs: relative path for the result of each row, with the suffix of its source; None to
            number the results.
        pictures: whether all sources are pictures.
        left_out: number of files and folders that were not read, a line for each folder.
        skipped: error message of each picture that was skipped.
    """

    names: Sequence[str]
    batches: Batches
    outputs: Sequence[str] | None = None
    pictures: bool = False
    left_out: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Picture:
    """A picture read on demand; its name in results, and its path in a folder of results."""

    name: str
    output: str
    read: Callable[[], Array]


def open_images(
    paths: Sequence[Path | str], shape: Sequence[int], reading: Reading | None = None
) -> Source:
    """Open images for a part with inputs of `shape`.

    Args:
        paths: picture files, folders of them (see `folders.pictures_in`), .npy and .npz arrays
            (see `arrays.rows_shape`); "-" for one of these files on stdin. The content of a file
            decides its format.
        shape: [C, H, W]; `ANY` stands for any size, and then each picture is a batch.
        reading: how sources are read.

    Returns:
        Batches of uint8 [n, C, H, W] from pictures; of uint8 or float32 in the bounds from arrays.

    Raises:
        ImageError: a source is missing, not an image, or has another size; errors in pictures and
            in values of arrays are raised when they are read.
    """
    reading = reading or Reading()
    wanted = (shape[0], shape[1], shape[2])
    several = len(paths) > 1
    parts: list[Source] = []
    pictures: list[_Picture] = []
    left: list[str] = []
    for path in paths:
        found = _opened(path, wanted, reading, left, several=several)
        if isinstance(found, Source):
            parts += [*_of_pictures(pictures, reading, alike=ANY not in wanted), found]
            pictures = []
        else:
            pictures += found
    parts += _of_pictures(pictures, reading, alike=ANY not in wanted)
    return replace(_joined(parts), left_out=tuple(left))


def read_images(
    path: Path,
    shape: Sequence[int],
    bounds: Bounds = UNIT,
    centre: tuple[int, int] | None = None,
) -> Array:
    """All rows of `open_images` at once; pixels become floats if any other rows are floats.

    Args:
        path: of pictures or arrays.
        shape: [C, H, W]; `ANY` stands for any size.
        bounds: of floats.
        centre: the size [H, W] that is cut out of the middle of each image; None for all of it.

    Raises:
        ImageError: see `open_images`; also an image smaller than `centre`.
    """
    found = list(open_images([path], shape, Reading(bounds=bounds)).batches(_AT_ONCE))
    if centre is not None:
        found = [_middle(rows, centre, path) for rows in found]
    if len({rows.dtype for rows in found}) > 1:
        found = [from_pixels(rows, bounds) if rows.dtype == np.uint8 else rows for rows in found]
    return np.concatenate(found)


def _middle(rows: Array, size: tuple[int, int], path: Path) -> Array:
    found = _centre(rows, (rows.shape[1], *size))
    if found is None:
        raise ImageError(
            f"{named(path)}: expected images of at least {size[0]}x{size[1]}, got one of "
            f"{rows.shape[2]}x{rows.shape[3]}: leave it out, or enlarge it"
        )
    return found


def read_rows(
    path: Path, wanted: Sequence[int], dtype: str, what: str, centre: Sequence[int]
) -> Array:
    """All rows of `_open_rows` at once.

    Args:
        path, wanted, dtype, what: see `_open_rows`.
        centre: the shape that is cut out of the middle of each row.

    Raises:
        ImageError: see `_open_rows`; also rows smaller than `centre`.
    """
    rows = np.concatenate([*_open_rows(path, wanted, dtype, what).batches(_AT_ONCE)])
    found = _centre(rows, centre)
    if found is None:
        raise ImageError(
            f"{named(path)}: expected rows of at least {list(centre)}, got "
            f"{list(rows.shape[1:])}: give larger ones"
        )
    return found


def _centre(rows: Array, size: Sequence[int]) -> Array | None:
    """The middle of each row; None if rows are smaller."""
    starts = [(have - want) // 2 for have, want in zip(rows.shape[1:], size, strict=True)]
    if min(starts) < 0:
        return None
    cuts = (slice(start, start + want) for start, want in zip(starts, size, strict=True))
    return rows[(slice(None), *cuts)]


def open_latents(path: Path | str, wanted: Sequence[int], dtype: str = "float32") -> Source:
    """Open latents or codes, see `_open_rows`."""
    what = "latents" if dtype.startswith("float") else "codes"
    return _open_rows(path, wanted, dtype, what, ", such as aeonnx encode makes of pictures")


def _open_rows(
    path: Path | str, wanted: Sequence[int], dtype: str, what: str, way: str = ""
) -> Source:
    """Open rows, [n, *`wanted`], or one row, `wanted`: a .npy or .npz array.

    Args:
        path: of the file; "-" for stdin.
        wanted: the shape of a row; 0 stands for any size.
        dtype: of the part's input: an array of floats for a float, which becomes float32; for
            codes, an array of whole numbers, which stay as they are.
        what: names the rows in messages.
        way: to such an array, for who gives a picture.

    Raises:
        ImageError: the file is missing or is not such an array.
    """
    where, floats = named(path), dtype.startswith("float")
    axes = ", ".join(("n", *(str(size or "any") for size in wanted)))
    values = "floats" if floats else "whole numbers"
    expected = f"expected {what}, a .npy or .npz array of {values} [{axes}]"
    start, stream = first_bytes(path)
    kind = kind_of(start)
    if kind is not None:
        raise ImageError(f"{where} is a picture ({kind}): {expected}{way}")
    (array,) = stored(path, start, stream, lambda names: [names_of_latents(names, where)])
    shape = array.shape if len(array.shape) != len(wanted) else (1, *array.shape)
    if array.dtype.kind not in ("f" if floats else "iu") or not fits(shape[1:], wanted):
        raise ImageError(f"{array.where}: {expected}, got {array.dtype} {list(array.shape)}")
    if not shape[0]:
        raise ImageError(f"{array.where} holds no rows: give at least one")
    ready = to_values if floats else np.ascontiguousarray
    return Source(Numbers(shape[0]), lambda n: (ready(rows) for rows in array.rows(shape, n)))


def _opened(
    path: Path | str,
    wanted: tuple[int, int, int],
    reading: Reading,
    left: list[str],
    *,
    several: bool,
) -> list[_Picture] | Source:
    """The pictures or arrays of one argument; appends to `left` what was left out."""
    if path != STDIN and os.path.isdir(path):  # Path.is_dir raises for invalid names
        return _folder(Path(path), wanted, reading, left, several=several)
    where = named(path)
    start, stream = first_bytes(path)
    suffix = Path(path).suffix.lower()
    if start.startswith((npy.MAGIC, *npz.MAGIC)) or suffix in (".npy", ".npz"):
        arrays = stored(path, start, stream, lambda names: names_of_images(names, where)[0])
        parts = [_of_array(array, wanted, reading.bounds) for array in arrays]
        found = parts[0] if len(parts) == 1 else _joined(parts)
        if several:
            width = len(str(len(found.names) - 1))
            names = [f"{where}:{number}" for number in found.names]
            outputs = [f"{Path(where).stem}-{number:0>{width}}.npy" for number in found.names]
            found = replace(found, names=names, outputs=outputs)
        return found
    name = where if several else Path(where).name
    if stream is None:
        read = partial(read_picture, Path(path), wanted, reading.how)
        return [_Picture(name, Path(path).name, read)]
    data = stream.read()
    return [_Picture(name, where, partial(image_of, data, wanted, reading.how, where))]


def _folder(
    folder: Path,
    wanted: tuple[int, int, int],
    reading: Reading,
    left: list[str],
    *,
    several: bool,
) -> list[_Picture]:
    paths, left_out = pictures_in(folder, recursive=reading.recursive)
    if str(left_out):
        left.append(f"{folder}: left out {left_out}")
    pictures = []
    for path in paths:
        output = path.relative_to(folder).as_posix()
        read = partial(read_picture, path, wanted, reading.how)
        pictures.append(_Picture(str(path) if several else output, output, read))
    return pictures


def _of_pictures(pictures: list[_Picture], reading: Reading, *, alike: bool) -> list[Source]:
    """A list of one source that reads pictures with several threads; empty without pictures.

    Args:
        pictures: the pictures.
        reading: how they are read.
        alike: whether all have one size.
    """
    skipped: list[str] = []
    if reading.skip_bad:
        with ThreadPoolExecutor() as pool:
            wrong = list(pool.map(_wrong_with, pictures))
        skipped = [error for error in wrong if error is not None]
        if skipped and len(skipped) == len(pictures):
            more = f"; and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
            raise ImageError(
                f"none of {len(pictures)} pictures can be used: {'; '.join(skipped[:_NAMED])}{more}"
            )
        pictures = [one for one, error in zip(pictures, wrong, strict=True) if error is None]
    if not pictures:
        return []

    def batches(size: int) -> Iterator[Array]:
        with ThreadPoolExecutor() as pool:
            size = size if alike else 1
            for first in range(0, len(pictures), size):
                part = pictures[first : first + size]
                yield np.stack(list(pool.map(lambda picture: picture.read(), part)))

    names, outputs = [one.name for one in pictures], [one.output for one in pictures]
    return [Source(names, batches, outputs, pictures=True, skipped=tuple(skipped))]


def _wrong_with(picture: _Picture) -> str | None:
    try:
        picture.read()
    except ImageError as error:
        return str(error)
    return None


def _of_array(array: Stored, wanted: tuple[int, int, int], bounds: Bounds) -> Source:
    check_dtype(array.dtype, array.where)
    shape = rows_shape(array.shape, wanted, array.where)

    def batches(size: int) -> Iterator[Array]:
        for rows in array.rows(shape, size):
            values = to_values(rows)
            if values.dtype != np.uint8:
                check_range(float(values.min()), float(values.max()), array.where, bounds)
            yield values

    return Source(Numbers(shape[0]), batches)


def _joined(parts: list[Source]) -> Source:
    if len(parts) == 1:
        return parts[0]

    def batches(size: int) -> Iterator[Array]:
        for part in parts:
            yield from part.batches(size)

    skipped = tuple(text for part in parts for text in part.skipped)
    if all(part.outputs is None for part in parts):
        return Source(Numbers(sum(len(part.names) for part in parts)), batches)
    names = [name for part in parts for name in part.names]
    outputs = [name for part in parts for name in part.outputs or part.names]
    pictures = all(part.pictures for part in parts)
    return Source(names, batches, outputs, pictures, skipped=skipped)
