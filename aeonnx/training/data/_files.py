"""Images that stay in files and are decoded on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aeonnx.errors import DataError, ImageError
from aeonnx.io.pictures import Treatment, load_picture, with_channels

__all__ = [
    "ANY_SIZE",
    "LARGEST",
    "InFiles",
    "OtherSize",
    "decode",
    "digest",
    "reading_again",
    "require_same",
]

LARGEST = 1024  # maximum height and width of an image in pixels
ANY_SIZE = "--model dae --arch unet trains on pictures of any size"


class OtherSize(ImageError):  # noqa: N818  # not a fault of the file
    """An image has another height or width than is expected."""


@dataclass(frozen=True, eq=False)
class InFiles:
    """Images that stay in their files.

    Args:
        paths: one per image.
        digests: SHA-256 of each image's pixels, to detect files that change.
        shape: [C, H, W] of every image.
        how: treatment of transparent pixels.
    """

    paths: tuple[Path, ...]
    digests: tuple[bytes, ...]
    shape: tuple[int, int, int]
    how: Treatment

    @property
    def nbytes(self) -> int:
        """Size of all images when decoded."""
        return len(self) * prod(self.shape)

    @property
    def in_memory(self) -> bool:
        """False."""
        return False

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, places: Tensor) -> Tensor:
        """Decode the images at the indices `places`: uint8 [n, C, H, W].

        Raises:
            DataError: a file is missing, unreadable, or changed since the data set was loaded.
        """
        pixels = np.empty((len(places), *self.shape), np.uint8)
        for row, place in enumerate(places.tolist()):
            with reading_again():
                pixels[row] = decode(self.paths[place], self.how, self.shape)
            require_same(self.paths[place], pixels[row], self.digests[place])
        return torch.from_numpy(pixels)


def decode(
    path: Path, how: Treatment, expected: tuple[int, int, int] | None = None
) -> npt.NDArray[Any]:
    """Decode a picture to its own channels: grey or RGB, with or without alpha.

    Args:
        path: the file.
        how: treatment of transparent pixels; with a background, the alpha channel is removed.
        expected: expected shape [C, H, W]; None for any.

    Returns:
        uint8 [C, H, W].

    Raises:
        ImageError: the file is missing, unreadable, or its shape is not `expected`.
        DataError: `expected` is None and the image is larger than `LARGEST`.
    """
    picture = load_picture(path)
    height, width = picture.colour.shape[:2]
    channels = picture.channels
    if how.background is not None:
        channels = {2: 1, 4: 3}.get(channels, channels)
    shape = channels, height, width
    if expected is None and max(width, height) > LARGEST:
        raise DataError(
            f"{path}: expected at most {LARGEST}x{LARGEST} pixels, got {width}x{height}: "
            f"resize the images first; {ANY_SIZE}"
        )
    if expected is not None and shape != expected:
        kind = ImageError if shape[1:] == expected[1:] else OtherSize
        raise kind(f"{path}: expected {_described(expected)}, got {_described(shape)}")
    return with_channels(picture, channels, how, f"{path}")


@contextmanager
def reading_again() -> Iterator[None]:
    """Say of an `ImageError` in the block, as a `DataError`, that the file was readable before."""
    try:
        yield
    except ImageError as error:
        raise DataError(
            f"{error}. It was readable when the data set was loaded: restore it and start again"
        ) from error


def require_same(path: Path, image: npt.NDArray[Any], known: bytes) -> None:
    """Raise `DataError` if the image of a file has another digest than when it was loaded."""
    if digest(image) != known:
        raise DataError(
            f"{path} holds another image than when the data set was loaded: leave the files alone "
            "while they are in use, and start again"
        )


def digest(image: npt.NDArray[Any]) -> bytes:
    """SHA-256 of an image's pixels, 32 bytes."""
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()


def _described(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{width}x{height} pixels, {channels} channel{'s' if channels > 1 else ''}"
