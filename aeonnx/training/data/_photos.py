"""Load a folder of pictures of mixed sizes, for networks that take images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from aeonnx._util.machine import fits_twice
from aeonnx.errors import DataError, ImageError
from aeonnx.io.folders import pictures_in
from aeonnx.io.pictures import Treatment
from aeonnx.training.data._crops import Crops, Pictures, Whole, decode_colour, with_colours
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
    folder: Path,
    name: str,
    how: Treatment,
    crop: int,
    *,
    noisy: Path | None = None,
    skip_bad: bool,
    stream: bool,
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
        noisy: folder with a noisy version of each picture, at the same place below it and of the
            same name, perhaps with another suffix; None for pictures without.
        skip_bad: skip bad files instead of raising.
        stream: decode pictures on demand.

    Raises:
        DataError: files are bad or smaller than a crop, a picture lacks its noisy version or a
            noisy version its picture, or there are fewer than 2 pictures.
    """
    listing = listed(folder)
    sources: list[tuple[Path, ...]] = [(path,) for path in listing.paths]
    if noisy is not None:
        sources = _paired(folder, noisy, listing.paths)
    read = _read_all(folder, sources, how, crop, stream=stream)
    refuse_bad(folder, read.bad, len(listing.paths), "Replace them", skip_bad=skip_bad)
    if len(read.good) < 2:
        raise DataError(
            f"{folder}: expected at least 2 images, one to train on and one to test on, got 1"
        )
    phrase, *parts = parted(folder, listing, read.good)
    sources = [sources[place] for place in read.good]
    channels = max(shape[0] for shape in read.shapes)
    train, test = (_pictures(sources, read, places, channels, how) for places in parts)
    area = sum(height * width for _, height, width in train.shapes)
    count = min(_MOST, max(_FEWEST, _OVERLAP * area // crop**2))
    return DataSet(
        name,
        # The noise of pairs can differ from colour to colour.
        Split(Crops(train, crop, count, shuffled=noisy is None), None, endless=True),
        Split(Crops(test, crop, _TEST_CROPS), None),
        (),
        phrase,
        tuple(read.bad),
        whole=Split(Whole(test), None),
    )


def _paired(folder: Path, noisy: Path, paths: list[Path]) -> list[tuple[Path, ...]]:
    """The files of each picture: its own, and that of its noisy version.

    Raises:
        DataError: files of either folder have no partner in the other.
    """
    if not noisy.is_dir():
        what = "is no folder" if noisy.exists() else "does not exist"
        raise DataError(f"{noisy} {what}: expected the noisy versions of {folder} in it")
    clean, partners = (
        _by_name(paths, folder),
        _by_name(pictures_in(noisy, recursive=False)[0], noisy),
    )
    for where, other, lacking in (
        (folder, noisy, sorted(clean.keys() - partners.keys())),
        (noisy, folder, sorted(partners.keys() - clean.keys())),
    ):
        if lacking:
            more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
            raise DataError(
                f"{where}: {', '.join(map(str, lacking[:3]))}{more} without a partner of the same "
                f"name in {other}: expected every picture in both folders of --pairs: add the "
                "partners, or move these away"
            )
    return [(path, partners[key]) for key, path in clean.items()]


def _by_name(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Files by their path below the folder without suffix, in order."""
    found: dict[Path, Path] = {}
    for path in paths:
        key = path.relative_to(folder).with_suffix("")
        if key in found:
            raise DataError(
                f"{folder}: expected one picture named {key}, got {found[key].name} and "
                f"{path.name}: remove one"
            )
        found[key] = path
    return found


def _read_all(
    folder: Path, sources: Sequence[tuple[Path, ...]], how: Treatment, crop: int, *, stream: bool
) -> _Read:
    read, size = _Read(pixels=None if stream else []), 0
    for place, files in enumerate(sources):
        try:
            pixels = decode_colour(files, how)
            channels, (height, width) = len(pixels) // len(files), pixels.shape[1:]
            if min(height, width) < crop:
                raise ImageError(
                    f"{files[0]}: expected at least {crop}x{crop} pixels, the size of a crop, got "
                    f"{width}x{height}"
                )
        except ImageError as error:
            read.bad.append(str(error).replace(f"{folder}/", ""))
            continue
        size += 3 * len(files) * height * width
        if not fits_twice(size):
            read.pixels = None
        read.good.append(place)
        read.shapes.append((channels, height, width))
        read.digests.append(digest(pixels))
        if read.pixels is not None:
            read.pixels.append(pixels)
    return read


def _pictures(
    sources: Sequence[tuple[Path, ...]],
    read: _Read,
    places: Places,
    channels: int,
    how: Treatment,
) -> Pictures:
    chosen = places.tolist()
    shapes = tuple((channels, *read.shapes[place][1:]) for place in chosen)
    pixels = None
    if read.pixels is not None:
        pixels = tuple(
            with_colours(read.pixels[place], len(sources[place]), channels) for place in chosen
        )
    return Pictures(
        tuple(sources[place] for place in chosen),
        shapes,
        tuple(read.digests[place] for place in chosen),
        how,
        pixels,
    )
