"""Images in files, decoded when they are read."""

from __future__ import annotations

import hashlib
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

__all__ = ["LARGEST", "InFiles", "decode", "digest"]

LARGEST = 256  # pixels that an image may be high or wide


@dataclass(frozen=True, eq=False)
class InFiles:
    """Images that stay in their files.

    Args:
        paths: one per image.
        digests: SHA-256 of the pixels of each, by which a file that changes is found out.
        shape: [C, H, W] of every image.
        how: what becomes of transparent pixels.
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
        """Decode the images at `places`: uint8 [n, C, H, W].

        Raises:
            DataError: a file is gone, became unreadable, or holds another image than it did.
        """
        pixels = np.empty((len(places), *self.shape), np.uint8)
        for row, place in enumerate(places.tolist()):
            try:
                pixels[row] = decode(self.paths[place], self.how, self.shape)
            except ImageError as error:
                raise DataError(
                    f"{error}. It was whole when the data set was loaded: put it back and start "
                    "again"
                ) from error
            if digest(pixels[row]) != self.digests[place]:
                raise DataError(
                    f"{self.paths[place]} holds another image than when the data set was loaded: "
                    "leave the files alone while they are in use, and start again"
                )
        return torch.from_numpy(pixels)


def decode(
    path: Path, how: Treatment, expected: tuple[int, int, int] | None = None
) -> npt.NDArray[Any]:
    """The pixels of a picture with its own channels: grey or RGB, with or without alpha.

    Args:
        path: the file.
        how: what becomes of transparent pixels: over a background, images lose their alpha.
        expected: [C, H, W]; None for any.

    Returns:
        uint8 [C, H, W].

    Raises:
        ImageError: the file is missing, no such image, or of another shape.
        DataError: any shape will do, but the image is larger than `LARGEST`.
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
            "resize the images first"
        )
    if expected is not None and shape != expected:
        raise ImageError(f"{path}: expected {_said(expected)}, got {_said(shape)}")
    return with_channels(picture, channels, how, f"{path}")


def digest(image: npt.NDArray[Any]) -> bytes:
    """SHA-256 of an image's pixels, 32 bytes."""
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()


def _said(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{width}x{height} pixels, {channels} channel{'s' if channels > 1 else ''}"
