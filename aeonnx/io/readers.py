"""Reads images for a part from pictures and arrays, lazily and in constant memory.

Training reads the same files to bit-identical values.
"""

from __future__ import annotations

import math
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
    check_finite,
    check_range,
    names_of_images,
    rows_shape,
    to_values,
)
from aeonnx.io.folders import pictures_in
from aeonnx.io.photos import PhotoFile, open_photo
from aeonnx.io.pictures import ANY, Treatment, image_of, read_file, read_picture
from aeonnx.io.pixels import UNIT, Bounds, from_pixels
from aeonnx.io.rows import centre_of
from aeonnx.io.source import AllSkipped, Source, joined, numbered, skippable
from aeonnx.io.stored import Numbers, Stored, first_bytes, is_folder, named, stored

__all__ = ["Reading", "open_images", "read_images"]

Array = npt.NDArray[Any]

_AT_ONCE = 1024
_PIXELS = (
    "has pixels of 0 to 255, and the model does not say which range its images have: give a .npy "
    "of floats that are normalised as the model expects, or declare the range in your own parts()"
)
_NAMED = 3  # most bad files that an error lists


@dataclass(frozen=True)
class Reading:
    """How sources are read.

    Args:
        how: how to convert pictures that do not fit the model.
        recursive: read folders at any depth.
        skip_bad: skip pictures that cannot be read, instead of raising.
        bounds: lowest and highest allowed value of floats in arrays; None for any value. Then
            pixels stand for nothing, and are refused.
        limited: whether floats outside of the bounds are refused.
        keeps_alpha: pictures keep what the model does not take, so that with `skip_bad` transparent
            ones are not skipped.
        step: of a time series, rows from one window to the next; None for the length of a window.
    """

    how: Treatment = field(default_factory=Treatment)
    recursive: bool = False
    skip_bad: bool = False
    bounds: Bounds | None = UNIT
    limited: bool = True
    keeps_alpha: bool = False
    step: int | None = None


@dataclass(frozen=True)
class _Picture:
    """A picture read on demand, for a model that takes images of one shape."""

    file: PhotoFile
    read: Callable[[], Array]

    @property
    def name(self) -> str:
        """Its name in results."""
        return self.file.name


def open_images(
    paths: Sequence[Path | str | PhotoFile], shape: Sequence[int], reading: Reading | None = None
) -> Source:
    """Open images for a part with inputs of `shape`.

    Args:
        paths: picture files, folders of them (see `folders.pictures_in`), .npy and .npz arrays
            (see `arrays.rows_shape`); "-" for one of these files on stdin. The content of a file
            decides its format. A `PhotoFile` is a picture under a name of the caller's choice.
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
    return replace(joined(parts), left_out=tuple(left))


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
    found = centre_of(rows, (rows.shape[1], *size))
    if found is None:
        raise ImageError(
            f"{named(path)}: expected images of at least {size[0]}x{size[1]}, got one of "
            f"{rows.shape[2]}x{rows.shape[3]}: leave it out, or enlarge it"
        )
    return found


def _opened(
    path: Path | str | PhotoFile,
    wanted: tuple[int, int, int],
    reading: Reading,
    left: list[str],
    *,
    several: bool,
) -> list[_Picture] | Source:
    """The pictures or arrays of one argument; appends to `left` what was left out."""
    if isinstance(path, PhotoFile):
        return [_Picture(path, partial(_image_in, path, wanted, reading.how))]
    if is_folder(path):
        return _folder(Path(path), wanted, reading, left, several=several)
    where = named(path)
    start, stream = first_bytes(path)
    suffix = Path(path).suffix.lower()
    if start.startswith((npy.MAGIC, *npz.MAGIC)) or suffix in (".npy", ".npz"):
        arrays = stored(path, start, stream, lambda names: names_of_images(names, where)[0])
        parts = [_of_array(array, wanted, reading) for array in arrays]
        found = parts[0] if len(parts) == 1 else joined(parts)
        return numbered(found, where) if several else found
    name = where if several else Path(where).name
    if stream is None:
        read = partial(read_picture, Path(path), wanted, reading.how)
        return [_Picture(PhotoFile(name, Path(path).name, partial(read_file, Path(path))), read)]
    data = stream.read()
    whole = PhotoFile(name, where, lambda: data)
    return [_Picture(whole, partial(image_of, data, wanted, reading.how, where))]


def _image_in(file: PhotoFile, wanted: tuple[int, int, int], how: Treatment) -> Array:
    return image_of(file.read(), wanted, how, file.name)


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
        name = str(path) if several else output
        pictures.append(_Picture(PhotoFile(name, output, partial(read_file, path)), read))
    return pictures


def _of_pictures(pictures: list[_Picture], reading: Reading, *, alike: bool) -> list[Source]:
    """A list of one source that reads pictures with several threads; empty without pictures.

    Args:
        pictures: the pictures.
        reading: how they are read.
        alike: whether all have one size.
    """
    skipped: list[str] = []
    if pictures and reading.bounds is None:
        raise ImageError(f"{pictures[0].name} {_PIXELS}")
    if reading.skip_bad:
        with ThreadPoolExecutor() as pool:
            wrong = list(pool.map(partial(_wrong_with, reading=reading), pictures))
        skipped = [error for error in wrong if error is not None]
        if skipped and len(skipped) == len(pictures):
            more = f"; and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
            raise AllSkipped(
                f"none of {len(pictures)} pictures can be used: "
                f"{'; '.join(skipped[:_NAMED])}{more}",
                skipped,
            )
        pictures = [one for one, error in zip(pictures, wrong, strict=True) if error is None]
    if not pictures:
        return []

    def batches(size: int) -> Iterator[Array]:
        with ThreadPoolExecutor() as pool:
            size = size if alike else 1
            for first in range(0, len(pictures), size):
                part = pictures[first : first + size]
                with skippable(len(pictures), reading.how):
                    found = list(pool.map(lambda picture: picture.read(), part))
                yield np.stack(found)

    names, outputs = [one.name for one in pictures], [one.file.output for one in pictures]
    photos = tuple(one.file for one in pictures) if reading.how.resize is None else ()
    return [Source(names, batches, outputs, True, skipped=tuple(skipped), photos=photos)]


def _wrong_with(picture: _Picture, reading: Reading) -> str | None:
    try:
        if reading.keeps_alpha:
            open_photo(picture.file.read(), picture.name, reading.how)
        else:
            picture.read()
    except ImageError as error:
        return str(error)
    return None


def _of_array(array: Stored, wanted: tuple[int, int, int], reading: Reading) -> Source:
    bounds = reading.bounds
    check_dtype(array.dtype, array.where)
    if bounds is None and array.dtype == np.uint8:
        raise ImageError(f"{array.where} {_PIXELS}")
    shape = rows_shape(array.shape, wanted, array.where)

    def batches(size: int) -> Iterator[Array]:
        done = 0
        for rows in array.rows(shape, size):
            values = to_values(rows)
            check_finite(values, array.where, done)
            done += len(values)
            if bounds is not None and reading.limited and values.dtype != np.uint8:
                check_range(float(values.min()), float(values.max()), array.where, bounds)
            yield values

    return Source(Numbers(shape[0]), batches, values=math.prod(shape[1:]))
