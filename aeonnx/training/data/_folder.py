"""Load a folder of pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from aeonnx._util.machine import fits_twice
from aeonnx.errors import DataError, ImageError
from aeonnx.io.folders import LAYOUTS, is_split, look
from aeonnx.io.pictures import Treatment
from aeonnx.training.data._files import InFiles, decode, digest
from aeonnx.training.data._set import DataSet, InMemory, Split
from aeonnx.training.data._split import GROUPED, SPLIT, Places, groups_of, split

__all__ = ["load_folder"]

_NAMED = 3  # maximum number of bad files in a message


@dataclass(frozen=True)
class _Listing:
    """Image files, and the index of each one's label in `classes`, if there are labels."""

    paths: list[Path]
    labels: list[int] | None
    classes: tuple[str, ...]


@dataclass
class _Decoded:
    """Result of decoding all files once: `pixels` [n, C, H, W] in memory, or else `digests`."""

    shape: tuple[int, int, int] = (0, 0, 0)
    good: list[int] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    pixels: npt.NDArray[Any] | None = None
    digests: list[bytes] = field(default_factory=list)


def load_folder(
    folder: Path, name: str, how: Treatment, *, skip_bad: bool, stream: bool
) -> DataSet:
    """Load images from a folder: flat, one subfolder per class, or train/ and test/ of either.

    Every file is decoded once to check it. All must have the size and the number of channels of
    the first. The pixels stay in memory if they fit and `stream` is not set. Files whose names show
    that they are pieces of one photograph stay in one split, see `_split.groups_of`.

    Args:
        folder: an existing folder.
        name: name of the data set in the training record.
        how: treatment of transparent pixels.
        skip_bad: skip bad files instead of raising.
        stream: keep paths and digests instead of pixels.

    Raises:
        DataError: the layout is not one of these, files are bad, or there are fewer than 2 images.
    """
    if is_split(look(folder)):
        listing, first_test = _given(folder)
    else:
        listing, first_test = _listing(folder), None
    decoded = _decode_all(folder, listing.paths, how, stream=stream)
    good = np.array(decoded.good, dtype=np.int64)
    _check(folder, listing.paths, decoded, skip_bad=skip_bad)
    phrase = "given"
    if first_test is None:
        names = [listing.paths[place].relative_to(folder).as_posix() for place in good]
        groups = groups_of(names)
        phrase = SPLIT if groups is None else GROUPED
        train, test = split(len(good), groups)
    else:
        train, test = np.flatnonzero(good < first_test), np.flatnonzero(good >= first_test)
        for part, places in (("train", train), ("test", test)):
            if not len(places):
                raise DataError(f"{folder / part} holds no readable image: expected at least 1")
    return DataSet(
        name,
        _split_of(listing, decoded, train, how),
        _split_of(listing, decoded, test, how),
        listing.classes,
        phrase,
        tuple(decoded.bad),
    )


def _listing(folder: Path) -> _Listing:
    found = look(folder)
    flat = found.pictures
    of_class = {inner.name: look(inner).pictures for inner in found.folders}
    of_class = {name: paths for name, paths in of_class.items() if paths}
    if flat and of_class:
        raise DataError(
            f"{folder} holds images ({flat[0].name}) as well as folders of images "
            f"({next(iter(of_class))}/): expected {LAYOUTS}"
        )
    if not flat and not of_class:
        raise DataError(f"{folder} holds no image: expected {LAYOUTS}")
    if flat:
        return _Listing(flat, None, ())
    labels = [label for label, paths in enumerate(of_class.values()) for _ in paths]
    return _Listing([path for paths in of_class.values() for path in paths], labels, (*of_class,))


def _given(folder: Path) -> tuple[_Listing, int]:
    """The listings of train/ and test/ concatenated, and the index of the first test image."""
    found = look(folder)
    others = [path for path in found.folders if path.name not in ("train", "test")]
    if beside := [*found.pictures, *others]:
        raise DataError(
            f"{folder} holds {', '.join(path.name for path in beside[:_NAMED])} beside train/ and "
            "test/: expected no other images or folders there, move them away"
        )
    train, test = _listing(folder / "train"), _listing(folder / "test")
    if train.classes != test.classes:
        raise DataError(
            f"{folder}: expected the same folders in train/ and test/, got "
            f"{', '.join(train.classes) or 'none'} and {', '.join(test.classes) or 'none'}"
        )
    labels = None
    if train.labels is not None and test.labels is not None:
        labels = train.labels + test.labels
    return _Listing(train.paths + test.paths, labels, train.classes), len(train.paths)


def _decode_all(folder: Path, paths: list[Path], how: Treatment, *, stream: bool) -> _Decoded:
    decoded = _Decoded()
    for place, path in enumerate(paths):
        try:
            image = decode(path, how, decoded.shape if decoded.good else None)
        except ImageError as error:
            decoded.bad.append(str(error).replace(f"{folder}/", ""))
            continue
        if not decoded.good:
            channels, height, width = decoded.shape = image.shape
            if not stream and fits_twice(len(paths) * image.nbytes):
                decoded.pixels = np.empty((len(paths), channels, height, width), np.uint8)
        if decoded.pixels is None:
            decoded.digests.append(digest(image))
        else:
            decoded.pixels[len(decoded.good)] = image
        decoded.good.append(place)
    return decoded


def _check(folder: Path, paths: list[Path], decoded: _Decoded, *, skip_bad: bool) -> None:
    bad, good = decoded.bad, decoded.good
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    named = "; ".join(bad[:_NAMED]) + more
    if not good:
        raise DataError(f"{folder}: none of its {len(paths)} images can be used: {named}")
    if bad and not skip_bad:
        raise DataError(
            f"{folder}: {len(bad)} of {len(paths)} images cannot be used: {named}. All must be "
            f"like the first, {paths[good[0]].relative_to(folder)}. Repair them, or pass "
            "--skip-bad to go on without them"
        )
    if len(good) < 2:
        raise DataError(f"{folder}: expected at least 2 images, got {len(good)}")


def _split_of(listing: _Listing, decoded: _Decoded, places: Places, how: Treatment) -> Split:
    files = [decoded.good[place] for place in places]
    labels = None
    if listing.labels is not None:
        labels = torch.tensor([listing.labels[file] for file in files], dtype=torch.int64)
    if decoded.pixels is not None:
        return Split(InMemory(torch.from_numpy(decoded.pixels[places])), labels)
    paths = tuple(listing.paths[file] for file in files)
    digests = tuple(decoded.digests[place] for place in places)
    return Split(InFiles(paths, digests, decoded.shape, how), labels)
