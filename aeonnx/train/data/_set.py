"""What every source of images gives: two halves of images, with or without labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from aeonnx.train.data._files import InFiles, digest

__all__ = ["DataSet", "Images", "InMemory", "Split", "chunks"]

_CHUNK = 1 << 24  # bytes read at once when all images are gone through


class Images(Protocol):
    """A sequence of images of one shape, on the CPU."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of an image."""

    @property
    def nbytes(self) -> int:
        """Size of all images as `read` gives them."""

    @property
    def in_memory(self) -> bool:
        """Whether `read` only copies."""

    def __len__(self) -> int: ...

    def read(self, places: Tensor) -> Tensor:
        """The images at `places`.

        Args:
            places: int64 [n], each from 0 to len - 1, on the CPU.

        Returns:
            [n, C, H, W], always of the same dtype: uint8, 0 to 255, or float32 in [0, 1].

        Raises:
            DataError: a file is not what it was when the data set was loaded.
        """


@dataclass(frozen=True, eq=False)
class InMemory:
    """Images as one tensor.

    Args:
        tensor: uint8 or float32 [N, C, H, W].
    """

    tensor: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of an image."""
        _, channels, height, width = self.tensor.shape
        return channels, height, width

    @property
    def nbytes(self) -> int:
        """Size of the tensor."""
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
    """Images for training, or those for testing.

    Args:
        images: N of them.
        labels: int64 [N], positions in the data set's `classes`; None without labels.
    """

    images: Images
    labels: Tensor | None


@dataclass(frozen=True, eq=False)
class DataSet:
    """Images with a fixed split.

    Args:
        name: what `--data` named; of a path the last component, since records hold no paths of
            the machine.
        train: to learn from.
        test: to measure with; same image shape and dtype as `train`.
        classes: names of the labels; empty without labels.
        split: how the halves were made, a phrase for the record.
        skipped: what was wrong with each bad file that was left out.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    split: str
    skipped: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of an image."""
        return self.train.images.shape

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, 64 hex digits, over train then test.

        Of each half: dtype, [N, C, H, W], the SHA-256 of every image, the labels. It depends on
        neither where the images are nor how they are stored. The first use reads all images once,
        a chunk at a time, except those in files, which loading has hashed already.

        Raises:
            DataError: a file is not what it was when the data set was loaded.
        """
        whole = hashlib.sha256()
        for half in (self.train, self.test):
            images = half.images
            dtype = images.read(torch.tensor([0])).dtype
            whole.update(f"{dtype} {[len(images), *images.shape]} ".encode())
            for image in _digests(images):
                whole.update(image)
            whole.update(b"unlabelled" if half.labels is None else half.labels.numpy().tobytes())
        return whole.hexdigest()


def chunks(images: Images) -> Iterator[Tensor]:
    """Places of all images in order, int64, as many at a time as make some megabytes."""
    return iter(torch.split(torch.arange(len(images)), max(1, _CHUNK // (4 * prod(images.shape)))))


def _digests(images: Images) -> Iterator[bytes]:
    if isinstance(images, InFiles):
        yield from images.digests
        return
    for places in chunks(images):
        for image in images.read(places).numpy():
            yield digest(image)
