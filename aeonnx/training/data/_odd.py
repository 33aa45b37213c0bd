"""Data sets of which some classes are odd: trained on the others, tested on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aeonnx.errors import DataError, ImageError, UsageError
from aeonnx.io.folders import SUFFIXES
from aeonnx.io.pictures import Treatment, read_picture
from aeonnx.training.data._set import DataSet, Images, Odd, Split, every

__all__ = ["TRUTH", "Subset", "mask_of", "read_mask", "with_normal"]

TRUTH = "ground_truth"
"""Folder beside train/ and test/ with pictures that show where those in test/ are odd."""
NAMED = ("normal", "odd")
"""Names of the only two classes of a data set whose second one is odd."""


@dataclass(frozen=True, eq=False)
class Subset:
    """Some of other images.

    Args:
        images: the others.
        places: int64 [n], indices into `images`.
    """

    images: Images
    places: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image or a row."""
        return self.images.shape

    @property
    def nbytes(self) -> int:
        """Size of these images."""
        return len(self) * self.images.nbytes // max(1, len(self.images))

    @property
    def in_memory(self) -> bool:
        """Whether the images are in memory."""
        return self.images.in_memory

    def __len__(self) -> int:
        return len(self.places)

    def read(self, places: Tensor) -> Tensor:
        """The images at `places`, see `Images.read`."""
        return self.images.read(self.places[places])


def with_normal(data: DataSet, normal: str | None, *, classifies: bool) -> DataSet:
    """Keep the normal classes, and put all images of the others into `DataSet.odd`.

    Args:
        data: a data set.
        normal: names of the normal classes, such as "good", "0,1" or "0-8"; None for those that
            the data set declares itself: `DataSet.normal`, or "normal" if the only other class is
            "odd". Without such a declaration, the data set is returned as it is.
        classifies: whether the model learns classes: then it learns "normal" and "odd", too.

    Raises:
        DataError: the data set has no classes, or no image of the normal ones to train or to test
            on.
        UsageError: there is no such class, or no other.
    """
    chosen = data.normal
    if normal is not None:
        chosen = _chosen(data, normal)
    elif not chosen and data.classes == NAMED and not classifies:
        chosen = NAMED[:1]
    if not chosen:
        return data
    splits: list[Split] = []
    odd: list[Subset] = []
    labels: list[Tensor] = []
    keep = torch.tensor([data.classes.index(name) for name in chosen])
    for part, what in ((data.train, "train"), (data.test, "test")):
        assert part.labels is not None  # noqa: S101  # a data set with classes has labels
        usual = torch.isin(part.labels, keep)
        if not usual.any():
            raise DataError(f"{data.name}: no image of {', '.join(chosen)} to {what} on")
        places = usual.nonzero().flatten()
        splits.append(Split(Subset(part.images, places), _numbered(part.labels[usual], keep)))
        odd.append(Subset(part.images, (~usual).nonzero().flatten()))
        labels.append(part.labels[~usual])
    known = data.masks or (None,) * len(data.test.images)
    lacking = sum(known[place] is None for place in odd[1].places.tolist())
    scale, notes = data.scale, data.notes
    if data.measure is not None:  # odd rows would widen it, and hide others like them
        scale, notes = data.measure(every(splits[0].images).numpy())
    if any(known) and lacking:
        notes += (
            f"{lacking} of {len(odd[1])} odd test images have no mask in {TRUTH}/: pixel_auroc "
            "leaves them out",
        )
    masks = [*(None,) * len(odd[0]), *(known[place] for place in odd[1].places.tolist())]
    return replace(
        data,
        train=splits[0],
        test=splits[1],
        classes=tuple(data.classes[place] for place in sorted(keep.tolist())),
        split=f"{data.split}; trained on {', '.join(chosen)}",
        normal=chosen,
        odd=Odd(Split(Joined(tuple(odd)), torch.cat(labels)), tuple(masks)),
        masks=(),
        scale=scale,
        notes=notes,
    )


@dataclass(frozen=True, eq=False)
class Joined:
    """Images of one sequence after those of another.

    Args:
        parts: the sequences; the first is not empty unless all are.
    """

    parts: tuple[Subset, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image or a row."""
        return self.parts[0].shape

    @property
    def nbytes(self) -> int:
        """Size of all images."""
        return sum(part.nbytes for part in self.parts)

    @property
    def in_memory(self) -> bool:
        """Whether all of them are in memory."""
        return all(part.in_memory for part in self.parts)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def read(self, places: Tensor) -> Tensor:
        """The images at `places`, see `Images.read`."""
        found, start = [], 0
        order = []
        for part in self.parts:
            here = ((places >= start) & (places < start + len(part))).nonzero().flatten()
            if len(here):
                found.append(part.read(places[here] - start))
                order.append(here)
            start += len(part)
        return torch.cat(found)[torch.cat(order).argsort()]


def _between(first: str, last: str, known: Sequence[str]) -> Sequence[str]:
    """The classes from `first` to `last`, empty without any; numbers in their own order.

    Names of folders and texts of tables are sorted as texts: 0, 1, 10, 11, 2.
    """
    if not {first, last} <= {*known}:
        return []
    if first.isdecimal() and last.isdecimal():
        low, high = int(first), int(last)
        return [name for name in known if name.isdecimal() and low <= int(name) <= high]
    return known[known.index(first) : known.index(last) + 1]


def _numbered(labels: Tensor, keep: Tensor) -> Tensor:
    """Indices of labels among those that are kept, in ascending order."""
    return torch.searchsorted(keep.sort().values, labels)


def _chosen(data: DataSet, normal: str) -> tuple[str, ...]:
    """The classes that a text names."""
    known = data.classes
    if not known:
        raise DataError(
            f"--normal {normal}: {data.name} has no classes: expected a folder with one subfolder "
            "per class, an .npz with `y`, or a data set with labels such as mnist-sample"
        )
    found: list[str] = []
    for text in normal.split(","):
        first, _, last = text.partition("-")
        chosen = [text] if text in known else _between(first, last, known)
        if not chosen:
            raise UsageError(
                f"--normal {normal}: {text!r} is none of the classes {', '.join(known)}: expected "
                "names, or the first and the last of several such as 0-8"
            )
        found += chosen
    if len({*found}) == len(known):
        raise UsageError(f"--normal {normal}: these are all classes: leave it out")
    return tuple(dict.fromkeys(found))


def mask_of(folder: Path, test: Path) -> Path | None:
    """The mask of a test picture, `test/CLASS/NAME.*` of a folder, if it has one.

    It is `ground_truth/CLASS/NAME.*` or `NAME_mask.*`.
    """
    place = folder / TRUTH / test.parent.name
    names = (test.stem, f"{test.stem}_mask")
    files = (place / f"{name}{suffix}" for name in names for suffix in SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def read_mask(path: Path, size: tuple[int, int]) -> npt.NDArray[Any]:
    """A mask: bool [H, W], true where the picture is odd.

    Raises:
        DataError: it cannot be read, or has another size.
    """
    try:
        grey = read_picture(path, (1, *size), Treatment(background=(0, 0, 0)))
    except ImageError as error:
        raise DataError(f"{error}") from error
    return np.asarray(grey[0] > 127)
