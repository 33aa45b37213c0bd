"""Load a folder of pictures of mixed sizes, for networks that take images of any size."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx._util.machine import fits_twice
from aeonnx.errors import DataError, ImageError
from aeonnx.io.folders import is_split, look, pictures_in
from aeonnx.io.pictures import Treatment
from aeonnx.training.data._crops import Crops, Pictures, Whole, decode_colour
from aeonnx.training.data._files import digest
from aeonnx.training.data._set import DataSet, Split
from aeonnx.training.data._split import GROUPED, SPLIT, groups_of, split

__all__ = ["load_photos"]

_NAMED = 3  # maximum number of bad files in a message
_TEST_CROPS = 64
_OVERLAP = 8  # crops of an epoch cover the area of the pictures this many times
_FEWEST, _MOST = 1024, 16384  # crops of an epoch


@dataclass
class _Read:
    """Files that were decoded once."""

    paths: list[Path] = field(default_factory=list)
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
    paths, _ = pictures_in(folder, recursive=False)
    read = _read_all(folder, paths, how, crop, stream=stream)
    _check(folder, read, len(paths), skip_bad=skip_bad)
    phrase, parts = _split(folder, read.paths)
    channels = max(shape[0] for shape in read.shapes)
    train, test = (_pictures(read, places, channels, how) for places in parts)
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
    for path in paths:
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
        read.paths.append(path)
        read.shapes.append(pixels.shape)
        read.digests.append(digest(pixels))
        if read.pixels is not None:
            read.pixels.append(pixels)
    return read


def _check(folder: Path, read: _Read, files: int, *, skip_bad: bool) -> None:
    more = f"; and {len(read.bad) - _NAMED} more" if len(read.bad) > _NAMED else ""
    named = "; ".join(read.bad[:_NAMED]) + more
    if not read.paths:
        raise DataError(f"{folder}: none of its {files} images can be used: {named}")
    if read.bad and not skip_bad:
        raise DataError(
            f"{folder}: {len(read.bad)} of {files} images cannot be used: {named}. Replace them, "
            "or pass --skip-bad to go on without them"
        )
    if len(read.paths) < 2:
        raise DataError(
            f"{folder}: expected at least 2 images, one to train on and one to test on, got 1"
        )


def _split(folder: Path, paths: list[Path]) -> tuple[str, tuple[npt.NDArray[np.int64], ...]]:
    """How the pictures were split, and the indices of those to train and to test on."""
    if not is_split(look(folder)):
        groups = groups_of([path.relative_to(folder).as_posix() for path in paths])
        return SPLIT if groups is None else GROUPED, tuple(split(len(paths), groups))
    tests = np.array([path.relative_to(folder).parts[0] == "test" for path in paths])
    for part, there in (("train", ~tests), ("test", tests)):
        if not there.any():
            raise DataError(f"{folder / part} holds no readable image: expected at least 1")
    return "given", (np.flatnonzero(~tests), np.flatnonzero(tests))


def _pictures(
    read: _Read, places: npt.NDArray[np.int64], channels: int, how: Treatment
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
        tuple(read.paths[place] for place in chosen),
        shapes,
        tuple(read.digests[place] for place in chosen),
        how,
        pixels,
    )
