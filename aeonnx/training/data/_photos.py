"""Load a folder of pictures of mixed sizes, for networks that take images of any size."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx._util.machine import fits_twice
from aeonnx.errors import DataError, ImageError
from aeonnx.io.pictures import Treatment
from aeonnx.training.data._crops import Crops, Pictures, Whole, decode_colour
from aeonnx.training.data._files import digest
from aeonnx.training.data._folder import listed, parted, refuse_bad
from aeonnx.training.data._set import DataSet, Split
from aeonnx.training.data._split import Places

__all__ = ["load_photos"]

_TEST_CROPS = 64
_OVERLAP = 8  # crops of an epoch cover the area of the pictures this many times
_FEWEST, _MOST = 1024, 16384  # crops of an epoch


@dataclass
class _Read:
    """Files that were decoded once."""

    good: list[int] = field(default_factory=list)
    shapes: list[tuple[int, int, int]] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    pixels: list[npt.NDArray[Any]] | None = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


def load_photos(
    folder: Path, name: str, how: Treatment, crop: int, *, skip_bad: bool, stream: bool
) -> DataSet:
    """Load pictures of any sizes: random crops to train on, whole pictures to test on.

    The folder has any of the layouts of `_folder.load_folder`; names of classes are not used. If
    all pictures are grey, they have one channel, else three. The pixels stay in memory if they fit
    and `stream` is not set.

    Args:
        folder: an existing folder.
        name: name of the data set in the training record.
        how: treatment of transparent pixels.
        crop: height and width of the crops.
        skip_bad: skip bad files instead of raising.
        stream: decode pictures on demand.

    Raises:
        DataError: files are bad or smaller than a crop, or there are fewer than 2 pictures.
    """
    listing = listed(folder)
    read = _read_all(folder, listing.paths, how, crop, stream=stream)
    refuse_bad(folder, read.bad, len(listing.paths), "Replace them", skip_bad=skip_bad)
    if len(read.good) < 2:
        raise DataError(
            f"{folder}: expected at least 2 images, one to train on and one to test on, got 1"
        )
    phrase, *parts = parted(folder, listing, read.good)
    paths = [listing.paths[place] for place in read.good]
    channels = max(shape[0] for shape in read.shapes)
    train, test = (_pictures(paths, read, places, channels, how) for places in parts)
    area = sum(height * width for _, height, width in train.shapes)
    count = min(_MOST, max(_FEWEST, _OVERLAP * area // crop**2))
    return DataSet(
        name,
        Split(Crops(train, crop, count), None, endless=True),
        Split(Crops(test, crop, _TEST_CROPS), None),
        (),
        phrase,
        tuple(read.bad),
        whole=Split(Whole(test), None),
    )


def _read_all(folder: Path, paths: list[Path], how: Treatment, crop: int, *, stream: bool) -> _Read:
    read, size = _Read(pixels=None if stream else []), 0
    for place, path in enumerate(paths):
        try:
            pixels = decode_colour(path, how)
            _, height, width = pixels.shape
            if min(height, width) < crop:
                raise ImageError(
                    f"{path}: expected at least {crop}x{crop} pixels, the size of a crop, got "
                    f"{width}x{height}"
                )
        except ImageError as error:
            read.bad.append(str(error).replace(f"{folder}/", ""))
            continue
        size += 3 * height * width
        if not fits_twice(size):
            read.pixels = None
        read.good.append(place)
        read.shapes.append(pixels.shape)
        read.digests.append(digest(pixels))
        if read.pixels is not None:
            read.pixels.append(pixels)
    return read


def _pictures(
    paths: list[Path], read: _Read, places: Places, channels: int, how: Treatment
) -> Pictures:
    chosen = places.tolist()
    shapes = tuple((channels, *read.shapes[place][1:]) for place in chosen)
    pixels = None
    if read.pixels is not None:
        pixels = tuple(
            np.broadcast_to(read.pixels[place], shape)
            for place, shape in zip(chosen, shapes, strict=True)
        )
    return Pictures(
        tuple(paths[place] for place in chosen),
        shapes,
        tuple(read.digests[place] for place in chosen),
        how,
        pixels,
    )
