"""Data sets: training and test images, with or without labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt
import torch
from torch import Tensor

from aeonnx.models import Columns
from aeonnx.training.data._crops import Crops
from aeonnx.training.data._files import InFiles, digest

__all__ = [
    "DataSet",
    "Images",
    "InMemory",
    "Odd",
    "Scale",
    "Split",
    "chunks",
    "every",
    "separate",
]

_CHUNK = 1 << 24  # bytes per read when all images are read in turn


class Images(Protocol):
    """A sequence of images of one shape, on the CPU."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[C, H, W] of an image, [D] of a row of a table, [D, W] of a window."""

    @property
    def nbytes(self) -> int:
        """Size in bytes of all images as `read` returns them."""

    @property
    def in_memory(self) -> bool:
        """Whether the images are in memory, so that `read` only copies."""

    def __len__(self) -> int: ...

    def read(self, places: Tensor) -> Tensor:
        """Read the images at the indices `places`.

        Args:
            places: int64 [n], each from 0 to len - 1, on the CPU.

        Returns:
            [n, C, H, W], always of the same dtype: uint8, 0 to 255, or float32 in [0, 1]; and
            [n, 2C, H, W] where images have noisy versions, see `separate`. Of rows of a table
            float32 of any value, NaN where one is missing.

        Raises:
            DataError: a file is missing or changed since the data set was loaded.
        """


@dataclass(frozen=True, eq=False)
class InMemory:
    """Images as one tensor.

    Args:
        tensor: uint8 or float32 [N, C, H, W]; float32 [N, D] of rows.
    """

    tensor: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image or a row."""
        return tuple(self.tensor.shape[1:])

    @property
    def nbytes(self) -> int:
        """Size of the tensor in bytes."""
        return self.tensor.nbytes

    @property
    def in_memory(self) -> bool:
        """True."""
        return True

    def __len__(self) -> int:
        return len(self.tensor)

    def read(self, places: Tensor) -> Tensor:
        """The images at `places`, see `Images.read`."""
        return self.tensor[places]


@dataclass(frozen=True, eq=False)
class Split:
    """The training images or the test images of a data set.

    Args:
        images: N images.
        labels: int64 [N], indices into the data set's `classes`; None without labels.
        endless: whether images have indices of N and above, too, so that every epoch has its own.
    """

    images: Images
    labels: Tensor | None
    endless: bool = False

    @property
    def unit(self) -> str:
        """What one of the images is: a random crop, an image, a row of a table, or a window."""
        axes = len(self.images.shape)
        return "crop" if self.endless else {1: "row", 2: "window"}.get(axes, "image")


@dataclass(frozen=True, eq=False)
class Odd:
    """Images that are unlike those of the training, to test whether a model finds them.

    Args:
        split: the images.
        masks: for each image, the picture that shows where it is odd; None where there is none.
    """

    split: Split
    masks: tuple[Path | None, ...]


@dataclass(frozen=True, eq=False)
class Scale:
    """How the columns of a table are standardised: (x - centre) / scale; float32 [D] each.

    Args:
        fill: what stands for a missing value.
        centre, scale: measured on the training rows.
    """

    fill: Tensor
    centre: Tensor
    scale: Tensor


@dataclass(frozen=True, eq=False)
class DataSet:
    """Images with a fixed split.

    Args:
        name: the value of `--data`; for a path, its last component, so that training records
            contain no paths of the machine.
        train: training images.
        test: test images, of the same shape and dtype as `train`.
        classes: names of the labels; empty without labels.
        split: how the images were split, a phrase for the training record.
        skipped: one line per bad file that was skipped, with the reason.
        whole: the test pictures as a whole, where `test` has crops of them: they are what metrics
            are measured on; None where `test` has whole images.
        normal: names of the classes that are normal, where others are odd; empty where none is.
        odd: images of odd classes, which neither `train` nor `test` has; None without.
        masks: for each test image, see `Odd.masks`; empty without any.
        columns: what the numbers of a row are; None for images.
        scale: of the columns; None for images.
        measure: (rows, float32 [n, ...]) -> the scale of the columns of these training rows, and
            all `notes`; None for images.
        notes: a line for each thing about the data that its owner may not know.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    split: str
    skipped: tuple[str, ...] = ()
    whole: Split | None = None
    normal: tuple[str, ...] = ()
    odd: Odd | None = None
    masks: tuple[Path | None, ...] = ()
    columns: Columns | None = None
    scale: Scale | None = None
    measure: Callable[[npt.NDArray[Any]], tuple[Scale, tuple[str, ...]]] | None = None
    notes: tuple[str, ...] = ()

    @property
    def train_images(self) -> int:
        """Number of training images, or of pictures that they are crops of."""
        return _count(self.train.images)

    @property
    def test_images(self) -> int:
        """Number of test images, or of pictures that they are crops of."""
        return _count(self.test.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image or a row."""
        return self.train.images.shape

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, 64 hex digits, over train, test, and odd images if there are any.

        Hashed of each split: dtype, [N, C, H, W], the SHA-256 of every image, the labels. The
        fingerprint does not depend on where or how the images are stored. The first access reads
        all images once, in chunks; images in files were already hashed when they were loaded.

        Raises:
            DataError: a file is missing or changed since the data set was loaded.
        """
        whole = hashlib.sha256()
        for part in (self.train, self.test, *([self.odd.split] if self.odd else [])):
            images = part.images
            if not len(images):
                continue
            dtype = images.read(torch.tensor([0])).dtype
            whole.update(f"{dtype} {[len(images), *images.shape]} ".encode())
            for image in _digests(images):
                whole.update(image)
            whole.update(b"unlabelled" if part.labels is None else part.labels.numpy().tobytes())
        return whole.hexdigest()


def every(images: Images) -> Tensor:
    """All images at once, see `Images.read`."""
    return images.read(torch.arange(len(images)))


def separate(images: Tensor, channels: int) -> tuple[Tensor, Tensor | None]:
    """Separate images, as `Images.read` returns them, from their noisy versions.

    Args:
        images: [n, C, H, W], or [n, 2C, H, W] with the channels of the noisy version last.
        channels: C.

    Returns:
        The images and their noisy versions, [n, C, H, W] each; None for the latter without any.
    """
    x, noisy = images[:, :channels], images[:, channels:]
    return x, noisy if noisy.shape[1] else None


def chunks(images: Images) -> Iterator[Tensor]:
    """Indices of all images in order, int64, in chunks of some megabytes of images."""
    return iter(torch.split(torch.arange(len(images)), max(1, _CHUNK // (4 * prod(images.shape)))))


def _count(images: Images) -> int:
    return len(images.pictures if isinstance(images, Crops) else images)


def _digests(images: Images) -> Iterator[bytes]:
    if isinstance(images, InFiles | Crops):
        yield from images.digests
        return
    for places in chunks(images):
        for image in images.read(places).numpy():
            yield digest(image)
