"""Load a folder of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from aeonnx._util.machine import fits_twice
from aeonnx.errors import DataError, ImageError
from aeonnx.io.folders import LAYOUTS, is_split, look, no_picture
from aeonnx.io.pictures import Treatment
from aeonnx.training.data._files import ANY_SIZE, InFiles, OtherSize, decode, digest
from aeonnx.training.data._odd import TRUTH, mask_of
from aeonnx.training.data._set import DataSet, InMemory, Split
from aeonnx.training.data._split import GROUPED, SPLIT, Places, groups_of, split

__all__ = ["Listing", "listed", "load_folder", "parted", "refuse_bad"]

_NAMED = 3  # maximum number of bad files in a message


@dataclass(frozen=True)
class Listing:
    """Image files of a folder.

    Args:
        paths: of the files.
        labels: index of each one's label in `classes`; None without labels.
        classes: names of the labels.
        first_test: index of the first file of test/, which follow those of train/; None if the
            folder has no test/.
        normal: name of the only class of train/, if test/ has others too; these are odd.
    """

    paths: list[Path]
    labels: list[int] | None
    classes: tuple[str, ...]
    first_test: int | None = None
    normal: str | None = None


@dataclass
class _Decoded:
    """Result of decoding all files once: `pixels` [n, C, H, W] in memory, or else `digests`."""

    shape: tuple[int, int, int] = (0, 0, 0)
    mixed: bool = False  # whether images differ in size
    good: list[int] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    pixels: npt.NDArray[Any] | None = None
    digests: list[bytes] = field(default_factory=list)


def load_folder(
    folder: Path, name: str, how: Treatment, *, skip_bad: bool, stream: bool
) -> DataSet:
    """Load images from a folder: flat, one subfolder per class, or train/ and test/ of either.

    Where train/ has one class, and test/ has it and others, these are odd, as in data sets of
    defects; ground_truth/ may have masks of them, see `_odd.mask_of`.

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
    listing = listed(folder)
    decoded = _decode_all(folder, listing.paths, how, stream=stream)
    _check(folder, listing.paths, decoded, skip_bad=skip_bad)
    phrase, train, test = parted(folder, listing, decoded.good)
    normal, masks = (), ()  # type: tuple[str, ...], tuple[Path | None, ...]
    if listing.normal is not None:
        normal = (listing.normal,)
        tests = (listing.paths[decoded.good[place]] for place in test)
        masks = tuple(mask_of(folder, path) for path in tests)
    return DataSet(
        name,
        _split_of(listing, decoded, train, how),
        _split_of(listing, decoded, test, how),
        listing.classes,
        phrase,
        tuple(decoded.bad),
        normal=normal,
        masks=masks,
    )


def listed(folder: Path) -> Listing:
    """List the images of a folder in any of the layouts of `load_folder`.

    Raises:
        DataError: it has none of these layouts.
    """
    return _given(folder) if is_split(look(folder)) else _listing(folder)


def parted(folder: Path, listing: Listing, good: Sequence[int]) -> tuple[str, Places, Places]:
    """Split the good ones of the listed files into those to train and those to test on.

    Args:
        folder: the folder that was listed.
        listing: its files.
        good: indices of the files that can be used, sorted.

    Returns:
        How they were split, a phrase for the training record, and indices into `good`.

    Raises:
        DataError: train/ or test/ has no good file.
    """
    if listing.first_test is None:
        names = [listing.paths[place].relative_to(folder).as_posix() for place in good]
        groups = groups_of(names)
        return (SPLIT if groups is None else GROUPED, *split(len(good), groups))
    tests = np.array(good, dtype=np.int64) >= listing.first_test
    train, test = np.flatnonzero(~tests), np.flatnonzero(tests)
    for part, places in (("train", train), ("test", test)):
        if not len(places):
            raise DataError(f"{folder / part} holds no readable image: expected at least 1")
    return "given", train, test


def refuse_bad(
    folder: Path, bad: Sequence[str], files: int, remedy: str, *, skip_bad: bool
) -> None:
    """Raise `DataError` if files are bad and not to be skipped, or if all of them are.

    Args:
        folder: folder of the files.
        bad: a line per bad file.
        files: number of all files.
        remedy: what to do.
        skip_bad: bad files are to be skipped.
    """
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    named = "; ".join(bad[:_NAMED]) + more
    if len(bad) == files:
        raise DataError(f"{folder}: none of its {files} images can be used: {named}")
    if bad and not skip_bad:
        few = 2 * len(bad) < files
        skip = ", or pass --skip-bad to go on without them" if few else ""
        raise DataError(
            f"{folder}: {len(bad)} of {files} images cannot be used: {named}. {remedy}{skip}"
        )


def _listing(folder: Path) -> Listing:
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
        raise DataError(no_picture(folder))
    if flat:
        return Listing(flat, None, ())
    labels = [label for label, paths in enumerate(of_class.values()) for _ in paths]
    return Listing([path for paths in of_class.values() for path in paths], labels, (*of_class,))


def _given(folder: Path) -> Listing:
    """The listings of train/ and test/ concatenated."""
    found = look(folder)
    others = [path for path in found.folders if path.name not in ("train", "test", TRUTH)]
    if beside := [*found.pictures, *others]:
        raise DataError(
            f"{folder} holds {', '.join(path.name for path in beside[:_NAMED])} beside train/ and "
            "test/: expected no other images or folders there, move them away"
        )
    train, test = _listing(folder / "train"), _listing(folder / "test")
    normal = None
    if len(train.classes) == 1 and {*train.classes} < {*test.classes}:
        (normal,) = train.classes
    elif train.classes != test.classes:
        raise DataError(
            f"{folder}: expected the same folders in train/ and test/, or one in train/ and it and "
            f"those of odd pictures in test/, got {', '.join(train.classes) or 'none'} and "
            f"{', '.join(test.classes) or 'none'}"
        )
    labels = None
    if train.labels is not None and test.labels is not None:
        first = test.classes.index(normal) if normal is not None else 0
        labels = [first + label for label in train.labels] + test.labels
    paths = train.paths + test.paths
    return Listing(paths, labels, test.classes, len(train.paths), normal)


def _decode_all(folder: Path, paths: list[Path], how: Treatment, *, stream: bool) -> _Decoded:
    decoded = _Decoded()
    for place, path in enumerate(paths):
        try:
            image = decode(path, how, decoded.shape if decoded.good else None)
        except ImageError as error:
            decoded.mixed |= isinstance(error, OtherSize)
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
    good = decoded.good
    first = f"{paths[good[0]].relative_to(folder)}" if good else ""
    remedy = f"All must be like the first, {first}. Repair them"
    if decoded.mixed:
        remedy = f"All must be like the first, {first}: {ANY_SIZE}. Give the others its size"
    refuse_bad(folder, decoded.bad, len(paths), remedy, skip_bad=skip_bad)
    if len(good) < 2:
        raise DataError(f"{folder}: expected at least 2 images, got {len(good)}")


def _split_of(listing: Listing, decoded: _Decoded, places: Places, how: Treatment) -> Split:
    files = [decoded.good[place] for place in places]
    labels = None
    if listing.labels is not None:
        labels = torch.tensor([listing.labels[file] for file in files], dtype=torch.int64)
    if decoded.pixels is not None:
        return Split(InMemory(torch.from_numpy(decoded.pixels[places])), labels)
    paths = tuple(listing.paths[file] for file in files)
    digests = tuple(decoded.digests[place] for place in places)
    return Split(InFiles(paths, digests, decoded.shape, how), labels)
